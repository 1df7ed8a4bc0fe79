"""The records that an auditor wants to see: by time, person, VM, request, ticket, name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jit.domain.audit.chain import Record
from jit.domain.errors import Malformed
from jit.domain.values import arm_ids
from jit.domain.values.times import parse_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """
    Which records are wanted; None means any. Upper and lower case of texts are equal.

    Attributes:
        chain: Subscription id in lower case, or ``people``.
        since: The earliest time of the event, aware.
        until: The latest time of the event, aware.
        person: Object id or name of the actor, or object id of the person whom the event is about.
        vm: Id or name of a virtual machine.
        request: Id of an access request.
        ticket: Id of a ticket, or its system and id with a space between. An erased one is not
            found.
        what: Name of the event.
    """

    chain: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    person: str | None = None
    vm: str | None = None
    request: str | None = None
    ticket: str | None = None
    what: str | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The columns by which storage selects records before they are read."""
        wanted = {"What": self.what, "RequestId": self.request}
        return {name: value for name, value in wanted.items() if value is not None}

    @property
    def is_selective(self) -> bool:
        """True if many records may have to be passed over."""
        wanted = (self.person, self.vm, self.ticket, self.until)
        return bool(self.columns) or any(each is not None for each in wanted)

    def matches(self, record: Record) -> bool:
        """Return True if *record* is wanted; its chain does not count here."""
        event = record.event
        return (
            self.what in {None, event.get("what")}
            and self.request in {None, event.get("requestId")}
            and self._is_in_time(event.get("at"))
            and (self.person is None or _has(self.person, _list_people(record)))
            and (self.vm is None or _has(arm_ids.key(self.vm), _list_machines(record)))
            and (self.ticket is None or _has(self.ticket, _list_tickets(record)))
        )

    def _is_in_time(self, text: object) -> bool:
        if self.since is None and self.until is None:
            return True
        try:
            at = parse_instant(str(text))
        except Malformed:
            return False  # somebody changed it in the table
        return (self.since or at) <= at <= (self.until or at)


def _has(wanted: str, texts: Iterator[object]) -> bool:
    return wanted.casefold() in {str(each).casefold() for each in texts if each is not None}


def _facts(record: Record) -> dict[str, Any]:
    facts = record.event.get("facts")
    return facts if isinstance(facts, dict) else {}


def _read_text(record: Record, name: str) -> str | None:
    """Return a text beside the record; None if it has none, or it was erased."""
    told = record.texts.get(name)
    return told["text"] if told is not None else None


def _list_people(record: Record) -> Iterator[object]:
    yield record.event.get("actor")
    yield _read_text(record, "actorName")
    yield record.event.get("actorName")  # in a record of an earlier version
    yield _facts(record).get("person")


def _list_machines(record: Record) -> Iterator[object]:
    facts = _facts(record)
    listed = [each for each in facts.get("grants") or () if isinstance(each, dict)]
    grants = [each.get("virtualMachineId") for each in listed]
    ids = [facts.get("virtualMachineId"), *(facts.get("virtualMachines") or ()), *grants]
    for vm_id in filter(None, ids):
        yield from (arm_ids.key(str(vm_id)), arm_ids.key(arm_ids.name(str(vm_id))))


def _list_tickets(record: Record) -> Iterator[object]:
    told = _read_text(record, "ticket") or _facts(record).get("ticket")
    if told is not None:
        yield from (told, str(told).partition(" ")[2])
