"""
Readings of Azure that are kept in memory for a while, and shared by callers who come at once.

They may be lost at any time. Each caller says since when a reading must have begun.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TimedOut
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from jit.domain.errors import Unavailable

T = TypeVar("T")

_AHEAD = timedelta(seconds=10)
"""A reading of another thread may be so much younger than the caller's instant."""

_PATIENCE_SECONDS = 5.0
"""From the begin of a reading until nobody waits for it: who waits holds a thread of HTTP."""
_ATTEMPTS = 3  # each one gets a reading of another caller that began too early


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """
    The result of a reading.

    Attributes:
        read_at: When it began.
    """

    read_at: datetime
    value: T


class _Flight(NamedTuple, Generic[T]):
    """
    A reading that runs.

    Attributes:
        begun_at: Seconds of the clock.
        found: Its result; None if it failed.
    """

    begun_at: float
    found: Future[Dated[T] | None]


class RecentReadings(Generic[T]):
    """Keeps the last reading of each key; any thread may call it."""

    def __init__(self, most: int, clock: Callable[[], float] = monotonic) -> None:
        """
        Begin without a reading.

        Args:
            most: Keys that are kept; beyond it, the one that was asked for least lately goes.
            clock: Seconds; never goes back. It bounds the wait for another caller's reading.
        """
        self._most = most
        self._clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[str, Dated[T]] = OrderedDict()
        self._flights: dict[str, _Flight[T]] = {}

    def find_kept(self, key: str, *, since: datetime, now: datetime) -> Dated[T] | None:
        """Return the kept reading of *key* if it began later than *since*."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or not since < found.read_at < now + _AHEAD:
                return None
            self._kept.move_to_end(key)
            return found

    def get(self, key: str, read: Callable[[], T], *, since: datetime, now: datetime) -> Dated[T]:
        """
        Return a reading of *key* that began later than *since*, or that this call makes.

        Raises:
            Unavailable: The reading of another caller failed, or takes too long. The caller who
                reads gets its own error instead.
        """
        made: list[Dated[T]] = []

        def read_once() -> Dated[T]:
            made.append(Dated(now, read()))
            return made[0]

        for _ in range(_ATTEMPTS):
            kept = self.find_kept(key, since=since, now=now)
            if kept is not None:
                return kept
            found = self._fly(key, read_once)
            if made or since < found.read_at:
                return found
        raise Unavailable("the readings of others began too early")

    def _fly(self, key: str, read: Callable[[], Dated[T]]) -> Dated[T]:
        """Read, or wait for the reading of *key* that runs: a key that hangs holds one reading."""
        with self._lock:
            running = self._flights.get(key)
            if running is None:
                mine = self._flights[key] = _Flight(self._clock(), Future())
        if running is None:
            return self._read(key, mine, read)
        return _wait(running, _PATIENCE_SECONDS - (self._clock() - running.begun_at))

    def _read(self, key: str, flight: _Flight[T], read: Callable[[], Dated[T]]) -> Dated[T]:
        """Make the reading. Only its caller ends the flight, not those who wait no longer."""
        found: Dated[T] | None = None
        try:
            found = read()
            self._keep(key, found)
        finally:
            with self._lock:
                del self._flights[key]
            flight.found.set_result(found)
        return found

    def _keep(self, key: str, reading: Dated[T]) -> None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.read_at <= reading.read_at:
                self._kept[key] = reading
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)


def _wait(flight: _Flight[T], seconds: float) -> Dated[T]:
    """Return the result of another caller's reading."""
    try:
        found = flight.found.result(timeout=max(0.0, seconds))
    except TimedOut as error:
        raise Unavailable("a reading takes longer than expected") from error
    if found is None:
        raise Unavailable("a reading failed just now")
    return found
