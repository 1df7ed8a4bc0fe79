"""
Control rows: who works on a policy, a firewall or a subscription, and since when.

Each control row is won and written under its ETag. The rules of leases stand in `jit.broker.locks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar, cast

from jit.domain.errors import Defect, StateConflict
from jit.domain.model.waiting_line import Line
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.documents import (
    INSTANT,
    NOTED,
    Column,
    ColumnMap,
    Form,
    RowKind,
    alert_unreadable,
    blank,
)
from jit.storage.forms.waiting_lines import LINE
from jit.storage.table import Op, Row, Table, Verb

MOST_REPORTED = 2_700
"""Names of reported rules that fit one property of a row (64 KiB of UTF-16)."""

_MOST_INITIATES = 1_200  # ids that fit one property
_UNREADABLE = "unreadable"  # holds a row that cannot be read; no id has this hash
_INSTANT = blank(INSTANT)


def _form_names(most: int) -> Form:
    """Return the form of a set of names, of which *most* fit a property."""
    return Form(
        lambda stored: frozenset(stored.split()), lambda names: " ".join(sorted(names)[:most])
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRow:
    """
    A control row as it was read.

    Attributes:
        version: The row in the table; without an ETag if it is not there yet.
    """

    version: Row = field(repr=False, compare=False)
    unreadable: bool = False

    @property
    def read_at(self) -> datetime | None:
        """When it was read, by the storage service's clock; None if it was not."""
        return self.version.read_at


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedRow(ControlRow):
    """
    A control row that one process at a time may own.

    Attributes:
        owner: A random name for each lease; empty while the row is free.
    """

    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow(LeasedRow):
    """
    The control row of a JIT policy.

    Attributes:
        not_before: When a pass may be tried again after a failed one; the broker's clock.
        attempts: Failed passes in a row.
        asks_from: When Azure may be asked again to open something, if it wanted us to wait.
        initiated_at: When the last initiate was sent; the storage service's clock.
        burst: Initiates that followed each other closely.
        wake_at: When a message arrives that will look at new grants; the storage service's clock.
        missing: By hash of the id, since when Azure does not find an NSG or firewall; the broker's
            clock. Of too many, the first are kept.
        changed_at: When Azure last took a change of a rule; the broker's clock.
        answered: Ids of initiates that Azure took, if rows of their grants do not say so yet.
    """

    policy_id: str
    not_before: datetime | None = None
    attempts: int = 0
    asks_from: datetime | None = None
    initiated_at: datetime | None = None
    burst: int = 0
    wake_at: datetime | None = None
    missing: Mapping[str, datetime] = field(default_factory=dict)
    changed_at: datetime | None = None
    answered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksRow(ControlRow):
    """
    The looks that callers asked for under a JIT policy.

    It stands beside the policy's control row, so that a caller who asks never disturbs a pass.

    Attributes:
        asked: By hash of the request's id, when a look at it was last asked for; the broker's
            clock.
        message_at: When the last message arrives that wants looks; the broker's clock.
    """

    policy_id: str
    asked: Mapping[str, datetime] = field(default_factory=dict)
    message_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRow(ControlRow):
    """
    The control row of a firewall.

    Attributes:
        holder: Hash of the id that has the turn on the firewall; empty if it is free.
        since: When the turn was taken; the broker's clock.
        foreign: Digest of the rules that our running update must not change; empty without one.
        waiting: The line for the turn. A version that does not know the line drops it; each wait
            is back when it is renewed.
    """

    firewall_id: str
    holder: str = ""
    since: datetime | None = None
    foreign: str = ""
    waiting: Line = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow(LeasedRow):
    """
    The control row of a subscription: its comparison.

    Attributes:
        reported: Names of the standing rules that the last comparison reported.
    """

    reported: frozenset[str] = frozenset()


POLICY_KIND = RowKind("policies")
POLICY = ColumnMap(
    PolicyRow,
    Column("Policy", "policy_id"),
    Column("Owner", "owner", default=""),
    Column("NotBefore", "not_before", _INSTANT, default=None),
    Column("Attempts", "attempts", default=0),
    Column("AsksFrom", "asks_from", _INSTANT, default=None),
    Column("InitiatedAt", "initiated_at", _INSTANT, default=None),
    Column("Burst", "burst", default=0),
    Column("WakeAt", "wake_at", _INSTANT, default=None),
    Column("Missing", "missing", NOTED, default=MappingProxyType({})),
    Column("ChangedAt", "changed_at", _INSTANT, default=None, is_sparse=True),
    Column(
        "Answered", "answered", _form_names(_MOST_INITIATES), default=frozenset(), is_sparse=True
    ),
)

LOOKS_KIND = RowKind("looks")
LOOKS = ColumnMap(
    LooksRow,
    Column("Policy", "policy_id"),
    Column("Asked", "asked", NOTED, default=MappingProxyType({})),
    Column("MessageAt", "message_at", _INSTANT, default=None, is_sparse=True),
)

FIREWALL_KIND = RowKind("firewalls")
FIREWALL = ColumnMap(
    FirewallRow,
    Column("Firewall", "firewall_id"),
    Column("Holder", "holder", default=""),
    Column("Since", "since", _INSTANT, default=None),
    Column("Foreign", "foreign", default=""),
    Column("Waiting", "waiting", LINE, default=(), is_sparse=True),
)

COMPARISON_KIND = RowKind("comparisons")
COMPARISON = ColumnMap(
    ComparisonRow,
    Column("Owner", "owner", default=""),
    Column("Told", "reported", _form_names(MOST_REPORTED), default=frozenset()),
)

_MAPS: Mapping[type[ControlRow], tuple[RowKind, ColumnMap[Any]]] = MappingProxyType(
    {
        PolicyRow: (POLICY_KIND, POLICY),
        LooksRow: (LOOKS_KIND, LOOKS),
        FirewallRow: (FIREWALL_KIND, FIREWALL),
        ComparisonRow: (COMPARISON_KIND, COMPARISON),
    }
)

R = TypeVar("R", bound=ControlRow)


def read_control_row(kind: type[R], row: Row) -> R:
    """
    Return a row of *kind*.

    Raises:
        Defect: This version cannot read the row.
    """
    formats, columns = _MAPS[kind]
    return cast("R", formats.read(row, lambda stored: columns.read(stored.values, version=stored)))


def write_control_row(value: ControlRow) -> Row:
    """Return the row in the table for *value*, over the version that *value* was read from."""
    formats, columns = _MAPS[type(value)]
    return replace(value.version, values=formats.add_format(columns.write(value)))


class ControlRows:
    """The control rows of ``JitState``."""

    def __init__(self, state: Table) -> None:
        """Keep the rows in *state*."""
        self._state = state

    def find_policy(self, policy_id: str) -> PolicyRow | None:
        """
        Return the control row of a JIT policy; None if there is none.

        A row that this version cannot read is an alert. It counts as held by somebody else for
        good: nothing changes under this policy, and other policies go on.
        """
        row = self._state.get(arm_ids.subscription(policy_id), keys.policy_key(policy_id))
        if row is None:
            return None
        ageless = replace(row, written_at=None)  # its lease never runs out
        held = PolicyRow(version=ageless, policy_id=policy_id, owner=_UNREADABLE, unreadable=True)
        return _read_or_else(held, row)

    def make_policy(self, policy_id: str) -> PolicyRow:
        """Return a control row of a JIT policy, to be inserted."""
        place = _make_row(arm_ids.subscription(policy_id), keys.policy_key(policy_id))
        return PolicyRow(version=place, policy_id=policy_id)

    def read_looks(self, policy_id: str) -> LooksRow:
        """
        Return the row of the looks that were asked for under a JIT policy, to be replaced.

        Raises:
            Defect: This version cannot read the row.
        """
        partition, key = arm_ids.subscription(policy_id), keys.looks_key(policy_id)
        row = self._state.get(partition, key)
        if row is not None:
            return read_control_row(LooksRow, row)
        return LooksRow(version=_make_row(partition, key), policy_id=policy_id)

    def find_firewall(self, firewall_id: str) -> FirewallRow | None:
        """
        Return the control row of a firewall; None if there is none.

        A row that this version cannot read is an alert. It counts as held by somebody else for
        good: passes go on, and leave the firewall alone.
        """
        place = arm_ids.subscription(firewall_id), keys.firewall_key(firewall_id)
        row = self._state.get(*place)
        if row is None:
            return None
        held = FirewallRow(version=row, firewall_id=firewall_id, holder=_UNREADABLE)
        return _read_or_else(replace(held, unreadable=True), row)

    def make_firewall(self, firewall_id: str) -> FirewallRow:
        """Return a control row of a firewall, to be inserted."""
        place = _make_row(arm_ids.subscription(firewall_id), keys.firewall_key(firewall_id))
        return FirewallRow(version=place, firewall_id=firewall_id)

    def find_comparison(
        self, subscription: str, key: str = keys.COMPARISON
    ) -> ComparisonRow | None:
        """
        Return the control row of a subscription's comparison, or drain; None if there is none.

        A row that this version cannot read is an alert, and counts as free: the row saves double
        work, and no rule is safe because of it.
        """
        row = self._state.get(subscription, key)
        return _read_or_else(ComparisonRow(version=row), row) if row is not None else None

    def make_comparison(self, subscription: str, key: str = keys.COMPARISON) -> ComparisonRow:
        """Return a control row of a subscription's comparison, or drain, to be inserted."""
        return ComparisonRow(version=_make_row(subscription, key))

    def put(self, value: R) -> R:
        """
        Insert or replace a control row under its ETag; return it as written.

        Raises:
            StateConflict: Somebody else wrote the row since it was read, or it cannot be read.
        """
        if value.unreadable:
            raise StateConflict("a row that this version cannot read is left as it is")
        row = write_control_row(value)
        verb = Verb.REPLACE if row.etag else Verb.INSERT
        (etag,) = self._state.write([Op(verb, row)])
        return replace(value, version=replace(row, etag=etag))

    def is_current(self, value: ControlRow) -> bool:
        """Return True if nobody has written the row since *value* was read or written."""
        row = self._state.get(value.version.partition, value.version.key)
        return row is not None and row.etag == value.version.etag


def _read_or_else(other: R, row: Row) -> R:
    """Return a row of the kind of *other*; *other*, with an alert, if it cannot be read."""
    try:
        return read_control_row(type(other), row)
    except Defect as error:
        alert_unreadable(row, error)
        return other


def _make_row(partition: str, key: str) -> Row:
    return Row(partition=partition, key=key, values={})
