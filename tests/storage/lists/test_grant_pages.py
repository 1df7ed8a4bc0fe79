"""Pages of live grants: each row once, with its request, in a bounded number of calls."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.model.grant import Status
from jit.storage.documents import FORMAT
from jit.storage.lists.grant_pages import read_grant_page
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.table import Page
from tests.builders.crowds import (
    MINE,
    OTHER,
    SUBSCRIPTION,
    a_vm_of,
    a_whole_request,
    insert_rows,
    list_live_rows,
)
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FIRST: str | None = ""


@pytest.fixture
def table():
    return FakeTable(FakeClock(NOON))


def a_crowd(count, **kinds):
    return [a_whole_request(NOON + n * SECOND, number=n, **kinds) for n in range(count)]


def put(table, *wholes):
    insert_rows(table, (row for whole in wholes for row in list_live_rows(whole)))


def read(table, after="", calls=12):
    budget = QueryBudget(calls)
    found, reached = read_grant_page(table, SUBSCRIPTION, after, budget)
    return found, reached, calls - budget.left


def test_grants_of_all_people_come_with_their_requests_in_two_calls(table):
    """Each row with its machine."""
    wholes = [a_whole_request(NOON, MINE, vms=2), a_whole_request(NOON + SECOND, OTHER, number=7)]
    put(table, *wholes)

    found, reached, cost = read(table)

    assert {(each.request_id, each.vm_id) for each in found} == {
        (whole.request.id, grant.vm_id) for whole in wholes for grant in whole.grants
    }
    assert {each.request.requester.id for each in found} == {MINE.id, OTHER.id}
    assert all(each.request.id == each.request_id for each in found)
    assert (reached, cost) == (None, 2)


def test_a_long_list_goes_on_behind_its_last_row():
    """Nothing is missed, and nothing comes twice."""
    table = FakeTable(FakeClock(NOON), scanned=10)
    put(table, *a_crowd(4, vms=6))
    found, pages, after = [], 0, FIRST
    while after is not None:
        rows, after, _ = read(table, after)
        found += rows
        pages += 1

    assert (len(found), len({each.place for each in found}), pages) == (24, 24, 3)
    assert all(each.request is not None for each in found)


def test_of_many_requests_only_some_are_read_together_and_a_page_is_short():
    """A request that is missing is read by its key; a page that has no call left ends before it."""
    table = FakeTable(FakeClock(NOON), scanned=10)
    put(table, *a_crowd(60))

    pages, after = [], FIRST
    while after is not None:
        rows, after, cost = read(table, after, calls=5)
        pages.append((len(rows), cost))
        assert all(each.request is not None for each in rows)

    assert sum(count for count, _ in pages) == 60
    assert max(cost for _, cost in pages) <= 5


def test_a_request_that_is_not_needed_is_not_read():
    """Grants that lie ahead open nothing."""
    table = FakeTable(FakeClock(NOON), scanned=5)
    put(table, *a_crowd(20, status=Status.SCHEDULED))

    found, reached, cost = read(table, calls=4)

    assert ([each.may_have_path for each in found], cost) == ([False] * 5, 2)
    assert reached == found[-1].place


@pytest.mark.parametrize("spoiled", [0, 1], ids=["own row", "row of a grant"])
def test_rows_that_cannot_be_read_are_listed_as_such(table, spoiled):
    """The key and a column still name the request and the machine."""
    (whole,) = a_crowd(1)
    rows = list_live_rows(whole)
    rows[spoiled] = replace(rows[spoiled], values={**rows[spoiled].values, FORMAT: 99})
    insert_rows(table, rows)

    (found,), _, cost = read(table)

    assert (found.request_id, found.vm_id, found.may_have_path) == (
        whole.request.id,
        a_vm_of(0),
        True,
    )
    assert (found.request is None, found.grants is None) == (spoiled == 0, spoiled == 1)
    assert cost == 2


def test_a_grant_without_any_row_of_its_request_is_listed_without_it(table):
    """One more call looks for it."""
    (whole,) = a_crowd(1)
    insert_rows(table, list_live_rows(whole)[1:])

    (found,), _, cost = read(table)

    assert (found.request, found.grants, cost) == (None, whole.grants, 3)


def test_a_subscription_without_grants_is_one_empty_page(table):
    """Two queries."""
    assert read(table) == ([], None, 2)


class Hesitant:
    """A table whose first answer to each query is empty and has a token."""

    def __init__(self, table):
        self._table = table

    def query(self, where, *, limit, token):
        if token is None:
            return Page(rows=(), token="go on")
        return self._table.query(where, limit=limit, token=None)


def test_an_empty_answer_of_the_service_is_not_the_end(table):
    """The service may return no rows and still have more."""
    put(table, *a_crowd(3))

    found, reached, cost = read(Hesitant(table))

    assert (len(found), reached, cost) == (3, None, 4)
