"""The move of requests to history, once all their grants are closed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.broker.locks import Locks
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.errors import BrokerError, StateConflict, Unavailable
from jit.domain.model.grant import Status
from jit.storage.callers.person_rows import PersonRows
from jit.storage.moves.closed_requests import ClosedRequests
from jit.storage.request_store import RequestStore
from jit.storage.stored import GrantRow

MOST_MOVED = 30
"""Requests that one call moves to history: the lease of a minute must outlast the writes."""

_SEVERAL = 2
_FAILURES = (BrokerError, LookupError, TypeError, ValueError)  # the last three: a broken row
_OTHER_GRANTS = timedelta(minutes=10)  # until the next look at a request with open grants
_SOON, _SELDOM = timedelta(minutes=1), timedelta(minutes=10)  # after failures


@dataclass(frozen=True, slots=True)
class Archive:
    """Moves requests to history."""

    requests: RequestStore
    closed: ClosedRequests
    people: PersonRows
    locks: Locks

    def move_closed(self, state: Pass) -> None:
        """
        Move requests whose grants are all closed to history, a bounded number at a time.

        If a request cannot be moved, it waits and delays no other one: closing paths comes first.

        Raises:
            StateConflict: The lease was lost.
        """
        groups: dict[str, list[GrantRow]] = {}
        for row in state.rows:
            if not any(grant.live for grant in row.grants):
                groups.setdefault(row.request_id, []).append(row)
        due = [rows for rows in groups.values() if _find_due(rows) <= state.now]
        ordered = sorted(due, key=_find_due)[:MOST_MOVED]
        moved = self._move_together(ordered, state)
        alone = [rows for rows in ordered if rows[0].request_id not in moved]
        moved |= {rows[0].request_id for rows in alone if self._try(rows, state)}
        state.make_tombstones(moved)

    def _move_together(self, groups: Sequence[Sequence[GrantRow]], state: Pass) -> set[str]:
        """
        Move the requests of which this pass has read all rows; return their ids.

        Each other one is tried alone. One that is alone here is so too.
        """
        live = {grant.request_id for grant in state.grants if grant.live}
        whole = [rows for rows in groups if rows[0].request_id not in live]
        if len(whole) < _SEVERAL or state.unreadable or state.outage is not None:
            return set()
        moved: set[str] = set()
        try:
            for request_id in self.closed.move(whole, now=state.now):
                moved.add(request_id)
                telemetry.event("request.finished", request_id=request_id)
        except _FAILURES as error:  # any but an outage is that of one request: it moves alone
            left = [rows for rows in whole if rows[0].request_id not in moved]
            if isinstance(error, Unavailable) and left:
                self._set_aside(left[0], error, state)
        return moved

    def _try(self, rows: Sequence[GrantRow], state: Pass) -> bool:
        """Try to move a request; return False if it has to wait, or if storage failed before."""
        if state.outage is not None:
            return False
        try:
            return self._move(rows, state)
        except _FAILURES as error:
            if isinstance(error, StateConflict) and not self.locks.is_held(state.lease):
                raise
            self._set_aside(rows, error, state)
            return False

    def _set_aside(self, rows: Sequence[GrantRow], error: Exception, state: Pass) -> None:
        """Report a failure and try again later; in an outage, move no more in this pass."""
        fields = {"request_id": rows[0].request_id, "error": type(error).__name__}
        if isinstance(error, Unavailable):
            telemetry.warning("finishing.postponed", **fields)
        else:
            telemetry.alert("finishing.failed", **fields)
        if isinstance(error, Unavailable) and not isinstance(error, StateConflict):
            state.outage = error
        wait = _SOON if isinstance(error, Unavailable) else _SELDOM
        try:
            for row in rows:  # one at a time: together they may be too large
                self._postpone([row], state, wait)
        except Unavailable:
            return  # its rows stay due, or are gone: the next pass reads them

    def _move(self, rows: Sequence[GrantRow], state: Pass) -> bool:
        """Move the request of closed *rows*; return False if it has open grants elsewhere."""
        first = rows[0]
        if not self.requests.is_live(first.row.partition, first.request_id):
            self.requests.write_tombstones(rows, now=state.now)  # a move that died half-way
            return True
        stored = self.requests.load(first.request_id)
        if stored is None or stored.row is None:
            return True  # another instance has just moved it
        if stored.status is Status.CLOSED:
            person_id = stored.request.requester.id  # free first: history may refuse a request
            self.people.delete_place(first.row.partition, person_id, first.request_id)
            self.requests.archive(stored, now=state.now)
            telemetry.event("request.finished", request_id=first.request_id)
            return True
        self._postpone(rows, state, _OTHER_GRANTS)
        return False

    def _postpone(self, rows: Iterable[GrantRow], state: Pass, wait: timedelta) -> None:
        """Have closed rows looked at later, if they are due."""
        later = [
            (row, tuple(replace(g, next_check_at=state.now + wait) for g in row.grants))
            for row in rows
            if any(grant.next_check_at <= state.now for grant in row.grants)
        ]
        state.replace_rows(self.requests.save(later, []))


def _find_due(rows: Sequence[GrantRow]) -> datetime:
    """Return the earliest instant at which one of *rows* is due."""
    return min(grant.next_check_at for row in rows for grant in row.grants)
