"""The answer to an initiate, stored once for all grants of a VM port."""

from datetime import timedelta

import pytest

from jit.broker.policy_worker.shared_answers import drop_shared_answers, fill_answers
from tests.builders.grants import an_opening, changed
from tests.builders.values import MINE, NEXT, NOW

LATER = NOW + timedelta(minutes=1)


def carried(name, **fields):
    """A grant that an initiate carries, without an answer."""
    return an_opening(name, **{"answered": False, **fields})


def answer(grant):
    return changed(grant, answered=True)


CROWD = [carried(f"g{number}") for number in range(3)]


def store(before, after):
    """Return *before* as their rows have them once the answer was stored."""
    kept = drop_shared_answers(before, {grant.id: grant for grant in after})
    return [kept.get(grant.id, grant) for grant in before], kept


def test_the_answer_for_a_crowd_is_one_row_and_each_grant_knows_it():
    after = [answer(grant) for grant in CROWD]

    rows, kept = store(CROWD, after)

    assert len(kept) == 1
    assert fill_answers(rows) == after


def test_each_vm_port_has_a_row_of_its_own():
    """Azure may take one port of an initiate and refuse another."""
    both = [*CROWD, carried("g9", port=3389)]
    after = [answer(grant) for grant in both]

    rows, kept = store(both, after)

    assert len(kept) == 2
    assert fill_answers(rows) == after
    assert fill_answers([rows[0], both[-1]])[-1] == both[-1]


@pytest.mark.parametrize("fields", [{"initiates": (MINE, NEXT)}, {"initiated_at": LATER}])
def test_an_answer_is_of_one_initiate(fields):
    other = carried("g9", **fields)

    assert fill_answers([answer(CROWD[0]), other])[1] == other


def test_a_refused_grant_does_not_learn_of_an_answer():
    """Its own row says that it is asked for once more."""
    refused = carried("g9", refused_at=NOW, refusal="NotFound")

    assert fill_answers([answer(CROWD[0]), refused])[1] == refused


def test_a_grant_that_was_not_asked_for_has_no_answer():
    """Its first initiate was refused; what an older one was answered says nothing."""
    opened = changed(answer(CROWD[0]), initiates=())
    new = carried("g9", initiates=())

    assert fill_answers([opened, new])[1] == new


def test_a_grant_that_is_closed_by_now_still_tells_the_answer():
    first, second, _ = CROWD

    assert fill_answers([second], [answer(first)]) == [answer(second)]


def test_a_grant_with_more_to_tell_is_stored():
    """A refusal before, a note, a refusal now: each is in the grant's own row."""
    refused = carried("g9", refused_at=NOW, refusal="NotFound")
    taken = changed(refused, answered=True, refused_at=None, refusal="")
    lost = changed(CROWD[2], note="Azure did not answer")

    _, kept = store([CROWD[0], refused, CROWD[2]], [answer(CROWD[0]), taken, lost])

    assert set(kept) == {CROWD[0].id, refused.id, lost.id}


def test_without_an_answer_nobody_is_answered():
    """The process died before it was stored: Azure is asked once more."""
    assert fill_answers(CROWD) == CROWD
