"""The reader of tables: all pages, in order."""

import pytest

from jit.storage.table import Op, Row, Verb, Where, read_all
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

ROWS = 7


@pytest.fixture
def calls():
    return Calls()


def filled(calls, **options):
    table = FakeTable(FakeClock(), calls=calls, **options)
    rows = [Row(partition="p", key=f"k|{number}", values={}) for number in range(ROWS)]
    table.write([Op(Verb.INSERT, row) for row in rows])
    return table


@pytest.mark.parametrize("limit", [1, 3, ROWS, ROWS + 1])
def test_all_pages_are_read_in_order(calls, limit):
    """The size of a page changes nothing."""
    rows = read_all(filled(calls), Where(partition="p"), limit)

    assert [row.key for row in rows] == [f"k|{number}" for number in range(ROWS)]


def test_a_page_that_ends_early_is_not_the_end(calls):
    """Azure may answer with few rows, or none, and a token."""
    table = filled(calls, scanned=2)

    assert len(list(read_all(table, Where(partition="p")))) == ROWS


def test_pages_are_read_as_they_are_needed(calls):
    """A caller that stops early pays for one page."""
    rows = read_all(filled(calls), Where(partition="p"), 2)

    assert next(rows).key == "k|0"
    assert calls.count("table.query") == 1
