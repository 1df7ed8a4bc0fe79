"""The broker's nouns: access requests, grants, JIT policies, virtual machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType

from jit.domain.errors import IllegalTransition, Violation

Network = IPv4Network | IPv6Network
"""A source prefix; host bits are never set."""


class Status(StrEnum):
    """How far a request or a grant has come. Every grant ends ``closed``."""

    SCHEDULED = "scheduled"  # decided and stored; its start lies ahead
    AWAITING_APPROVAL = "awaiting-approval"  # a person still has to decide
    PENDING = "pending"  # due; nothing has been asked of Azure yet
    OPENING = "opening"  # its end is stored; Azure has been, or is about to be, asked
    OPEN = "open"  # observed open, effective for its sources
    CLOSING = "closing"  # must not be open; rules may still exist
    CLOSED = "closed"  # observed gone, or never asked for


ADVANCE = tuple(Status)
"""Statuses from the least to the most advanced."""


class CloseReason(StrEnum):
    """Why a grant is closing. Failure is a reason, not a state."""

    EXPIRED = "expired"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"  # Defender: NewerRequestInitiated, by someone else
    DENIED = "denied"
    CANCELLED = "cancelled"
    TICKET_CLOSED = "ticket-closed"
    FAILED = "failed"
    UNVERIFIED = "unverified"  # an operator closed it without an observation


_NEXT: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.SCHEDULED: frozenset({Status.PENDING, Status.OPENING, Status.CLOSED}),
        Status.AWAITING_APPROVAL: frozenset({Status.SCHEDULED, Status.PENDING, Status.CLOSED}),
        Status.PENDING: frozenset({Status.OPENING, Status.CLOSED}),
        Status.OPENING: frozenset({Status.OPEN, Status.CLOSING, Status.CLOSED}),
        Status.OPEN: frozenset({Status.OPENING, Status.CLOSING, Status.CLOSED}),
        Status.CLOSING: frozenset({Status.CLOSED}),
        Status.CLOSED: frozenset(),
    }
)


class Via(StrEnum):
    """Which way packets take to a VM."""

    FIREWALL = "firewall"  # DNAT on a classic-rules Azure Firewall in the VM's own VNet
    PUBLIC_IP = "public-ip"  # a public address of the VM, guarded by NSGs
    PRIVATE = "private"  # the VNet only, guarded by NSGs


class Support(StrEnum):
    """What Defender's just-in-time access can do for a VM; the portal's three tabs."""

    CONFIGURED = "Configured"
    NOT_CONFIGURED = "NotConfigured"
    UNSUPPORTED = "Unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who asks or decides: an Entra object id, the name shown to people, app roles."""

    id: str
    name: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The ticket behind a request, as the caller names it."""

    system: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPort:
    """
    A destination port that a caller wants.

    Attributes:
        number: 1 to 65535.
        protocol: ``TCP``, ``UDP`` or ``*``; None where the caller did not say.
        pointer: Where it stands in the body, ``#/virtualMachines/0/ports/0``.
    """

    number: int
    protocol: str | None
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMachine:
    """
    A VM that a caller wants to reach.

    Attributes:
        id: ARM id as the caller wrote it, checked for form only.
        ports: At least one, unique by number.
        pointer: Where it stands in the body, ``#/virtualMachines/0``.
    """

    id: str
    ports: tuple[WantedPort, ...]
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """
    A caller's wish to reach ports of VMs, from some places, for a while.

    Attributes:
        machines: 1 to 90, of one subscription.
        sources:
            The only prefixes traffic may come from, 1 to 10. Never optional: an initiate without
            a source opens the port to the caller of the API, which is the broker itself
            (Microsoft.Security 2020-01-01, ``allowedSourceAddressPrefix``).
        duration: Length of access, positive.
        starts_at: Not before; None means now.
        justification: One line for the audit trail; never logged.
        ticket: The ticket behind it, if any.
    """

    machines: tuple[WantedMachine, ...]
    sources: tuple[Network, ...]
    duration: timedelta
    starts_at: datetime | None
    justification: str
    ticket: Ticket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRule:
    """
    What a JIT policy allows for one port of one VM.

    Attributes:
        number: Destination port.
        protocol: ``TCP``, ``UDP`` or ``*``.
        allowed_sources: ``*`` or prefixes, as text, as Defender returns them.
        max_duration: The longest access Defender grants.

    Source:
        Microsoft.Security 2020-01-01, ``JitNetworkAccessPortRule``.
    """

    number: int
    protocol: str
    allowed_sources: tuple[str, ...]
    max_duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """
    A network interface of a VM.

    Attributes:
        id: ARM id.
        private_ip: Primary private address.
        subnet_id: ARM id of its subnet.
        nsg_ids: NSGs that guard it: on the NIC, on the subnet, or both.
        public_ip: Its own public address, if any.
        public_ip_id: ARM id of that address.
        primary: Whether it is the VM's primary interface.
    """

    id: str
    private_ip: str
    subnet_id: str
    nsg_ids: tuple[str, ...]
    public_ip: str | None = None
    public_ip_id: str | None = None
    primary: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupation:
    """A foreign, unexpired Defender request on one port of a VM."""

    port: int
    sources: tuple[str, ...]
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineWarning:
    """Something about a VM that its owner should know."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine:
    """
    A VM as the inventory knows it.

    Attributes:
        id: ARM id.
        support: What JIT can do for it.
        reasons: Why it is not ``Configured``, in words.
        via: The way packets take; ``firewall`` when both ways exist.
        policy_id: ARM id of its JIT policy, if configured.
        ports: The policy's port rules for this VM.
        firewall_id: Classic-rules firewall in its VNet, if any.
        firewall_sources: Prefixes of AzureFirewallSubnet: what the VM sees behind the firewall.
        vnet_prefixes: Address space of its VNet (the tag ``VirtualNetwork`` covers at least it).
        occupations: Foreign requests in force when this was read.
    """

    id: str
    name: str
    location: str
    support: Support
    reasons: tuple[str, ...] = ()
    via: Via = Via.PRIVATE
    policy_id: str | None = None
    ports: tuple[PortRule, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    firewall_id: str | None = None
    firewall_sources: tuple[str, ...] = ()
    vnet_prefixes: tuple[str, ...] = ()
    occupations: tuple[Occupation, ...] = ()
    warnings: tuple[MachineWarning, ...] = ()

    @property
    def interface(self) -> Interface | None:
        """The interface that a connection reaches: the primary one."""
        return next((nic for nic in self.interfaces if nic.primary), None) or next(
            iter(self.interfaces), None
        )

    def rule_for(self, port: int) -> PortRule | None:
        """Return the policy's rule for *port*, if it has one."""
        return next((rule for rule in self.ports if rule.number == port), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a person connects to."""

    via: Via
    address: str
    port: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """
    An allowed access to one port of one VM: a lease on a network path.

    Attributes:
        id: ``<request id>-<machine index>-<port>``.
        starts_at: Not before.
        duration: What was asked for.
        latest_end: Never open after this, whatever happens on the way.
        expires_at: Fixed before the first initiate; None until then.
        claimed_at: When that was: the order in which grants of one VM port came.
        handover_at: When a change of the shared path will interrupt this grant.
        initiates: Ids of the initiates that carried it, newest last; proof of what is ours.
        initiated_at: When the newest of them was stored, just before the call.
        asked: Sources that the newest of them named for this VM port.
        asked_until: The end that it named.
        attempts: How many initiates were made for it that Azure had not taken before.
        reopens: How often it was asked for again because somebody took its rules away.
        answered: Azure's 202 for the newest initiate was received.
        lost_at: When a path that had been open was first seen not to be; None while it is open.
        before: Marks of the rules that were there when the newest initiate was stored; None where
            nothing seen later can be told from what an older initiate asked for.
        written: Rules of the newest initiate were observed: nothing of it is still on its way.
        seen: Its rules were observed at least once since then, whosever they are.
        rules: Resource ids of its rules, as first seen.
        companions: Resource ids of companion NSG rules, stored before they are created.
        private_ips: The VM's addresses when its rules were seen.
        unclear_at: Since when it should close and cannot be observed; None while it can.
        next_check_at: Nothing needs doing before this instant.
        note: Why it waits or failed, for people.
    """

    id: str
    request_id: str
    vm_id: str
    policy_id: str
    port: int
    protocol: str
    sources: tuple[Network, ...]
    via: Via
    starts_at: datetime
    duration: timedelta
    latest_end: datetime
    next_check_at: datetime
    status: Status = Status.PENDING
    firewall_id: str | None = None
    expires_at: datetime | None = None
    claimed_at: datetime | None = None
    handover_at: datetime | None = None
    opened_at: datetime | None = None
    lost_at: datetime | None = None
    closing_at: datetime | None = None
    closed_at: datetime | None = None
    unclear_at: datetime | None = None
    close_reason: CloseReason | None = None
    connection: Connection | None = None
    initiates: tuple[str, ...] = ()
    initiated_at: datetime | None = None
    asked: tuple[Network, ...] = ()
    asked_until: datetime | None = None
    attempts: int = 0
    reopens: int = 0
    answered: bool = False
    before: tuple[str, ...] | None = ()
    written: bool = False
    seen: bool = False
    rules: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    private_ips: tuple[str, ...] = ()
    note: str | None = None

    @property
    def live(self) -> bool:
        """Whether it may still have, or get, a path."""
        return self.status is not Status.CLOSED

    @property
    def wants_path(self) -> bool:
        """Whether it should have a path now."""
        return self.status in {Status.OPENING, Status.OPEN}

    def advance(self, to: Status, **changes: object) -> Grant:
        """
        Return this grant in status *to*, with *changes*.

        Raises:
            IllegalTransition: The table above has no such edge.
        """
        if to is not self.status and to not in _NEXT[self.status]:
            raise IllegalTransition(f"{self.status} -> {to}")
        return replace(self, status=to, **changes)  # type: ignore[arg-type] # checked by tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about a request, by which rule."""

    allowed: bool
    rule: str
    errors: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    An access request that was accepted, without its grants.

    Attributes:
        policies: JIT policies that its grants lie under: where to find them.
    """

    id: str
    requester: Person
    justification: str
    created_at: datetime
    starts_at: datetime
    duration: timedelta
    sources: tuple[Network, ...]
    policies: tuple[str, ...]
    decision: Decision
    ticket: Ticket | None = None


def status_of(grants: tuple[Grant, ...]) -> Status:
    """Return a request's status: the least advanced of its grants that is not closed."""
    live = [grant.status for grant in grants if grant.live]
    return min(live, key=ADVANCE.index) if live else Status.CLOSED


def settled(grants: tuple[Grant, ...]) -> bool:
    """Tell whether no grant is on its way to ``open`` any more."""
    return ADVANCE.index(status_of(grants)) >= ADVANCE.index(Status.OPEN)
