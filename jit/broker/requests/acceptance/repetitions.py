"""Repetitions: the stored request that a call asks for again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jit.domain.model.grant import Status
from jit.storage.callers.idempotency_keys import Idempotency
from jit.storage.callers.key_rows import RepeatableCall, StoredKey
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest
from jit.storage.table import Row


@dataclass(frozen=True, slots=True)
class Repetition:
    """
    The state of the key of a call.

    Attributes:
        request: The request that the call repeats; None if it repeats none.
        over: The row of the key that a new request replaces; None if the key has no row.
    """

    request: StoredRequest | None = None
    over: Row | None = None


@dataclass(frozen=True, slots=True)
class Repetitions:
    """Finds the request that a call repeats."""

    requests: RequestStore
    keys: Idempotency

    def find(self, call: RepeatableCall, now: datetime) -> Repetition:
        """
        Return the state of the key of *call*.

        Raises:
            Conflict: The key was used with another body.
        """
        found = self.keys.find(call)
        if found is None:
            return Repetition()
        row, key = found
        if key.has_run_out(now):
            return Repetition(over=row)
        key.check_body(call)
        known = self._load(call, key)
        return Repetition(known) if known is not None else Repetition(over=row)

    def find_earlier(self, call: RepeatableCall, now: datetime) -> StoredRequest | None:
        """
        Return the request that *call* repeats, if an older version stored its key.

        Raises:
            Conflict: The key was used with another body.
        """
        key = self.keys.find_earlier(call, now)
        return self._load(call, key) if key is not None else None

    def _load(self, call: RepeatableCall, key: StoredKey) -> StoredRequest | None:
        """Return the request of *key*; a closed one no longer answers for a body without a key."""
        known = self.requests.load(key.request_id)
        if known is not None and call.key is None and known.status is Status.CLOSED:
            return None
        return known
