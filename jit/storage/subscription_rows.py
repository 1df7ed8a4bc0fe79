"""
The row of each subscription that the broker looks after, or that ever had a grant; the last tick.

All rows stand in one partition, so that one query lists them. The row of a subscription is written
before its first grant. It stays until the subscription is no longer named and its last grant is
closed: the timers find there the subscriptions that `JIT_SUBSCRIPTIONS` does not name any more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from jit.domain.errors import StateConflict, Unknown
from jit.storage.documents import INSTANT, Column, ColumnMap, RowKind, blank
from jit.storage.table import Op, Row, Table, Verb, Where, read_all

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # an older version did not write the instant

PARTITION = "Subscriptions"
TICK_KEY = "tick"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """
    The row of a subscription.

    Attributes:
        version: The row in the table; without an ETag if it is not there yet.
        subscription: The id, in lower case.
        since: The instant at which the row was first written.
        compared_at: The instant of the last complete comparison; None if there was none.
    """

    version: Row = field(repr=False, compare=False)
    subscription: str
    since: datetime
    compared_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TickRow:
    """
    The row of the timer ``tick``.

    Attributes:
        version: The row in the table.
        first_at: The instant of the first tick.
        last_at: The instant of the last tick.
    """

    version: Row = field(repr=False, compare=False)
    first_at: datetime
    last_at: datetime


SUBSCRIPTION_KIND = RowKind("subscriptions")
SUBSCRIPTION = ColumnMap(
    SubscriptionRow,
    Column("Subscription", "subscription"),
    Column("Since", "since", INSTANT, default=_LONG_AGO),
    Column("ComparedAt", "compared_at", blank(INSTANT), default=None),
)

TICK_KIND = RowKind("ticks")
TICK = ColumnMap(
    TickRow,
    Column("FirstAt", "first_at", INSTANT),
    Column("LastAt", "last_at", INSTANT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerState:
    """
    The rows of the partition.

    Attributes:
        tick: None before the first tick.
        subscriptions: In the order of their ids.
    """

    tick: TickRow | None
    subscriptions: tuple[SubscriptionRow, ...]


class SubscriptionRows:
    """Reads and writes the rows of the partition in ``JitState``."""

    def __init__(self, state: Table) -> None:
        """Keep the rows in *state*."""
        self._state = state
        self._ensured: set[str] = set()

    def read(self) -> TimerState:
        """Return all rows: one query. A row that cannot be read raises an alert."""
        rows = tuple(read_all(self._state, Where(partition=PARTITION)))
        ticks = TICK_KIND.read_all((row for row in rows if row.key == TICK_KEY), parse_tick)
        others = (row for row in rows if row.key != TICK_KEY)
        return TimerState(
            tick=next(ticks, None),
            subscriptions=tuple(SUBSCRIPTION_KIND.read_all(others, parse_subscription)),
        )

    def get(self, subscription: str) -> SubscriptionRow | None:
        """
        Return the row of a subscription; None if there is none.

        Raises:
            Defect: This version cannot read the row.
        """
        row = self._state.get(PARTITION, _key(subscription))
        return SUBSCRIPTION_KIND.read(row, parse_subscription) if row is not None else None

    def ensure(self, subscription: str, now: datetime) -> None:
        """
        Write the row of a subscription if there is none.

        One object asks storage once for each subscription: nobody removes the row of a subscription
        that is named.
        """
        if subscription in self._ensured:
            return
        if self.get(subscription) is None:
            self._insert(subscription, now)
        self._ensured.add(subscription)

    def _insert(self, subscription: str, now: datetime) -> None:
        try:
            self._put(_new_row(subscription, now))
        except Unknown:  # the answer was lost: a read tells whether the row is there
            if self.get(subscription) is None:
                raise

    def note_comparison(
        self, subscription: str, before: SubscriptionRow | None, now: datetime
    ) -> None:
        """
        Write that a comparison of a subscription is complete.

        Args:
            subscription: Lower-case id.
            before: The row as it was when the comparison began. If somebody changed it since, it
                is another comparison's, and stays.
            now: Aware, UTC.
        """
        row = before if before is not None else _new_row(subscription, now)
        self._put(replace(row, compared_at=now))

    def note_tick(self, before: TickRow | None, now: datetime) -> None:
        """
        Write that a tick is complete.

        Args:
            before: The row as it was when the tick began; None if there was none.
            now: Aware, UTC.
        """
        first = before.first_at if before is not None else now
        version = before.version if before is not None else _empty_row(TICK_KEY)
        tick = TickRow(version=version, first_at=first, last_at=now)
        self._write(version, TICK_KIND.with_format(TICK.write(tick)))

    def remove(self, item: SubscriptionRow) -> None:
        """Remove a row, unless somebody has changed it since it was read."""
        self._try(Op(Verb.DELETE, item.version))

    def _put(self, item: SubscriptionRow) -> None:
        self._write(item.version, SUBSCRIPTION_KIND.with_format(SUBSCRIPTION.write(item)))

    def _write(self, version: Row, values: dict[str, Any]) -> None:
        verb = Verb.REPLACE if version.etag else Verb.INSERT
        self._try(Op(verb, replace(version, values=values)))

    def _try(self, op: Op) -> None:
        with suppress(StateConflict):  # another instance was a moment earlier
            self._state.write([op])


def parse_tick(row: Row) -> TickRow:
    """Return the tick of a row of a known format."""
    return TICK.read(row.values, version=row)


def parse_subscription(row: Row) -> SubscriptionRow:
    """Return the subscription of a row of a known format."""
    return SUBSCRIPTION.read(row.values, version=row)


def _key(subscription: str) -> str:
    return f"s|{subscription}"


def _new_row(subscription: str, now: datetime) -> SubscriptionRow:
    version = _empty_row(_key(subscription))
    return SubscriptionRow(version=version, subscription=subscription, since=now)


def _empty_row(key: str) -> Row:
    return Row(partition=PARTITION, key=key, values={})
