"""The live grants of a subscription, for a list of its machines."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.storage.lists.live_access import read_live_access
from jit.storage.lists.query_budget import QueryBudget
from tests.builders.crowds import (
    MINE,
    OTHER,
    SUBSCRIPTION,
    a_whole_request,
    insert_rows,
    list_live_rows,
)
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(("requester", "seen"), [(None, 2), (MINE.id, 1)])
def test_all_grants_are_read_and_the_requests_that_the_caller_may_see(requester, seen):
    """Somebody is in; who it is, is their own affair. Two queries."""
    table, budget = FakeTable(FakeClock(NOON)), QueryBudget()
    wholes = [
        a_whole_request(NOON + timedelta(seconds=n), person, number=n)
        for n, person in enumerate((MINE, OTHER))
    ]
    insert_rows(table, (row for whole in wholes for row in list_live_rows(whole)))

    live = read_live_access(table, SUBSCRIPTION, requester, budget)

    assert {grant.id for grant in live.grants} == {g.id for each in wholes for g in each.grants}
    assert list(live.requests) == [each.request.id for each in wholes][:seen]
    assert budget.left == 10


def test_more_than_a_page_of_grants_is_read_to_its_end():
    """A part of the people who are in would be a wrong answer."""
    table, budget = FakeTable(FakeClock(NOON), scanned=3), QueryBudget()
    insert_rows(table, list_live_rows(a_whole_request(NOON, vms=10)))

    live = read_live_access(table, SUBSCRIPTION, None, budget)

    assert len(live.grants) == 10
    assert budget.left == 12 - 4 - 1
