"""Lists of live requests: complete with their grants, or left to history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.model.grant import Status
from jit.storage.lists.live_rows import list_live
from tests.builders.crowds import (
    MINE,
    OTHER,
    SUBSCRIPTION,
    a_whole_request,
    close,
    insert_rows,
    list_live_rows,
    list_old_rows,
    list_strangers,
)
from tests.builders.searches import a_search, find_ids
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def table():
    return FakeTable(FakeClock(NOON))


def test_requests_come_oldest_first_with_all_their_grants(table):
    """And the list is at its end."""
    wholes = [a_whole_request(NOON + n * SECOND, number=10 * n, vms=2) for n in range(3)]
    insert_rows(table, (row for whole in wholes for row in list_live_rows(whole)))

    found = list_live(table, SUBSCRIPTION, a_search())

    assert find_ids(found) == [each.request.id for each in wholes]
    assert [each.grants for each in found.requests] == [each.grants for each in wholes]
    assert found.reached is None


def test_a_list_ends_when_the_page_is_full(table):
    """Behind the last request on it."""
    wholes = [a_whole_request(NOON + n * SECOND, number=n) for n in range(5)]
    insert_rows(table, (row for whole in wholes for row in list_live_rows(whole)))
    ids = [each.request.id for each in wholes]

    first = list_live(table, SUBSCRIPTION, a_search(room=3))
    rest = list_live(table, SUBSCRIPTION, a_search(room=3, after=first.reached))

    assert (find_ids(first), first.reached) == (ids[:3], ids[2])
    assert (find_ids(rest), rest.reached) == (ids[3:], None)


@pytest.mark.parametrize("write", [list_live_rows, list_old_rows])
def test_a_closed_request_is_live_until_it_has_moved(table, write):
    """If all its grants are there it is; a row of an older version is looked at once more."""
    insert_rows(table, write(close(a_whole_request(NOON, vms=2))))

    (found,) = list_live(table, SUBSCRIPTION, a_search()).requests

    assert (found.status, len(found.grants)) == (Status.CLOSED, 2)


def test_a_request_whose_grants_are_tombstones_by_now_is_left_to_history(table):
    """Its own row was read before it moved."""
    own, first, _ = list_live_rows(close(a_whole_request(NOON, vms=2)))
    insert_rows(table, [own, first])

    assert list_live(table, SUBSCRIPTION, a_search()).requests == ()


def test_the_grants_of_requests_that_do_not_fit_are_not_read(table):
    """One query: for their own rows."""
    insert_rows(table, list_live_rows(a_whole_request(NOON, OTHER)))
    search = a_search(fits_request=lambda request: request.requester == MINE)

    assert list_live(table, SUBSCRIPTION, search).requests == ()
    assert search.budget.left == 11


def test_a_page_without_calls_for_grants_ends_just_before_the_first_request():
    """The next page begins with it, and reads it whatever it costs."""
    table = FakeTable(FakeClock(NOON), scanned=10)
    insert_rows(table, list_strangers(60, end=NOON, every=SECOND))
    mine = a_whole_request(NOON + timedelta(milliseconds=5), number=77, vms=3)
    insert_rows(table, list_live_rows(mine))

    first = list_live(table, SUBSCRIPTION, a_search(requester=MINE.id, calls=9))
    rest = list_live(table, SUBSCRIPTION, a_search(requester=MINE.id, calls=3, after=first.reached))

    assert find_ids(first) == []
    assert str(first.reached) < mine.request.id
    assert find_ids(rest) == [mine.request.id]


def test_a_request_with_grants_of_a_newer_format_keeps_no_other_out(table, caplog):
    """It is left out, with an alert."""
    first, second = (a_whole_request(NOON + n * SECOND, number=n) for n in (1, 2))
    own, grants = list_live_rows(first)
    newer = replace(grants, values={**grants.values, "Format": 99})
    insert_rows(table, [own, newer, *list_live_rows(second)])

    found = list_live(table, SUBSCRIPTION, a_search())

    assert find_ids(found) == [second.request.id]
    assert own.key in caplog.text
