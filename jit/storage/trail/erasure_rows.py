"""
Rows of erasure orders: one for each person and chain, until all of its texts are erased.

An order stands in ``JitState``, in the partition of its chain. It is written in the transaction
that writes its record to the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jit.domain.audit.erasure import ErasureOrder
from jit.domain.audit.event import Event
from jit.storage import keys
from jit.storage.documents import INSTANT, Column, ColumnMap, RowKind
from jit.storage.table import Op, Row, Table, Verb, Where, read_all
from jit.storage.trail.event_rows import write_event_row

ORDER_KIND = RowKind("erasure orders")
ORDER = ColumnMap(
    ErasureOrder,
    Column("Person", "person_id"),
    Column("At", "at", INSTANT),
    Column("Reached", "reached", default=0),
    Column("Months", "months", default=0),
)

_FEW = 20  # orders that one call works on


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order and the version of its row."""

    order: ErasureOrder
    version: Row


@dataclass(frozen=True, slots=True)
class ErasureRows:
    """The orders of ``JitState``."""

    state: Table

    def add(self, chain: str, order: ErasureOrder, event: Event) -> None:
        """
        Write an order and its record; it replaces an earlier order about the same person.

        Raises:
            StateConflict: Another order about the person was written at the same moment.
            Unavailable, Unknown: Storage did not answer.
        """
        before = self.state.get(chain, keys.erasure_key(order.person_id))
        row = write_order(chain, order)
        op = Op(Verb.INSERT, row)
        if before is not None:
            op = Op(Verb.REPLACE, replace(row, etag=before.etag))
        self.state.write([op, Op(Verb.INSERT, write_event_row(chain, event))])

    def list_few(self, chain: str) -> list[StoredOrder]:
        """Return the first orders of a chain; one that cannot be read is left, with an alert."""
        first, last = keys.key_range(keys.ERASURES)
        rows = read_all(self.state, Where(partition=chain, first=first, last=last), _FEW)
        found = ORDER_KIND.read_all(rows, lambda row: StoredOrder(parse_order(row), row))
        return [stored for stored, _ in zip(found, range(_FEW), strict=False)]

    def has_orders(self, chain: str) -> bool:
        """Return True if an order of a chain is not done, also one that cannot be read."""
        first, last = keys.key_range(keys.ERASURES)
        where = Where(partition=chain, first=first, last=last)
        return next(iter(read_all(self.state, where, 1)), None) is not None

    def note(self, stored: StoredOrder, *, reached: int = 0, months: int = 0) -> StoredOrder:
        """Write the progress of an order, over the version that was read."""
        order = stored.order
        reached, months = max(order.reached, reached), max(order.months, months)
        order = replace(order, reached=reached, months=months)
        row = replace(write_order(stored.version.partition, order), etag=stored.version.etag)
        (etag,) = self.state.write([Op(Verb.REPLACE, row)])
        return StoredOrder(order, replace(row, etag=etag))

    def delete(self, stored: StoredOrder) -> None:
        """Delete an order that is done; a newer one about the same person stays."""
        self.state.write([Op(Verb.DELETE, stored.version)])


def write_order(chain: str, order: ErasureOrder) -> Row:
    """Return the row of an order."""
    values = ORDER_KIND.add_format(ORDER.write(order))
    return Row(partition=chain, key=keys.erasure_key(order.person_id), values=values)


def parse_order(row: Row) -> ErasureOrder:
    """Return the order of a row; raise whatever its columns give rise to."""
    return ORDER.read(row.values)
