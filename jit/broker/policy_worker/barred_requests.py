"""Requests of barred people: asked in each pass that would open something."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from jit import telemetry
from jit.broker.asked_bars import AskedBars
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.decision.barred_people import find_barred
from jit.domain.errors import Unavailable
from jit.domain.grants.admission import is_to_open
from jit.domain.grants.policy_view import PolicyView
from jit.domain.model.bar import Bars
from jit.domain.model.grant import Grant
from jit.storage.request_store import RequestStore


@dataclass(frozen=True, slots=True)
class BarredRequests:
    """Asks if the people of the requests that a pass may open are barred."""

    bars: AskedBars
    requests: RequestStore

    def ask(self, grants: Sequence[Grant], view: PolicyView, state: Pass) -> PolicyView:
        """
        Return *view* with the requests of barred people, read anew.

        If storage does not answer, the requests that may open wait, and all else goes on. A request
        whose person cannot be read waits, too.
        """
        now = state.now
        waiting = tuple(dict.fromkeys(g.request_id for g in grants if is_to_open(g, now)))
        if not waiting:
            return view
        try:
            barred, unknown = self._judge(waiting, self.bars.read(now), state)
        except Unavailable:
            telemetry.warning("bars.unread", requests=len(waiting))
            return replace(view, unasked=frozenset(waiting))
        return replace(view, barred=barred, unasked=unknown)

    def _judge(
        self, request_ids: Collection[str], bars: Bars, state: Pass
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return the requests of barred people, and the requests without a known person."""
        if not bars.list_barred(state.now):
            return frozenset(), frozenset()
        known = state.read_requests(request_ids, self.requests)
        found = {each: known[each] for each in request_ids}
        barred = (
            each
            for each, request in found.items()
            if request is not None
            and find_barred((request.requester, request.asked_by), bars, state.now)
        )
        return frozenset(barred), frozenset(each for each in found if found[each] is None)
