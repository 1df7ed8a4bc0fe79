"""A count of running blocks. A thread can wait until it is zero."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class RunningCount:
    """Counts the blocks that are being executed, in any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one while the block runs."""
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def wait_for_none(self, seconds: float) -> bool:
        """Wait until nothing is counted; False if something still is after *seconds*."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)

    def _add(self, change: int) -> None:
        with self._changed:
            self._count += change
            self._changed.notify_all()
