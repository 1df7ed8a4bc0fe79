"""Requests whose grants are all closed move to history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.broker.passes import Pass
from jit.domain.model import Status
from jit.store import Store
from jit.whole import Held

FINISHED = 30
"""Requests moved to history in one go: the lease of a minute must outlast the writes."""

_SIBLINGS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finishes requests."""

    store: Store

    def finish_closed(self, state: Pass) -> None:
        """Move requests whose grants are all closed to history; the rest of many comes next."""
        groups: dict[str, list[Held]] = {}
        for held in state.rows:
            if not any(grant.live for grant in held.grants):
                groups.setdefault(held.request_id, []).append(held)
        ordered = sorted(groups.values(), key=_due)[:FINISHED]
        state.bury({group[0].request_id for group in ordered if self._finish(group, state)})

    def _finish(self, rows: Sequence[Held], state: Pass) -> bool:
        """Finish the request of closed *rows*; False while it has open grants elsewhere."""
        first = rows[0]
        if not self.store.is_live(first.row.partition, first.request_id):
            self.store.bury(rows, now=state.now)  # a move that died half-way
            return True
        whole = self.store.load(first.request_id)
        if whole is None or whole.row is None:
            return True  # another instance has just moved it
        if whole.status is Status.CLOSED:
            self.store.finish(whole, now=state.now)
            telemetry.event("request.finished", request_id=first.request_id)
            return True
        self._postpone(rows, state)
        return False

    def _postpone(self, rows: Iterable[Held], state: Pass) -> None:
        """Look at closed rows later, those that are due: their siblings are not closed yet."""
        later = [
            (held, tuple(replace(g, next_check_at=state.now + _SIBLINGS) for g in held.grants))
            for held in rows
            if any(grant.next_check_at <= state.now for grant in held.grants)
        ]
        written = {held.row.key: held for held in self.store.save(later, [])}
        state.rows = tuple(written.get(held.row.key, held) for held in state.rows)


def _due(rows: Sequence[Held]) -> datetime:
    return min(grant.next_check_at for held in rows for grant in held.grants)
