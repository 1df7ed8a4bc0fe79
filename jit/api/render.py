"""Requests, grants, virtual machines and decisions as JSON: the shapes of the contract."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jit.domain.limits import Limits, bound_violations
from jit.domain.values import arm_ids
from jit.domain.values.times import format_duration, format_instant

if TYPE_CHECKING:  # loaded before a request is rendered; not needed at a cold start
    from jit.broker.health import Health
    from jit.domain.model.bar import Bar, UnreadableBar
    from jit.domain.model.bastion import Bastion
    from jit.domain.model.grant import Grant
    from jit.domain.model.machine import OtherAccess, PortRule, VirtualMachine
    from jit.domain.model.people import Person
    from jit.domain.model.request import Decision
    from jit.domain.model.shown_access import AccessEntry, MachineAccess, ShownGrant
    from jit.domain.values.proxies import Proxies
    from jit.settings import Settings
    from jit.storage.stored import StoredRequest


def render_request(whole: StoredRequest) -> dict[str, Any]:
    """Return a request as the contract shows it."""
    asked = whole.request
    live = [grant for grant in whole.grants if grant.live] or whole.grants
    ends = [grant.expires_at for grant in live if grant.expires_at]
    doc: dict[str, Any] = {
        "id": asked.id,
        "status": whole.status.value,
        "requester": _render_person(asked.requester),
        "caller": _render_caller(asked.asked_by),
        "justification": asked.justification,
        "createdAt": format_instant(asked.created_at),
        "startsAt": format_instant(asked.starts_at),
        "expiresAt": format_instant(max(ends)) if ends else None,
        "duration": format_duration(asked.duration),
        "grants": [render_grant(item) for item in whole.grants],
        "decision": render_decision(_find_decision(whole)),
    }
    if asked.ticket is not None:
        doc["ticket"] = {"system": asked.ticket.system, "id": asked.ticket.id}
    return doc


def _find_decision(whole: StoredRequest) -> Decision:
    """Return the decision at acceptance, or a denial if a grant was denied after it."""
    from jit.domain.model.grant import list_denials
    from jit.domain.model.request import Decision

    accepted, denials = whole.request.decision, list_denials(whole.grants)
    if not denials:
        return accepted
    return Decision(allowed=False, rule=accepted.rule, errors=bound_violations(denials))


def render_grant(item: Grant) -> dict[str, Any]:
    """Return a grant as the contract shows it."""
    from jit.domain.model.bastion import BY_BASTION
    from jit.domain.model.grant import Status

    link = item.connection if item.status in {Status.OPEN, Status.CLOSING} else None
    handover_at = item.handover_at if item.status is not Status.SCHEDULED else None
    return {
        "id": item.id,
        "virtualMachineId": item.vm_id,
        "port": item.port,
        "protocol": item.protocol,
        "sources": [str(source) for source in item.sources],
        "bastion": _render_bastion(item.bastion) if item.bastion else None,
        "status": item.status.value,
        "startsAt": format_instant(item.starts_at),
        "expiresAt": _render_instant(item.expires_at),
        "handoverAt": _render_instant(handover_at),
        "openedAt": _render_instant(item.opened_at),
        "observedAt": _render_instant(item.observed_at),
        "closedAt": _render_instant(item.closed_at),
        "closeReason": item.close_reason.value if item.close_reason else None,
        "closedBy": _render_person(item.closed_by) if item.closed_by else None,
        "closeReasonText": item.close_reason_text,
        "connection": {
            "via": BY_BASTION if item.bastion and not item.own_sources else link.via.value,
            "address": link.address,
            "port": link.port,
            "command": link.command,
        }
        if link is not None and item.status is Status.OPEN
        else None,
        # NSG changes affect new flows only (Learn, "Network security groups"). The effect of a
        # removed DNAT rule on open sessions is not documented; the answer states the worse case.
        "sessionsMayContinue": True,
        "note": item.note,
    }


def _render_person(person: Person) -> dict[str, Any]:
    return {"id": person.id, "name": person.name}


def _render_caller(caller: Person) -> dict[str, Any]:
    return {**_render_person(caller), "kind": caller.kind.value}


def _render_bastion(bastion: Bastion) -> dict[str, Any]:
    return {"id": bastion.id, "name": bastion.name, "sources": list(bastion.prefixes)}


def _render_instant(moment: datetime | None) -> str | None:
    return format_instant(moment) if moment is not None else None


_WHERE = ("id", "virtualMachineId", "port", "protocol", "status", "closeReason")
_WHEN = ("startsAt", "expiresAt", "handoverAt", "openedAt", "observedAt", "closedAt")
_SHOWN_OF_HIDDEN = frozenset((*_WHERE, *_WHEN, "sessionsMayContinue"))
"""The members of another person's grant that a requester may see. All others are null."""


def render_shown_grant(item: ShownGrant) -> dict[str, Any]:
    """Return a grant with its person; a hidden one says only that somebody has access."""
    person = item.requester
    shown = _render_person(person) if person is not None and not item.is_hidden else None
    doc = {**render_grant(item.grant), "requester": shown}
    if not item.is_hidden:
        return doc
    return {name: value if name in _SHOWN_OF_HIDDEN else None for name, value in doc.items()}


def render_machine(vm: VirtualMachine, access: MachineAccess, now: datetime) -> dict[str, Any]:
    """
    Return a virtual machine as the contract shows it.

    Args:
        vm: As the inventory has it.
        access: The people with access.
        now: Aware, UTC. Access that has ended is left out.
    """
    from jit.domain.model.occupied_ports import list_occupied, list_others

    return {
        "id": vm.id,
        "name": vm.name,
        "subscription": arm_ids.subscription(vm.id),
        "location": vm.location,
        "status": vm.support.value,
        "reasons": list(vm.reasons),
        "via": vm.via.value,
        "ports": [_render_port(rule) for rule in vm.ports],
        "grants": [render_shown_grant(item) for item in access.grants],
        "others": [
            _render_other(item, is_named=access.names_others) for item in list_others(vm, now=now)
        ],
        "occupied": [
            {"port": port, "until": _render_instant(until)}
            for port, until in list_occupied(vm, now=now).items()
        ],
        "observedAt": _render_instant(access.observed_at),
        "mayRequest": access.may_request.may,
        "mayRequestReason": access.may_request.reason,
        "warnings": [{"code": w.code, "detail": w.detail} for w in vm.warnings],
    }


def _render_other(item: OtherAccess, *, is_named: bool) -> dict[str, Any]:
    return {
        "port": item.port,
        "sources": list(item.sources) if is_named else None,
        "until": _render_instant(item.until),
        "requestor": item.requestor if is_named else None,
        "origin": item.origin.value,
    }


def render_access(item: AccessEntry) -> dict[str, Any]:
    """Return somebody's access to a VM port; only an unreadable entry has ``unreadable``."""
    is_known = item.person_id is not None or item.person_name is not None
    doc: dict[str, Any] = {
        "person": {"id": item.person_id, "name": item.person_name} if is_known else None,
        "caller": _render_caller(item.caller) if item.caller is not None else None,
        "requestId": item.request_id,
        "grantId": item.grant_id,
        "virtualMachineId": item.vm_id,
        "port": item.port,
        "sources": list(item.sources) if item.sources is not None else None,
        "via": item.via,
        "openedAt": _render_instant(item.opened_at),
        "expiresAt": _render_instant(item.expires_at),
        "status": item.status.value if item.status is not None else None,
        "observedAt": _render_instant(item.observed_at),
        "breakGlass": False,  # nobody can ask for it yet
        "origin": item.origin,
    }
    return doc if item.is_readable else {**doc, "unreadable": True}


def _render_port(rule: PortRule) -> dict[str, Any]:
    return {
        "number": rule.number,
        "protocol": rule.protocol,
        "allowedSources": list(rule.allowed_sources),
        "maxDuration": format_duration(rule.max_duration),
    }


def render_decision(made: Decision) -> dict[str, Any]:
    """Return a decision as the contract shows it."""
    errors = [violation.doc() for violation in made.errors]
    return {"allowed": made.allowed, "rule": made.rule, "errors": errors}


def render_address(address: str | None, proxies: Proxies) -> dict[str, Any]:
    """
    Return the caller's address, or the reason that it cannot be told.

    Behind a gateway the last hop is the gateway. Its address would open the port for everybody who
    comes by it.
    """
    is_behind = address is None and proxies.has_gateway
    return {"address": address, "addressReason": "behind-gateway" if is_behind else None}


def render_me(
    caller: Person, address: str | None, settings: Settings, now: datetime
) -> dict[str, Any]:
    """Return the caller with the broker's roles, and the numbers that a body must keep to."""
    from jit.domain.model.people import Role
    from jit.version import VERSION

    return {
        "id": caller.id,
        "name": caller.name,
        "kind": caller.kind.value,
        "roles": sorted(role.value for role in Role if role in caller.roles),
        "now": format_instant(now),
        **render_address(address, settings.proxies),
        "features": [],  # none of those that a page could offer is built
        "version": VERSION,
        "limits": _render_limits(settings.limits),
    }


def _render_limits(limits: Limits) -> dict[str, Any]:
    return {
        "virtualMachines": limits.machines,
        "ports": limits.ports,
        "sources": limits.sources,
        "widestSource": limits.widest_source_v4,
        "widestSourceV6": limits.widest_source_v6,
        "shortest": format_duration(limits.shortest),
        "shortestBehindFirewall": format_duration(limits.shortest_behind_firewall),
        "longest": format_duration(limits.longest),
        "longestWithExtensions": format_duration(limits.longest_access),
        "startHorizon": _render_days(limits.start_horizon),
        "justification": list(limits.justification),
    }


def _render_days(span: timedelta) -> str:
    """Return whole days as the settings write them, ``P7D``; else hours, minutes and seconds."""
    days, rest = divmod(span, timedelta(days=1))
    return format_duration(span) if rest else f"P{days}D"


def render_bar(bar: Bar | UnreadableBar) -> dict[str, Any]:
    """Return a bar as operators and auditors see it; an unreadable one has id and time alone."""
    from jit.domain.model.bar import UnreadableBar

    if isinstance(bar, UnreadableBar):
        at = _render_instant(bar.at)
        return {
            "id": bar.person_id,
            "reason": None,
            "until": None,
            "by": None,
            "at": at,
            "unreadable": True,
        }
    return {
        "id": bar.person_id,
        "reason": bar.wanted.reason,
        "until": _render_instant(bar.wanted.until),
        "by": {"id": bar.by.id, "name": bar.by.name},
        "at": format_instant(bar.at),
    }


def render_status(health: Health) -> dict[str, Any]:
    """Return the health of the broker as operators and auditors see it."""
    return {
        "status": render_health(health.is_well),
        "version": health.version,
        "storage": health.storage,
        "azure": health.azure,
        "tick": _render_instant(health.tick),
        "comparisons": {
            name: _render_instant(moment) for name, moment in health.comparisons.items()
        },
        "configuration": {"source": "none", "sha256": None},
        "problems": [
            {
                "code": problem.code,
                "detail": problem.detail,
                "resource": problem.resource,
                "since": _render_instant(problem.since),
            }
            for problem in (*health.problems, *health.troubles)
        ],
    }


def render_health(is_well: bool) -> str:
    """Return the word for the health of the broker."""
    return "ok" if is_well else "failing"
