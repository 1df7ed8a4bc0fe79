"""
One comparison of a subscription at a time, and what the last one told people.

The row is a courtesy that saves double work where timers overlap. What is safe is safe without it:
removals happen under the claims of their policies, after another look.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from jit.domain.errors import StateConflict
from jit.storage.store import Store
from jit.storage.table import Row

LEASE = timedelta(seconds=60)
"""How long a comparison that nobody hears of keeps others out; by the storage service's clock."""

TOLD = 2_700
"""Standing things remembered as told: what fits one property of a row (64 KiB of UTF-16)."""

KEY = "s|comparison"


@dataclass(slots=True)
class Round:
    """A comparison that has begun; *row* is the version that it wrote last."""

    row: Row

    @property
    def told(self) -> frozenset[str]:
        """Names of the standing things that an earlier comparison told."""
        return frozenset(str(self.row.values.get("Told") or "").split())


@dataclass(frozen=True, slots=True)
class Rounds:
    """Begins and ends comparisons."""

    store: Store

    def begin(self, subscription: str) -> Round | None:
        """Return a new round of a subscription; None while another instance is at it."""
        row = self.store.control(subscription, KEY) or Row(
            partition=subscription, key=KEY, values={}
        )
        if row.values.get("Owner") and not _aged(row):
            return None
        begun = Round(row)
        return begun if self._put(begun, Owner=secrets.token_hex(8)) else None

    def renew(self, begun: Round) -> None:
        """Say that the round goes on."""
        self._put(begun)

    def end(self, begun: Round, told: Iterable[str] | None = None) -> None:
        """End a round; *told* replaces what is remembered, unless it is None."""
        texts = begun.told if told is None else told
        self._put(begun, Owner="", Told=" ".join(sorted(texts)[:TOLD]))

    def _put(self, begun: Round, **values: str) -> bool:
        """Write the row; False where somebody else wrote it: it is theirs now."""
        changed = replace(begun.row, values={**begun.row.values, **values})
        try:
            begun.row = self.store.put_control(changed)
        except StateConflict:
            return False
        return True


def _aged(row: Row) -> bool:
    if row.written_at is None or row.read_at is None:
        return False
    return row.read_at - row.written_at > LEASE
