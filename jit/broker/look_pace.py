"""
The pace of looks at a whole subscription that callers cause: one in 30 seconds, by all instances.

A row says when the last one began or ended. It is aged by the storage service's clock. A look that
nobody ends, because it failed or its process died, holds up the next one no longer than that.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from jit.domain.errors import StateConflict

if TYPE_CHECKING:  # most requests need no look, and their first one need not wait for its rows
    from jit.storage.control_rows import ComparisonRow, ControlRows

LOOK_PAUSE = timedelta(seconds=30)
"""From the end of a look to the begin of the next one; from the begin of a look that failed."""

ALL_PATHS = "*"
"""In place of the hash of a request: all open paths of a policy are to be looked at."""


class LookStart(NamedTuple):
    """
    The answer to a look that wants to begin.

    Attributes:
        row: The row of the look that may begin, to be ended; None if it must not begin.
        runs: True if another look runs, or failed a moment ago: its result is not known.
    """

    row: ComparisonRow | None = None
    runs: bool = False


@dataclass(frozen=True, slots=True)
class LookPace:
    """
    Lets a look begin if there was none in the last 30 seconds.

    Attributes:
        rows: Built when a look is wanted.
    """

    rows: Callable[[], ControlRows]

    def begin(self, subscription: str, key: str) -> LookStart:
        """
        Begin a look, unless another one began or ended a moment ago.

        Args:
            subscription: Lower-case id.
            key: The row of this kind of look: one of `jit.storage.keys`.
        """
        rows = self.rows()
        row = rows.find_comparison(subscription, key)
        if row is not None and _is_recent(row):
            return LookStart(runs=bool(row.owner))
        row = row or rows.make_comparison(subscription, key)
        try:
            return LookStart(row=rows.put(replace(row, owner=secrets.token_hex(8))))
        except StateConflict:
            return LookStart(runs=True)

    def end(self, begun: ComparisonRow) -> None:
        """End a look that succeeded: for 30 seconds its result is good enough."""
        with suppress(StateConflict):  # it took so long that another one has begun
            self.rows().put(replace(begun, owner=""))


def _is_recent(row: ComparisonRow) -> bool:
    """Return True if the row was written less than a pause ago."""
    read_at, written_at = row.version.read_at, row.version.written_at
    if read_at is None or written_at is None:
        return True
    return read_at - written_at < LOOK_PAUSE
