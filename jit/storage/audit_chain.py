"""
The drainer: moves audit rows from the outbox to the chain in ``JitAudit``.

Each change of state writes its audit row in the same transaction, into the outbox of its own
partition. The drainer appends those rows to the subscription's chain: records, the head under its
ETag and an insert-only key for each outbox row, in one transaction. Two drainers at once: one
wins the head. One that dies between appending and emptying the outbox finds the keys and appends
nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from jit import telemetry
from jit.domain.audit import chain
from jit.domain.audit.chain import Head, Record
from jit.domain.errors import StateConflict, Unknown
from jit.storage.documents import read_document, write_text
from jit.storage.keys import write_stamp
from jit.storage.store import Store
from jit.storage.table import Op, Row, Table, Verb, Where
from jit.storage.transactions import packed

BATCH = 49
"""
Records a transaction, fewer where they are large: each takes a key beside it, the head is the
hundredth operation.
"""

BATCHES = 20
"""Transactions a call: about a thousand records; the next call goes on."""

_ATTEMPTS = 3
_HEAD = "h"


class Drainer:
    """Appends to the chains of ``JitAudit``, one a subscription."""

    def __init__(self, store: Store, table: Table) -> None:
        """Take rows from the outbox in *store*, append to *table*."""
        self._store = store
        self._table = table

    def drain(self, subscription: str, *, now: datetime) -> int:
        """
        Append what stands in the outbox of a subscription, and empty it.

        Args:
            subscription: Lower-case id; names outbox and chain.
            now: Aware, UTC; written into the records.

        Returns:
            How many rows left the outbox, at most ``BATCH * BATCHES``.

        Raises:
            Unavailable: Storage did not answer, or another drainer kept winning.
        """
        done = 0
        for _ in range(BATCHES):
            rows = _fitting(self._store.outbox(subscription, limit=BATCH))
            if not rows:
                break
            self._append(subscription, rows, now)
            self._store.drop(rows)
            done += len(rows)
        if done:
            telemetry.event("audit.appended", subscription=subscription, records=done)
        return done

    def head(self, subscription: str) -> Head:
        """Return where the chain of a subscription ends."""
        return _head(subscription, self._table.get(subscription, _HEAD))

    def records(self, subscription: str) -> Iterator[Record]:
        """Yield a whole chain in order."""
        token: str | None = None
        while True:
            where = Where(partition=subscription, first="c|", last="c}")
            page = self._table.query(where, token=token)
            yield from map(record_of, page.rows)
            token = page.token
            if token is None:
                return

    def _append(self, subscription: str, rows: Sequence[Row], now: datetime) -> None:
        """Append those of *rows* that the chain does not hold yet."""
        missing = rows
        for _ in range(_ATTEMPTS):
            try:
                self._write(subscription, missing, now)
            except (StateConflict, Unknown) as error:
                conflict = error
                missing = [row for row in rows if not self._holds(row)]
                if not missing:
                    return  # appended before, by another drainer or before a crash
            else:
                return
        raise conflict

    def _write(self, subscription: str, rows: Sequence[Row], now: datetime) -> None:
        before = self._table.get(subscription, _HEAD)
        head = _head(subscription, before)
        ops: list[Op] = []
        for row in rows:
            event = read_document(row)
            record = chain.append(head, event, recorded_at=write_stamp(now))
            head = chain.head_of(record)
            ops += [Op(Verb.INSERT, record_row(record)), Op(Verb.INSERT, _key_row(row, record))]
        self._table.write([_head_op(head, before), *ops])

    def _holds(self, row: Row) -> bool:
        return self._table.get(row.partition, _key(row)) is not None


def _fitting(rows: Sequence[Row]) -> Sequence[Row]:
    """Return as many of *rows*, from the first, as one transaction can hold."""
    first = next(packed([Op(Verb.INSERT, row)] for row in rows), [])
    return [op.row for bundle in first for op in bundle]


def record_row(record: Record) -> Row:
    """Return the row of a record; what is asked for in lists stands in columns of its own."""
    return Row(
        partition=record.chain,
        key=f"c|{record.sequence:012d}",
        values={
            "Sequence": record.sequence,
            "Previous": record.previous,
            "Hash": record.hash,
            "RecordedAt": record.recorded_at,
            "What": str(record.event.get("what") or ""),
            "Actor": str(record.event.get("actor") or ""),
            "RequestId": str(record.event.get("requestId") or ""),
            **write_text(chain.canonical_json(record.event)),
        },
    )


def record_of(row: Row) -> Record:
    """Read what ``record_row`` wrote."""
    return Record(
        chain=row.partition,
        sequence=int(row.values["Sequence"]),
        previous=str(row.values["Previous"]),
        recorded_at=str(row.values["RecordedAt"]),
        event=read_document(row),
        hash=str(row.values["Hash"]),
    )


def _key(row: Row) -> str:
    return f"k|{sha256(row.key.encode()).hexdigest()}"


def _key_row(row: Row, record: Record) -> Row:
    """Return the row that says: this outbox row is in the chain, there."""
    return Row(partition=row.partition, key=_key(row), values={"Sequence": record.sequence})


def _head(subscription: str, row: Row | None) -> Head:
    if row is None:
        return Head(chain=subscription)
    return Head(
        chain=subscription, sequence=int(row.values["Sequence"]), hash=str(row.values["Hash"])
    )


def _head_op(head: Head, before: Row | None) -> Op:
    row = Row(
        partition=head.chain, key=_HEAD, values={"Sequence": head.sequence, "Hash": head.hash}
    )
    if before is None:
        return Op(Verb.INSERT, row)
    return Op(Verb.REPLACE, replace(row, etag=before.etag))
