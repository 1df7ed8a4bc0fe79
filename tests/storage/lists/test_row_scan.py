"""Scans: own rows by the service if it gets on, else all rows, up to a place that tells nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.storage.history import build_month_partition, write_history_rows
from jit.storage.lists.row_scan import FINISHED, LIVE, RowScan
from jit.storage.lists.search import make_bound
from jit.storage.table import Where
from tests.builders.crowds import (
    MINE,
    OTHER,
    SUBSCRIPTION,
    a_whole_request,
    close,
    insert_rows,
    list_live_rows,
    list_old_rows,
)
from tests.builders.searches import a_search
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIVE_ROWS = Where(partition=SUBSCRIPTION, first="r|", last="r}")
MONTH = Where(partition=build_month_partition(SUBSCRIPTION, NOON))


def make_table(*wholes, finished=False, scanned=1000):
    table = FakeTable(FakeClock(NOON), calls=Calls(), scanned=scanned)
    write = write_history_rows if finished else list_live_rows
    insert_rows(table, (row for whole in wholes for row in write(whole)))
    return table


def scan(table, layout=LIVE, **search):
    where = MONTH if layout is FINISHED else LIVE_ROWS
    found = RowScan(table=table, where=where, layout=layout, search=a_search(**search)).run()
    return [layout.read_id(group[0]) for group in found.groups], found.reached


def others(count, start=NOON):
    return [a_whole_request(start + n * MINUTE, OTHER, number=n) for n in range(count)]


def test_own_rows_come_in_one_query_if_the_service_gets_through():
    """However many others there are."""
    mine = a_whole_request(NOON + 5 * MINUTE)

    assert scan(make_table(*others(20), mine), requester=MINE.id) == ([mine.request.id], None)


def test_a_scan_among_others_ends_at_the_last_full_hour():
    """It has read more; the next one reads these rows again."""
    table = make_table(*others(200), scanned=40)

    found, reached = scan(table, requester=MINE.id, calls=5)

    assert found == []
    assert reached == make_bound(SUBSCRIPTION, NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("every", "reached"),
    [
        (timedelta(seconds=7), NOON + 4 * MINUTE),
        (timedelta(milliseconds=90), NOON + timedelta(seconds=3)),
        (timedelta(milliseconds=1), NOON + timedelta(milliseconds=39)),
    ],
)
def test_a_dense_crowd_needs_a_finer_time(every, reached):
    """Each scan gets on, or a list would never end."""
    crowd = [a_whole_request(NOON + n * every, OTHER, number=n) for n in range(200)]
    table = make_table(*crowd, scanned=20)

    assert scan(table, requester=MINE.id, calls=4)[1] == make_bound(SUBSCRIPTION, reached)


def test_a_crowd_of_one_millisecond_is_read_to_its_end():
    """There is no place inside it that tells nothing: the budget gives way."""
    crowd = [a_whole_request(NOON, OTHER, number=n) for n in range(50)]
    mine = a_whole_request(NOON + MINUTE)
    table = make_table(*crowd, mine, scanned=5)

    assert scan(table, requester=MINE.id, calls=3) == ([mine.request.id], None)


def test_a_scan_behind_an_own_row_ends_there():
    """If that is later than the last full hour."""
    mine = a_whole_request(NOON + 50 * MINUTE, number=999)
    table = make_table(*others(100), mine, scanned=60)

    assert scan(table, requester=MINE.id, calls=2) == ([mine.request.id], mine.request.id)


def test_a_scan_for_somebody_who_sees_all_ends_at_the_last_row():
    """It may name every request."""
    crowd = others(30)

    found, reached = scan(make_table(*crowd, scanned=10), calls=2)

    assert (len(found), reached) == (20, crowd[19].request.id)


@pytest.mark.parametrize("scanned", [1, 2, 3, 5, 100])
def test_a_finished_request_comes_whole_or_not_at_all(scanned):
    """Its rows may be on two pages of the service."""
    wholes = [close(a_whole_request(NOON + n * MINUTE, number=n, vms=3)) for n in range(4)]
    table = make_table(*wholes, finished=True, scanned=scanned)
    search = a_search(calls=5)

    span = RowScan(table=table, where=MONTH, layout=FINISHED, search=search).run()

    assert span.groups != ()
    assert {len(group) for group in span.groups} == {4}


def test_grants_without_the_columns_of_their_request_are_read_with_all_rows():
    """An older version wrote them; a query for the person's rows lacks them."""
    whole = close(a_whole_request(NOON, vms=2))
    table = FakeTable(FakeClock(NOON))
    insert_rows(table, list_old_rows(whole, finished=True))
    search = a_search(requester=MINE.id)

    span = RowScan(table=table, where=MONTH, layout=FINISHED, search=search).run()

    assert [len(group) for group in span.groups] == [3]
    assert search.budget.left == 10
