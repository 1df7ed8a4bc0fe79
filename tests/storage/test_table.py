"""Tables: all pages are read, and operations are packed into transactions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.storage.table import BYTES, OPERATIONS, Op, Row, Verb, Where, pack_bundles, read_all
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


# ---- transactions --------------------------------------------------------------------------------

sizes = st.sampled_from([0, 1, 30_000, BYTES // 6, BYTES // 2])
bundles = st.lists(
    st.builds(
        lambda count, size: [an_op(size)] * count, count=st.integers(1, 60), size=sizes
    ).filter(lambda bundle: weight(bundle) <= BYTES),
    max_size=12,
)


def an_op(size):
    return Op(Verb.INSERT, Row(partition="p", key="k", values={"Doc": "x" * size, "Number": 1}))


def weight(bundle):
    return sum(2 * len(f"pk{op.row.values['Doc']}") for op in bundle)


@given(bundles)
def test_every_group_fits_a_transaction_and_nothing_is_lost_or_moved(given_bundles):
    """A bundle stays together."""
    groups = list(pack_bundles(given_bundles))

    assert [bundle for group in groups for bundle in group] == given_bundles
    assert all(sum(map(len, group)) <= OPERATIONS for group in groups)
    assert all(sum(map(weight, group)) <= BYTES for group in groups)


def test_a_deletion_weighs_no_more_than_its_key():
    """Only keys are sent: a hundred large rows go in one transaction."""
    doomed = [[Op(Verb.DELETE, an_op(BYTES).row)] for _ in range(OPERATIONS)]

    assert len(list(pack_bundles(doomed))) == 1
