"""The count of calls to the outside: the crash harness depends on it."""

import pytest

from tests.fakes.calls import Calls, Counted, Crash
from tests.fakes.clock import FakeClock
from tests.fakes.queues import FakeQueues


class Counter:
    """A thing outside that records its calls."""

    kind = "a counter"

    def __init__(self):
        self.done = []

    def add(self, number, *, twice=False):
        self.done.append(number)
        return number * (2 if twice else 1)

    def fail(self):
        raise LookupError


@pytest.fixture
def counter():
    return Counter()


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def counted(counter, calls):
    return Counted(counter, calls, "counter")


def stop(_name, _number):
    raise Crash


def test_every_call_is_counted_by_its_name(counted, calls):
    """In the order in which they began; failed calls too."""
    counted.add(1)
    with pytest.raises(LookupError):
        counted.fail()
    counted.add(2)

    assert calls.names == ["counter.add", "counter.fail", "counter.add"]
    assert (calls.count(), calls.count("counter.add")) == (3, 2)


def test_a_counted_thing_behaves_as_before(counted):
    """Arguments, answers and attributes pass through."""
    assert (counted.add(2, twice=True), counted.kind) == (4, "a counter")


def test_a_call_that_dies_before_never_happened(counted, counter, calls):
    """The process died on the way out."""
    calls.before = stop
    with pytest.raises(Crash):
        counted.add(1)

    assert counter.done == []


def test_a_call_that_dies_after_happened(counted, counter, calls):
    """The process died on the way back."""
    calls.after = stop
    with pytest.raises(Crash):
        counted.add(1)

    assert counter.done == [1]


def test_a_call_that_failed_has_no_answer_to_lose(counted, calls):
    """Its own error comes through."""
    calls.after = stop

    with pytest.raises(LookupError):
        counted.fail()


def test_hooks_get_the_name_and_the_number_of_the_call(counted, calls):
    """By name and number, from 1."""
    told = []
    calls.before = calls.after = lambda *which: told.append(which)
    counted.add(1)
    counted.add(2)

    assert told == [("counter.add", 1)] * 2 + [("counter.add", 2)] * 2


def test_a_crash_is_not_caught_as_an_exception():
    """A dead process handles nothing."""
    assert not issubclass(Crash, Exception)


def test_a_fake_queue_dies_before_it_took_the_message(calls):
    """Fakes count their own calls."""
    calls.before = stop
    queues = FakeQueues(FakeClock(), calls=calls)
    with pytest.raises(Crash):
        queues.send("jit-policy", "x")

    assert (queues.waiting("jit-policy"), calls.names) == ((), ["queues.send"])
