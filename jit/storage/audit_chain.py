"""
The drainer: moves audit events from the outbox to the chain in ``JitAudit``.

Each change of state writes its audit row in the same transaction, into the outbox of its own
partition. The drainer appends these rows to the subscription's chain. One transaction holds the
records, the head under its ETag, and an insert-only key for each outbox row. If two drainers append
at once, one of them wins the head. If a drainer dies between appending and emptying the outbox, the
next one finds the keys and appends nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from itertools import islice

from jit import telemetry
from jit.domain.audit import chain
from jit.domain.audit.chain import Head, Record
from jit.domain.audit.texts import split_texts
from jit.domain.errors import StateConflict, Unknown
from jit.storage.documents import RowKind
from jit.storage.keys import key_range, write_stamp
from jit.storage.outbox import Outbox
from jit.storage.table import (
    BYTES,
    OPERATIONS,
    Op,
    Row,
    Table,
    Verb,
    Where,
    measure_op,
    read_all,
)
from jit.storage.trail.event_rows import read_events
from jit.storage.trail.record_rows import (
    HEAD_KEY,
    RECORDS,
    read_head,
    read_record,
    write_head_row,
    write_record_row,
)

BATCH = 49
"""
Rows that are read at once. If each holds one event, one transaction appends them, unless they are
large: each takes a record and a key, and the head is one more operation of the hundred.
"""

BATCHES = 20
"""Transactions in one call: about a thousand records. The next call goes on."""

KEY_KIND = RowKind("keys of the audit outbox")

_ATTEMPTS = 3


class Drainer:
    """Appends to the chains of ``JitAudit``, one for each subscription."""

    def __init__(self, outbox: Outbox, table: Table) -> None:
        """Take rows from *outbox*, append to *table*."""
        self._outbox = outbox
        self._table = table

    def drain(self, subscription: str, *, now: datetime) -> int:
        """
        Append the rows in the outbox of a subscription to its chain, and empty the outbox.

        Args:
            subscription: Lower-case id; names outbox and chain.
            now: Aware, UTC; written into the records.

        Returns:
            The number of events that left the outbox. Each of at most ``BATCHES`` transactions
            holds ``BATCH`` rows of one event, or about twice as many events that share rows.

        Raises:
            Unavailable: Storage did not answer, or another drainer kept winning.
        """
        done, left = 0, BATCHES
        while left > 0 and (rows := self._outbox.list_oldest(subscription, limit=BATCH)):
            for pack in islice(_pack_rows(rows), left):
                self._append(subscription, pack, now)
                self._outbox.delete(pack)
                done += sum(len(read_events(row)) for row in pack)
                left -= 1
        if done:
            telemetry.event("audit.appended", subscription=subscription, records=done)
        return done

    def sweep(self, subscription: str, *, now: datetime) -> int:
        """End the counting of refusals, as `Outbox.sweep` does; return the number of rows."""
        return self._outbox.sweep(subscription, now=now)

    def has_more(self, subscription: str) -> bool:
        """Return True if an event waits that this version can read."""
        return bool(self._outbox.list_oldest(subscription, limit=1))

    def is_complete(self, subscription: str) -> bool:
        """Return True if no event waits for its place in the chain, and none is counted."""
        return self._outbox.is_empty(subscription)

    def find_head(self, subscription: str) -> Head:
        """Return the end of a subscription's chain."""
        return read_head(subscription, self._table.get(subscription, HEAD_KEY))

    def list_records(self, subscription: str) -> Iterator[Record]:
        """
        Yield a whole chain in order.

        Raises:
            Defect: This version cannot read a record.
        """
        first, last = key_range(RECORDS)
        where = Where(partition=subscription, first=first, last=last)
        yield from map(read_record, read_all(self._table, where))

    def _append(self, subscription: str, rows: Sequence[Row], now: datetime) -> None:
        """Append the rows that the chain does not hold yet."""
        missing = rows
        for _ in range(_ATTEMPTS):
            try:
                self._write(subscription, missing, now)
            except (StateConflict, Unknown) as error:
                conflict = error
                missing = [row for row in rows if not self._has(row)]
                if not missing:
                    return  # appended before, by another drainer or before a crash
            else:
                return
        raise conflict

    def _write(self, subscription: str, rows: Sequence[Row], now: datetime) -> None:
        before = self._table.get(subscription, HEAD_KEY)
        head = read_head(subscription, before)
        ops: list[Op] = []
        for row in rows:
            for event in read_events(row):
                sealed, texts = split_texts(event)
                record = chain.append(head, sealed, recorded_at=write_stamp(now))
                head = chain.head_of(record)
                ops.append(Op(Verb.INSERT, write_record_row(replace(record, texts=texts))))
            ops.append(Op(Verb.INSERT, _key_row(row, head)))
        self._table.write([_head_op(head, before), *ops])

    def _has(self, row: Row) -> bool:
        return self._table.get(row.partition, _key(row)) is not None


def _pack_rows(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """
    Yield *rows*, in order, in groups that one transaction can append.

    It holds the head, a record for each event, and the key of each row.
    """
    pack, count, size = list[Row](), 1, 0
    for row in rows:
        more, characters = 1 + len(read_events(row)), measure_op(Op(Verb.INSERT, row))
        if pack and (count + more > OPERATIONS or size + characters > BYTES):
            yield pack
            pack, count, size = [], 1, 0
        pack.append(row)
        count, size = count + more, size + characters
    if pack:
        yield pack


def _key(row: Row) -> str:
    return f"k|{sha256(row.key.encode()).hexdigest()}"


def _key_row(row: Row, head: Head) -> Row:
    """Return the row that says: the records of this outbox row end at the *head* of the chain."""
    return Row(
        partition=row.partition,
        key=_key(row),
        values=KEY_KIND.add_format({"Sequence": head.sequence}),
    )


def _head_op(head: Head, before: Row | None) -> Op:
    row = write_head_row(head)
    if before is None:
        return Op(Verb.INSERT, row)
    return Op(Verb.REPLACE, replace(row, etag=before.etag))
