"""Audit events: each names its time, its actor, its grant and its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jit.domain.model.grant import Grant, Status
from jit.domain.values.times import format_instant

BROKER = "broker"
"""The actor if the broker acts by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    One fact for the audit trail.

    Attributes:
        at: Time of the event.
        what: Name of the event: dotted, past tense, constant.
        actor: Entra object id of the person, or ``broker``.
        actor_name: The person's name; None for the broker.
        request_id: Its request; a refused request has no row of its own.
        grant_id: Its grant, if it is about one.
        facts: Further facts: sources, ends, rules. No text that a person wrote.
        texts: Texts of the actor, by name: justification, reason, ticket. None is left out.
    """

    at: datetime
    what: str
    actor: str
    request_id: str
    grant_id: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    actor_name: str | None = None
    texts: Mapping[str, str | None] = field(default_factory=dict)

    def doc(self) -> dict[str, Any]:
        """Return the event as JSON, without its texts."""
        return {
            "at": format_instant(self.at),
            "what": self.what,
            "actor": self.actor,
            "requestId": self.request_id,
            "grantId": self.grant_id,
            "facts": self.facts,
        }

    def list_texts(self) -> dict[str, str]:
        """Return the texts that stand beside the chain: the name of the actor is one of them."""
        named = {"actorName": self.actor_name, **self.texts}
        return {name: text for name, text in named.items() if text is not None}


def build_removal_event(
    grant: Grant | None, facts: dict[str, Any], *, now: datetime, grant_id: str | None = None
) -> Event:
    """
    Return the event that stands in the trail before the broker removes a rule.

    Args:
        grant: The closed or closing grant that the rule belongs to, if it is known.
        facts: The rule and where it stands.
        now: Aware, UTC.
        grant_id: The grant's id, if *grant* itself is not known any more.
    """
    return Event(
        at=now,
        what="rule.removal_began",
        actor=BROKER,
        request_id=grant.request_id if grant is not None else "",
        grant_id=grant.id if grant is not None else grant_id,
        facts=facts,
    )


def list_transitions(
    before: Sequence[Grant], after: Sequence[Grant], *, actor: str = BROKER, now: datetime
) -> list[Event]:
    """Return events for each grant whose status, end, initiate or address to connect to changed."""
    old = {grant.id: grant for grant in before}
    events: list[Event] = []
    for grant in after:
        if _has_changed(old[grant.id], grant):
            what = _name(old[grant.id], grant)
            events.append(_event(grant, what, _facts(grant), actor, now))
        if moved := _describe_move(old[grant.id], grant):
            events.append(_event(grant, "connection.moved", moved, actor, now))
    return events


def _describe_move(before: Grant, after: Grant) -> dict[str, Any]:
    """Return the facts if an open grant has another address to connect to than was told."""
    old, new = before.connection, after.connection
    if after.status is not Status.OPEN or old is None or new is None:
        return {}
    ends = {"from": [old.address, old.port], "to": [new.address, new.port]}
    place = {"virtualMachineId": after.vm_id, "port": after.port}
    return {**place, **ends} if ends["from"] != ends["to"] else {}


def _has_changed(before: Grant, after: Grant) -> bool:
    return (
        before.status,
        before.expires_at,
        before.initiate.newest,
        before.footprint.companions,
    ) != (
        after.status,
        after.expires_at,
        after.initiate.newest,
        after.footprint.companions,
    )


def _event(grant: Grant, what: str, facts: dict[str, Any], actor: str, now: datetime) -> Event:
    return Event(
        at=now,
        what=what,
        actor=actor,
        request_id=grant.request_id,
        grant_id=grant.id,
        facts=facts,
    )


_NAMES = {
    Status.PENDING: "grant.became_due",
    Status.OPENING: "grant.opening_began",
    Status.OPEN: "grant.opened",
    Status.CLOSING: "grant.closing_began",
    Status.CLOSED: "grant.closed",
}


def _name(before: Grant, after: Grant) -> str:
    if before.status is not after.status:
        return _NAMES.get(after.status, "grant.changed")
    if before.initiate.newest != after.initiate.newest:
        return "grant.initiate_recorded"
    if before.expires_at != after.expires_at:
        return "grant.end_changed"
    return "grant.companion_recorded"


def _facts(grant: Grant) -> dict[str, Any]:
    denials = [violation.doc() for violation in grant.denials]
    return {
        "virtualMachineId": grant.vm_id,
        "port": grant.port,
        "sources": [str(source) for source in grant.sources],
        "expiresAt": format_instant(grant.expires_at) if grant.expires_at else None,
        "closeReason": grant.close_reason.value if grant.close_reason else None,
        "initiate": grant.initiate.newest,
        "rules": list(grant.footprint.rules),
        "companions": list(grant.footprint.companions),
        "note": grant.note,
        **({"bastion": grant.bastion.id} if grant.bastion else {}),
        **({"errors": denials} if denials else {}),
    }
