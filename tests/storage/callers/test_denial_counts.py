"""The number of denials of each caller, within an hour."""

import pytest

from jit.domain.errors import StateConflict
from jit.domain.values.rate_window import RateWindow
from jit.storage.callers.denial_counts import DenialCounts
from jit.storage.keys import CALLERS, denials_key
from jit.storage.table import Op, Row, Verb
from tests.builders.values import NOW
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

ONE, TWO = RateWindow(begin=NOW, count=1), RateWindow(begin=NOW, count=2)


@pytest.fixture
def table():
    return FakeTable(FakeClock(NOW))


@pytest.fixture
def counts(table):
    return DenialCounts(table)


def test_a_count_is_read_as_it_was_written(counts):
    """Each caller has one of their own; an id with letters that a key cannot have, too."""
    for caller in ("alice", "a/b?c"):
        counts.put(counts.read(caller), ONE)
        counts.put(counts.read(caller), TWO)

    assert [counts.read(each).window for each in ("alice", "a/b?c", "bob")] == [TWO, TWO, None]


def test_of_two_that_count_at_once_one_has_to_read_again(counts):
    """The first row, and each later version of it."""
    first = counts.read("alice")
    counts.put(first, ONE)
    second = counts.read("alice")
    counts.put(second, TWO)

    for lost in (first, second):
        with pytest.raises(StateConflict):
            counts.put(lost, TWO)


def test_a_row_of_a_newer_version_is_an_alert_and_stays_as_it_is(table, counts, caplog):
    """It counts nothing, and says that it is there."""
    row = Row(partition=CALLERS, key=denials_key("alice"), values={"Format": 99})
    table.write([Op(Verb.INSERT, row)])

    found = counts.read("alice")

    assert (found.window, found.unreadable) == (None, True)
    assert "row.unreadable" in caplog.text
