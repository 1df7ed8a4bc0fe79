"""The budget of a page: every storage call counts."""

from datetime import UTC, datetime

from jit.storage.lists.query_budget import PAGE_QUERIES, QueryBudget
from jit.storage.table import Op, Row, Verb, Where
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_query_and_a_read_cost_a_call_each():
    """Also a query that goes on, and a read of nothing."""
    table, budget = FakeTable(FakeClock(NOON)), QueryBudget()
    rows = [Row(partition="p", key=str(n), values={}) for n in range(3)]
    table.write([Op(Verb.INSERT, row) for row in rows])

    page = budget.query(table, Where(partition="p"), limit=2)
    rest = budget.query(table, Where(partition="p"), page.token)
    missing = budget.get(table, "p", "9")

    assert [len(page.rows), len(rest.rows), missing] == [2, 1, None]
    assert budget.left == PAGE_QUERIES - 3 == 9
