"""Bars: people who may get no access, until when, and by whose word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jit.domain.model.people import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedBar:
    """
    A bar as an operator wants it.

    Attributes:
        reason: For operators and auditors; the barred person does not get it.
        until: When it ends by itself; None means never.
        revoke: True if the access that the person has, or waits for, shall end as well.
    """

    reason: str
    until: datetime | None = None
    revoke: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """
    A stored bar.

    Attributes:
        person_id: Entra object id in lower case.
        wanted: The bar as the operator wants it.
        by: The operator, without roles.
        at: When the operator asked.
        revoking: True until all access from before its end is closing, also of calls under way.
        revoked: Requests that were ended so far because of it.
        revoke_until: End of an earlier bar of the person, if only its order goes on; else None.
    """

    person_id: str
    wanted: WantedBar
    by: Person
    at: datetime
    revoking: bool = False
    revoked: int = 0
    revoke_until: datetime | None = None

    @property
    def order_end(self) -> datetime | None:
        """The end of the order to revoke: it leaves later requests alone. None means never."""
        return self.revoke_until or self.wanted.until

    def is_in_force(self, now: datetime) -> bool:
        """Return True if the person may get no access *now*."""
        return self.wanted.until is None or now < self.wanted.until

    def is_over(self, now: datetime) -> bool:
        """Return True if nothing is left to do because of it."""
        return not self.revoking and not self.is_in_force(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableBar:
    """
    A stored bar that this version cannot read: a newer version wrote it, or its row is broken.

    It counts as in force.

    Attributes:
        person_id: Entra object id in lower case: the key of the row has it.
        at: When the operator asked, if this version can read so much.
        revoking: False only if the row says that no access is left to revoke: a doubt closes.
    """

    person_id: str
    at: datetime | None = None
    revoking: bool = True


@dataclass(frozen=True, slots=True)
class Bars:
    """
    All bars that are stored.

    Attributes:
        known: In the order of the object ids.
        unreadable: The other bars, in the order of the object ids.
    """

    known: tuple[Bar, ...] = ()
    unreadable: tuple[UnreadableBar, ...] = ()

    def list_barred(self, now: datetime) -> frozenset[str]:
        """Return the object ids of the people who may get no access *now*."""
        in_force = (bar.person_id for bar in self.known if bar.is_in_force(now))
        return frozenset(in_force).union(bar.person_id for bar in self.unreadable)
