"""
Calls a minute: how often one caller may call this instance.

The counts are in memory and cost no call to storage, so that a flood reaches nothing behind them.
Each instance counts by itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from jit.domain.errors import LimitReached, Violation
from jit.domain.limits import Limits
from jit.domain.values.json_pointer import ROOT
from jit.domain.values.rate_window import RateWindow, count_call, find_wait

LIMIT_CALLS = "limit-calls"

MOST_COUNTED = 10_000
"""
Minutes that are kept. Beyond it the one that began first is forgotten.

So many callers may call this often in any case: forgetting one of them gives them nothing.
"""

_MINUTE = timedelta(minutes=1)


class CallCounts:
    """Counts the calls of each caller, reads and changes apart; any thread may call it."""

    def __init__(self, limits: Limits) -> None:
        """Let each caller call as often as *limits* say."""
        self._limits = limits
        self._lock = threading.Lock()
        self._minutes: OrderedDict[tuple[str, bool], RateWindow] = OrderedDict()

    def count(self, caller: str, *, is_change: bool, now: datetime) -> None:
        """
        Count a call.

        Args:
            caller: Object id.
            is_change: False if the method of the call changes nothing.
            now: Aware, UTC.

        Raises:
            LimitReached: The minute is full. It ends a minute after its first call.
        """
        most, what = self._limits.reads_per_minute, "reads"
        if is_change:
            most, what = self._limits.changes_per_minute, "changes, dry runs included,"
        with self._lock:
            minute = self._count((caller, is_change), most, now)
        if minute.count > most:
            wait = find_wait(minute, now=now, span=_MINUTE)
            detail = (
                f"one caller may make {most} {what} a minute; the next one may come in {wait} s"
            )
            violations = (Violation(ROOT, LIMIT_CALLS, detail),)
            raise LimitReached(
                "these are too many calls a minute", violations, retry_after_seconds=wait
            )

    def _count(self, key: tuple[str, bool], most: int, now: datetime) -> RateWindow:
        """Return the minute of *key* with this call; one that is full is kept as it is."""
        before = self._minutes.get(key)
        minute = count_call(before, now=now, span=_MINUTE)
        if minute.count <= most:
            self._minutes[key] = minute
        if minute.count == 1:
            self._minutes.move_to_end(key)
            if len(self._minutes) > MOST_COUNTED:
                self._minutes.popitem(last=False)
        return minute
