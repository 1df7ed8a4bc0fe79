"""
The pace of readings of rights: no caller chooses how often this instance asks Azure.

Azure lets one identity make 25 reads a second in one subscription, for all that it does there. The
rights of people get a fifth of that. After a failure the subscription rests.

Source:
    "Understand how Azure Resource Manager throttles requests"
    (https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling).
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from threading import Lock

from jit.domain.errors import CannotTell
from jit.domain.values.rate_window import RateWindow, count_call, find_wait

MOST_READINGS = 100
SPAN = timedelta(seconds=20)
"""So many readings of people begin in such a span, in one subscription, at one instance."""

LONGEST_REST = timedelta(minutes=1)


class ReadingPace:
    """Lets readings begin; any thread may call it."""

    def __init__(self) -> None:
        """Begin without readings."""
        self._lock = Lock()
        self._windows: dict[str, RateWindow] = {}
        self._rests: dict[str, datetime] = {}

    def begin(self, subscription: str, now: datetime) -> None:
        """
        Count a reading.

        Raises:
            CannotTell: There were too many, or the last one failed a moment ago.
        """
        with self._lock:
            rest = self._rests.get(subscription, now) - now
            if timedelta(0) < rest <= LONGEST_REST:
                wait = math.ceil(rest.total_seconds())
                raise CannotTell("Azure did not answer a moment ago", retry_after_seconds=wait)
            window = count_call(self._windows.get(subscription), now=now, span=SPAN)
            if window.count > MOST_READINGS:
                wait = find_wait(window, now=now, span=SPAN)
                raise CannotTell("too many people ask at once", retry_after_seconds=wait)
            self._windows[subscription] = window

    def wait(self, subscription: str, seconds: int, now: datetime) -> None:
        """Let no reading begin for some *seconds*, a minute at most: the last one failed."""
        until = now + min(timedelta(seconds=seconds), LONGEST_REST)
        with self._lock:
            self._rests[subscription] = until
