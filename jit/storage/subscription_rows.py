"""
The row of each subscription that the broker looks after, or that ever had a grant; the last tick.

All rows stand in one partition, so that one query lists them. The row of a subscription is written
before its first grant. It stays until the subscription is no longer named and its last grant is
closed: the timers find there the subscriptions that `JIT_SUBSCRIPTIONS` does not name any more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from jit.domain.errors import StateConflict
from jit.storage import records
from jit.storage.table import Op, Row, Table, Verb, Where, every

PARTITION = "Subscriptions"
TICK = "tick"


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A row as it was read, and its columns."""

    row: Row

    @property
    def subscription(self) -> str:
        """The id, in lower case."""
        return str(self.row.values["Subscription"])

    @property
    def since(self) -> datetime:
        """The instant at which the row was first written."""
        return records.instant(str(self.row.values["Since"]))

    @property
    def compared_at(self) -> datetime | None:
        """The instant of the last complete comparison; None if there was none."""
        text = str(self.row.values.get("ComparedAt") or "")
        return records.instant(text) if text else None


@dataclass(frozen=True, slots=True)
class TickRow:
    """The row of the timer ``tick`` as it was read, and its columns."""

    row: Row

    @property
    def first_at(self) -> datetime:
        """The instant of the first tick."""
        return records.instant(str(self.row.values["FirstAt"]))

    @property
    def last_at(self) -> datetime:
        """The instant of the last tick."""
        return records.instant(str(self.row.values["LastAt"]))


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
        """Return all rows: one query."""
        rows = tuple(every(self._state, Where(partition=PARTITION)))
        ticks = [TickRow(row) for row in rows if row.key == TICK]
        return TimerState(
            tick=ticks[0] if ticks else None,
            subscriptions=tuple(SubscriptionRow(row) for row in rows if row.key != TICK),
        )

    def get(self, subscription: str) -> SubscriptionRow | None:
        """Return the row of a subscription; None if there is none."""
        row = self._state.get(PARTITION, _key(subscription))
        return SubscriptionRow(row) if row is not None else None

    def ensure(self, subscription: str, now: datetime) -> None:
        """
        Write the row of a subscription if there is none.

        One object asks storage once for each subscription: nobody removes the row of a subscription
        that is named.
        """
        if subscription in self._ensured:
            return
        if self.get(subscription) is None:
            self._write(Op(Verb.INSERT, _new_row(subscription, now)))
        self._ensured.add(subscription)

    def note_comparison(
        self, subscription: str, before: SubscriptionRow | None, now: datetime
    ) -> None:
        """
        Write that a comparison of a subscription is complete.

        Args:
            subscription: Lower-case id.
            before: The row as it was when the comparison began. If somebody changed it since, it
                says what another comparison found, and stays.
            now: Aware, UTC.
        """
        row = before.row if before is not None else _new_row(subscription, now)
        changed = replace(row, values={**row.values, "ComparedAt": records.stamp(now)})
        self._write(Op(Verb.REPLACE if row.etag else Verb.INSERT, changed))

    def note_tick(self, before: TickRow | None, now: datetime) -> None:
        """
        Write that a tick is complete.

        Args:
            before: The row as it was when the tick began; None if there was none.
            now: Aware, UTC.
        """
        first = before.row.values["FirstAt"] if before is not None else records.stamp(now)
        etag = before.row.etag if before is not None else ""
        values = {"FirstAt": first, "LastAt": records.stamp(now)}
        row = Row(partition=PARTITION, key=TICK, values=values, etag=etag)
        self._write(Op(Verb.REPLACE if etag else Verb.INSERT, row))

    def remove(self, item: SubscriptionRow) -> None:
        """Remove a row, unless somebody has changed it since it was read."""
        self._write(Op(Verb.DELETE, item.row))

    def _write(self, op: Op) -> None:
        try:
            self._state.write([op])
        except StateConflict:
            return  # another instance was a moment earlier


def _key(subscription: str) -> str:
    return f"s|{subscription}"


def _new_row(subscription: str, now: datetime) -> Row:
    values = {"Subscription": subscription, "Since": records.stamp(now)}
    return Row(partition=PARTITION, key=_key(subscription), values=values)
