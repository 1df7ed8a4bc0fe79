"""The shapes of the contract: requests, grants, virtual machines, decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jit.api.render import (
    render_access,
    render_address,
    render_decision,
    render_grant,
    render_machine,
    render_request,
    render_shown_grant,
)
from jit.domain.errors import Violation
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.model.machine import (
    Connection,
    MachineWarning,
    Occupation,
    Origin,
    OtherAccess,
    Support,
    Via,
)
from jit.domain.model.people import Person
from jit.domain.model.request import Decision, Request, Ticket
from jit.domain.model.shown_access import BROKER, AccessEntry, MachineAccess, ShownGrant
from jit.domain.values.proxies import Proxies
from jit.domain.values.times import format_instant
from jit.storage.stored import StoredRequest
from tests.builders.bastions import a_bastion, by_bastion
from tests.builders.grants import a_grant, an_open
from tests.builders.machines import a_vm
from tests.builders.values import BASTION_ID, BASTION_NET, HOME, NOW, SUBSCRIPTION, vm_id

HOUR = timedelta(hours=1)
LINK = Connection(via=Via.FIREWALL, address="52.137.62.53", port=13389, command="mstsc /v:x")
ALICE = Person(id="a", name="Alice")
ALLOWED = Decision(allowed=True, rule="jit-policy", errors=())


def a_stored(*grants: Grant, **changes: Any) -> StoredRequest:
    asked: dict[str, Any] = {
        "id": "r1",
        "requester": Person(id="a", name="Alice", roles=frozenset({"Jit.Requester"})),
        "justification": "monthly patch",
        "created_at": NOW,
        "starts_at": NOW,
        "duration": 2 * HOUR,
        "sources": (HOME,),
        "policies": ("p1",),
        "decision": ALLOWED,
    }
    return StoredRequest(Request(**(asked | changes)), grants)


# ---- requests ------------------------------------------------------------------------------------


def test_a_request_has_the_members_of_the_contract():
    """It shows no role of its requester and no policy."""
    doc = render_request(a_stored(a_grant()))

    assert set(doc) == {
        "id",
        "status",
        "requester",
        "caller",
        "justification",
        "createdAt",
        "startsAt",
        "expiresAt",
        "duration",
        "grants",
        "decision",
    }
    assert doc["requester"] == {"id": "a", "name": "Alice"}
    assert (doc["status"], doc["duration"]) == ("pending", "PT2H")


def test_a_denial_at_opening_is_the_decision():
    """The acceptance is history; the reasons stand where a caller looks for them."""
    reason = Violation("#/virtualMachines/0", "occupied", "port 22 is occupied")
    denied = {"status": Status.CLOSED, "close_reason": CloseReason.DENIED}
    grants = [an_open(), a_grant("g2", **denied, denials=(reason,))]
    accepted = a_stored(an_open(), a_grant("g2", status=Status.CLOSED))

    doc = render_request(a_stored(*grants))["decision"]

    assert doc == {"allowed": False, "rule": "jit-policy", "errors": [reason.doc()]}
    assert render_request(accepted)["decision"]["allowed"] is True


def test_a_request_ends_with_the_last_of_its_grants():
    """The grants may have different ends."""
    grants = [an_open(name, expires_at=NOW + span * HOUR) for name, span in (("a", 2), ("b", 3))]

    assert render_request(a_stored(*grants))["expiresAt"] == render_grant(grants[1])["expiresAt"]


def test_the_end_of_a_grant_that_was_given_back_is_not_the_end_of_its_request():
    """Callers wait for the end of the grants that are left. In the end all of them count."""
    stays, gone = an_open("a", expires_at=NOW + 2 * HOUR), an_open("b", expires_at=NOW + 3 * HOUR)
    gone = replace(gone, status=Status.CLOSED)

    ends = [
        render_request(a_stored(each, gone))["expiresAt"]
        for each in (stays, replace(stays, status=Status.CLOSED))
    ]

    assert ends == [render_grant(each)["expiresAt"] for each in (stays, gone)]


def test_a_request_without_an_end_says_null():
    """The end is fixed when it opens."""
    assert render_request(a_stored(a_grant()))["expiresAt"] is None


def test_a_ticket_is_there_only_if_the_caller_named_one():
    """With its system and its number."""
    doc = render_request(a_stored(a_grant(), ticket=Ticket(system="jira", id="OPS-1")))

    assert doc["ticket"] == {"system": "jira", "id": "OPS-1"}
    assert "ticket" not in render_request(a_stored(a_grant()))


def test_instants_are_rendered_in_utc():
    """A caller may write them in another zone."""
    zurich = timezone(timedelta(hours=1))

    doc = render_request(a_stored(a_grant(), starts_at=datetime(2026, 12, 5, 23, tzinfo=zurich)))

    assert doc["startsAt"] == "2026-12-05T22:00:00Z"


# ---- grants --------------------------------------------------------------------------------------


def test_an_open_grant_has_a_connection():
    """Way, address, port, command."""
    assert render_grant(an_open(connection=LINK))["connection"] == {
        "via": "firewall",
        "address": "52.137.62.53",
        "port": 13389,
        "command": "mstsc /v:x",
    }


@pytest.mark.parametrize(("own", "via"), [((), "bastion"), ((HOME,), "firewall")])
def test_a_grant_names_its_bastion_from_the_beginning(own, via):
    """People who come by it alone have no other way to connect."""
    grant = by_bastion(an_open(connection=LINK), *own)
    doc = render_grant(grant)

    named = {"id": BASTION_ID, "name": "bas-prod", "sources": [BASTION_NET]}
    assert (doc["bastion"], doc["connection"]["via"]) == (named, via)
    assert doc["sources"] == [*map(str, own), BASTION_NET]
    assert render_grant(by_bastion(a_grant()))["bastion"] == named
    assert render_grant(a_grant())["bastion"] is None


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.OPEN])
def test_a_grant_that_is_not_open_has_no_connection(status):
    """A line to connect with is a promise that it works."""
    assert render_grant(an_open(status=status, connection=LINK))["connection"] is None


@pytest.mark.parametrize(
    ("status", "told"), [(Status.SCHEDULED, None), (Status.PENDING, format_instant(NOW))]
)
def test_a_scheduled_grant_shows_no_hand_over(status, told):
    """An older version stored one: the grants that it depends on may be gone by the start."""
    assert render_grant(a_grant(status=status, handover_at=NOW))["handoverAt"] == told


def test_a_grant_shows_prefixes_instants_and_the_reason_of_its_end():
    """As JSON has them."""
    doc = render_grant(
        an_open(
            status=Status.CLOSED,
            closed_at=datetime(2026, 11, 22, 20, tzinfo=UTC),
            close_reason=CloseReason.EXPIRED,
        )
    )

    assert doc["sources"] == [str(HOME)]
    assert (doc["status"], doc["closedAt"], doc["closeReason"]) == (
        "closed",
        "2026-11-22T20:00:00Z",
        "expired",
    )
    assert doc["handoverAt"] is None


def test_a_closed_grant_names_the_person_who_closed_it():
    """And the person's reason; the shape shows no role."""
    olga = Person(id="o", name="olga@example.com", roles=frozenset({"Jit.Operator"}))
    grant = a_grant(
        status=Status.CLOSED,
        close_reason=CloseReason.REVOKED,
        closed_by=olga,
        close_reason_text="shift over",
    )

    doc, other = render_grant(grant), render_grant(a_grant())

    assert doc["closedBy"] == {"id": "o", "name": "olga@example.com"}
    assert doc["closeReasonText"] == "shift over"
    assert (other["closedBy"], other["closeReasonText"]) == (None, None)


# ---- virtual machines and decisions --------------------------------------------------------------


def test_a_machine_has_the_members_of_the_contract():
    """With its subscription as an id, not as a path."""
    warning = MachineWarning(code="bastion-cut-off", detail="a rule denies it")
    vm = a_vm(support=Support.UNSUPPORTED, reasons=("no NSG",), warnings=(warning,))

    shown = ShownGrant(grant=a_grant(), requester=ALICE, is_hidden=False)
    doc = render_machine(vm, MachineAccess(grants=(shown,), observed_at=NOW), NOW)

    assert {name: doc[name] for name in ("id", "name", "subscription", "status", "via")} == {
        "id": vm_id(),
        "name": "web01",
        "subscription": SUBSCRIPTION,
        "status": "Unsupported",
        "via": "public-ip",
    }
    assert (doc["reasons"], len(doc["grants"])) == (["no NSG"], 1)
    assert doc["grants"][0]["requester"] == {"id": "a", "name": "Alice"}
    assert doc["observedAt"] == format_instant(NOW)
    assert doc["warnings"] == [{"code": "bastion-cut-off", "detail": "a rule denies it"}]
    assert set(doc["ports"][0]) == {"number", "protocol", "allowedSources", "maxDuration"}


def test_a_hidden_grant_tells_only_that_somebody_has_access():
    """A member that comes later is hidden, unless it is named."""
    grant = an_open("a", bastion=a_bastion(), note="for Bob", close_reason_text="why")
    shown = ShownGrant(grant=grant, requester=ALICE, is_hidden=True)

    doc = render_shown_grant(shown)

    told = {name for name, value in doc.items() if value is not None}
    assert told <= {
        *("id", "virtualMachineId", "port", "protocol", "status", "sessionsMayContinue"),
        *("startsAt", "expiresAt", "handoverAt", "openedAt", "observedAt", "closedAt"),
    }


PORTAL = Occupation(
    port=22, sources=("198.51.100.9",), ends_at=NOW + HOUR, requestor="petra@example.com"
)
ORPHAN = OtherAccess(
    port=3389, sources=("198.51.100.8",), until=None, requestor=None, origin=Origin.ORPHAN
)


def test_a_machine_names_other_people_only_to_those_who_may_see_all():
    """A requester learns that somebody is in, and until when a port is occupied."""
    vm = a_vm(occupations=(PORTAL,), others=(ORPHAN,))
    named, unnamed = (
        render_machine(vm, MachineAccess(names_others=each), NOW) for each in (True, False)
    )
    until = format_instant(PORTAL.ends_at)

    assert named["others"] == [
        {
            "port": 22,
            "sources": ["198.51.100.9"],
            "until": until,
            "requestor": "petra@example.com",
            "origin": "portal",
        },
        {
            "port": 3389,
            "sources": ["198.51.100.8"],
            "until": None,
            "requestor": None,
            "origin": "orphan",
        },
    ]
    assert unnamed["others"] == [
        {**other, "sources": None, "requestor": None} for other in named["others"]
    ]
    assert named["occupied"] == unnamed["occupied"] == [{"port": 22, "until": until}]


def test_a_decision_shows_its_rule_and_every_reason():
    """As a problem does."""
    fault = Violation("#/sources/0", "source-not-allowed", "not from there")

    assert render_decision(Decision(allowed=False, rule="jit-policy", errors=(fault,))) == {
        "allowed": False,
        "rule": "jit-policy",
        "errors": [fault.doc()],
    }


@pytest.mark.parametrize(
    ("address", "proxies", "reason"),
    [
        ("203.0.113.7", Proxies(), None),
        ("203.0.113.7", Proxies(count=1), None),
        (None, Proxies(), None),
        (None, Proxies(count=1), "behind-gateway"),
        (None, Proxies(unknown=True), "behind-gateway"),
    ],
)
def test_an_address_that_a_gateway_hides_has_its_reason(address, proxies, reason):
    """The gateway's own address would open a port for everybody behind it."""
    assert render_address(address, proxies) == {"address": address, "addressReason": reason}


# ---- access --------------------------------------------------------------------------------------


def test_an_entry_of_access_has_the_fields_of_the_contract():
    """Times in UTC, words of the model."""
    entry = AccessEntry(
        origin=BROKER,
        person_id="a",
        person_name="Alice",
        caller=ALICE,
        request_id="r1",
        grant_id="r1-0-22",
        vm_id=vm_id(),
        port=22,
        sources=("203.0.113.7/32",),
        via="firewall",
        opened_at=NOW,
        expires_at=NOW + HOUR,
        status=Status.OPEN,
        observed_at=NOW,
    )

    assert render_access(entry) == {
        "person": {"id": "a", "name": "Alice"},
        "caller": {"id": "a", "name": "Alice", "kind": "person"},
        "requestId": "r1",
        "grantId": "r1-0-22",
        "virtualMachineId": vm_id(),
        "port": 22,
        "sources": ["203.0.113.7/32"],
        "via": "firewall",
        "openedAt": format_instant(NOW),
        "expiresAt": format_instant(NOW + HOUR),
        "status": "open",
        "observedAt": format_instant(NOW),
        "breakGlass": False,
        "origin": "broker",
    }


def test_an_entry_that_cannot_be_read_says_so():
    """Everything that is not known is null."""
    doc = render_access(AccessEntry(origin=BROKER, request_id="r1", is_readable=False))

    assert {name for name, value in doc.items() if value is not None} == {
        "requestId",
        "breakGlass",
        "origin",
        "unreadable",
    }
    assert doc["unreadable"] is True
