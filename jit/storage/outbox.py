"""The audit outbox: events that are not in the chain yet."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from jit.domain.audit.event import Event
from jit.storage import keys
from jit.storage.documents import RowKind, read_document, write_document
from jit.storage.table import Op, Row, Table, Verb, Where, delete_rows, read_all

OUTBOX_KIND = RowKind("audit events")

_numbers = itertools.count()  # one for each event of this process


class Outbox:
    """Events of ``JitState``, in the partition of their subscription."""

    def __init__(self, state: Table) -> None:
        """Keep events in *state*."""
        self._state = state

    def add(self, partition: str, events: Iterable[Event]) -> None:
        """Write 1 to 100 events that belong to no other change: all of them or none."""
        self._state.write([Op(Verb.INSERT, write_event_row(partition, event)) for event in events])

    def list_oldest(self, partition: str, *, limit: int) -> tuple[Row, ...]:
        """Return the oldest rows of a subscription that this version can read."""
        first, last = keys.key_range(keys.OUTBOX)
        rows = read_all(self._state, Where(partition=partition, first=first, last=last), limit)
        return tuple(islice(OUTBOX_KIND.read_all(rows, _check_document), limit))

    def is_empty(self, partition: str) -> bool:
        """Return True if no event waits, not even one that this version cannot read."""
        first, last = keys.key_range(keys.OUTBOX)
        rows = read_all(self._state, Where(partition=partition, first=first, last=last), 1)
        return next(iter(rows), None) is None

    def delete(self, rows: Sequence[Row]) -> None:
        """Delete rows of one partition; rows that are gone already are fine."""
        delete_rows(self._state, rows)


def _check_document(row: Row) -> Row:
    """Return *row*, if its document can be read."""
    read_document(row)
    return row


def write_event_row(partition: str, event: Event) -> Row:
    """
    Return the outbox row of an event.

    Its key sorts by time, then by the order in which this process wrote events, and never repeats.
    So a cause comes before its effect, although both may have the same instant.
    """
    order = f"{next(_numbers):012d}"
    return Row(
        partition=partition,
        key=f"{keys.OUTBOX}|{keys.write_stamp(event.at)}|{order}|{secrets.token_hex(8)}",
        values=OUTBOX_KIND.add_format(write_document(event.doc())),
    )


def read_event(row: Row) -> Mapping[str, Any]:
    """
    Return the event of a row, as JSON.

    Raises:
        Defect: This version cannot read the row.
    """
    event: Mapping[str, Any] = OUTBOX_KIND.read(row, read_document)
    return event
