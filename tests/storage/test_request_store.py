"""Requests and grants in the table: readable rows are used, unreadable ones stop no others."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.errors import Defect, StateConflict
from jit.domain.model.grant import CloseReason, Status
from jit.storage import keys
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.table import Op, Verb
from tests.builders.grants import a_grant_of, a_request
from tests.builders.searches import a_search, find_ids
from tests.builders.stores import stores_over
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
POLICY = f"{GROUP}/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"


def a_vm(number):
    return f"{GROUP}/Microsoft.Compute/virtualMachines/web{number:02d}"


class Shelf:
    """The stores over two tables, and rows to put there."""

    def __init__(self):
        clock = FakeClock(NOON)
        self.state, self.history = FakeTable(clock), FakeTable(clock)
        stores = stores_over(self.state, self.history)
        self.requests, self.lists = stores.requests, stores.lists

    def insert(self, *vms, number=1, **changes):
        """Store a request with a grant on each VM."""
        request = a_request(NOON, POLICY, number=number)
        grants = [a_grant_of(request, vm, index=i, **changes) for i, vm in enumerate(vms)]
        assert self.requests.insert(request, grants, [])
        return request

    def age(self, prefix, vm="", newest=99):
        """Let a newer version have written the rows of that kind, of a VM if given."""
        rows = [
            row for row in self.state.rows(prefix) if keys.machine_key(vm)[2:] in row.key or not vm
        ]
        new = [replace(row, values={**row.values, "Format": newest}) for row in rows]
        self.state.write([Op(Verb.REPLACE, row) for row in new])

    def load(self, request):
        """A request as it is stored."""
        stored = self.requests.load(request.id)
        assert stored is not None
        return stored

    def close(self, request):
        """Close the grants of a request and move it to history."""
        stored = self.load(request)
        changes = [(row, [_closed(grant) for grant in row.grants]) for row in stored.rows]
        self.requests.save(changes, [])
        self.requests.archive(self.load(request), now=NOON)


def _closed(grant):
    return replace(grant, status=Status.CLOSED, close_reason=CloseReason.REVOKED)


@pytest.fixture
def shelf():
    return Shelf()


def alerts(caplog):
    """Keys of the rows that an alert named."""
    events = [json.loads(record.getMessage()) for record in caplog.records]
    return [event["key"] for event in events if event["event"] == "row.unreadable"]


# ---- reading -------------------------------------------------------------------------------------


def test_a_request_is_loaded_with_its_grants_in_the_order_of_its_body(shelf):
    """Rows sort by hashes of ids; the request's body has another order."""
    request = shelf.insert(*map(a_vm, range(5)))

    stored = shelf.requests.load(request.id)

    assert stored.request == request
    assert [grant.vm_id for grant in stored.grants] == [a_vm(number) for number in range(5)]


def test_the_columns_of_a_policys_rows_tell_status_and_when_due(shelf):
    """The worker decides by them whether a pass is needed."""
    shelf.insert(a_vm(1))

    (row,) = shelf.requests.summarize_due(POLICY, NOON).rows

    assert (row.policy_id, row.status, row.due_at) == (POLICY, Status.PENDING, NOON)
    assert row.is_new


def test_a_row_is_due_from_its_next_check_on(shelf):
    """A microsecond before, nothing is due."""
    shelf.insert(a_vm(1))
    before = NOON - timedelta(microseconds=1)

    found = [list(shelf.requests.list_due(SUBSCRIPTION, now)) for now in (before, NOON)]

    assert [len(rows) for rows in found] == [0, 1]
    assert shelf.requests.find_due(POLICY, before) is None
    assert shelf.requests.find_due(POLICY, NOON) is not None
    assert shelf.requests.find_due(POLICY, NOON, begun=True) is None


def test_a_finished_request_is_loaded_from_history(shelf):
    """Its rows are gone, its tombstones are there."""
    request = shelf.insert(a_vm(1), a_vm(2))

    shelf.close(request)

    stored = shelf.requests.load(request.id)
    assert (stored.status, stored.row, len(stored.grants)) == (Status.CLOSED, None, 2)
    assert not shelf.requests.has_grants(SUBSCRIPTION)
    assert len(shelf.requests.list_tombstones(SUBSCRIPTION, keys.TOMBSTONES).rows) == 2


def test_a_save_over_another_version_is_a_conflict(shelf):
    """Nothing of the transaction is written."""
    request = shelf.insert(a_vm(1))
    (row,) = shelf.requests.load(request.id).rows
    later = [replace(grant, next_check_at=NOON + timedelta(hours=1)) for grant in row.grants]
    shelf.requests.save([(row, later)], [])

    with pytest.raises(StateConflict):
        shelf.requests.save([(row, row.grants)], [])

    assert shelf.requests.load(request.id).grants == tuple(later)


def test_tombstones_that_somebody_changed_are_not_deleted(shelf):
    """A merged tombstone holds more than the one that was read."""
    shelf.close(shelf.insert(a_vm(1)))
    stones = shelf.requests.list_tombstones(SUBSCRIPTION, keys.TOMBSTONES).rows
    shelf.age("t|", newest=1)

    shelf.requests.delete_tombstones(stones)

    assert len(shelf.state.rows("t|")) == 1


def test_the_ids_of_one_persons_live_requests_are_one_query(shelf):
    """Nobody else's, and no other subscription's."""
    first, second = shelf.insert(a_vm(1), number=1), shelf.insert(a_vm(2), number=2)

    found = shelf.requests.list_ids_of(SUBSCRIPTION, first.requester.id)

    assert found == {first.id, second.id}
    assert shelf.requests.list_ids_of(SUBSCRIPTION, "nobody") == frozenset()
    assert shelf.requests.list_ids_of("elsewhere", first.requester.id) == frozenset()


# ---- rows that this version cannot read ----------------------------------------------------------


def test_a_request_in_a_newer_format_is_a_defect(shelf):
    """Half a request would be a wrong answer."""
    request = shelf.insert(a_vm(1))
    shelf.age("r|")

    with pytest.raises(Defect, match="has format 99"):
        shelf.requests.load(request.id)


def test_a_request_in_a_newer_format_keeps_no_other_out_of_a_list(shelf, caplog):
    """Each list leaves it out, with an alert."""
    first = shelf.insert(a_vm(1), number=1)
    shelf.age("r|")
    second = shelf.insert(a_vm(2), number=2)

    listed = find_ids(shelf.lists.list_live(SUBSCRIPTION, a_search()))
    access = shelf.lists.read_live_access(SUBSCRIPTION, None, QueryBudget())

    assert listed == list(access.requests) == [second.id]
    assert shelf.requests.find_request(first.id) is None
    assert alerts(caplog) == [keys.request_key(first.id)] * 3


def test_grants_in_a_newer_format_keep_only_their_own_vm_out(shelf, caplog):
    """The readable row of the same VM is left out: the path there is not wholly known."""
    shelf.insert(a_vm(1), number=1)
    shelf.age("g|", a_vm(1))
    shelf.insert(a_vm(1), a_vm(2), number=2)

    rows = shelf.requests.list_policy_grants(POLICY).rows
    found = shelf.requests.list_readable_grants(SUBSCRIPTION, keys.GRANTS)

    assert [row.grants[0].vm_id for row in rows] == [a_vm(2)]
    assert [row.vm_id for row in shelf.requests.summarize_due(POLICY, NOON).rows] == [a_vm(2)]
    assert found.rows == rows
    assert found.unreadable == {keys.machine_key(a_vm(1)).removeprefix("v|")}
    assert len(alerts(caplog)) == 3


def test_grants_in_a_newer_format_wake_nobody(shelf):
    """A row that stays due would else be worked each second."""
    shelf.insert(a_vm(1))
    shelf.age("g|")

    assert shelf.requests.find_due(POLICY, NOON) is None
    assert list(shelf.requests.list_due(SUBSCRIPTION, NOON)) == []


def test_grants_in_a_newer_format_are_still_there(shelf):
    """Their policy must not be changed under them."""
    shelf.insert(a_vm(1))
    shelf.age("g|")

    assert shelf.requests.has_grants(SUBSCRIPTION)
    with pytest.raises(Defect):
        shelf.requests.list_grants(SUBSCRIPTION, keys.GRANTS)


def test_a_finished_request_in_a_newer_format_keeps_no_other_out_of_its_month(shelf, caplog):
    """The month is listed without it."""
    first, second = (shelf.insert(a_vm(number), number=number) for number in (1, 2))
    shelf.close(first)
    rows = [replace(row, values={**row.values, "Format": 99}) for row in shelf.history.rows()]
    shelf.history.write([Op(Verb.REPLACE, row) for row in rows])
    shelf.close(second)

    listed = find_ids(shelf.lists.list_month(SUBSCRIPTION, NOON, a_search()))

    assert listed == [second.id]
    assert alerts(caplog) == [f"{first.id}|"]
