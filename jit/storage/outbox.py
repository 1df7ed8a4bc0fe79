"""
The audit outbox: events that are not in the chain yet, and refusals that are counted.

A refusal is an event of the outbox and a row ``d|<begin of ten minutes>|<digest>`` that counts its
repetitions. Both are inserted in one transaction. Each repetition is a write under the ETag of that
row. Refusals sort behind all other events, so that a flood of them keeps no other record waiting.
Once no call can repeat the refusal any more, one transaction deletes the row and inserts one
event with the number.

One row may hold several events, if they belong to one transaction. A pass over a crowd tells one
event of each grant, and a row costs more than an event.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from itertools import islice
from typing import Any

from jit.domain.audit.event import Event
from jit.domain.audit.refusal import (
    SAME_WITHIN,
    Repeated,
    begin_repeated,
    build_repetition_event,
)
from jit.domain.errors import Defect, StateConflict
from jit.storage import keys
from jit.storage.documents import (
    INSTANT,
    Column,
    ColumnMap,
    RowKind,
    read_document,
    write_document,
    write_text,
)
from jit.storage.table import (
    BYTES,
    OPERATIONS,
    Op,
    Row,
    Table,
    Verb,
    Where,
    delete_rows,
    measure_op,
    pack_bundles,
    read_all,
)

ONE_KIND, OUTBOX_KIND = RowKind("an audit event"), RowKind("audit events", newest=2)
"""A row with one event has format 1, as ever; a row with several has format 2."""

MOST_TOGETHER = 40
"""Events of one row: the drainer appends them in one transaction, each as a record of its own."""

MOST_SWEPT = 1000
"""Rows of counted refusals that one call of `Outbox.sweep` takes."""

REPEATED_KIND = RowKind("counted refusals")
REPEATED = ColumnMap(
    Repeated,
    Column("Digest", "digest"),
    Column("What", "what"),
    Column("Actor", "actor"),
    Column("ActorName", "actor_name"),
    Column("RequestId", "request_id"),
    Column("FirstAt", "first_at", INSTANT),
    Column("LastAt", "last_at", INSTANT),
    Column("Count", "count"),
    Column("Call", "call", default=""),
)

_ATTEMPTS = 5  # each one is lost to another instance that counted the same refusal
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEHIND = "~"  # sorts after each digit of a time
_CHARACTERS = 120_000  # in a row of several events; a longer event has its own row
_DIGITS = 32  # of the digest in a key: 128 bits

_numbers = itertools.count()  # one for each event of this process


class Outbox:
    """Events of ``JitState``, in the partition of their subscription."""

    def __init__(self, state: Table) -> None:
        """Keep events in *state*."""
        self._state = state

    def add(self, partition: str, events: Iterable[Event]) -> None:
        """Write 1 to 100 events that belong to no other change: all of them or none."""
        self._state.write([Op(Verb.INSERT, write_event_row(partition, event)) for event in events])

    def add_refusals(self, partition: str, events: Iterable[Event]) -> None:
        """Write 1 to 100 refusals without counting them: all of them or none."""
        rows = [write_refusal_row(partition, event) for event in events]
        self._state.write([Op(Verb.INSERT, row) for row in rows])

    def add_once(
        self, partition: str, event: Event, digest: str, admit: Callable[[], None] = lambda: None
    ) -> str:
        """
        Write a refusal, or count it if the same one was written less than ten minutes ago.

        If too many instances count at once, it is written as a record of its own: that hides
        nothing.

        Args:
            partition: The subscription whose chain gets it.
            event: Its record.
            digest: As in `Refusal`: equal for the same refusal only.
            admit: Called once before a new record is written, and not before a repetition is
                counted; if it raises, nothing is written.

        Returns:
            The request id under which the refusal stands in the trail.

        Raises:
            Unavailable: Storage did not answer. If the answer was lost, it may count.
        """
        call, is_admitted = secrets.token_hex(8), False
        for _ in range(_ATTEMPTS):
            try:
                found = self._find_repeated(partition, digest, event.at)
                if found is None:
                    if not is_admitted:
                        admit()
                        is_admitted = True
                    self._begin_repeated(partition, event, digest, call)
                    return event.request_id
                row, known = found
                if known.call != call:  # else the write was made, and its answer was lost
                    last_at = max(known.last_at, event.at)
                    more = replace(known, last_at=last_at, count=known.count + 1, call=call)
                    self._state.write([Op(Verb.REPLACE, write_repeated_row(row, more))])
            except StateConflict:
                continue
            except Defect:  # a row of a newer version counts it
                break
            return known.request_id
        if not is_admitted:
            admit()
        self.add_refusals(partition, [event])
        return event.request_id

    def _find_repeated(
        self, partition: str, digest: str, at: datetime
    ) -> tuple[Row, Repeated] | None:
        """Return the row that counts a refusal: it began in these ten minutes, or the last ones."""
        for begin in (at, at - SAME_WITHIN):
            row = self._state.get(partition, _make_repeat_key(begin, digest))
            if row is not None:
                found = read_repeated(row)
                if found.digest == digest and found.is_same_at(at):
                    return row, found
        return None

    def _begin_repeated(self, partition: str, event: Event, digest: str, call: str) -> None:
        """Write the record of a refusal and the row that counts its repetitions."""
        place = Row(partition=partition, key=_make_repeat_key(event.at, digest), values={})
        row = write_repeated_row(place, replace(begin_repeated(event, digest), call=call))
        self._state.write(
            [Op(Verb.INSERT, row), Op(Verb.INSERT, write_refusal_row(partition, event))]
        )

    def sweep(self, partition: str, *, now: datetime) -> int:
        """
        Delete the rows of refusals that no call can repeat any more; write their numbers.

        Returns:
            The number of rows that were read, at most `MOST_SWEPT`. Unreadable rows do not count.
        """
        first, _ = keys.key_range(keys.REPEATED)
        last = f"{first}{keys.write_stamp(now - 2 * SAME_WITHIN)}"
        rows = read_all(self._state, Where(partition=partition, first=first, last=last))
        taken = list(islice(REPEATED_KIND.read_all(rows, _end_repeated), MOST_SWEPT))
        for pack in pack_bundles(taken):
            try:
                self._state.write([op for bundle in pack for op in bundle])
            except StateConflict:  # another instance sweeps, or an instance counts late
                for bundle in pack:
                    with suppress(StateConflict):
                        self._state.write(bundle)
        return len(taken)

    def list_oldest(self, partition: str, *, limit: int) -> tuple[Row, ...]:
        """Return the oldest rows of a subscription that this version can read."""
        first, last = keys.key_range(keys.OUTBOX)
        rows = read_all(self._state, Where(partition=partition, first=first, last=last), limit)
        return tuple(islice(OUTBOX_KIND.read_all(rows, _check_document), limit))

    def is_empty(self, partition: str) -> bool:
        """Return True if no event waits and none is counted, not even one that is unreadable."""
        return not any(self._has_rows(partition, kind) for kind in (keys.OUTBOX, keys.REPEATED))

    def _has_rows(self, partition: str, kind: str) -> bool:
        first, last = keys.key_range(kind)
        rows = read_all(self._state, Where(partition=partition, first=first, last=last), 1)
        return next(iter(rows), None) is not None

    def delete(self, rows: Sequence[Row]) -> None:
        """Delete rows of one partition; rows that are gone already are fine."""
        delete_rows(self._state, rows)


def _check_document(row: Row) -> Row:
    """Return *row*, if its document can be read."""
    _parse_events(row)
    return row


def write_repeated_row(place: Row, repeated: Repeated) -> Row:
    """Return the row that counts a refusal, over the version *place*."""
    return replace(place, values=REPEATED_KIND.add_format(REPEATED.write(repeated)))


def read_repeated(row: Row) -> Repeated:
    """
    Return the counted refusal of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return REPEATED_KIND.read(row, lambda stored: REPEATED.read(stored.values))


def _end_repeated(row: Row) -> Sequence[Op]:
    """Return the operations that end the counting of a row: its deletion, and the number."""
    repeated = REPEATED.read(row.values)
    delete = Op(Verb.DELETE, row)
    if repeated.count == 1:
        return [delete]
    event = build_repetition_event(repeated)
    return [delete, Op(Verb.INSERT, write_refusal_row(row.partition, event))]


def _make_repeat_key(at: datetime, digest: str) -> str:
    """Return the key of the row that counts a refusal whose first call was at *at*."""
    begin = at - (at - _EPOCH) % SAME_WITHIN
    return f"{keys.REPEATED}|{keys.write_stamp(begin)}|{digest[:_DIGITS]}"


def write_refusal_row(partition: str, event: Event) -> Row:
    """Return the outbox row of a refusal: its key sorts behind those of all other events."""
    row = write_event_row(partition, event)
    first, _ = keys.key_range(keys.OUTBOX)
    return replace(row, key=f"{first}{_BEHIND}{row.key.removeprefix(first)}")


def write_event_row(partition: str, event: Event) -> Row:
    """
    Return the outbox row of an event.

    Its key sorts by time, then by the order in which this process wrote events, and never repeats.
    So a cause comes before its effect, although both may have the same instant.
    """
    values = ONE_KIND.add_format(write_document(event.doc()))
    return Row(partition=partition, key=_make_event_key(event.at), values=values)


def _make_event_key(at: datetime) -> str:
    order = f"{next(_numbers):012d}"
    return f"{keys.OUTBOX}|{keys.write_stamp(at)}|{order}|{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class _Fill:
    """The number of rows of events, with the events and characters in the last one."""

    rows: int = 0
    events: int = 0
    characters: int = 0

    def add(self, text: str) -> _Fill:
        """Return the fill with one more event: in the last row, or in a new one."""
        characters = self.characters + len(text)
        if not self.rows or self.events == MOST_TOGETHER or characters > _CHARACTERS:
            return _Fill(self.rows + 1, 1, len(text))
        return _Fill(self.rows, self.events + 1, characters)


def pack_changes(
    changes: Iterable[tuple[Op, Sequence[Event]]], partition: str
) -> Iterator[tuple[list[Op], list[Row]]]:
    """
    Yield operations in order, with the outbox rows of their events: each group fits a transaction.

    An operation that is too large by itself, with its events, is a group of its own.
    """
    ops, told, fill, size = list[Op](), list[tuple[Event, str]](), _Fill(), 0
    for op, events in changes:
        texts = [json.dumps(event.doc()) for event in events]
        more = measure_op(op) + 2 * sum(map(len, texts))
        after = reduce(_Fill.add, texts, fill)
        if ops and (len(ops) + 1 + after.rows > OPERATIONS or size + more > BYTES):
            yield ops, _write_rows(partition, told)
            ops, told, size = [], [], 0
            after = reduce(_Fill.add, texts, _Fill())
        ops.append(op)
        told += zip(events, texts, strict=True)
        fill, size = after, size + more
    if ops:
        yield ops, _write_rows(partition, told)


def _write_rows(partition: str, told: Iterable[tuple[Event, str]]) -> list[Row]:
    """Return the outbox rows of events, each given with its JSON, in their order."""
    groups: list[list[tuple[Event, str]]] = []
    fill = _Fill()
    for event, text in told:
        fill = fill.add(text)
        if fill.rows > len(groups):
            groups.append([])
        groups[-1].append((event, text))
    return [_write_row(partition, group) for group in groups]


def _write_row(partition: str, told: Sequence[tuple[Event, str]]) -> Row:
    texts = [text for _, text in told]
    kind, text = (ONE_KIND, texts[0]) if len(told) == 1 else (OUTBOX_KIND, f"[{', '.join(texts)}]")
    key = _make_event_key(told[0][0].at)
    return Row(partition=partition, key=key, values=kind.add_format(write_text(text)))


def read_events(row: Row) -> tuple[Mapping[str, Any], ...]:
    """
    Return the events of a row, as JSON, in their order.

    Raises:
        Defect: This version cannot read the row.
    """
    return OUTBOX_KIND.read(row, _parse_events)


def _parse_events(row: Row) -> tuple[Mapping[str, Any], ...]:
    document = read_document(row)
    return tuple(document) if isinstance(document, list) else (document,)
