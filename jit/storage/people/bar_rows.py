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
from jit.domain.model.bar import Bar, Bars, UnreadableBar, WantedBar
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
from jit.storage.table import OPERATIONS, Op, Row, Table, Verb, Where, read_all
from jit.storage.trail.event_rows import write_event_row

MOST_FORGOTTEN = OPERATIONS - 2
"""Bars that one change deletes, beside its own row and its audit row."""

BAR_KIND, PLAIN_KIND = RowKind("bars", newest=2), RowKind("bars")
"""
The kinds of a bar with the end of an earlier order, and of one without.

A version that knows format 1 alone would revoke too much by the first, and bars the person.
"""
BAR = ColumnMap(
    Bar,
    Column("Person", "person_id"),
    Column("At", "at", INSTANT),
    Column("Revoking", "revoking"),
    Column("Revoked", "revoked"),
    Column("RevokeUntil", "revoke_until", blank(INSTANT), default=None, is_sparse=True),
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


@dataclass(frozen=True, slots=True)
class StoredUnreadable:
    """A bar that this version cannot read, and the row that holds it."""

    bar: UnreadableBar
    row: Row


class BarRows:
    """Reads and writes bars in ``JitState``."""

    def __init__(self, state: Table) -> None:
        """Keep the rows in *state*."""
        self._state = state

    def read(self) -> Bars:
        """Return all bars: one query. A row that this version cannot read is an alert."""
        bars = [found.bar for found in self.list_found()]
        return Bars(
            tuple(bar for bar in bars if isinstance(bar, Bar)),
            tuple(bar for bar in bars if isinstance(bar, UnreadableBar)),
        )

    def list_found(self) -> list[StoredBar | StoredUnreadable]:
        """Return all bars, each with its row: one query."""
        return [_read_found(row) for row in self._list_rows()]

    def list_stored(self) -> list[StoredBar]:
        """Return all bars that this version can read, each with its row: one query."""
        return [found for found in self.list_found() if isinstance(found, StoredBar)]

    def find(self, person_id: str) -> StoredBar | StoredUnreadable | None:
        """Return the bar of a person, None without one; an unreadable one is an alert."""
        row = self._state.get(keys.PEOPLE, keys.bar_key(person_id))
        return _read_found(row) if row is not None else None

    def write(
        self,
        before: StoredBar | StoredUnreadable | None,
        bar: Bar,
        event: Event | None,
        forgotten: Sequence[StoredBar] = (),
    ) -> StoredBar:
        """
        Write *bar* with the *event* of its change, and delete bars that are over.

        Args:
            before: The bar of that person as it was found; None if there was none.
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

    def remove(self, stored: StoredBar | StoredUnreadable, event: Event) -> None:
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


def read_known_columns(row: Row) -> UnreadableBar:
    """Return the bar of a row that this version cannot read: the key, and columns that it knows."""
    try:
        at = INSTANT.read(row.values["At"])
    except (LookupError, TypeError, ValueError):
        at = None
    person_id = row.key.removeprefix(keys.bar_key(""))
    is_revoking = row.values.get("Revoking") is not False
    return UnreadableBar(person_id=person_id, at=at, revoking=is_revoking)


def write_bar(place: Row, bar: Bar) -> Row:
    """Return the row of a bar, over the version *place*."""
    kind = PLAIN_KIND if bar.revoke_until is None else BAR_KIND
    return replace(place, values=kind.add_format(BAR.write(bar)))


def _read_found(row: Row) -> StoredBar | StoredUnreadable:
    """Return the bar of a row; if this version cannot read it, raise an alert."""
    try:
        return StoredBar(BAR_KIND.read(row, read_bar), row)
    except Defect as error:
        alert_unreadable(row, error)
        return StoredUnreadable(read_known_columns(row), row)


def _make_place(person_id: str) -> Row:
    return Row(partition=keys.PEOPLE, key=keys.bar_key(person_id), values={})


def _insert(event: Event) -> Op:
    return Op(Verb.INSERT, write_event_row(keys.PEOPLE, event))
