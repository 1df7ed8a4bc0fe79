"""Access requests as callers make them and as the broker accepts them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jit.domain.errors import Violation
from jit.domain.model.people import SEES_ALL, Person
from jit.domain.values.prefixes import Prefix


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
        protocol: ``TCP``, ``UDP`` or ``*``; None if the caller did not say.
        pointer: Its place in the body, ``#/virtualMachines/0/ports/0``.
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
        pointer: Its place in the body, ``#/virtualMachines/0``.
    """

    id: str
    ports: tuple[WantedPort, ...]
    pointer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """
    A caller's request to reach ports of VMs, from some places, for a while.

    Attributes:
        machines: 1 to 90, of one subscription.
        sources:
            The only prefixes traffic may come from, 1 to 10, or none if *by_bastion*. An initiate
            without a source opens the port to the caller of the API, which is the broker itself
            (Microsoft.Security 2020-01-01, ``allowedSourceAddressPrefix``).
        duration: Length of access, positive.
        starts_at: Not before; None means now.
        justification: One line for the audit trail; never logged.
        ticket: The ticket behind it, if any.
        by_bastion: True if the subnet of the Bastion that reaches each VM is a source there, too.
    """

    machines: tuple[WantedMachine, ...]
    sources: tuple[Prefix, ...]
    duration: timedelta
    starts_at: datetime | None
    justification: str
    ticket: Ticket | None = None
    by_bastion: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision about a request, and the rule that made it."""

    allowed: bool
    rule: str
    errors: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    An access request that was accepted, without its grants.

    Attributes:
        requester: The person who gets the access.
        policies: JIT policies that its grants lie under: its grants are found by them.
        caller: The person or application that asked, if that is not the requester, or if it is an
            application; else None.
    """

    id: str
    requester: Person
    justification: str
    created_at: datetime
    starts_at: datetime
    duration: timedelta
    sources: tuple[Prefix, ...]
    policies: tuple[str, ...]
    decision: Decision
    ticket: Ticket | None = None
    caller: Person | None = None

    @property
    def asked_by(self) -> Person:
        """The person or application that asked."""
        return self.caller or self.requester

    def is_own_of(self, person: Person) -> bool:
        """Return True if *person* is its requester or its caller."""
        return person.id in {self.requester.id, self.asked_by.id}

    def is_visible_to(self, person: Person) -> bool:
        """Return True if it is an own one of *person*, or *person* has a role that sees all."""
        return self.is_own_of(person) or bool(person.roles & SEES_ALL)
