"""Reads of chains: heads, windows, pages; each costs calls of the budget."""

from dataclasses import replace

import pytest

from jit.domain.audit.chain import Head
from jit.storage.documents import FORMAT
from jit.storage.lists.query_budget import PAGE_QUERIES, QueryBudget
from jit.storage.table import Op, Verb
from tests.builders.trails import ELSEWHERE, HERE, StoredTrail


def sequences(records):
    return [record.sequence for record in records]


def spoil(trail, sequence):
    """Make a record one that only a newer version reads."""
    row = trail.audit.rows("c|")[sequence - 1]
    trail.audit.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99}))])


def test_the_head_of_a_chain_and_a_record_cost_a_call_each():
    trail, budget = StoredTrail(), QueryBudget()
    records = trail.store_many(3)

    head = trail.reads.find_head(HERE, budget)

    assert (head.sequence, head.hash) == (3, records[-1].hash)
    assert trail.reads.find_record(HERE, 2, budget) == records[1]
    assert trail.reads.find_record(HERE, 4, budget) is None
    assert trail.reads.find_head(ELSEWHERE, budget) == Head(chain=ELSEWHERE)
    assert budget.left == PAGE_QUERIES - 4


@pytest.mark.parametrize("scanned", [1000, 7])
def test_a_window_is_read_to_its_end(scanned):
    """Also if the service stops early: the newest records come last."""
    trail, budget = StoredTrail(scanned=scanned), QueryBudget()
    trail.store_many(30)

    found = trail.reads.list_window(HERE, 5, 25, budget)

    assert sequences(found) == list(range(5, 25))


def test_storage_selects_the_records_of_a_window():
    trail = StoredTrail()
    events = [{"what": what, "requestId": "r"} for what in ("a", "b", "a")]
    trail.store(events)

    assert sequences(trail.reads.list_window(HERE, 1, 4, QueryBudget(), {"What": "a"})) == [1, 3]


def test_pages_follow_each_other():
    trail, budget = StoredTrail(scanned=20), QueryBudget()
    trail.store_many(30)

    first, token = trail.reads.list_page(HERE, 1, 31, budget, None)
    second, end = trail.reads.list_page(HERE, 1, 31, budget, token)

    assert sequences([*first, *second]) == list(range(1, 31))
    assert (end, budget.left) == (None, PAGE_QUERIES - 2)


def test_a_record_that_only_a_newer_version_reads_is_left_out_with_an_alert(caplog):
    """A list of many must not fail because of one."""
    trail = StoredTrail()
    trail.store_many(3)
    spoil(trail, 2)

    assert sequences(trail.reads.list_window(HERE, 1, 4, QueryBudget())) == [1, 3]
    assert trail.reads.find_record(HERE, 2, QueryBudget()) is None
    assert "row.unreadable" in caplog.text
