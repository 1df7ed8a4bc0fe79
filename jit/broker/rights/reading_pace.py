"""
The pace of readings of rights: no caller chooses how often this instance asks Azure.

Azure lets one identity make 25 reads a second in one subscription, for all that it does there. The
rights of people get a fifth of that. After a failure the subscription rests, or the key alone that
failed: a person, or the rules. A list of VMs leaves a share to acceptances, and both leave one to
openings.

Source:
    "Understand how Azure Resource Manager throttles requests"
    (https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from threading import Condition
from typing import NamedTuple

from jit.domain.errors import CannotTell
from jit.domain.values.rate_window import RateWindow, count_call, find_wait

MOST_READINGS = 100
SPAN = timedelta(seconds=20)
"""So many readings of people begin in such a span, in one subscription, at one instance."""

_TOO_MANY = "too many people ask at once"

LONGEST_REST = timedelta(minutes=1)

MOST_FAILED = 500
"""Keys whose last reading failed; beyond it, the one that failed least lately is forgotten."""

MOST_AT_ONCE = 6
"""
Readings that run at once, at one instance. If Azure hangs, each of them holds the thread of its
caller, of which HTTP has 16, and a reading of the rules two threads more.
"""

PATIENCE_SECONDS = 5.0


class Share(NamedTuple):
    """
    The part of the pace that one purpose may use.

    Attributes:
        readings: No reading begins if so many began in the span, for any purpose.
        at_once: No reading begins while so many run, for any purpose.
    """

    readings: int
    at_once: int


class Purpose(Enum):
    """The use of a reading, with its share. HTTP cannot take what an opening needs."""

    LIST = Share(MOST_READINGS // 2, MOST_AT_ONCE // 2)
    ACCEPTANCE = Share(MOST_READINGS * 3 // 4, MOST_AT_ONCE - 2)
    OPENING = Share(MOST_READINGS, MOST_AT_ONCE)


class ReadingPace:
    """Lets readings begin; any thread may call it."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        """Begin without readings; nobody waits longer than *patience* seconds for one to end."""
        self._patience = patience
        self._lock = Condition()
        self._running = 0
        self._windows: dict[str, RateWindow] = {}
        self._rests: dict[str, datetime] = {}
        self._failed: OrderedDict[str, datetime] = OrderedDict()

    @contextmanager
    def take(
        self, subscription: str, now: datetime, key: str = "", purpose: Purpose = Purpose.OPENING
    ) -> Iterator[None]:
        """
        Count a reading of *key*, which ends with the context.

        Raises:
            CannotTell: There were too many, too many run, or the last one failed a moment ago.
        """
        self._count(subscription, key, now, purpose.value.readings)
        self._begin(purpose.value.at_once)
        try:
            yield
        finally:
            self._end()
        with self._lock:
            self._failed.pop(_join(subscription, key), None)

    def _count(self, subscription: str, key: str, now: datetime, most: int) -> None:
        with self._lock:
            _check_rest(self._rests.get(subscription), now)
            _check_rest(self._failed.get(_join(subscription, key)), now)
            window = count_call(self._windows.get(subscription), now=now, span=SPAN)
            if window.count > most:
                wait = find_wait(window, now=now, span=SPAN)
                raise CannotTell(_TOO_MANY, retry_after_seconds=wait)
            self._windows[subscription] = window

    def _begin(self, most: int) -> None:
        """Wait until less than *most* readings run, and count one more."""
        with self._lock:
            if not self._lock.wait_for(lambda: self._running < most, timeout=self._patience):
                raise CannotTell(_TOO_MANY, retry_after_seconds=math.ceil(PATIENCE_SECONDS))
            self._running += 1

    def _end(self) -> None:
        with self._lock:
            self._running -= 1
            self._lock.notify_all()

    def wait(self, subscription: str, seconds: int, now: datetime) -> None:
        """Let no reading begin for some *seconds*, a minute at most: the last one failed."""
        with self._lock:
            self._rests[subscription] = _end_rest(seconds, now)

    def wait_for_key(self, subscription: str, key: str, seconds: int, now: datetime) -> None:
        """Let no reading of *key* begin for some *seconds*, as `wait`; others are not concerned."""
        joined = _join(subscription, key)
        with self._lock:
            self._failed[joined] = _end_rest(seconds, now)
            self._failed.move_to_end(joined)
            if len(self._failed) > MOST_FAILED:
                self._failed.popitem(last=False)

    def has_failed(self, subscription: str, key: str) -> bool:
        """Return True if the last reading of *key* failed, for a reason of its own."""
        with self._lock:
            return _join(subscription, key) in self._failed


def _join(subscription: str, key: str) -> str:
    return f"{subscription} {key}"


def _end_rest(seconds: int, now: datetime) -> datetime:
    return now + min(timedelta(seconds=seconds), LONGEST_REST)


def _check_rest(until: datetime | None, now: datetime) -> None:
    """Raise `CannotTell` during a rest; one that is too long is of a clock that was set back."""
    rest = (until or now) - now
    if timedelta(0) < rest <= LONGEST_REST:
        wait = math.ceil(rest.total_seconds())
        raise CannotTell("Azure did not answer a moment ago", retry_after_seconds=wait)
