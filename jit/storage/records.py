"""
Rows: how requests, grants, machines and tombstones stand in the tables.

Row keys are made of hashes (first 16 bytes of SHA-256 of the lower-cased id, base32): ARM ids hold
``/``, vary in case and can be too long for a key. Full ids are properties. Instants are ISO text
of one width, so that text order is time order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from jit.domain.model.grant import CloseReason, Grant, Status, status_of
from jit.domain.model.machine import (
    Connection,
    Interface,
    MachineWarning,
    Occupation,
    PortRule,
    Support,
    Via,
    VirtualMachine,
)
from jit.domain.model.people import Person
from jit.domain.model.request import Decision, Request, Ticket
from jit.domain.values import arm_ids, request_ids
from jit.storage.table import Row

NEVER = "9999-12-31T23:59:59.000000Z"
NEW = frozenset({Status.SCHEDULED.value, Status.PENDING.value})
"""Statuses of grants of which nothing has been asked of Azure yet."""

LAST_BEGUN = Status.OPENING.value
"""As text, every other status is at most this one, and the new ones are not: a query can tell."""

_END = "}"  # the character after `|`: every key with a prefix is below prefix + this
_TEXT = 30_000  # characters of a property: the service takes 64 KiB of UTF-16
_DOCUMENT = 450_000  # characters of a document in its parts: a row takes 1 MiB of UTF-16


def stamp(moment: datetime) -> str:
    """Return an instant as text of one width: microseconds, UTC, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def instant(text: str) -> datetime:
    """Read what ``stamp`` wrote."""
    return datetime.fromisoformat(text)


def span(prefix: str) -> tuple[str, str]:
    """Return the half-open range of keys that begin with *prefix* and ``|``."""
    return f"{prefix}|", f"{prefix}{_END}"


def request_key(request_id: str) -> str:
    """Return the row key of a live request."""
    return f"r|{request_id}"


def grants_prefix(policy_id: str, vm_id: str | None = None) -> str:
    """Return what the row keys of a policy's (and VM's) grants begin with."""
    policy = f"g|{arm_ids.row_hash(policy_id)}"
    return policy if vm_id is None else f"{policy}|{arm_ids.row_hash(vm_id)}"


def tombstones_prefix(policy_id: str) -> str:
    """Return what the row keys of a policy's tombstones begin with."""
    return f"t|{arm_ids.row_hash(policy_id)}"


def machine_key(vm_id: str) -> str:
    """Return the row key of a VM in the inventory."""
    return f"v|{arm_ids.row_hash(vm_id)}"


def policy_key(policy_id: str) -> str:
    """Return the row key of a policy's controller row."""
    return f"p|{arm_ids.row_hash(policy_id)}"


def firewall_key(firewall_id: str) -> str:
    """Return the row key of a firewall's turn."""
    return f"f|{arm_ids.row_hash(firewall_id)}"


def doc_values(text: str) -> dict[str, str]:
    """
    Return JSON, ASCII only, as ``Doc``, ``Doc1``, … of a row.

    The rules of ten ports behind several interfaces, the policies of ninety VMs, who was denied
    what: each outgrows the 64 KiB of one property (Learn, "Understanding the Table service data
    model").
    """
    parts = [text[start : start + _TEXT] for start in range(0, len(text), _TEXT)]
    return {f"Doc{number or ''}": part for number, part in enumerate(parts)}


def doc_of(row: Row) -> Any:
    """Read what ``doc_values`` wrote."""
    return json.loads(document(row))


def document(row: Row) -> str:
    """Return the text that stands in ``Doc``, ``Doc1``, … of a row, as one."""
    names = sorted((name for name in row.values if name.startswith("Doc")), key=_number)
    return "".join(str(row.values[name]) for name in names)


def _number(name: str) -> int:
    return int(name.removeprefix("Doc") or 0)


# ---- requests ----------------------------------------------------------------------------------


def request_row(request: Request) -> Row:
    """Return the row of a live request."""
    return Row(
        partition=request_ids.parse_request_id(request.id)[0],  # type: ignore[index] # our own id
        key=request_key(request.id),
        values={
            "Requester": request.requester.id,
            "Ticket": request.ticket.id if request.ticket else "",
            "CreatedAt": stamp(request.created_at),
            **doc_values(json.dumps(request_doc(request))),
        },
    )


def request_doc(request: Request) -> dict[str, Any]:
    """Return a request as JSON."""
    ticket = request.ticket
    return {
        "id": request.id,
        "requester": {"id": request.requester.id, "name": request.requester.name},
        "justification": request.justification,
        "createdAt": stamp(request.created_at),
        "startsAt": stamp(request.starts_at),
        "seconds": request.duration.total_seconds(),
        "sources": [str(source) for source in request.sources],
        "policies": list(request.policies),
        "rule": request.decision.rule,
        "ticket": {"system": ticket.system, "id": ticket.id} if ticket else None,
    }


def request_of(doc: Mapping[str, Any]) -> Request:
    """Read what ``request_doc`` wrote."""
    return Request(
        id=doc["id"],
        requester=Person(**doc["requester"]),
        justification=doc["justification"],
        created_at=instant(doc["createdAt"]),
        starts_at=instant(doc["startsAt"]),
        duration=timedelta(seconds=doc["seconds"]),
        sources=tuple(ip_network(source) for source in doc["sources"]),
        policies=tuple(doc["policies"]),
        decision=Decision(allowed=True, rule=doc["rule"]),
        ticket=Ticket(**doc["ticket"]) if doc["ticket"] else None,
    )


# ---- grants ------------------------------------------------------------------------------------


def grants_row(grants: Sequence[Grant], before: Row | None = None) -> Row:
    """Return the row of one request's grants on one VM, over the version *before*."""
    first = grants[0]
    partition, _ = request_ids.parse_request_id(first.request_id) or ("", None)
    return Row(
        partition=partition,
        key=f"{grants_prefix(first.policy_id, first.vm_id)}|{first.request_id}",
        values={
            "Policy": first.policy_id,
            "PolicyKey": arm_ids.row_hash(first.policy_id),
            "Vm": first.vm_id,
            "Request": first.request_id,
            "Firewall": arm_ids.row_hash(first.firewall_id) if first.firewall_id else "",
            "Status": status_of(tuple(grants)).value,
            "DueAt": _due(grants),
            **grants_values(grants),
        },
        etag=before.etag if before else "",
    )


def _due(grants: Sequence[Grant]) -> str:
    """Return when the row needs somebody: closed rows wait to be moved to history."""
    live = [grant for grant in grants if grant.live]
    return min(stamp(grant.next_check_at) for grant in live or grants)


def grants_values(grants: Sequence[Grant]) -> dict[str, str]:
    """
    Return *grants* as ``Doc``, ``Doc1``, … of a row.

    Without spaces: 90 rows of ten grants each must fit one transaction.
    """
    docs = [grant_doc(grant) for grant in grants]
    return doc_values(json.dumps(docs, separators=(",", ":")))


def grants_of(row: Row) -> tuple[Grant, ...]:
    """Read what ``grants_values`` wrote."""
    return tuple(grant_of(doc) for doc in doc_of(row))


_INSTANTS = (
    "starts_at",
    "latest_end",
    "next_check_at",
    "expires_at",
    "claimed_at",
    "handover_at",
    "opened_at",
    "lost_at",
    "closing_at",
    "closed_at",
    "unclear_at",
    "initiated_at",
    "asked_until",
)
_PLAIN = (
    "id",
    "request_id",
    "vm_id",
    "policy_id",
    "port",
    "protocol",
    "firewall_id",
    "attempts",
    "reopens",
    "answered",
    "written",
    "seen",
    "note",
)
_TEXTS = ("initiates", "rules", "companions", "private_ips")


def grant_doc(grant: Grant) -> dict[str, Any]:
    """Return a grant as JSON."""
    doc: dict[str, Any] = {name: getattr(grant, name) for name in _PLAIN}
    doc |= {name: list(getattr(grant, name)) for name in _TEXTS}
    for name in _INSTANTS:
        moment = getattr(grant, name)
        doc[name] = stamp(moment) if moment is not None else None
    connection = grant.connection
    return doc | {
        "sources": [str(source) for source in grant.sources],
        "asked": [str(source) for source in grant.asked],
        "before": list(grant.before) if grant.before is not None else None,
        "via": grant.via.value,
        "status": grant.status.value,
        "seconds": grant.duration.total_seconds(),
        "close_reason": grant.close_reason.value if grant.close_reason else None,
        "connection": [
            connection.via.value,
            connection.address,
            connection.port,
            connection.command,
        ]
        if connection
        else None,
    }


def grant_of(doc: Mapping[str, Any]) -> Grant:
    """
    Read what ``grant_doc`` wrote, in this version or an older one.

    A field that an older version did not write has its default, but for ``before``: what stood
    there when the newest initiate was stored is not known, so nothing is proved by it.

    Raises:
        KeyError, TypeError: A field is missing that every version writes.
    """
    fields: dict[str, Any] = {name: doc[name] for name in _PLAIN if name in doc}
    fields |= {name: tuple(doc[name]) for name in _TEXTS if name in doc}
    fields |= {name: instant(doc[name]) for name in _INSTANTS if doc.get(name)}
    link, reason, before = (doc.get(name) for name in ("connection", "close_reason", "before"))
    return Grant(
        **fields,
        sources=tuple(ip_network(source) for source in doc["sources"]),
        asked=tuple(ip_network(source) for source in doc.get("asked", ())),
        before=None if before is None else tuple(before),
        via=Via(doc["via"]),
        status=Status(doc["status"]),
        duration=timedelta(seconds=doc["seconds"]),
        close_reason=CloseReason(reason) if reason else None,
        connection=Connection(via=Via(link[0]), address=link[1], port=link[2], command=link[3])
        if link
        else None,
    )


def tombstone_row(row: Row, grants: Sequence[Grant], *, until: datetime) -> Row:
    """Return the tombstone of a closed row of grants, kept *until* then."""
    first = grants[0]
    return Row(
        partition=row.partition,
        key=f"{tombstones_prefix(first.policy_id)}|{arm_ids.row_hash(first.vm_id)}|{first.request_id}",
        values={
            "Vm": first.vm_id,
            "Until": stamp(until),
            **grants_values(grants),
        },
    )


# ---- the inventory -----------------------------------------------------------------------------


def machine_row(vm: VirtualMachine, partition: str, *, etag: str = "") -> Row:
    """
    Return the inventory row of a VM.

    A JIT policy may hold any number of prefixes: the document stands in parts, like that of grants.
    Of a VM that would not fit even so, the warnings are left out first: they are advice. What
    decides is never cut: see ``fits``.
    """
    text = json.dumps(machine_doc(vm), sort_keys=True)
    if len(text) > _DOCUMENT:
        text = json.dumps(machine_doc(vm) | {"warnings": []}, sort_keys=True)
    return Row(
        partition=partition,
        key=machine_key(vm.id),
        values={"Vm": vm.id, **doc_values(text)},
        etag=etag,
    )


def fits(row: Row) -> bool:
    """Tell whether the table takes the document of a row."""
    return len(document(row)) <= _DOCUMENT


def machine_doc(vm: VirtualMachine) -> dict[str, Any]:
    """Return a VM as JSON."""
    return {
        "id": vm.id,
        "name": vm.name,
        "location": vm.location,
        "support": vm.support.value,
        "reasons": list(vm.reasons),
        "via": vm.via.value,
        "policy_id": vm.policy_id,
        "ports": [
            [
                rule.number,
                rule.protocol,
                list(rule.allowed_sources),
                rule.max_duration.total_seconds(),
            ]
            for rule in vm.ports
        ],
        "interfaces": [
            [
                nic.id,
                nic.private_ip,
                nic.subnet_id,
                list(nic.nsg_ids),
                nic.public_ip,
                nic.public_ip_id,
                nic.primary,
            ]
            for nic in vm.interfaces
        ],
        "firewall_id": vm.firewall_id,
        "firewall_sources": list(vm.firewall_sources),
        "vnet_prefixes": list(vm.vnet_prefixes),
        "occupations": [[o.port, list(o.sources), stamp(o.ends_at)] for o in vm.occupations],
        "warnings": [[warning.code, warning.detail] for warning in vm.warnings],
    }


def machine_of(row: Row) -> VirtualMachine:
    """Read what ``machine_row`` wrote."""
    doc = doc_of(row)
    return VirtualMachine(
        id=doc["id"],
        name=doc["name"],
        location=doc["location"],
        support=Support(doc["support"]),
        reasons=tuple(doc["reasons"]),
        via=Via(doc["via"]),
        policy_id=doc["policy_id"],
        ports=tuple(_port_rule(item) for item in doc["ports"]),
        interfaces=tuple(_interface(item) for item in doc["interfaces"]),
        firewall_id=doc["firewall_id"],
        firewall_sources=tuple(doc["firewall_sources"]),
        vnet_prefixes=tuple(doc["vnet_prefixes"]),
        occupations=tuple(
            Occupation(port=item[0], sources=tuple(item[1]), ends_at=instant(item[2]))
            for item in doc["occupations"]
        ),
        warnings=tuple(MachineWarning(code=item[0], detail=item[1]) for item in doc["warnings"]),
    )


def _port_rule(item: Sequence[Any]) -> PortRule:
    return PortRule(
        number=item[0],
        protocol=item[1],
        allowed_sources=tuple(item[2]),
        max_duration=timedelta(seconds=item[3]),
    )


def _interface(item: Sequence[Any]) -> Interface:
    return Interface(
        id=item[0],
        private_ip=item[1],
        subnet_id=item[2],
        nsg_ids=tuple(item[3]),
        public_ip=item[4],
        public_ip_id=item[5],
        primary=item[6],
    )
