"""The grants of live requests: by the widest query that gets through."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jit.storage.lists.live_grants import Candidate, LiveGrants
from jit.storage.lists.query_budget import QueryBudget
from tests.builders.crowds import (
    SUBSCRIPTION,
    a_whole_request,
    insert_rows,
    list_live_rows,
    list_old_rows,
)
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


ROWS = list_live_rows(a_whole_request(NOON))


def read(wholes, write=list_live_rows, *, besides=(), scanned=1000, calls=12, must=False):
    """Return the number of rows of each request that was read, and what it cost."""
    table = FakeTable(FakeClock(NOON), scanned=scanned)
    rows = [write(whole) for whole in wholes]
    insert_rows(table, [*(row for each in rows for row in each), *besides])
    wanted = [Candidate(each[0], whole.request) for each, whole in zip(rows, wholes, strict=True)]
    budget = QueryBudget(calls)
    found = LiveGrants(table, SUBSCRIPTION, budget).read(wanted, must=must)
    return [len(rows) for _, rows in found], calls - budget.left


def make(count, vms=1):
    """Requests on machines of their own."""
    return [
        a_whole_request(NOON + timedelta(seconds=n), number=n * vms, vms=vms) for n in range(count)
    ]


def test_the_grants_of_a_small_subscription_are_one_query():
    """Whatever the requests."""
    assert read(make(100, vms=2)) == ([2] * 100, 1)


def test_the_grants_of_a_few_requests_are_a_query_a_machine():
    """Such a query passes over the grants of one machine only."""
    assert read(make(2, vms=2), scanned=2) == ([2, 2], 4)


def test_a_larger_subscription_is_read_by_twelve_requests():
    """As many as the comparisons of a query suffice for; the first query showed its size."""
    elsewhere = [replace(row, key=f"g|zz|{n}") for n in range(30) for row in ROWS[1:]]

    assert read(make(40), besides=elsewhere, scanned=41) == ([1] * 40, 1 + 4)


def test_requests_are_read_one_by_one_if_no_wider_query_gets_through():
    """As many as the budget suffices for: two calls have been in vain."""
    assert read(make(40), scanned=39) == ([1] * 10, 12)


@pytest.mark.parametrize("write", [list_live_rows, list_old_rows])
def test_a_request_of_many_machines_is_a_query_a_policy(write):
    """A query a machine would be too many; a row of an older version does not name them."""
    assert read(make(1, vms=6), write) == ([6], 1)


def test_a_budget_that_does_not_suffice_reads_nothing_unless_it_must():
    """A part of the grants would be a wrong answer."""
    wholes = make(1, vms=3)

    assert read(wholes, calls=2) == ([], 0)
    assert read(wholes, calls=2, must=True) == ([3], 3)
