"""A grant: one person's allowed access to one port of one VM, and its states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from jit.domain.errors import IllegalTransition, Violation
from jit.domain.model.bastion import Bastion
from jit.domain.model.machine import Connection, Via, VmPort
from jit.domain.model.people import Person
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.prefixes import Prefix, is_inside_any

DENIED_AT_OPENING = "denied-at-opening"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiate:
    """
    The request to Defender for a grant, and its state as known since.

    Attributes:
        ids: Ids of the initiates that carried the grant, newest last. They prove that a request
            in Defender is ours.
        at: When the newest of them was stored, just before the call.
        sources: The sources that the newest of them named for the VM port.
        sources_mark: The digest of *sources* if they are many: a row holds it in their place.
        until: The end that it named.
        attempts: How many initiates were made for the grant that Azure had not taken before.
        taken: True if Azure answered 202 to an initiate before the newest one, or wrote a rule
            after one.
        refused_at: When Azure last refused one; None once it has taken one.
        refusal: Azure's code for that.
        reopens: How often the path was asked for again because somebody took its rules away.
        answered: True if Azure's 202 for the newest initiate was received.
        before: Marks of the rules that were there when the newest initiate was stored. None if
            later rules may be those of an older initiate.
        written: True if all rules of the newest initiate were observed.
        seen: True if rules were observed at least once since then, no matter whose they are.
    """

    ids: tuple[str, ...] = ()
    at: datetime | None = None
    sources: tuple[Prefix, ...] = ()
    sources_mark: str = ""
    until: datetime | None = None
    attempts: int = 0
    taken: bool = False
    refused_at: datetime | None = None
    refusal: str = ""
    reopens: int = 0
    answered: bool = False
    before: tuple[str, ...] | None = ()
    written: bool = False
    seen: bool = False

    @property
    def newest(self) -> str | None:
        """The id of the newest initiate; None if there is none."""
        return self.ids[-1] if self.ids else None

    @property
    def is_refused(self) -> bool:
        """True if a refusal is Azure's last word, and nothing that it took is in force."""
        if self.refused_at is None or self.answered:
            return False
        return self.at is None or self.at <= self.refused_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """
    The rules that a grant has left in Azure, as far as the broker knows.

    Attributes:
        rules: Resource ids of its rules, as first seen.
        companions: Resource ids of companion NSG rules, stored before they are created.
        private_ips: The VM's addresses when its rules were seen, and those that the companion of
            its VM port led to.
    """

    rules: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    private_ips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """
    An allowed access to one port of one VM: a lease on a network path.

    Attributes:
        id: ``<request id>-<machine index>-<port>``.
        sources: All of them, the subnet of its Bastion included.
        via: The way of the VM, which decides how long Azure's changes take.
        bastion: The Bastion that its person comes by, as it was when the request was accepted.
        starts_at: Not before.
        duration: The length of access that was asked for.
        latest_end: Never open after this.
        expires_at: Fixed before the first initiate; None until then.
        admitted_at: When that was: the order in which grants of one VM port came.
        handover_at: When a change of the shared path will interrupt this grant.
        gap_at: From when its path may be shut for minutes, because it was asked for again too late.
        observed_at: When its path was last looked at with success; a look that changes nothing
            else is noted once a minute at most. None before the first one.
        lost_at: When a path that had been open was first seen not to be; None while it is open.
        unclear_at: Since when it should close and cannot be observed; None while it can.
        next_check_at: Nothing needs doing before this instant.
        initiate: The request to Defender for it.
        footprint: The rules that it has left in Azure.
        closed_by: The person who ended it, without roles; None if nobody did.
        close_reason_text: The reason that this person gave, if any.
        denials: Why it was denied at opening or later, with pointers into the body of its request.
        extensions: Marks of the last calls that moved its end, so that a repetition is known.
        extended_at: When the last of these moves was stored; None in a row of an older version.
        hindrance: The last reason that held it back until somebody acts; None while there is none.
        note: Why it waits or failed, for people.
    """

    id: str
    request_id: str
    vm_id: str
    policy_id: str
    port: int
    protocol: str
    sources: tuple[Prefix, ...]
    via: Via
    starts_at: datetime
    duration: timedelta
    latest_end: datetime
    next_check_at: datetime
    status: Status = Status.PENDING
    firewall_id: str | None = None
    expires_at: datetime | None = None
    admitted_at: datetime | None = None
    handover_at: datetime | None = None
    gap_at: datetime | None = None
    opened_at: datetime | None = None
    observed_at: datetime | None = None
    lost_at: datetime | None = None
    closing_at: datetime | None = None
    closed_at: datetime | None = None
    unclear_at: datetime | None = None
    close_reason: CloseReason | None = None
    closed_by: Person | None = None
    close_reason_text: str | None = None
    denials: tuple[Violation, ...] = ()
    extensions: tuple[str, ...] = ()
    extended_at: datetime | None = None
    connection: Connection | None = None
    initiate: Initiate = Initiate()
    footprint: Footprint = Footprint()
    hindrance: str | None = None
    note: str | None = None
    bastion: Bastion | None = None

    @property
    def machine_pointer(self) -> str:
        """The place of its VM in the body of its request: ``#/virtualMachines/0``."""
        index, _, _ = self.id.removeprefix(f"{self.request_id}-").partition("-")
        return at(at(ROOT, "virtualMachines"), index)

    @property
    def own_sources(self) -> tuple[Prefix, ...]:
        """The sources outside the subnet of its Bastion; all of them without a Bastion."""
        if self.bastion is None:
            return self.sources
        subnet = self.bastion.sources
        return tuple(each for each in self.sources if not is_inside_any(each, subnet))

    @property
    def holder_keys(self) -> frozenset[str]:
        """
        The keys of the NSGs and firewalls in which a rule of its own may stand.

        It recorded one there, or Azure was asked to open its path by that firewall.
        """
        keys = map(arm_ids.key, (*self.footprint.rules, *self.footprint.companions))
        holders = (
            key.partition("/securityrules/")[0].partition("/natrulecollections/")[0] for key in keys
        )
        asked = (self.firewall_key,) if self.initiate.ids else ()
        return frozenset(filter(None, (*holders, *asked)))

    @property
    def vm_key(self) -> str:
        """The key of the VM's ARM id, for comparison."""
        return arm_ids.key(self.vm_id)

    @property
    def vm_port(self) -> VmPort:
        """The VM port that it is for."""
        return VmPort.of(self.vm_id, self.port)

    @property
    def firewall_key(self) -> str:
        """The key of the firewall's ARM id, for comparison; empty if there is none."""
        return arm_ids.key(self.firewall_id or "")

    @property
    def rule_keys(self) -> frozenset[str]:
        """The keys of the rules that it recorded."""
        return frozenset(map(arm_ids.key, self.footprint.rules))

    @property
    def live(self) -> bool:
        """True if it may still have, or get, a path."""
        return self.status is not Status.CLOSED

    @property
    def wants_path(self) -> bool:
        """True if it should have a path now."""
        return self.status in {Status.OPENING, Status.OPEN}

    @property
    def may_have_path(self) -> bool:
        """True if Azure may have been asked for a path: it is opening, open or closing."""
        return self.wants_path or self.status is Status.CLOSING

    def advance(self, to: Status) -> Grant:
        """
        Return this grant in status *to*.

        Raises:
            IllegalTransition: The table above has no such edge.
        """
        if to is not self.status and to not in _NEXT[self.status]:
            raise IllegalTransition(f"{self.status} -> {to}")
        return self if to is self.status else replace(self, status=to)


def status_of(grants: tuple[Grant, ...]) -> Status:
    """Return a request's status: the least advanced of its grants that is not closed."""
    live = [grant.status for grant in grants if grant.live]
    return min(live, key=ADVANCE.index) if live else Status.CLOSED


def list_denials(grants: Iterable[Grant]) -> tuple[Violation, ...]:
    """Return the reason that *grants* were denied at their opening or later, each reason once."""
    found: dict[Violation, None] = {}
    for grant in grants:
        if grant.close_reason is CloseReason.DENIED:
            found |= dict.fromkeys(grant.denials or [_read_old_denial(grant)])
    return tuple(found)


def _read_old_denial(grant: Grant) -> Violation:
    """Return the reason in the note: an older version stored nothing else."""
    detail = grant.note or "it was not allowed any more when it should have opened"
    return Violation(grant.machine_pointer, DENIED_AT_OPENING, detail)


def is_settled(grants: tuple[Grant, ...]) -> bool:
    """Return True if no grant is on its way to ``open`` any more."""
    return ADVANCE.index(status_of(grants)) >= ADVANCE.index(Status.OPEN)
