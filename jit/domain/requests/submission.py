"""An access request as it came in: its good parts, its faults, its caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from jit.domain.errors import Violation
from jit.domain.model.people import Person
from jit.domain.model.request import AccessRequest, Ticket, WantedMachine
from jit.domain.values.prefixes import Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """
    The good parts of the body of an access request.

    A body with faults is refused for its faults alone. No policy is asked about its good parts: a
    refusal without a record must tell nothing of a policy.

    Attributes:
        machines: Those with a good id, with their good ports (maybe none).
        sources: One for each in the body, up to the limit; None if it is faulty.
        dry_run: Decide only; False unless the caller wrote ``true``.
        by_bastion: As in `AccessRequest`.
        on_behalf_of: Lower-case object id of the person named; None if it is the caller.
        violations: All faults; if there is none, `request` is there.
    """

    machines: tuple[WantedMachine, ...]
    sources: tuple[Prefix | None, ...]
    duration: timedelta | None
    starts_at: datetime | None
    justification: str | None
    ticket: Ticket | None
    dry_run: bool
    violations: tuple[Violation, ...]
    by_bastion: bool = False
    on_behalf_of: str | None = None

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
            by_bastion=self.by_bastion,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """
    An access request as it came in.

    Attributes:
        draft: The body, read.
        body: The body as JSON, to tell a repetition from another use of the same key.
        key: The caller's ``Idempotency-Key``, if sent.
        caller: The person or application that asks.
    """

    draft: Draft
    body: Mapping[str, object]
    key: str | None
    caller: Person

    @property
    def is_on_behalf(self) -> bool:
        """True if the caller asks for another person."""
        return self.draft.on_behalf_of not in {None, self.caller.id}

    @property
    def requester(self) -> Person:
        """The person who gets the access; of a person named, only the id is known."""
        named = self.draft.on_behalf_of
        return Person(id=named, name=named) if named and self.is_on_behalf else self.caller
