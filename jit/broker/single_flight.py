"""
One call for all who want its result at the same time, in one process.

Callers choose how often they ask. They must not choose how often the broker asks Azure. So the
first caller makes the call, and the others get its result, or a result that is not too old.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TimedOut
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

from jit.domain.errors import Unavailable

T = TypeVar("T")

Kept = tuple[float, T] | None
"""A result with the time at which its call ended; None if there is none."""

_PATIENCE_SECONDS = 20.0


class SingleFlight(Generic[T]):
    """Makes a call for one caller at a time, and gives its result to the others."""

    def __init__(
        self,
        *,
        pause: float = 0.0,
        oldest: float = 0.0,
        patience: float = _PATIENCE_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """
        Begin without a result. All times are seconds.

        Args:
            pause: From the begin of a call until the next call may begin; a call that failed
                counts too.
            oldest: The age at which a result is no longer given to callers who come while a call
                runs or rests. 0 means that they always wait for the call that runs.
            patience: From the begin of a call until nobody waits for it any more.
            clock: Never goes back.
        """
        self._pause = pause
        self._oldest = oldest
        self._patience = patience
        self._clock = clock
        self._lock = Lock()
        self._running: Future[Kept[T]] | None = None
        self._begun_at: float | None = None
        self._kept: Kept[T] = None

    def get(self, call: Callable[[], T]) -> T:
        """
        Return the result of *call*, made now or by another caller.

        Raises:
            Unavailable: The call of another caller failed or takes too long, and no result is
                young enough. The caller who makes the call gets its own error instead.
        """
        with self._lock:
            now = self._clock()
            is_first = self._running is None and not self._is_resting(now)
            if is_first:
                self._running, self._begun_at = Future(), now
            running, kept = self._running, self._find_kept(now)
            patience = self._patience - (now - (self._begun_at or 0.0))
        if is_first and running is not None:
            return self._fly(running, call)
        if kept is not None:
            return kept[1]
        return _wait(running, patience)

    def _fly(self, running: Future[Kept[T]], call: Callable[[], T]) -> T:
        """Make the call; nobody waits for it afterwards, also if it failed."""
        kept: Kept[T] = None
        try:
            result = call()
            kept = self._clock(), result
        finally:
            with self._lock:
                self._running, self._kept = None, kept or self._kept
            running.set_result(kept)
        return result

    def _is_resting(self, now: float) -> bool:
        return self._begun_at is not None and now - self._begun_at < self._pause

    def _find_kept(self, now: float) -> Kept[T]:
        kept = self._kept
        return kept if kept is not None and now - kept[0] < self._oldest else None


def _wait(running: Future[Kept[T]] | None, seconds: float) -> T:
    """Return the result of the call of another caller; None is one that failed a moment ago."""
    if running is None:
        raise Unavailable("the last look failed a moment ago")
    try:
        kept = running.result(timeout=max(0.0, seconds))
    except TimedOut as error:
        raise Unavailable("a look takes longer than expected") from error
    if kept is None:
        raise Unavailable("a look failed just now")
    return kept[1]
