"""Turns: one call of a person at a time, others beside it; nothing stays behind."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from jit.broker.requests.acceptance.turns import Turns
from jit.domain.errors import Unavailable


def test_calls_of_one_person_come_one_after_the_other():
    """A call never sees another one inside."""
    turns, together, inside, most = Turns(), Barrier(4), [], []

    def call(number):
        together.wait()
        with turns.take("alice"):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))

    assert most == [1, 1, 1, 1]
    assert turns._turns == {}


def test_calls_of_two_people_do_not_wait_for_each_other():
    turns = Turns()

    with turns.take("alice"), turns.take("dave"):
        assert set(turns._turns) == {"alice", "dave"}


def test_a_call_that_fails_gives_its_turn_back():
    turns = Turns()

    with pytest.raises(ValueError, match="no"), turns.take("alice"):
        raise ValueError("no")

    with turns.take("alice"):
        assert set(turns._turns) == {"alice"}


def test_a_call_gives_up_after_a_while():
    """Storage may hang. The turn of the other call goes on."""
    turns = Turns(patience=0.0)

    with turns.take("alice"):
        with pytest.raises(Unavailable), turns.take("alice"):
            pass
        assert set(turns._turns) == {"alice"}

    assert turns._turns == {}
