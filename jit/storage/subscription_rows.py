"""
Rows of subscriptions and of the timer ``tick``: the places of work, and its progress.

All rows stand in one partition, so that one query lists them. The row of a subscription is written
before its first grant. It stays until the subscription is no longer named and its last grant is
closed: the timers find there the subscriptions that ``JIT_SUBSCRIPTIONS`` does not name any more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from jit.domain.errors import Defect, StateConflict, Unknown
from jit.domain.model.trouble import Trouble
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.documents import (
    INSTANT,
    Column,
    ColumnMap,
    Form,
    OnUnreadable,
    RowKind,
    alert_unreadable,
    blank,
)
from jit.storage.table import Op, Row, Table, Verb, Where, read_all

MOST_TROUBLES = 30
"""Troubles that fit one property of a row (64 KiB of UTF-16), with the longest names of Azure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """
    The row of a subscription as it was read.

    Attributes:
        subscription: The id, in lower case.
        since: When the row was written first; None in a row of the first version.
        compared_at: When the last complete comparison began; None before the first one.
        unseen: Names of the VMs with an open grant whose path that comparison did not see open, as
            `name_vm` returns them. None if it is not known: then no path counts as seen.
        dropped_at: When it was first found unnamed and without grants; None before.
        troubles: The troubles that the last comparison saw.
        version: The row in the table; without an ETag if it is not there yet.
        unreadable: True if this version can read the id in the row's key only.
    """

    subscription: str
    since: datetime | None = None
    compared_at: datetime | None = None
    unseen: frozenset[str] | None = None
    dropped_at: datetime | None = None
    troubles: tuple[Trouble, ...] = ()
    version: Row = field(repr=False, compare=False)
    unreadable: bool = False

    def has_seen(self, vm_id: str) -> bool:
        """Return True if the last comparison saw the paths of the open grants on a VM open."""
        return self.unseen is not None and name_vm(vm_id) not in self.unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class TickRow:
    """
    The row of the timer ``tick`` as it was read.

    Attributes:
        first_at: When the first tick ended.
        last_at: When the last tick ended.
        version: The row in the table; without an ETag if it is not there yet.
    """

    first_at: datetime
    last_at: datetime
    version: Row = field(repr=False, compare=False)


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


MOST_UNSEEN = 2_700
"""Names of VMs that fit one property of a row (64 KiB of UTF-16)."""

_NAME = 10  # characters of base32: 50 bits
_NONE = "-"
_UNSEEN = blank(
    Form(
        lambda stored: frozenset(stored.split()) - {_NONE},
        lambda names: " ".join(sorted(names)) or _NONE,
    )
)


def name_vm(vm_id: str) -> str:
    """Return the short name of a VM in `SubscriptionRow.unseen`."""
    return arm_ids.row_hash(vm_id)[:_NAME]


_TROUBLE = ColumnMap(
    Trouble,
    Column("code", "code"),
    Column("detail", "detail"),
    Column("resource", "resource"),
    Column("since", "since", INSTANT),
)
_TROUBLES = Form(
    lambda stored: tuple(_TROUBLE.read(each) for each in json.loads(stored or "[]")),
    lambda value: json.dumps(list(map(_TROUBLE.write, value)), ensure_ascii=False) if value else "",
)

SUBSCRIPTION_KIND = RowKind("subscriptions")
SUBSCRIPTION = ColumnMap(
    SubscriptionRow,
    Column("Subscription", "subscription"),
    Column("Since", "since", blank(INSTANT), default=None),
    Column("ComparedAt", "compared_at", blank(INSTANT), default=None),
    Column("Unseen", "unseen", _UNSEEN, default=None),
    Column("DroppedAt", "dropped_at", blank(INSTANT), default=None),
    Column("Troubles", "troubles", _TROUBLES, default=()),
)

TICK_KIND = RowKind("ticks")
TICK = ColumnMap(
    TickRow, Column("FirstAt", "first_at", INSTANT), Column("LastAt", "last_at", INSTANT)
)


class SubscriptionRows:
    """Reads and writes the rows of the partition in ``JitState``."""

    def __init__(self, state: Table) -> None:
        """Keep the rows in *state*."""
        self._state = state
        self._ensured: set[str] = set()

    def read(self, *, alert: OnUnreadable = alert_unreadable) -> TimerState:
        """Return all rows: one query. *alert* is called for each row that cannot be read."""
        rows = list(read_all(self._state, Where(partition=keys.SUBSCRIPTIONS)))
        ticks = TICK_KIND.read_all((row for row in rows if row.key == keys.TICK), read_tick, alert)
        others = (row for row in rows if row.key != keys.TICK)
        return TimerState(
            tick=next(ticks, None),
            subscriptions=tuple(_read_or_name(row, alert) for row in others),
        )

    def get(self, subscription: str) -> SubscriptionRow | None:
        """
        Return the row of a subscription; None if there is none.

        A row that this version cannot read is an alert. Its key names the subscription, and
        nothing replaces or removes it.
        """
        row = self._state.get(keys.SUBSCRIPTIONS, keys.subscription_key(subscription))
        return _read_or_name(row) if row is not None else None

    def ensure(self, subscription: str, now: datetime) -> None:
        """
        Write the row of a subscription if there is none.

        One object asks storage once for each subscription: nobody removes the row of a subscription
        that is named.
        """
        if subscription in self._ensured:
            return
        if self.get(subscription) is None:
            self._insert(_make_subscription(subscription, now))
        self._ensured.add(subscription)

    def _insert(self, item: SubscriptionRow) -> None:
        """Insert a row; if the answer is lost, a read tells whether it is there."""
        try:
            self._put(item)
        except Unknown:
            if self.get(item.subscription) is None:
                raise

    def note_comparison(
        self,
        subscription: str,
        before: SubscriptionRow | None,
        now: datetime,
        troubles: Sequence[Trouble] = (),
        *,
        unseen: Collection[str] = (),
    ) -> None:
        """
        Write that a comparison of a subscription is complete.

        Args:
            subscription: Lower-case id.
            before: The row as it was when the comparison began. If somebody changed it since, it
                has the end of another comparison, and stays.
            now: When it began; aware, UTC.
            troubles: The troubles that it saw; of many, the first are kept.
            unseen: Hashes of the ids of the VMs with an open grant whose path it did not see open.
        """
        row = before or _make_subscription(subscription, now)
        kept = tuple(troubles[:MOST_TROUBLES])
        names = frozenset(each[:_NAME] for each in unseen) if len(unseen) <= MOST_UNSEEN else None
        self._put(replace(row, compared_at=now, unseen=names, dropped_at=None, troubles=kept))

    def note_troubles(
        self,
        subscription: str,
        before: SubscriptionRow | None,
        now: datetime,
        troubles: Sequence[Trouble],
    ) -> None:
        """Write the troubles that a comparison saw which could not be completed."""
        row = before or _make_subscription(subscription, now)
        self._put(replace(row, troubles=tuple(troubles[:MOST_TROUBLES])))

    def note_dropped(self, row: SubscriptionRow, now: datetime) -> None:
        """Write that the settings do not name the subscription, and that it has no grants."""
        self._put(replace(row, dropped_at=now))

    def note_tick(self, before: TickRow | None, now: datetime) -> None:
        """
        Write that a tick is complete.

        Args:
            before: The row as it was when the tick began; None if there was none.
            now: Aware, UTC.
        """
        place = Row(partition=keys.SUBSCRIPTIONS, key=keys.TICK, values={})
        row = before or TickRow(first_at=now, last_at=now, version=place)
        self._put(replace(row, last_at=now))

    def remove(self, item: SubscriptionRow) -> None:
        """Remove a row, unless somebody has changed it since it was read."""
        if item.unreadable:
            return
        with suppress(StateConflict):
            self._state.write([Op(Verb.DELETE, item.version)])

    def _put(self, item: SubscriptionRow | TickRow) -> None:
        """Insert or replace a row under its ETag, unless another instance was a moment earlier."""
        if isinstance(item, SubscriptionRow) and item.unreadable:
            return
        row = write_row(item)
        with suppress(StateConflict):
            self._state.write([Op(Verb.REPLACE if row.etag else Verb.INSERT, row)])


def read_subscription(row: Row) -> SubscriptionRow:
    """Return the row of a subscription."""
    return SUBSCRIPTION.read(row.values, version=row)


def _read_or_name(row: Row, alert: OnUnreadable = alert_unreadable) -> SubscriptionRow:
    """Return the row of a subscription; if it cannot be read, only its id, with an alert."""
    try:
        return SUBSCRIPTION_KIND.read(row, read_subscription)
    except Defect as error:
        alert(row, error)
        name = row.key.removeprefix(keys.subscription_key(""))
        return SubscriptionRow(subscription=name, version=row, unreadable=True)


def read_tick(row: Row) -> TickRow:
    """Return the row of the timer ``tick``."""
    return TICK.read(row.values, version=row)


def write_row(item: SubscriptionRow | TickRow) -> Row:
    """Return the row in the table for *item*, over the version that *item* was read from."""
    if isinstance(item, TickRow):
        values = TICK_KIND.add_format(TICK.write(item))
    else:
        values = SUBSCRIPTION_KIND.add_format(SUBSCRIPTION.write(item))
    return replace(item.version, values=values)


def _make_subscription(subscription: str, now: datetime) -> SubscriptionRow:
    key = keys.subscription_key(subscription)
    place = Row(partition=keys.SUBSCRIPTIONS, key=key, values={})
    return SubscriptionRow(subscription=subscription, since=now, version=place)
