"""
The local stack's clock, shared by its processes through one small file.

The Azure simulator owns the clock: it writes ``{"frozenAt", "offsetSeconds"}``
whenever somebody freezes, releases or advances it. Every other process reads the
file each time it needs the time, so all of them move together.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClockState:
    """
    How the stack's time relates to real time.

    Attributes:
        frozen_at: The instant at which time stands still; None while it ticks.
        offset_seconds: How far the ticking clock runs ahead of the wall clock.
    """

    frozen_at: datetime | None = None
    offset_seconds: float = 0.0

    def at(self, wall: datetime) -> datetime:
        """Return the stack's time when the wall clock says *wall* (aware, UTC)."""
        if self.frozen_at is not None:
            return self.frozen_at
        return wall + timedelta(seconds=self.offset_seconds)


class FileClock:
    """A clock that follows the file at *path*; ``now`` fits wherever a clock is wanted."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def now(self) -> datetime:
        """
        Return the stack's time: aware, UTC.

        Raises:
            FileNotFoundError: The simulator has not written the file yet.
            ValueError: The file is not a clock file.
        """
        return read(self._path).at(datetime.now(UTC))


def read(path: str | os.PathLike[str]) -> ClockState:
    """Read the clock file at *path*; raises as ``FileClock.now`` does."""
    try:
        document = json.loads(Path(path).read_bytes())
        frozen = document["frozenAt"]
        frozen_at = None if frozen is None else _to_utc(datetime.fromisoformat(frozen))
        return ClockState(frozen_at, float(document["offsetSeconds"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a clock file") from error


def write(path: str | os.PathLike[str], state: ClockState) -> None:
    """Replace the clock file at *path* in one step: readers see the old state or the new."""
    target = Path(path)
    frozen = None if state.frozen_at is None else _to_utc(state.frozen_at).isoformat()
    document = {"frozenAt": frozen, "offsetSeconds": state.offset_seconds}
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(document, file)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _to_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("frozenAt must name its zone")
    return instant.astimezone(UTC)
