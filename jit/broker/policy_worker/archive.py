"""Requests whose grants are all closed move to history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.broker.locks import Locks
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.errors import BrokerError, StateConflict, Unavailable
from jit.domain.model.grant import Status
from jit.storage.request_store import RequestStore
from jit.storage.stored import GrantRow

FINISHED = 30
"""Requests moved to history in one go: the lease of a minute must outlast the writes."""

_SIBLINGS = timedelta(minutes=10)
_SOON, _SELDOM = timedelta(minutes=1), timedelta(minutes=10)  # after failures


@dataclass(frozen=True, slots=True)
class Finisher:
    """Finishes requests."""

    requests: RequestStore
    turns: Locks

    def finish_closed(self, state: Pass) -> None:
        """
        Move requests whose grants are all closed to history; the rest of many comes next.

        One that cannot be moved waits, and holds up nobody: whatever has to be closed comes first.

        Raises:
            StateConflict: The claim was lost.
        """
        groups: dict[str, list[GrantRow]] = {}
        for held in state.rows:
            if not any(grant.live for grant in held.grants):
                groups.setdefault(held.request_id, []).append(held)
        due = [rows for rows in groups.values() if _due(rows) <= state.now]
        ordered = sorted(due, key=_due)[:FINISHED]
        state.bury({rows[0].request_id for rows in ordered if self._moved(rows, state)})

    def _moved(self, rows: Sequence[GrantRow], state: Pass) -> bool:
        """Try to finish a request; False where it has to wait, or storage failed before."""
        if state.outage is not None:
            return False
        try:
            return self._finish(rows, state)
        except (BrokerError, LookupError, TypeError, ValueError) as error:  # or an unreadable row
            if isinstance(error, StateConflict) and not self.turns.is_held(state.claim):
                raise
            self._set_aside(rows, error, state)
            return False

    def _set_aside(self, rows: Sequence[GrantRow], error: Exception, state: Pass) -> None:
        """Tell of a failure and try again later; in an outage, nothing more in this pass."""
        fields = {"request_id": rows[0].request_id, "error": type(error).__name__}
        if isinstance(error, Unavailable):
            telemetry.warning("finishing.postponed", **fields)
        else:
            telemetry.alert("finishing.failed", **fields)
        if isinstance(error, Unavailable) and not isinstance(error, StateConflict):
            state.outage = error
        wait = _SOON if isinstance(error, Unavailable) else _SELDOM
        try:
            for held in rows:  # together they may be what was too large
                self._postpone([held], state, wait)
        except Unavailable:
            return  # its rows stay due, or are gone: the next pass sees which

    def _finish(self, rows: Sequence[GrantRow], state: Pass) -> bool:
        """Finish the request of closed *rows*; False while it has open grants elsewhere."""
        first = rows[0]
        if not self.requests.is_live(first.row.partition, first.request_id):
            self.requests.write_tombstones(rows, now=state.now)  # a move that died half-way
            return True
        whole = self.requests.load(first.request_id)
        if whole is None or whole.row is None:
            return True  # another instance has just moved it
        if whole.status is Status.CLOSED:
            self.requests.archive(whole, now=state.now)
            telemetry.event("request.finished", request_id=first.request_id)
            return True
        self._postpone(rows, state, _SIBLINGS)
        return False

    def _postpone(self, rows: Iterable[GrantRow], state: Pass, wait: timedelta) -> None:
        """Look at closed rows later, those that are due."""
        later = [
            (held, tuple(replace(g, next_check_at=state.now + wait) for g in held.grants))
            for held in rows
            if any(grant.next_check_at <= state.now for grant in held.grants)
        ]
        written = {held.row.key: held for held in self.requests.save(later, [])}
        state.rows = tuple(written.get(held.row.key, held) for held in state.rows)


def _due(rows: Sequence[GrantRow]) -> datetime:
    return min(grant.next_check_at for held in rows for grant in held.grants)
