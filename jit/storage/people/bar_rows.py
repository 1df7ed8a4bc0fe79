"""
Rows of bars: people who may get no access.

A bar concerns a person in every subscription. So all bars stand in one partition, one row each,
and one query reads them. Their audit rows stand in the same partition, in the transaction of the
change, and have a chain of their own there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from jit.domain.audit.event import Event
from jit.domain.errors import Defect
from jit.domain.model.bar import Bar, Bars, WantedBar
from jit.domain.model.people import Person
from jit.storage import keys
from jit.storage.documents import (
    INSTANT,
    Column,
    ColumnMap,
    RowKind,
    alert_unreadable,
    blank,
    group_columns,
)
from jit.storage.outbox import write_event_row
from jit.storage.table import OPERATIONS, Op, Row, Table, Verb, Where, read_all

MOST_FORGOTTEN = OPERATIONS - 2
"""Bars that one change deletes, beside its own row and its audit row."""

BAR_KIND = RowKind("bars")
BAR = ColumnMap(
    Bar,
    Column("Person", "person_id"),
    Column("At", "at", INSTANT),
    Column("Revoking", "revoking"),
    Column("Revoked", "revoked"),
    *group_columns(
        "wanted",
        Column("Reason", "reason"),
        Column("Until", "until", blank(INSTANT)),
        Column("Revoke", "revoke"),
    ),
    *group_columns("by", Column("By", "id"), Column("ByName", "name")),
    wanted=WantedBar,
    by=Person,
)


@dataclass(frozen=True, slots=True)
class StoredBar:
    """A bar, and the row that holds it; without an ETag if it is not stored yet."""

    bar: Bar
    row: Row


class BarRows:
    """Reads and writes bars in ``JitState``."""

    def __init__(self, state: Table) -> None:
        """Keep the rows in *state*."""
        self._state = state

    def read(self) -> Bars:
        """Return all bars: one query. A row that this version cannot read is an alert."""
        unreadable: set[str] = set()

        def note(row: Row, error: Defect) -> None:
            alert_unreadable(row, error)
            unreadable.add(row.key.removeprefix(keys.bar_key("")))

        known = tuple(BAR_KIND.read_all(self._list_rows(), read_bar, note))
        return Bars(known, frozenset(unreadable))

    def list_stored(self) -> list[StoredBar]:
        """Return all bars that this version can read, each with its row: one query."""
        rows = self._list_rows()
        return list(BAR_KIND.read_all(rows, lambda row: StoredBar(read_bar(row), row)))

    def find(self, person_id: str) -> StoredBar | None:
        """
        Return the bar of a person; None if there is none.

        Raises:
            Defect: This version cannot read it.
        """
        row = self._state.get(keys.PEOPLE, keys.bar_key(person_id))
        return StoredBar(BAR_KIND.read(row, read_bar), row) if row is not None else None

    def write(
        self,
        before: StoredBar | None,
        bar: Bar,
        event: Event | None,
        forgotten: Sequence[StoredBar] = (),
    ) -> StoredBar:
        """
        Write *bar* with the *event* of its change, and delete bars that are over.

        Args:
            before: The bar of that person as it was read; None if there was none.
            bar: As it shall be.
            event: Its audit record; None if only the number of revoked requests changed.
            forgotten: Bars of other people, at most `MOST_FORGOTTEN`.

        Returns:
            The bar with its row as written.

        Raises:
            StateConflict: Somebody changed one of these rows. Nothing was written.
        """
        row = write_bar(before.row if before is not None else _make_place(bar.person_id), bar)
        change = Op(Verb.REPLACE if row.etag else Verb.INSERT, row)
        deleted = (Op(Verb.DELETE, each.row) for each in forgotten)
        events = [_insert(event)] if event is not None else []
        etag, *_ = self._state.write([change, *events, *deleted])
        return StoredBar(bar, replace(row, etag=etag))

    def remove(self, stored: StoredBar, event: Event) -> None:
        """
        Delete a bar with the *event* of that.

        Raises:
            StateConflict: Somebody changed the row, or deleted it. Nothing was written.
        """
        self._state.write([Op(Verb.DELETE, stored.row), _insert(event)])

    def _list_rows(self) -> Iterable[Row]:
        first, last = keys.key_range(keys.BARS)
        return read_all(self._state, Where(partition=keys.PEOPLE, first=first, last=last))


def read_bar(row: Row) -> Bar:
    """Return the bar of a row of a known format."""
    return BAR.read(row.values)


def write_bar(place: Row, bar: Bar) -> Row:
    """Return the row of a bar, over the version *place*."""
    return replace(place, values=BAR_KIND.add_format(BAR.write(bar)))


def _make_place(person_id: str) -> Row:
    return Row(partition=keys.PEOPLE, key=keys.bar_key(person_id), values={})


def _insert(event: Event) -> Op:
    return Op(Verb.INSERT, write_event_row(keys.PEOPLE, event))
