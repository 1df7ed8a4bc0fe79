"""
Locks: one worker acts for a JIT policy, one holder changes a firewall, one comparison runs.

A lock is a control row that was won under its ETag. The lease of a policy or of a comparison is
aged by the storage service's clock. Firewalls take turns, in ``firewall_turns``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from jit import telemetry
from jit.broker.firewall_turns import FirewallTurns
from jit.domain.errors import Defect, StateConflict, Unavailable
from jit.storage import keys
from jit.storage.control_rows import ComparisonRow, ControlRows, LeasedRow, PolicyRow

LEASE = timedelta(seconds=60)
"""Longer than any pass: each call of a pass is bounded by its own time-out."""

QUIET = (timedelta(seconds=3), timedelta(seconds=10))
"""Time between initiates of one policy: after the first of a burst, and after each later one."""

_BURST = timedelta(seconds=45)
_LONGEST_PASS = timedelta(minutes=1)  # as its lease; after that, the timer finds due rows
_BETWEEN_CLOCKS = timedelta(seconds=3)  # of instances, and for the whole seconds of the service
_CLAIM_ATTEMPTS = 2  # the row may have changed because somebody noted something, without a claim

R = TypeVar("R", bound=LeasedRow)


@dataclass(frozen=True, slots=True)
class PolicyLease:
    """The right to act on a JIT policy: its control row as it was won."""

    row: PolicyRow

    def note_change(self, at: datetime | None) -> PolicyLease:
        """Return the lease with *at* as the last change of a rule, which is written at its end."""
        return self if at is None else PolicyLease(replace(self.row, changed_at=at))

    def note_answered(self, initiates: frozenset[str]) -> PolicyLease:
        """Return the lease with the ids of *initiates*, which are written at its end."""
        return PolicyLease(replace(self.row, answered=initiates))

    def find_length(self, later: PolicyRow) -> timedelta:
        """Return how long ago the lease was won, at most: as *later* was read."""
        if later.read_at is None or self.row.read_at is None:
            return _LONGEST_PASS
        return min(_LONGEST_PASS, later.read_at - self.row.read_at + _BETWEEN_CLOCKS)


@dataclass(slots=True)
class ComparisonLease:
    """The right to compare a subscription: its control row as it was last written."""

    row: ComparisonRow


class Locks:
    """
    Takes locks and gives them back.

    Attributes:
        firewalls: The turns on firewalls.
    """

    def __init__(self, rows: ControlRows) -> None:
        """Keep locks in *rows*."""
        self._rows = rows
        self.firewalls = FirewallTurns(rows)

    # ---- policies --------------------------------------------------------------------------------

    def claim(self, policy_id: str) -> PolicyLease | None:
        """Win the control row of a policy, or return None while somebody else holds it."""
        for _ in range(_CLAIM_ATTEMPTS):
            row = self._rows.find_policy(policy_id) or self._rows.make_policy(policy_id)
            if _is_leased(row):
                return None
            with suppress(StateConflict):
                return self._lease(self._rows.put(replace(row, owner=_make_owner())))
        return None

    def _lease(self, row: PolicyRow) -> PolicyLease | None:
        """Return the lease of a row just won; read an inserted row for the service's clock."""
        if row.read_at is not None:
            return PolicyLease(row)
        read = self._rows.find_policy(row.policy_id)
        is_same = read is not None and read.version.etag == row.version.etag
        return PolicyLease(read) if read is not None and is_same else None

    def release(
        self,
        lease: PolicyLease,
        *,
        not_before: datetime | None = None,
        asks_from: datetime | None = None,
        attempts: int = 0,
        initiated: bool = False,
        missing: Mapping[str, datetime] | None = None,
    ) -> None:
        """
        Give a policy back, unless somebody has taken it over.

        Args:
            lease: As it was won.
            not_before: When a pass may be tried again after this one, which failed.
            asks_from: When Azure may be asked again; None keeps the instant in the row.
            attempts: Failed passes in a row.
            initiated: True if the pass sent an initiate.
            missing: NSGs and firewalls that Azure does not find; None keeps those in the row.
        """
        row = replace(lease.row, owner="", not_before=not_before, attempts=attempts)
        if missing is not None:
            row = replace(row, missing=missing)
        if asks_from is not None:
            row = replace(row, asks_from=asks_from)
        if initiated and row.read_at is not None:
            row = replace(row, initiated_at=row.read_at, burst=_count_burst(row))
        with suppress(StateConflict):  # the lease ran out; its new holder decides
            bare = replace(row, missing=lease.row.missing, answered=frozenset())
            self._give_back(row, bare)

    def _give_back(self, row: R, bare: R) -> R:
        """Write *row*, or *bare* if the table refuses it: no value may keep a lease for good."""
        try:
            return self._rows.put(row)
        except Defect as error:
            place = row.version
            telemetry.alert(
                "row.refused", partition=place.partition, key=place.key, reason=str(error)
            )
            return self._rows.put(bare)

    def keep(self, lease: PolicyLease) -> None:
        """Give a policy back with the same waiting times as before."""
        self.release(lease, not_before=lease.row.not_before, attempts=lease.row.attempts)

    def is_held(self, lease: PolicyLease) -> bool:
        """Return True if nobody has taken the policy over since it was claimed."""
        return self._rows.is_current(lease.row)

    def find_age(self, lease: PolicyLease) -> timedelta | None:
        """Return how long ago *lease* was won, by the service's clock; None if it is lost."""
        row, mine = self._rows.find_policy(lease.row.policy_id), lease.row
        if row is None or row.version.etag != mine.version.etag:
            return None
        if row.read_at is None or mine.read_at is None:
            return timedelta(0)
        return row.read_at - mine.read_at

    def read_policy(self, policy_id: str) -> PolicyRow | None:
        """Return the control row of a policy without a claim; None if there is none."""
        return self._rows.find_policy(policy_id)

    def list_wishes(self, policy_id: str) -> frozenset[str]:
        """
        Return the hashes of the requests whose open paths callers want looked at.

        A row that cannot be read has none: the message still names one request.
        """
        with suppress(Defect, Unavailable):
            return frozenset(self._rows.read_looks(policy_id).asked)
        return frozenset()

    def note_message(self, row: PolicyRow, delay: timedelta) -> None:
        """Note that a message comes after *delay*: new grants until then need no other message."""
        if row.read_at is None or row.owner:
            return
        with suppress(StateConflict):  # somebody has just claimed it, and looks again afterwards
            self._rows.put(replace(row, wake_at=row.read_at + delay))

    # ---- comparisons -----------------------------------------------------------------------------

    def claim_comparison(self, subscription: str) -> ComparisonLease | None:
        """Begin the comparison of a subscription; None while another instance compares it."""
        return self._claim_subscription(subscription, keys.COMPARISON)

    def claim_drain(self, subscription: str) -> ComparisonLease | None:
        """Begin to drain an audit outbox; None while another instance does. Release it likewise."""
        return self._claim_subscription(subscription, keys.DRAIN)

    def _claim_subscription(self, subscription: str, key: str) -> ComparisonLease | None:
        found = self._rows.find_comparison(subscription, key)
        row = found or self._rows.make_comparison(subscription, key)
        if _is_leased(row):
            return None
        with suppress(StateConflict):
            return ComparisonLease(self._rows.put(replace(row, owner=_make_owner())))
        return None

    def renew_comparison(self, lease: ComparisonLease) -> None:
        """Let the lease begin anew: the comparison goes on."""
        with suppress(StateConflict):  # another comparison has taken over
            lease.row = self._rows.put(lease.row)

    def release_comparison(
        self, lease: ComparisonLease, reported: Iterable[str] | None = None
    ) -> None:
        """End a comparison; *reported* replaces the names in the row, unless it is None."""
        names = lease.row.reported if reported is None else frozenset(reported)
        with suppress(StateConflict):  # another comparison has taken over
            free = replace(lease.row, owner="")
            lease.row = self._give_back(replace(free, reported=names), free)


def find_gathering_time(row: PolicyRow) -> int:
    """Return how long to gather more requests before the next initiate; 0 if none was sent."""
    if row.initiated_at is None or row.read_at is None:
        return 0
    step = QUIET[min(row.burst, len(QUIET)) - 1]
    rest = row.initiated_at + step - row.read_at
    return max(0, -(-rest // timedelta(seconds=1)))


def is_message_expected(row: PolicyRow) -> bool:
    """Return True if a message is on its way that will look at the new grants."""
    return row.wake_at is not None and row.read_at is not None and row.wake_at > row.read_at


def _make_owner() -> str:
    return secrets.token_hex(8)


def _is_leased(row: LeasedRow) -> bool:
    """Return True if somebody holds the row, and wrote it less than a lease ago."""
    version = row.version
    if not row.owner:
        return False
    if version.written_at is None or version.read_at is None:
        return True
    return version.read_at - version.written_at <= LEASE


def _count_burst(row: PolicyRow) -> int:
    """Return the number of initiates that follow each other closely, this one included."""
    if row.initiated_at is None or row.read_at is None:
        return 1
    return 1 if row.read_at - row.initiated_at > _BURST else row.burst + 1
