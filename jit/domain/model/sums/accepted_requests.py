"""The requests of one person that were accepted in the last day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

DAY = timedelta(hours=24)
"""The time in which accepted requests are counted."""

MOST_KEPT = 2_000
"""Times of acceptance that fit one property of a row."""


class AcceptedRequests(NamedTuple):
    """
    The requests of a person that were accepted, in one subscription.

    Attributes:
        person: Object id.
        times: When each was accepted, oldest first.
    """

    person: str
    times: tuple[datetime, ...] = ()

    def list_recent(self, now: datetime) -> tuple[datetime, ...]:
        """Return the times of the last 24 hours; those of a clock that is ahead count, too."""
        return tuple(each for each in self.times if now - DAY < each)

    def add(self, now: datetime) -> AcceptedRequests:
        """Return the requests with one more, which is accepted *now*; old ones are left out."""
        times = sorted((*self.list_recent(now), now))
        return self._replace(times=tuple(times[-MOST_KEPT:]))
