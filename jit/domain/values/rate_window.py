"""A span of time that begins with its first call, and the number of calls in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWindow:
    """
    Calls that are counted together.

    Attributes:
        begin: Time of the first call; aware, UTC.
        count: Calls, with the first one.
    """

    begin: datetime
    count: int


def count_call(window: RateWindow | None, *, now: datetime, span: timedelta) -> RateWindow:
    """
    Return the window with one more call, which comes *now*.

    A new window begins if there is none, or if *now* is not within *span* of its begin. A clock
    that was set back begins a new one, too: a caller must not wait for longer than *span*.
    """
    if window is None or not window.begin <= now < window.begin + span:
        return RateWindow(begin=now, count=1)
    return replace(window, count=window.count + 1)


def find_wait(window: RateWindow, *, now: datetime, span: timedelta) -> int:
    """Return the whole seconds from *now* to the end of the window, at least 1."""
    left = window.begin + span - now
    return max(1, math.ceil(left / timedelta(seconds=1)))
