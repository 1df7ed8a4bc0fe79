"""Several closed requests move to history together; what cannot move so stays as it was."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jit.domain.model.grant import CloseReason, Status
from jit.storage import keys
from jit.storage.moves.closed_requests import ClosedRequests
from jit.storage.table import Op, Row, Verb
from tests.builders.grants import a_grant_of, a_request
from tests.builders.stores import stores_over
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
POLICY = f"{GROUP}/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"
VM = f"{GROUP}/Microsoft.Compute/virtualMachines/web01"


class Shelf:
    """Closed requests for one VM in two tables, each with the place of its person."""

    def __init__(self):
        clock = FakeClock(NOON)
        self.state, self.history = FakeTable(clock), FakeTable(clock)
        self.requests = stores_over(self.state, self.history).requests
        self.closed = ClosedRequests(self.state, self.history)

    def insert(self, number, now=NOON, *, place=True, policies=(POLICY,)):
        """Store a closed request; return its rows of grants."""
        request = replace(a_request(now, POLICY, number=number), policies=policies)
        over = {"status": Status.CLOSED, "close_reason": CloseReason.REVOKED}
        assert self.requests.insert(request, [replace(a_grant_of(request, VM), **over)], [])
        if place:
            key = keys.own_request_key(request.requester.id, request.id)
            row = Row(partition=SUBSCRIPTION, key=key, values={})
            self.state.write([Op(Verb.INSERT, row)])
        return self.requests.list_grants(SUBSCRIPTION, keys.grants_prefix(POLICY, VM), request)

    def change(self, prefix, **values):
        """Let somebody write the first row of a kind."""
        row = self.state.rows(prefix)[0]
        new = replace(row, values={**row.values, **values})
        self.state.write([Op(Verb.REPLACE, new)])

    def move(self, *groups):
        """Move requests; return their ids."""
        return frozenset(self.closed.move(groups, now=NOON))

    def left(self):
        """Return the kinds of the live rows that are left."""
        return sorted({row.key[:2] for row in self.state.rows() if not row.key.startswith("t|")})


@pytest.fixture
def shelf():
    return Shelf()


def ids(*groups):
    return {rows[0].request_id for rows in groups}


def test_requests_move_with_their_places_and_leave_tombstones(shelf):
    """They are read from history as they were, whatever the month of their creation."""
    older = shelf.insert(1, NOON.replace(month=10))
    others = [shelf.insert(number, place=number != 5) for number in range(2, 30)]

    moved = shelf.move(older, *others)

    assert moved == ids(older, *others)
    assert shelf.left() == []
    assert len(shelf.state.rows("t|")) == 29
    stored = shelf.requests.load(older[0].request_id)
    assert (stored.row, stored.grants) == (None, older[0].grants)


def test_a_request_that_cannot_be_read_stays_and_keeps_no_other(shelf, caplog):
    """It moves alone, which raises the alert."""
    first, second = shelf.insert(1), shelf.insert(2)
    shelf.change("r|", Format=99)

    moved = shelf.move(first, second)

    assert moved == ids(second)
    assert len(shelf.state.rows("r|")) == 1
    assert not caplog.records


def test_a_request_that_is_gone_is_not_moved(shelf):
    """Its move died half-way: its tombstones are written alone."""
    first, second = shelf.insert(1), shelf.insert(2)
    shelf.state.write([Op(Verb.DELETE, shelf.state.rows("r|")[0])])

    assert shelf.move(first, second) == ids(second)
    assert len(shelf.state.rows("g|")) == 1


def test_nothing_of_a_transaction_is_done_if_somebody_wrote_a_row(shelf):
    """The requests are in history then, and live as well: each moves alone."""
    first, second = shelf.insert(1), shelf.insert(2)
    shelf.change("g|", Vm="changed")

    moved = shelf.move(first, second)

    assert moved == frozenset()
    assert shelf.left() == ["g|", "r|"]  # the places are free
    assert shelf.state.rows("t|") == ()


def test_what_history_holds_already_moves_alone(shelf):
    """An earlier pass died after it wrote there."""
    first, second = shelf.insert(1), shelf.insert(2)
    shelf.move(first)
    again = shelf.insert(1, place=False)

    assert shelf.move(again, second) == frozenset()
    assert shelf.left() == ["g|", "r|"]  # the places are free


def test_a_request_with_grants_under_another_policy_stays(shelf):
    """Nobody has read the rows of the other policy: they may be open."""
    first = shelf.insert(1, policies=(POLICY, POLICY.replace("rg-web", "rg-data")))
    second = shelf.insert(2, policies=(POLICY.upper(),))

    assert shelf.move(first, second) == ids(second)
    assert len(shelf.state.rows("r|")) == 1
