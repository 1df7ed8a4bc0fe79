"""Rows of several live requests, read with few storage calls."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.storage.lists.request_batches import FEW, read_requests
from tests.builders.crowds import a_whole_request, insert_rows, list_live_rows
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def make(count, *, gap=timedelta(seconds=1)):
    return [a_whole_request(NOON + number * gap, number=number) for number in range(count)]


def read(wholes, wanted):
    """Return the ids of the requests that are read, and the names of the storage calls."""
    calls = Calls()
    table = FakeTable(FakeClock(NOON), calls=calls, name="state")
    insert_rows(table, [row for whole in wholes for row in list_live_rows(whole)])
    before = calls.count()
    found = read_requests(table, [whole.request.id for whole in wanted])
    got = [key for key, request in found.items() if request is not None]
    return got, calls.names[before:]


def ids_of(wholes):
    return [whole.request.id for whole in wholes]


@pytest.mark.parametrize("count", [1, FEW])
def test_a_few_requests_are_read_one_by_one(count):
    wholes = make(count)

    assert read(wholes, wholes) == (ids_of(wholes), ["state.get"] * count)


@pytest.mark.parametrize("count", [FEW + 1, 1000])
def test_many_requests_are_one_query(count):
    """The first and the last one included."""
    wholes = make(count)

    assert read(wholes, wholes) == (ids_of(wholes), ["state.query"])


def test_requests_beyond_a_page_are_read_one_by_one():
    """Others lie between them: the query returns no more than a page."""
    wholes = make(1003)

    found, calls = read(wholes, [*wholes[:5], *wholes[-2:]])

    assert (len(found), calls) == (7, ["state.query", "state.get", "state.get"])


def test_a_request_that_is_gone_is_none():
    wholes = make(FEW + 2)

    found, _ = read(wholes[1:], wholes)

    assert found == ids_of(wholes[1:])


def test_a_text_that_is_no_id_is_no_request():
    table = FakeTable(FakeClock(NOON))

    assert read_requests(table, ["x"]) == {"x": None}
