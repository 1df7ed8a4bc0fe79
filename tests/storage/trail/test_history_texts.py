"""Texts of finished requests: those of one person go, and everything else stays."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.audit.erasure import ErasureOrder
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.people import Person
from jit.domain.model.request import Ticket
from jit.storage.documents import FORMAT
from jit.storage.history import History
from jit.storage.stored import StoredRequest
from jit.storage.table import Op, Verb
from jit.storage.trail.history_texts import ERASED, HistoryTexts
from tests.builders.grants import a_grant_of, a_request
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
POLICY = f"{GROUP}/Microsoft.Security/jitNetworkAccessPolicies/default"
ALICE = Person(id="a11ce000-0000-4000-8000-000000000001", name="alice@example.com")
BOB = Person(id="b0b00000-0000-4000-8000-000000000002", name="bob@example.com")
ORDER = ErasureOrder(person_id=ALICE.id, at=NOON + timedelta(hours=1))


@pytest.fixture
def table():
    return FakeTable(FakeClock(NOON))


def finished(number=1, *, person=ALICE, ended_by=ALICE, at=NOON):
    """A closed request with every text, long enough for two properties."""
    request = replace(
        a_request(at, POLICY, number=number),
        requester=replace(person, display_name=f"The {person.name}"),
        justification="patch " * 6000,
        ticket=Ticket(system="servicenow", id="CHG0030001"),
    )
    grant = replace(
        a_grant_of(request, f"{GROUP}/virtualMachines/web01", index=0),
        status=Status.CLOSED,
        close_reason=CloseReason.REVOKED,
        closed_by=ended_by,
        close_reason_text="shift over",
    )
    return StoredRequest(request, (grant,))


def keep(table, *requests):
    for stored in requests:
        History(table).write(stored)


def load(table, stored):
    found = History(table).load(SUBSCRIPTION, stored.request.created_at, stored.request.id)
    assert found is not None
    return found


def test_names_justification_and_ticket_of_the_person_go(table):
    """Ids, times and sources stay: history says who had access to what."""
    stored = finished()
    keep(table, stored)

    HistoryTexts(table).erase_month(SUBSCRIPTION, NOON, ORDER)

    found = load(table, stored)
    assert found.request == replace(
        stored.request,
        requester=Person(id=ALICE.id, name=ERASED),
        justification=ERASED,
        ticket=None,
    )
    (grant,) = found.grants
    assert grant == replace(
        stored.grants[0], closed_by=replace(ALICE, name=ERASED), close_reason_text=None
    )
    left = str([dict(row.values) for row in table.rows()])
    for text in ("alice@example.com", "patch", "CHG0030001", "shift over"):
        assert text not in left


def test_the_reason_of_an_operator_stays(table):
    """It is a text of the operator."""
    stored = finished(ended_by=BOB)
    keep(table, stored)

    HistoryTexts(table).erase_month(SUBSCRIPTION, NOON, ORDER)

    assert load(table, stored).grants == stored.grants


def test_requests_of_others_and_later_ones_stay(table):
    others = [finished(1, person=BOB), finished(2, at=NOON + timedelta(hours=2))]
    keep(table, *others)
    before = table.rows()

    HistoryTexts(table).erase_month(SUBSCRIPTION, NOON, ORDER)

    assert table.rows() == before


def test_erasing_again_writes_nothing(table):
    keep(table, finished())
    HistoryTexts(table).erase_month(SUBSCRIPTION, NOON, ORDER)
    before = table.rows()

    HistoryTexts(table).erase_month(SUBSCRIPTION, NOON, ORDER)

    assert table.rows() == before


def test_a_row_that_only_a_newer_version_reads_is_left(table, caplog):
    keep(table, finished())
    row = table.rows()[0]
    table.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99}))])

    HistoryTexts(table).erase_month(SUBSCRIPTION, NOON, ORDER)

    assert "row.unreadable" in caplog.text
