"""Lists of requests: live ones of a subscription, finished ones of a month."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.model.grant import Status
from jit.storage.history import build_month_partition, write_history_rows
from jit.storage.table import Op, Verb
from tests.builders.crowds import SUBSCRIPTION, a_whole_request, insert_rows, list_live_rows
from tests.builders.searches import a_search, find_ids
from tests.builders.stores import stores_over
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DECEMBER = NOON + timedelta(days=30)


class Shelf:
    """Two tables, and the lists over them."""

    def __init__(self):
        clock = FakeClock(NOON)
        self.state, self.history = FakeTable(clock), FakeTable(clock)
        stores = stores_over(self.state, self.history)
        self.lists, self.requests = stores.lists, stores.requests

    def finish(self, number=1, *, at=NOON, vms=3):
        """A request in history."""
        whole = a_whole_request(at, number=number, vms=vms, status=Status.CLOSED)
        self.requests.history.write(whole)
        return whole.request.id

    def list_month(self, month=NOON, **search):
        """The ids of a month."""
        return find_ids(self.lists.list_month(SUBSCRIPTION, month, a_search(**search)))


@pytest.fixture
def shelf():
    return Shelf()


def test_a_month_lists_its_own_requests_alone(shelf):
    """Requests lie in the month of their creation, as their ids say."""
    first, second = shelf.finish(1), shelf.finish(2)
    later = shelf.finish(3, at=DECEMBER)

    assert shelf.list_month() == [first, second]
    assert shelf.list_month(DECEMBER) == [later]
    assert build_month_partition(SUBSCRIPTION, DECEMBER) == f"{SUBSCRIPTION}|2026-12"


def test_a_month_goes_on_behind_a_request(shelf):
    """A page of a list begins where the one before ended."""
    first, second = shelf.finish(1), shelf.finish(2)

    assert shelf.list_month(after=first) == [second]


def test_a_month_lists_no_request_without_its_own_row(shelf):
    """Its row comes last: until then the live one is listed."""
    whole = a_whole_request(NOON, vms=3, status=Status.CLOSED)
    shelf.history.write([Op(Verb.INSERT, row) for row in write_history_rows(whole)[1:]])

    assert shelf.list_month() == []


def test_a_list_of_live_requests_goes_on_behind_a_request(shelf):
    """The same place serves live and finished ones."""
    asked = [a_whole_request(NOON, number=number) for number in range(1, 4)]
    insert_rows(shelf.state, (row for each in asked for row in list_live_rows(each)))

    rest = find_ids(shelf.lists.list_live(SUBSCRIPTION, a_search(after=asked[0].request.id)))

    assert rest == [each.request.id for each in asked[1:]]
