"""
Turns of one person's calls in this process, so that they do not lose to each other again and again.

Nothing rests on them: the row of the person decides, also between processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from jit.domain.errors import Unavailable

PATIENCE_SECONDS = 10.0


class Turns:
    """Gives one turn at a time to each person; any thread may call it."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        """Begin without turns; nobody waits longer than *patience* seconds for one."""
        self._patience = patience
        self._lock = Lock()
        self._turns: dict[str, tuple[Lock, int]] = {}

    @contextmanager
    def take(self, person_id: str) -> Iterator[None]:
        """
        Wait for the turn of a person; it ends with the context.

        Raises:
            Unavailable: The earlier calls of this person take too long.
        """
        turn = self._join(person_id)
        try:
            if not turn.acquire(timeout=self._patience):
                raise Unavailable("other requests of yours take longer than expected")
            try:
                yield
            finally:
                turn.release()
        finally:
            self._leave(person_id)

    def _join(self, person_id: str) -> Lock:
        """Return the turn of a person, with one more call that wants it."""
        with self._lock:
            turn, wanted = self._turns.get(person_id) or (Lock(), 0)
            self._turns[person_id] = turn, wanted + 1
        return turn

    def _leave(self, person_id: str) -> None:
        """Forget the turn of a person that no call wants any more."""
        with self._lock:
            turn, wanted = self._turns.pop(person_id)
            if wanted > 1:
                self._turns[person_id] = turn, wanted - 1
