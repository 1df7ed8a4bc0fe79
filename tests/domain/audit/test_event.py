"""Audit events for changes of a grant."""

from datetime import timedelta

import pytest

from jit.domain.audit.event import Event, list_transitions
from jit.domain.errors import Violation
from jit.domain.model.grant import CloseReason, Status
from tests.builders.grants import a_grant, an_open, an_opening, changed
from tests.builders.values import HOME, MINE, NEXT, NOW


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (a_grant(status=Status.SCHEDULED), a_grant(), "grant.became_due"),
        (a_grant(), an_opening(), "grant.opening_began"),
        (an_opening(), an_open(), "grant.opened"),
        (an_open(), an_open(status=Status.CLOSING), "grant.closing_began"),
        (an_open(), an_open(status=Status.CLOSED), "grant.closed"),
        (
            a_grant(status=Status.AWAITING_APPROVAL),
            a_grant(status=Status.SCHEDULED),
            "grant.changed",
        ),
        (an_open(), an_open(expires_at=NOW + timedelta(hours=3)), "grant.end_changed"),
        (an_open(), an_open(initiates=(MINE, NEXT)), "grant.initiate_recorded"),
        (an_open(), an_open(companions=("rule",)), "grant.companion_recorded"),
    ],
)
def test_each_change_that_matters_has_its_word(before, after, what):
    """First the status, then the initiate, then the end."""
    events = list_transitions([before], [after], now=NOW)

    assert [event.what for event in events] == [what]


@pytest.mark.parametrize(
    "change", [{"next_check_at": NOW + timedelta(minutes=1)}, {"note": "busy"}, {"answered": False}]
)
def test_internal_changes_make_no_event(change):
    """A trail that says everything says nothing."""
    before = an_open()

    assert list_transitions([before], [changed(before, **change)], now=NOW) == []


def test_an_event_has_its_time_actor_name_and_grant():
    """The facts that an auditor asks for, in JSON."""
    after = an_open(
        status=Status.CLOSING,
        close_reason=CloseReason.REVOKED,
        rules=("rule-1",),
        companions=("companion-1",),
        note="left early",
    )

    (event,) = list_transitions([an_open()], [after], actor="alice", now=NOW)

    assert event.doc() == {
        "at": "2026-11-22T18:00:00Z",
        "what": "grant.closing_began",
        "actor": "alice",
        "requestId": "request-g1",
        "grantId": "g1",
        "facts": {
            "virtualMachineId": after.vm_id,
            "port": 22,
            "sources": [str(HOME)],
            "expiresAt": "2026-11-22T20:00:00Z",
            "closeReason": "revoked",
            "initiate": MINE,
            "rules": ["rule-1"],
            "companions": ["companion-1"],
            "note": "left early",
        },
    }


def test_a_grant_that_was_never_asked_for_has_no_end_and_no_initiate():
    """Null, not a guess."""
    after = a_grant(status=Status.CLOSED, close_reason=CloseReason.DENIED)

    (event,) = list_transitions([a_grant()], [after], now=NOW)

    assert (event.facts["expiresAt"], event.facts["initiate"]) == (None, None)


def test_the_broker_acts_in_its_own_name_unless_a_person_did():
    """The broker is the actor if time causes the change."""
    (event,) = list_transitions([an_opening()], [an_open()], now=NOW)

    assert event.actor == "broker"


def test_a_refused_request_has_an_event_without_a_grant():
    """Refusals are in the trail too."""
    event = Event(at=NOW, what="request.refused", actor="alice", request_id="r1")

    assert (event.doc()["grantId"], event.doc()["facts"]) == (None, {})


def test_a_person_is_named_beside_the_object_id():
    """The only name of the broker is *broker*."""
    event = Event(at=NOW, what="request.denied", actor="o", actor_name="Olga", request_id="r1")

    assert event.doc()["actor"] == "o"
    assert event.list_texts() == {"actorName": "Olga"}
    assert Event(at=NOW, what="x.done", actor="broker", request_id="r1").list_texts() == {}


def test_a_denial_at_opening_is_in_the_trail_with_its_codes():
    """As the denial of a request is."""
    reason = Violation("#/virtualMachines/0", "occupied", "port 22 is occupied")
    after = a_grant(status=Status.CLOSED, close_reason=CloseReason.DENIED, denials=(reason,))

    (event,) = list_transitions([a_grant()], [after], now=NOW)

    assert event.facts["errors"] == [reason.doc()]
