"""One call for all who want its result at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jit.broker.single_flight import SingleFlight
from jit.domain.errors import Unavailable

CALLERS = 20


class Ticking:
    """A clock of seconds that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


class Slow:
    """A call that goes on until it is let go, and counts."""

    def __init__(self, error=None):
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.count = 0
        self.error = error

    def __call__(self):
        self.count += 1
        self.begun.set()
        self.let_go.wait(5)
        if self.error is not None:
            raise self.error
        return f"result {self.count}"


@pytest.fixture
def pool():
    """More threads than callers."""
    with ThreadPoolExecutor(CALLERS + 1) as found:
        yield found


def outcome(future):
    """The result of a future, or the type of its error."""
    error = future.exception(timeout=5)
    return future.result() if error is None else type(error)


def start(pool, flight, call):
    """Let one caller begin, and the others come while the call runs."""
    first = pool.submit(flight.get, call)
    call.begun.wait(5)
    others = [pool.submit(flight.get, call) for _ in range(CALLERS - 1)]
    return [first, *others]


def test_twenty_callers_at_once_make_one_call_and_get_its_result(pool):
    """The first caller makes it."""
    call = Slow()
    callers = start(pool, SingleFlight[Any](pause=60, oldest=60), call)

    call.let_go.set()

    assert [outcome(each) for each in callers] == ["result 1"] * CALLERS
    assert call.count == 1


@pytest.mark.parametrize("error", [RuntimeError("no"), Unavailable("no"), SystemExit()])
def test_a_call_that_fails_leaves_nobody_waiting(pool, error):
    """The caller who made it gets its error; the others are told to wait."""
    call = Slow(error)
    callers = start(pool, SingleFlight[Any](pause=60), call)

    call.let_go.set()

    assert [outcome(each) for each in callers] == [type(error)] + [Unavailable] * (CALLERS - 1)
    assert call.count == 1


def test_a_call_that_hangs_keeps_others_for_a_short_time_only(pool):
    """No thread waits for it longer than the patience from its begin."""
    call = Slow()
    flight = SingleFlight[Any](patience=0.0)

    callers = start(pool, flight, call)

    assert {outcome(each) for each in callers[1:]} == {Unavailable}
    call.let_go.set()
    assert outcome(callers[0]) == "result 1"


def test_while_a_call_runs_others_get_the_last_result_if_it_is_young_enough(pool):
    """They do not wait at all."""
    clock, call = Ticking(), Slow()
    flight = SingleFlight[Any](pause=10, oldest=60, patience=0.0, clock=clock)
    flight.get(lambda: "old")
    clock.now = 59.0
    first = pool.submit(flight.get, call)
    call.begun.wait(5)

    young = flight.get(call)
    clock.now = 60.0
    with pytest.raises(Unavailable):
        flight.get(call)

    call.let_go.set()
    assert (young, outcome(first)) == ("old", "result 1")


@pytest.mark.parametrize(("now", "calls"), [(9.9, 1), (10.0, 2)])
def test_the_next_call_begins_after_the_pause(now, calls):
    """However often somebody asks."""
    clock, made = Ticking(), []
    flight = SingleFlight[Any](pause=10, oldest=60, clock=clock)
    flight.get(lambda: made.append(1))
    clock.now = now

    flight.get(lambda: made.append(2))

    assert len(made) == calls


def test_a_call_that_failed_is_not_repeated_before_the_pause():
    """Else a fault would let callers choose the rate. An old result is better than none."""
    clock, made = Ticking(), []
    flight = SingleFlight[Any](pause=10, oldest=60, clock=clock)

    def fail():
        made.append(1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        flight.get(fail)
    with pytest.raises(Unavailable, match="failed a moment ago"):
        flight.get(fail)

    clock.now = 10.0
    flight.get(lambda: "good")
    clock.now = 20.0
    with pytest.raises(RuntimeError):
        flight.get(fail)

    assert flight.get(fail) == "good"
    assert len(made) == 2


def test_without_a_pause_each_call_after_another_is_made():
    """Only callers at the same time share one."""
    flight = SingleFlight[Any]()

    assert [flight.get(lambda: 1), flight.get(lambda: 2)] == [1, 2]
