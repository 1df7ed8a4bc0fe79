"""
The body of an access request: ``POST /api/access-requests``; the codes of all bodies.

Every reader of a body collects all faults at once: a caller can repair a body in one round trip.
The refusals of `jit.domain.decision.jit_policy` come later and have codes of their own.
The codes of a faulty body:

* any value        wrong-type missing-field unknown-field not-supported too-few too-many
* text             text-too-short text-too-long text-not-one-line text-hidden-character
* VMs              vm-id-malformed vm-id-not-a-vm duplicate-vm subscriptions-differ
* ports            port-out-of-range protocol-unknown duplicate-port
* sources          source-malformed source-any source-host-bits source-reserved source-too-wide
                   duplicate-source source-overlap source-families sources-too-many-addresses
* via              via-unknown
* duration         duration-malformed duration-ambiguous duration-negative duration-overflow
                   duration-too-short duration-too-long
* onBehalfOf       object-id-malformed
* startTime        time-malformed time-without-zone time-out-of-range start-in-past start-too-far
* Idempotency-Key  idempotency-key-malformed
* any of them      too-many-violations (the list was cut)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.request import Ticket, WantedMachine, WantedPort
from jit.domain.model.sums.address_sums import TOO_MANY_ADDRESSES, find_exceeded_sum
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.fields import (
    DURATION,
    FLAG,
    JUSTIFICATION,
    OBJECT_ID,
    POINTER,
    START_TIME,
    TICKET_ID,
    TICKET_SYSTEM,
    ReadContext,
)
from jit.domain.requests.json_node import Node
from jit.domain.requests.network_fields import (
    MACHINES,
    PORT_NUMBER,
    PORTS,
    PROTOCOL,
    SOURCE,
    SOURCES,
    VIA,
    VM_ID,
)
from jit.domain.requests.submission import Draft
from jit.domain.values.arm_ids import VmId
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.prefixes import Prefix

SUBSCRIPTIONS_DIFFER = "subscriptions-differ"


# ---- the JSON: None, or an empty list, if a field is missing or faulty ------------------------


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

    REFUSED: ClassVar = ("callbackUrl",)
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
    on_behalf_of: Annotated[str | None, OBJECT_ID, "The person who gets the access."] = None
    dry_run: Annotated[bool, FLAG, "Decide only, and store nothing."] = False


# ---- its result ------------------------------------------------------------------------------


def read_access_request(value: object, *, now: datetime, limits: Limits = LIMITS) -> Draft:
    """
    Read the body of ``POST /api/access-requests``.

    Args:
        value: Parsed JSON: dict, list, str, int, float, bool or None.
        now: Aware. A start may lie `Limits.start_grace` before it.
        limits: The contract's numbers.
    """
    body, faults = read_body(AccessRequestBody, value, ReadContext(limits, now))
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
        on_behalf_of=body.on_behalf_of,
        violations=(*faults, *_find_wide_sum(body.sources, limits)),
    )


def _find_wide_sum(sources: Sequence[Prefix | None], limits: Limits) -> Iterator[Violation]:
    """Yield a violation if the good ones of *sources* cover too many addresses together."""
    v4, v6 = limits.widest_source_v4, limits.widest_source_v6
    most = find_exceeded_sum([each for each in sources if each], widest_v4=v4, widest_v6=v6)
    if most is not None:
        detail = f"all sources together may cover {most} addresses, as many as one prefix may"
        yield Violation(at(ROOT, "sources"), TOO_MANY_ADDRESSES, detail)


def _list_wanted_ports(machine: MachineBody) -> tuple[WantedPort, ...]:
    return tuple(
        WantedPort(number=port.number, protocol=port.protocol, pointer=port.pointer)
        for port in machine.ports
        if port.number
    )


def _ticket(ticket: TicketBody | None) -> Ticket | None:
    if ticket is None or ticket.system is None or ticket.id is None:
        return None
    return Ticket(system=ticket.system, id=ticket.id)
