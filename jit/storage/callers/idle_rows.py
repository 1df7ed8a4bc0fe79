"""
Idle rows: small rows that a caller made and that count no longer.

A request makes a row for its JIT policy, a look makes another one, a change of a firewall makes a
third, a denial makes one for its caller, and the first request in a subscription makes one for its
person. All their times are over after a day at most; only the turn on a firewall has a holder.
Without a sweep they stay for each policy, firewall and person
that there ever was. If somebody needs such a row again, it is inserted anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

from jit.domain.errors import Defect, StateConflict
from jit.storage import keys
from jit.storage.callers.denial_counts import read_denials
from jit.storage.callers.person_rows import read_accepted
from jit.storage.control_rows import (
    ControlRow,
    FirewallRow,
    LooksRow,
    PolicyRow,
    read_control_row,
)
from jit.storage.table import OPERATIONS, Op, Row, Table, Verb, Where, read_all

KEPT = timedelta(days=7)
"""A control row that nobody wrote for so long says nothing; by the storage service's clock."""

DENIALS_KEPT = timedelta(hours=2)
"""A count of denials is over an hour after its begin; by the broker's clock."""

MOST_SWEPT = 200
"""Rows of one kind that one sweep reads."""

PERIOD = timedelta(minutes=5)
"""
A sweep reads one of 32 parts of the rows; in the next period it is the next part.

After 32 periods one part is left out. So sweeps that come only in each second, or each twelfth,
period read all parts, too.
"""

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"  # the first letter of the hash in a key: base32
_KINDS: Mapping[str, type[ControlRow]] = {
    keys.POLICIES: PolicyRow,
    keys.LOOKS: LooksRow,
    keys.FIREWALLS: FirewallRow,
}


class IdleRows:
    """Sweeps idle rows of ``JitState``."""

    def __init__(self, state: Table) -> None:
        """Sweep the rows of *state*."""
        self._state = state

    def sweep(self, subscription: str, *, now: datetime) -> int:
        """
        Delete control rows and times of requests that are idle; return how many were found.

        A row of a newer version stays. A firewall with a holder or a line stays, too.
        Somebody who has read a row meanwhile, and writes it, gets a conflict and reads again.
        """
        found = 0
        for prefix in _KINDS:
            idle = [row for row in self._list_part(subscription, prefix, now) if _is_idle(row)]
            self._delete(idle)
            found += len(idle)
        uncounted = [
            row
            for row in self._list_part(subscription, keys.OWN, now)
            if not keys.is_place(row.key) and _is_uncounted(row, now)
        ]
        self._delete(uncounted)
        return found + len(uncounted)

    def sweep_callers(self, *, now: datetime) -> int:
        """Delete counts of denials that are over; return how many were found."""
        part = self._list_part(keys.CALLERS, keys.DENIALS, now)
        over = [row for row in part if _is_over(row, now)]
        self._delete(over)
        return len(over)

    def _list_part(self, partition: str, prefix: str, now: datetime) -> Iterator[Row]:
        """Return the rows of one part, which changes with each period: one query."""
        periods = int(now.timestamp() // PERIOD.total_seconds())
        part = (periods + periods // len(_LETTERS)) % len(_LETTERS)
        first = f"{prefix}|{_LETTERS[part]}"
        last = f"{first}~"  # above every letter of a hash
        where = Where(partition=partition, first=first, last=last)
        return islice(read_all(self._state, where, MOST_SWEPT), MOST_SWEPT)

    def _delete(self, rows: Sequence[Row]) -> None:
        """Delete rows as they were read; after a conflict a later sweep reads them again."""
        for start in range(0, len(rows), OPERATIONS):
            with suppress(StateConflict):
                some = rows[start : start + OPERATIONS]
                self._state.write([Op(Verb.DELETE, row) for row in some])


def _is_idle(row: Row) -> bool:
    """Return True if nobody wrote a control row for `KEPT`, and nobody has it or waits for it."""
    if row.read_at is None or row.written_at is None or row.read_at - row.written_at < KEPT:
        return False
    try:
        found = read_control_row(_KINDS[row.key.partition("|")[0]], row)
    except Defect:  # each reader of the row raises the alert
        return False
    return not isinstance(found, FirewallRow) or not (found.holder or found.waiting)


def _is_uncounted(row: Row, now: datetime) -> bool:
    """Return True if a person's row has no request of the last day."""
    try:
        return not read_accepted(row).list_recent(now)
    except Defect:
        return False


def _is_over(row: Row, now: datetime) -> bool:
    try:
        return now - read_denials(row).begin >= DENIALS_KEPT
    except Defect:
        return False
