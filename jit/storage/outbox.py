"""
The audit outbox: events that are not in the chain yet, and refusals that are counted.

A refusal is an event of the outbox and a row ``d|<begin of ten minutes>|<digest>`` that counts its
repetitions. Both are inserted in one transaction. Each repetition is a write under the ETag of that
row. Refusals sort behind all other events, so that a flood of them keeps no other record waiting.
Once no call can repeat the refusal any more, one transaction deletes the row and inserts one
event with the number.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

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
)
from jit.storage.table import (
    Op,
    Row,
    Table,
    Verb,
    Where,
    delete_rows,
    pack_bundles,
    pack_ops,
    read_all,
)
from jit.storage.trail.event_rows import OUTBOX_KIND, check_events, write_event_row

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
_DIGITS = 32  # of the digest in a key: 128 bits


class Outbox:
    """Events of ``JitState``, in the partition of their subscription."""

    def __init__(self, state: Table) -> None:
        """Keep events in *state*."""
        self._state = state

    def add(self, partition: str, events: Iterable[Event]) -> None:
        """
        Write events that belong to no other change.

        If one transaction cannot hold them, they are written in several.
        """
        rows = [write_event_row(partition, event) for event in events]
        for ops in pack_ops(Op(Verb.INSERT, row) for row in rows):
            self._state.write(ops)

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
        return tuple(islice(OUTBOX_KIND.read_all(rows, check_events), limit))

    def is_empty(self, partition: str) -> bool:
        """Return True if no event waits and none is counted, not even one that is unreadable."""
        return not any(self._has_rows(partition, kind) for kind in (keys.OUTBOX, keys.REPEATED))

    def has_changes_until(self, partition: str, moment: datetime) -> bool:
        """Return True if an event of a change waits that happened at *moment* or before."""
        return self._has_until(partition, f"{keys.OUTBOX}|", moment)

    def has_refusals_until(self, partition: str, moment: datetime) -> bool:
        """Return True if a refusal waits, or is counted, that began at *moment* or before."""
        kinds = (f"{keys.OUTBOX}|{_BEHIND}", f"{keys.REPEATED}|")
        return any(self._has_until(partition, kind, moment) for kind in kinds)

    def _has_until(self, partition: str, first: str, moment: datetime) -> bool:
        last = keys.keys_after(f"{first}{keys.write_stamp(moment)}")
        rows = read_all(self._state, Where(partition=partition, first=first, last=last), 1)
        return next(iter(rows), None) is not None

    def _has_rows(self, partition: str, kind: str) -> bool:
        first, last = keys.key_range(kind)
        rows = read_all(self._state, Where(partition=partition, first=first, last=last), 1)
        return next(iter(rows), None) is not None

    def delete(self, rows: Sequence[Row]) -> None:
        """Delete rows of one partition; rows that are gone already are fine."""
        delete_rows(self._state, rows)


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
