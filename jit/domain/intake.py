"""
Bodies of the HTTP contract, read from JSON values into the domain's nouns.

Every reader collects all faults at once, so that a caller can repair a body in one round trip.
What `jit.domain.decision.jit_policy` refuses comes later and has codes of its own.
The codes of a faulty body:

* any value        wrong-type missing-field unknown-field not-supported too-few too-many
* text             text-too-short text-too-long text-not-one-line text-hidden-character
* VMs              vm-id-malformed vm-id-not-a-vm duplicate-vm subscriptions-differ
* ports            port-out-of-range protocol-unknown duplicate-port
* sources          source-malformed source-any source-host-bits source-reserved source-too-wide
                   duplicate-source source-overlap
* duration         duration-malformed duration-ambiguous duration-negative duration-overflow
                   duration-too-short duration-too-long
* startTime        time-malformed time-without-zone time-out-of-range start-in-past start-too-far
* Idempotency-Key  idempotency-key-malformed
* any of them      too-many-violations (the list was cut)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jit.domain import fields
from jit.domain.errors import Violation
from jit.domain.jsonvalue import ROOT, Node
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.machine import PortRule
from jit.domain.model.people import Person
from jit.domain.model.request import AccessRequest, Ticket, WantedMachine, WantedPort
from jit.domain.values.arm_ids import VmId
from jit.domain.values.prefixes import Prefix

KEY_MALFORMED = "idempotency-key-malformed"
TOO_MANY_VIOLATIONS = "too-many-violations"

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """
    What could be read of the body of an access request.

    Where the body has faults the good parts are still here, so that the policy can be asked
    about them in the same round trip.

    Attributes:
        machines: Those with a good id, with their good ports (maybe none).
        sources: One for each in the body, up to the limit; None where it is faulty.
        dry_run: Decide only; False unless the caller wrote ``true``.
        violations: All faults; none means that `request` is there.
    """

    machines: tuple[WantedMachine, ...]
    sources: tuple[Prefix | None, ...]
    duration: timedelta | None
    starts_at: datetime | None
    justification: str | None
    ticket: Ticket | None
    dry_run: bool
    violations: tuple[Violation, ...]

    @property
    def request(self) -> AccessRequest | None:
        """The access request, if the body has no fault."""
        if self.violations or self.duration is None or self.justification is None:
            return None
        return AccessRequest(
            machines=self.machines,
            sources=tuple(source for source in self.sources if source),
            duration=self.duration,
            starts_at=self.starts_at,
            justification=self.justification,
            ticket=self.ticket,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """
    An access request as it came in.

    Attributes:
        draft: The body, read.
        body: The body as JSON, for telling repetitions from reuse.
        key: The caller's ``Idempotency-Key``, if sent.
        caller: Who asks.
    """

    draft: Draft
    body: Mapping[str, object]
    key: str | None
    caller: Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A wish to keep a path for *duration* from now."""

    duration: timedelta
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePolicy:
    """
    What a JIT policy shall say about one VM.

    Attributes:
        id: ARM id as the caller wrote it, checked for form only.
        ports: At least one, unique by number; empty where the VM shall leave its policy.
        pointer: Where it stands in the body, ``#/virtualMachines/0``.
    """

    id: str
    ports: tuple[PortRule, ...]
    pointer: str


def read_access_request(value: object, *, now: datetime, limits: Limits = LIMITS) -> Draft:
    """
    Read the body of ``POST /api/access-requests``.

    Args:
        value: As `jit.jsonbody.read` gives it.
        now: Aware. A start may lie `Limits.start_grace` before it.
        limits: The contract's numbers.
    """
    root = Node(value, ROOT, [])
    body = root.fields(
        required=("virtualMachines", "sources", "duration", "justification"),
        optional=("startTime", "ticket", "dryRun"),
        refused=("onBehalfOf", "callbackUrl"),
    )
    return Draft(
        machines=_wanted_machines(body.get("virtualMachines"), limits),
        sources=fields.source_list(body.get("sources"), limits),
        duration=fields.span(body.get("duration"), limits),
        starts_at=fields.start(body.get("startTime"), now, limits),
        justification=fields.line(body.get("justification"), *limits.justification),
        ticket=_ticket(body.get("ticket"), limits),
        dry_run=_flag(body.get("dryRun")),
        violations=bounded(root.faults, limits),  # last: the readers above fill it
    )


def read_reason(
    value: object | None, *, limits: Limits = LIMITS
) -> tuple[str | None, tuple[Violation, ...]]:
    """Read ``{"reason": …}`` of revoke, approve, deny; None where there is no body or reason."""
    if value is None:
        return None, ()
    root = Node(value, ROOT, [])
    body = root.fields(required=(), optional=("reason",))
    return fields.line(body.get("reason"), *limits.reason), bounded(root.faults, limits)


def read_extend(
    value: object, *, limits: Limits = LIMITS
) -> tuple[Extension | None, tuple[Violation, ...]]:
    """Read ``{"duration": …, "reason": …}``, the reason optional."""
    root = Node(value, ROOT, [])
    body = root.fields(required=("duration",), optional=("reason",))
    duration = fields.span(body.get("duration"), limits)
    reason = fields.line(body.get("reason"), *limits.reason)
    if duration is None or root.faults:
        return None, bounded(root.faults, limits)
    return Extension(duration=duration, reason=reason), ()


def read_policy_put(
    value: object, *, limits: Limits = LIMITS
) -> tuple[tuple[MachinePolicy, ...], tuple[Violation, ...]]:
    """
    Read the body of ``PUT /api/virtual-machines/jit-policy``.

    Returns:
        The VMs with their port rules, good parts only; all faults.
    """
    root = Node(value, ROOT, [])
    body = root.fields(required=("virtualMachines",))
    machines = []
    for item, vm, found in fields.each_vm(body.get("virtualMachines"), ("id", "ports"), limits):
        ports = _port_rules(found.get("ports"), limits)
        if vm:
            machines.append(MachinePolicy(id=vm.id, ports=ports, pointer=item.pointer))
    return tuple(machines), bounded(root.faults, limits)


def read_policy_delete(
    value: object, *, limits: Limits = LIMITS
) -> tuple[tuple[MachinePolicy, ...], tuple[Violation, ...]]:
    """Read the body of ``DELETE /api/virtual-machines/jit-policy``: VMs without ports."""
    root = Node(value, ROOT, [])
    body = root.fields(required=("virtualMachines",))
    machines = tuple(
        MachinePolicy(id=vm.id, ports=(), pointer=item.pointer)
        for item, vm, _ in fields.each_vm(body.get("virtualMachines"), ("id",), limits)
        if vm
    )
    return machines, bounded(root.faults, limits)


def read_idempotency_key(header: str | None) -> tuple[str | None, tuple[Violation, ...]]:
    """
    Read the header ``Idempotency-Key``: 1 to 255 printable ASCII characters, no space at its ends.

    None without a violation where the caller sent none. An empty header is a fault: the caller
    believes to be protected.
    """
    if header is None or _KEY.fullmatch(header):
        return header, ()
    detail = "Idempotency-Key takes 1 to 255 printable ASCII characters"
    return None, (Violation(ROOT, KEY_MALFORMED, detail),)


def bounded(violations: Sequence[Violation], limits: Limits = LIMITS) -> tuple[Violation, ...]:
    """Return *violations*, cut where there are too many to be of use to anyone."""
    if len(violations) <= limits.violations:
        return tuple(violations)
    rest = len(violations) - limits.violations
    last = Violation(ROOT, TOO_MANY_VIOLATIONS, f"{rest} more faults are not listed")
    return (*violations[: limits.violations], last)


def _wanted_machines(node: Node | None, limits: Limits) -> tuple[WantedMachine, ...]:
    machines: list[WantedMachine] = []
    owner: VmId | None = None
    for item, vm, found in fields.each_vm(node, ("id", "ports"), limits):
        ports = _wanted_ports(found.get("ports"), limits)
        if vm is None:
            continue
        owner = owner or vm
        if vm.subscription != owner.subscription:
            item.child("id").fault(
                fields.SUBSCRIPTIONS_DIFFER, "all VMs of a request are of one subscription"
            )
        machines.append(WantedMachine(id=vm.id, ports=ports, pointer=item.pointer))
    return tuple(machines)


def _wanted_ports(node: Node | None, limits: Limits) -> tuple[WantedPort, ...]:
    ports = []
    for item, number, found in fields.each_port(node, ("number",), ("protocol",), limits):
        protocol = fields.protocol(found.get("protocol"))
        if number:
            ports.append(WantedPort(number=number, protocol=protocol, pointer=item.pointer))
    return tuple(ports)


def _port_rules(node: Node | None, limits: Limits) -> tuple[PortRule, ...]:
    known = ("number", "protocol", "allowedSources", "maxDuration")
    rules = []
    for _, number, found in fields.each_port(node, known, (), limits):
        protocol = fields.protocol(found.get("protocol"))
        allowed = fields.allowed_sources(found.get("allowedSources"), limits)
        longest = fields.span(found.get("maxDuration"), limits)
        if number and protocol and allowed and longest:
            rules.append(
                PortRule(
                    number=number,
                    protocol=protocol,
                    allowed_sources=allowed,
                    max_duration=longest,
                )
            )
    return tuple(rules)


def _ticket(node: Node | None, limits: Limits) -> Ticket | None:
    found = node.fields(required=("system", "id")) if node else {}
    system = fields.line(found.get("system"), 1, limits.ticket_system)
    number = fields.line(found.get("id"), 1, limits.ticket_id)
    return Ticket(system=system, id=number) if system and number else None


def _flag(node: Node | None) -> bool:
    return bool(node.flag()) if node else False
