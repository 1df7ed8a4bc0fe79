"""
The simulator's time: a clock that can stand still or jump, with events on it.

Everything slow in the simulator is an event with an instant. Events run in
order of their instants whenever the time reaches them: when a request arrives,
or when somebody advances the clock. While an event runs, ``now`` is the event's
own instant, so that jumping an hour does the same as living through it.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.clock import ClockState, write

Action = Callable[[], None]


def _wall() -> datetime:
    return datetime.now(UTC)


class Timeline:
    """
    The clock with its events; not thread-safe, the simulator's lock is around it.

    Args:
        clock_file: The file that keeps the state for other processes; None for no file.
        wall: The real time (aware, UTC).
    """

    def __init__(
        self, clock_file: Path | None = None, wall: Callable[[], datetime] = _wall
    ) -> None:
        """Start ticking in real time."""
        self._file = clock_file
        self._wall = wall
        self._numbers = itertools.count()
        self._events: list[tuple[datetime, int, Action]] = []
        self._jumped = timedelta(0)
        self._set_state(ClockState())
        self._now = self._state.at(wall())

    @property
    def now(self) -> datetime:
        """The present of the request or event that is being worked on."""
        return self._now

    @property
    def frozen(self) -> bool:
        """True if time stands still."""
        return self._state.frozen_at is not None

    def elapsed_seconds(self) -> float:
        """Return seconds that pass in real time and jump with the clock; quotas refill by them."""
        return time.monotonic() + self._jumped.total_seconds()

    def after(self, seconds: float, action: Action) -> None:
        """Have *action* run *seconds* from now."""
        self.at(self._now + timedelta(seconds=seconds), action)

    def at(self, instant: datetime, action: Action) -> None:
        """Have *action* run at *instant*; at the next occasion when that has passed."""
        heapq.heappush(self._events, (instant, next(self._numbers), action))

    def settle(self) -> None:
        """Bring the present up to the clock, running the events that are due."""
        self._run_until(self._state.at(self._wall()))

    def freeze(self) -> None:
        """Make time stand still at the present."""
        self.settle()
        self._set_state(ClockState(frozen_at=self._now))

    def release(self) -> None:
        """Let time tick on from where it stands."""
        offset = (self._now - self._wall()).total_seconds() if self.frozen else None
        if offset is not None:
            self._set_state(ClockState(offset_seconds=offset))

    def advance(self, span: timedelta) -> None:
        """
        Move the clock forward by *span*, running the events in between.

        Raises:
            ValueError: *span* is negative.
        """
        if span < timedelta(0):
            raise ValueError("time does not go backwards")
        self.settle()
        self._run_until(self._now + span)
        self._jumped += span
        if self._state.frozen_at is not None:
            self._set_state(ClockState(frozen_at=self._now))
        else:
            ahead = self._state.offset_seconds + span.total_seconds()
            self._set_state(ClockState(offset_seconds=ahead))

    def reset(self) -> None:
        """Forget all events; tick in real time again."""
        self._events.clear()
        self._set_state(ClockState())
        self._now = self._state.at(self._wall())

    def _run_until(self, target: datetime) -> None:
        while self._events and self._events[0][0] <= target:
            instant, _, action = heapq.heappop(self._events)
            self._now = max(self._now, instant)
            action()
        self._now = max(self._now, target)

    def _set_state(self, state: ClockState) -> None:
        self._state = state
        if self._file is not None:
            write(self._file, state)
