"""Bars, asked before access is given: recent ones at acceptance, else as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from jit.domain.decision.barred_people import find_barred
from jit.domain.decision.verdict import Finding
from jit.domain.errors import CannotTell, Unavailable
from jit.domain.model.bar import Bars
from jit.domain.model.people import Person
from jit.storage.people.bar_rows import BarRows

KEPT = timedelta(seconds=60)
"""So old bars may be at acceptance. Each grant is asked about again before it opens."""


class AskedBars:
    """Tells if people are barred. One object keeps the last reading for its process."""

    def __init__(self, rows: BarRows) -> None:
        """Read the bars from *rows*."""
        self._rows = rows
        self._generation = 0
        self._last: tuple[int, datetime, Bars] | None = None

    def read(self, now: datetime) -> Bars:
        """
        Return the bars as they are now: one query.

        Raises:
            CannotTell: Storage did not answer.
        """
        generation = self._generation
        try:
            bars = self._rows.read()
        except Unavailable as error:
            why = "the bars could not be read"
            raise CannotTell(why, retry_after_seconds=error.retry_after_seconds) from error
        self._last = (generation, now, bars)
        return bars

    def find_recent(self, people: Iterable[Person], now: datetime) -> tuple[Finding, ...]:
        """Return the bar on *people*, by the bars of the last minute; raise as `read`."""
        return find_barred(people, self._find_last(now) or self.read(now), now)

    def find_fresh(self, people: Iterable[Person], now: datetime) -> tuple[Finding, ...]:
        """Return the bar on *people*, by the bars of now; raise as `read`."""
        return find_barred(people, self.read(now), now)

    def forget(self) -> None:
        """
        Read the bars anew when they are next asked: this process has changed one.

        A reading that is under way counts for its own caller alone: it may have begun before the
        change.
        """
        self._generation += 1

    def _find_last(self, now: datetime) -> Bars | None:
        """Return the last reading; None if it is too old, or began before the last change."""
        if self._last is None:
            return None
        generation, read_at, bars = self._last
        is_recent = timedelta(0) <= now - read_at < KEPT
        return bars if is_recent and generation == self._generation else None
