"""Erasure of the texts of a person: the order, its record, and the records that it covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jit.domain.audit.event import Event
from jit.domain.audit.verification import ERASURE
from jit.domain.errors import Malformed
from jit.domain.model.people import Person
from jit.domain.values.times import parse_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedErasure:
    """
    The erasure that an operator wants.

    Attributes:
        person_id: Entra object id, lower-case.
        reason: For the audit trail.
    """

    person_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureOrder:
    """
    An order to erase texts in one chain, and its progress.

    Attributes:
        person_id: Entra object id, lower-case.
        at: Time of the order. Texts of acts up to it are erased.
        reached: All records up to this sequence are done.
        months: So many months of history are done, back from the month of *at*.
    """

    person_id: str
    at: datetime
    reached: int = 0
    months: int = 0

    def covers(self, event: Mapping[str, Any]) -> bool:
        """
        Return True if the texts of *event* are erased by this order: they are its actor's.

        The reasons of others who acted on this person are texts of those others.
        """
        if event.get("actor") != self.person_id:
            return False
        try:
            return parse_instant(str(event.get("at"))) <= self.at
        except Malformed:
            return False


def build_erasure_event(wanted: WantedErasure, operator: Person, *, now: datetime) -> Event:
    """Return the record of an order. A verification asks for it if texts are missing."""
    return Event(
        at=now,
        what=ERASURE,
        actor=operator.id,
        actor_name=operator.name,
        request_id="",
        facts={"person": wanted.person_id},
        texts={"reason": wanted.reason},
    )
