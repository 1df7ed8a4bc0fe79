"""
The line for the turn on a firewall: its order, and the waits that still count.

Closing goes before opening (P2), and an older wait before a newer one. A wait that is not renewed
counts no longer, because the process that waited may have died.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

KEPT = timedelta(minutes=3)
"""So long a wait counts after it was renewed: three looks of a minute each."""

RENEWED_EVERY = timedelta(minutes=1)
"""A wait is not written again if it was renewed less than this long ago."""

MOST_WAITING = 100
"""Waits that a line holds: some 9,000 characters of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """
    One wait for a turn.

    Attributes:
        holder: Hash of the id that waits, as in the row of the turn.
        closing: True if something is to be closed, False if something is to be opened.
        since: When the wait began; the broker's clock.
        renewed_at: When the waiting process last said that it still waits; the same clock.
    """

    holder: str
    closing: bool
    since: datetime
    renewed_at: datetime

    def stands(self, now: datetime) -> bool:
        """Return True if the wait was renewed lately."""
        return abs(now - self.renewed_at) <= KEPT

    @property
    def rank(self) -> tuple[bool, datetime, str]:
        """The place in the order: the smallest comes first."""
        return (not self.closing, self.since, self.holder)


Line = tuple[Wait, ...]
"""In the order of the waits."""


def join_line(line: Line, holder: str, *, closing: bool, now: datetime) -> Line:
    """
    Return *line* with a wait of *holder*, which keeps the place that it has.

    The line is the same if it says so already. A full line keeps the first of the order.
    """
    own = _find(line, holder, closing=closing, now=now)
    if own is not None and now - own.renewed_at < RENEWED_EVERY:
        return line
    new = Wait(holder=holder, closing=closing, since=now, renewed_at=now)
    mine = new if own is None else replace(own, renewed_at=now)
    others = (each for each in drop_waits(line, holder, closing=closing) if each.stands(now))
    return tuple(sorted((*others, mine), key=lambda wait: wait.rank)[:MOST_WAITING])


def drop_waits(line: Line, holder: str, *, closing: bool) -> Line:
    """Return *line* without the wait of *holder* to close, or to open."""
    return tuple(each for each in line if (each.holder, each.closing) != (holder, closing))


def is_first(line: Line, holder: str, *, closing: bool, now: datetime) -> bool:
    """Return True if nobody else stands in *line* before *holder*, who may not stand in it yet."""
    own = _find(line, holder, closing=closing, now=now)
    mine = own or Wait(holder=holder, closing=closing, since=now, renewed_at=now)
    return all(mine.rank < each.rank for each in list_others(line, holder, now))


def list_standing(line: Line, now: datetime) -> Line:
    """Return the waits that still stand."""
    return tuple(each for each in line if each.stands(now))


def list_others(line: Line, holder: str, now: datetime) -> Line:
    """Return the waits of others than *holder* that still stand."""
    return tuple(each for each in list_standing(line, now) if each.holder != holder)


def _find(line: Line, holder: str, *, closing: bool, now: datetime) -> Wait | None:
    own = (each for each in line if (each.holder, each.closing) == (holder, closing))
    return next((each for each in own if each.stands(now)), None)
