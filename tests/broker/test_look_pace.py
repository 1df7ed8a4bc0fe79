"""The pace of looks that callers cause."""

from datetime import timedelta

import pytest

from jit.broker.look_pace import LOOK_PAUSE, LookPace
from jit.storage import keys
from jit.storage.control_rows import ControlRows
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def clock():
    """The clock of the storage service."""
    return FakeClock()


@pytest.fixture
def table(clock):
    """The table of all instances."""
    return FakeTable(clock)


@pytest.fixture
def pace(table):
    """The pace as one instance sees it."""
    return LookPace(lambda: ControlRows(table))


def begin(pace, subscription=DEVELOPMENT, key=keys.LOOK):
    """The answer to a look that wants to begin."""
    start = pace.begin(subscription, key)
    return "runs" if start.runs else "recent" if start.row is None else "begun"


def test_a_look_may_begin_30_seconds_after_the_end_of_the_last_one(pace, clock):
    """By the clock of the storage service, which all instances share."""
    start = pace.begin(DEVELOPMENT, keys.LOOK)
    clock.advance(timedelta(seconds=5))
    pace.end(start.row)

    clock.advance(LOOK_PAUSE - MOMENT)
    early = begin(pace)
    clock.advance(MOMENT)

    assert (early, begin(pace)) == ("recent", "begun")


def test_no_look_begins_while_another_instance_looks(pace, table):
    """Its result is not known yet."""
    pace.begin(DEVELOPMENT, keys.LOOK)

    assert begin(LookPace(lambda: ControlRows(table))) == "runs"


def test_a_look_that_nobody_ends_holds_up_the_next_one_for_30_seconds(pace, clock):
    """It failed, or its process died."""
    pace.begin(DEVELOPMENT, keys.LOOK)

    clock.advance(LOOK_PAUSE - MOMENT)
    early = begin(pace)
    clock.advance(MOMENT)

    assert (early, begin(pace)) == ("runs", "begun")


def test_of_two_looks_at_once_one_begins(pace, table):
    """The row is won under its ETag."""
    assert begin(LookPace(lambda: Overtaken(table, pace))) == "runs"


class Overtaken(ControlRows):
    """Rows that another instance wins between a read and a write."""

    def __init__(self, table, other):
        super().__init__(table)
        self._other = other

    def find_comparison(self, subscription, key=keys.COMPARISON):
        found = super().find_comparison(subscription, key)
        self._other.begin(subscription, key)
        return found


def test_subscriptions_and_kinds_of_looks_do_not_wait_for_each_other(pace):
    """A dry run puts off nobody's denial."""
    begin(pace)

    assert begin(pace, PRODUCTION) == "begun"
    assert begin(pace, key=keys.PLAN) == "begun"


def test_a_look_that_took_too_long_ends_no_later_one(pace, clock):
    """Another look has begun meanwhile; that one is not known to be done."""
    slow = pace.begin(DEVELOPMENT, keys.LOOK)
    clock.advance(LOOK_PAUSE)
    pace.begin(DEVELOPMENT, keys.LOOK)

    pace.end(slow.row)

    assert begin(pace) == "runs"
