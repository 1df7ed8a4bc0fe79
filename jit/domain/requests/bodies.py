"""
Bodies of the HTTP contract as typed fields, and their good parts as the domain's nouns.

Every reader collects all faults at once, so that a caller can repair a body in one round trip.
The refusals of `jit.domain.decision.jit_policy` come later and have codes of their own.
The codes of a faulty body:

* any value        wrong-type missing-field unknown-field not-supported too-few too-many
* text             text-too-short text-too-long text-not-one-line text-hidden-character
* VMs              vm-id-malformed vm-id-not-a-vm duplicate-vm subscriptions-differ
* ports            port-out-of-range protocol-unknown duplicate-port
* sources          source-malformed source-any source-host-bits source-reserved source-too-wide
                   duplicate-source source-overlap source-families
* via              via-unknown
* duration         duration-malformed duration-ambiguous duration-negative duration-overflow
                   duration-too-short duration-too-long
* startTime        time-malformed time-without-zone time-out-of-range start-in-past start-too-far
* Idempotency-Key  idempotency-key-malformed
* any of them      too-many-violations (the list was cut)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.machine import MachinePolicy, PortRule
from jit.domain.model.request import Ticket, WantedMachine, WantedPort
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.fields import (
    DURATION,
    FLAG,
    JUSTIFICATION,
    POINTER,
    REASON,
    START_TIME,
    TICKET_ID,
    TICKET_SYSTEM,
    ReadContext,
)
from jit.domain.requests.json_node import Node
from jit.domain.requests.network_fields import (
    ALLOWED_SOURCES,
    MACHINES,
    PORT_NUMBER,
    PORTS,
    PROTOCOL,
    SOURCE,
    SOURCES,
    VIA,
    VM_ID,
)
from jit.domain.requests.revocation import Revocation
from jit.domain.requests.submission import Draft
from jit.domain.values.arm_ids import VmId
from jit.domain.values.prefixes import Prefix

SUBSCRIPTIONS_DIFFER = "subscriptions-differ"


# ---- the JSON of each body: None, or an empty list, if a field is missing or faulty ----------


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBody:
    """A port that the caller wants."""

    number: Annotated[int | None, PORT_NUMBER, "The port on the virtual machine."]
    protocol: Annotated[str | None, PROTOCOL, "If missing, as the policy has it."] = None
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineBody:
    """A virtual machine that the caller wants to reach."""

    id: Annotated[VmId | None, VM_ID]
    ports: Annotated[tuple[PortBody, ...], PORTS, "The ports that the caller wants."]
    pointer: Annotated[str, POINTER]


def check_subscription(
    node: Node, machine: MachineBody, earlier: Sequence[MachineBody]
) -> MachineBody:
    """Return *machine*; note it if its subscription is not that of the first one."""
    first = next((other.id for other in earlier if other.id), machine.id)
    if machine.id and first and machine.id.subscription != first.subscription:
        other = f"send {machine.id.name} as a second request"
        detail = f"all VMs of a request are of one subscription: {other}"
        node.read_member("id").add_fault(SUBSCRIPTIONS_DIFFER, detail)
    return machine


MACHINES_OF_ONE_SUBSCRIPTION = MACHINES._replace(compare=check_subscription)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketBody:
    """The ticket behind the request."""

    system: Annotated[str | None, TICKET_SYSTEM, "Such as servicenow."]
    id: Annotated[str | None, TICKET_ID, "The ticket in that system."]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequestBody:
    """A request for access: ``POST /api/access-requests``."""

    REFUSED: ClassVar = ("onBehalfOf", "callbackUrl")
    ANY_OF: ClassVar = ("sources", "via")

    virtual_machines: Annotated[
        tuple[MachineBody, ...], MACHINES_OF_ONE_SUBSCRIPTION, "All of one subscription."
    ]
    sources: Annotated[
        tuple[Annotated[Prefix | None, SOURCE], ...],
        SOURCES,
        "Where traffic may come from.",
    ] = ()
    via: Annotated[
        str | None, VIA, "The subnet of the Bastion that reaches the VM is a source, too."
    ] = None
    duration: Annotated[timedelta | None, DURATION, "The length of access."]
    start_time: Annotated[datetime | None, START_TIME, "If missing, now."] = None
    justification: Annotated[str | None, JUSTIFICATION, "Why; for the audit trail."]
    ticket: TicketBody | None = None
    dry_run: Annotated[bool, FLAG, "Decide only, and store nothing."] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedPortBody:
    """A port that the caller gives back."""

    number: Annotated[int | None, PORT_NUMBER, "The port on the virtual machine."]
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedMachineBody:
    """A virtual machine that the caller gives back."""

    id: Annotated[VmId | None, VM_ID]
    ports: Annotated[tuple[RevokedPortBody, ...], PORTS, "If missing, all of its ports."] = ()
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeBody:
    """The end of a request: ``POST /api/access-requests/{id}/revoke``."""

    reason: Annotated[str | None, REASON, "Why; for the audit trail."] = None
    virtual_machines: Annotated[
        tuple[RevokedMachineBody, ...], MACHINES, "If missing, all of the request."
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendBody:
    """More time for a request: ``POST /api/access-requests/{id}/extend``."""

    duration: Annotated[timedelta | None, DURATION, "The time from now to the new end."]
    reason: Annotated[str | None, REASON, "Why; for the audit trail."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPortBody:
    """The policy for one port of one virtual machine."""

    number: Annotated[int | None, PORT_NUMBER, "The port on the virtual machine."]
    protocol: Annotated[str | None, PROTOCOL, "The protocol; * stands for both."]
    allowed_sources: Annotated[tuple[str, ...], ALLOWED_SOURCES]
    max_duration: Annotated[timedelta | None, DURATION, "The longest access."]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyMachineBody:
    """A virtual machine and all ports that its policy allows."""

    id: Annotated[VmId | None, VM_ID]
    ports: Annotated[tuple[PolicyPortBody, ...], PORTS, "All ports that the policy allows."]
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPutBody:
    """Virtual machines to put under JIT: ``PUT /api/virtual-machines/jit-policy``."""

    virtual_machines: Annotated[tuple[PolicyMachineBody, ...], MACHINES, "At least one."]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerMachineBody:
    """A virtual machine that leaves its policy."""

    id: Annotated[VmId | None, VM_ID]
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDeleteBody:
    """Virtual machines to take out of JIT: ``DELETE /api/virtual-machines/jit-policy``."""

    virtual_machines: Annotated[tuple[FormerMachineBody, ...], MACHINES, "At least one."]


# ---- their results ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """
    An extension: a path stays for *duration* from now.

    Attributes:
        body: The body as JSON, to tell a repetition from another use of the same key.
        key: The caller's ``Idempotency-Key``, if sent.
    """

    duration: timedelta
    reason: str | None
    body: Mapping[str, object]
    key: str | None = None


def read_access_request(value: object, *, now: datetime, limits: Limits = LIMITS) -> Draft:
    """
    Read the body of ``POST /api/access-requests``.

    Args:
        value: Parsed JSON: dict, list, str, int, float, bool or None.
        now: Aware. A start may lie `Limits.start_grace` before it.
        limits: The contract's numbers.
    """
    body, violations = read_body(AccessRequestBody, value, ReadContext(limits, now))
    return Draft(
        machines=tuple(
            WantedMachine(id=vm.id.id, ports=_list_wanted_ports(vm), pointer=vm.pointer)
            for vm in body.virtual_machines
            if vm.id
        ),
        sources=body.sources,
        duration=body.duration,
        starts_at=body.start_time,
        justification=body.justification,
        ticket=_ticket(body.ticket),
        dry_run=body.dry_run,
        by_bastion=body.via is not None,
        violations=violations,
    )


def read_revoke(
    value: object | None, *, limits: Limits = LIMITS
) -> tuple[Revocation, tuple[Violation, ...]]:
    """Read ``{"reason": …, "virtualMachines": …}``, both optional; without a body, all of it."""
    if value is None:
        return Revocation(), ()
    body, violations = read_body(RevokeBody, value, ReadContext(limits))
    machines = tuple(
        WantedMachine(id=vm.id.id, ports=_list_revoked_ports(vm), pointer=vm.pointer)
        for vm in body.virtual_machines
        if vm.id
    )
    return Revocation(reason=body.reason, machines=machines), violations


def read_extend(
    value: Mapping[str, object], *, key: str | None = None, limits: Limits = LIMITS
) -> tuple[Extension | None, tuple[Violation, ...]]:
    """Read ``{"duration": …, "reason": …}``, the reason optional; None if it has faults."""
    body, violations = read_body(ExtendBody, value, ReadContext(limits))
    if body.duration is None or violations:
        return None, violations
    return Extension(duration=body.duration, reason=body.reason, body=value, key=key), ()


def read_policy_put(
    value: object, *, limits: Limits = LIMITS
) -> tuple[tuple[MachinePolicy, ...], tuple[Violation, ...]]:
    """
    Read the body of ``PUT /api/virtual-machines/jit-policy``.

    Returns:
        The VMs with their port rules, good parts only; all faults.
    """
    body, violations = read_body(PolicyPutBody, value, ReadContext(limits))
    machines = tuple(
        MachinePolicy(id=vm.id.id, ports=_port_rules(vm), pointer=vm.pointer)
        for vm in body.virtual_machines
        if vm.id
    )
    return machines, violations


def read_policy_delete(
    value: object, *, limits: Limits = LIMITS
) -> tuple[tuple[MachinePolicy, ...], tuple[Violation, ...]]:
    """Read the body of ``DELETE /api/virtual-machines/jit-policy``: VMs without ports."""
    body, violations = read_body(PolicyDeleteBody, value, ReadContext(limits))
    machines = tuple(
        MachinePolicy(id=vm.id.id, ports=(), pointer=vm.pointer)
        for vm in body.virtual_machines
        if vm.id
    )
    return machines, violations


def _list_wanted_ports(machine: MachineBody) -> tuple[WantedPort, ...]:
    return tuple(
        WantedPort(number=port.number, protocol=port.protocol, pointer=port.pointer)
        for port in machine.ports
        if port.number
    )


def _list_revoked_ports(machine: RevokedMachineBody) -> tuple[WantedPort, ...]:
    return tuple(
        WantedPort(number=port.number, protocol=None, pointer=port.pointer)
        for port in machine.ports
        if port.number
    )


def _port_rules(machine: PolicyMachineBody) -> tuple[PortRule, ...]:
    return tuple(
        PortRule(
            number=port.number,
            protocol=port.protocol,
            allowed_sources=port.allowed_sources,
            max_duration=port.max_duration,
        )
        for port in machine.ports
        if port.number and port.protocol and port.allowed_sources and port.max_duration
    )


def _ticket(ticket: TicketBody | None) -> Ticket | None:
    if ticket is None or ticket.system is None or ticket.id is None:
        return None
    return Ticket(system=ticket.system, id=ticket.id)
