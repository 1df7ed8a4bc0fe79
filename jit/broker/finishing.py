"""Requests whose grants are all closed move to history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from jit import telemetry
from jit.broker.passes import Pass
from jit.domain.model import Status
from jit.store import Store
from jit.whole import Held

_SIBLINGS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finishes requests."""

    store: Store

    def finish_closed(self, state: Pass) -> None:
        """Move requests whose grants are all closed to history."""
        closed = [held for held in state.rows if not any(grant.live for grant in held.grants)]
        moved = {held.request_id for held in closed if self._finish(held, state)}
        state.rows = tuple(held for held in state.rows if held.request_id not in moved)

    def _finish(self, held: Held, state: Pass) -> bool:
        """Finish the request of a closed row; False while it has open grants elsewhere."""
        if not self.store.is_live(held.row.partition, held.request_id):
            self.store.bury([held], now=state.now)  # a move that died half-way
            return True
        whole = self.store.load(held.request_id)
        if whole is None or whole.row is None:
            return True  # another instance has just moved it
        if whole.status is Status.CLOSED:
            self.store.finish(whole, now=state.now)
            telemetry.event("request.finished", request_id=held.request_id)
            return True
        later = tuple(replace(g, next_check_at=state.now + _SIBLINGS) for g in held.grants)
        if held.grants[0].next_check_at <= state.now:
            (written,) = self.store.save([(held, later)], [])
            state.rows = tuple(written if r.row.key == held.row.key else r for r in state.rows)
        return False
