"""The clock of a service, which the test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, now: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)) -> None:
        """Start at *now*; aware, UTC."""
        self.now = now

    def __call__(self) -> datetime:
        """Return now."""
        return self.now

    def advance(self, span: timedelta) -> datetime:
        """Move forward by *span*; return the new now."""
        self.now += span
        return self.now
