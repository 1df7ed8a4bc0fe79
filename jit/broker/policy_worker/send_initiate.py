"""Asking Defender: one initiate for everything a pass wants, and what its answer means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from jit import telemetry
from jit.broker.azure_changes import Actions, Outcome
from jit.broker.locks import Locks
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.azure import defender_requests
from jit.domain.errors import StateConflict
from jit.domain.grants import lifetime
from jit.domain.grants.initiate import PortToOpen
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.model.machine import VmPort
from jit.storage.request_store import RequestStore

_ATTEMPTS = 3
_NAMED = 5  # requests named in Defender's own record
_UNANSWERED = timedelta(seconds=20)
_REFUSED = timedelta(minutes=2)  # soon: what is open still may end before its change is taken


@dataclass(frozen=True, slots=True)
class Initiator:
    """Sends initiates."""

    requests: RequestStore
    turns: Locks
    actions: Actions

    def send(self, asks: Sequence[PortToOpen], state: Pass) -> None:
        """
        Ask Defender for *asks* under the id that is stored with their grants.

        Raises:
            StateConflict: The claim was lost, or somebody decided otherwise meanwhile.
        """
        state.initiated = True
        carried = [g for g in state.grants if g.wants_path and not g.initiate.answered]
        newest = (g.initiate.newest for g in carried if g.initiate.at == state.now)
        initiate_id = next(filter(None, newest), "")
        text = defender_requests.mark_reason(initiate_id, self._reasons(carried))
        holds = partial(self.turns.is_held, state.claim)
        outcome = self.actions.initiate(state.policy_id, asks, text, holds)
        telemetry.event(
            "initiate.sent",
            policy_id=state.policy_id,
            initiate_id=initiate_id,
            ports=len(asks),
            answered=len(outcome.answered),
        )
        try:
            self._note(outcome, initiate_id, state)
        except StateConflict:  # somebody decided otherwise meanwhile, and it may have come first
            self._make_due(asks, state)
            raise

    def _reasons(self, grants: Sequence[Grant]) -> str:
        """Return who asks and why, for Defender's own record."""
        ids = list(dict.fromkeys(grant.request_id for grant in grants))
        texts = []
        for request_id in ids[:_NAMED]:
            request = self.requests.find_request(request_id)
            if request is not None:
                ticket = f"{request.ticket.id} " if request.ticket else ""
                texts.append(f"{ticket}{request.requester.name}: {request.justification}")
        more = f"; {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        return "; ".join(texts) + more

    def _note(self, outcome: Outcome, initiate_id: str, state: Pass) -> None:
        """Store what the answer means; where Azure took nothing, wait longer each time."""
        carried = [g for g in state.grants if g.wants_path and g.initiate.newest == initiate_id]
        if outcome.wait is not None:
            tries = max((grant.initiate.attempts for grant in carried), default=1)
            outcome.wait = max(outcome.wait, lifetime.pace_retries(tries))
            state.asks_from = state.now + outcome.wait
        alone = _alone(carried, outcome)
        changed = {
            grant.id: _again(grant, state.now)
            if grant.id in alone
            else _after(grant, outcome, state.now)
            for grant in carried
        }
        state.save(self.requests, changed, state.grants)

    def _make_due(self, asks: Sequence[PortToOpen], state: Pass) -> None:
        """Have every grant looked at whose path an initiate may have changed behind its back."""
        doors = {ask.vm_port for ask in asks}
        for _ in range(_ATTEMPTS):
            changes = [
                (held, tuple(_due_now(grant, doors, state.now) for grant in held.grants))
                for held in self.requests.list_policy_grants(state.policy_id)
            ]
            with suppress(StateConflict):
                self.requests.save([each for each in changes if each[1] != each[0].grants], [])
                return


def _due_now(grant: Grant, doors: Collection[VmPort], now: datetime) -> Grant:
    if not grant.wants_path or grant.vm_port not in doors:
        return grant
    return replace(grant, next_check_at=min(grant.next_check_at, now))


def _after(grant: Grant, outcome: Outcome, now: datetime) -> Grant:
    """Return a grant as the initiate's answer leaves it."""
    port = grant.vm_port
    if port in outcome.answered:
        return replace(grant, initiate=replace(grant.initiate, answered=True))
    if port in outcome.refused:
        return _refused(grant, outcome.refused[port], now)
    asked = grant.initiate
    untaken = port in outcome.untaken and asked.before is not None  # None: an older may yet come
    return replace(
        grant,
        note=outcome.note or None,
        next_check_at=now + (outcome.wait or _UNANSWERED),
        initiate=replace(asked, written=untaken),
    )


def _alone(carried: Iterable[Grant], outcome: Outcome) -> set[str]:
    """
    Return who is asked for again, alone, after a refusal: the first of several newcomers.

    It may be the list of their sources that Azure did not take.
    """
    groups: dict[VmPort, list[Grant]] = {}
    for grant in carried:
        groups.setdefault(grant.vm_port, []).append(grant)
    refused = [group for port, group in groups.items() if port in outcome.refused]
    return {
        min(group, key=lambda grant: (grant.starts_at, grant.id)).id
        for group in refused
        if all(map(_new, group)) and len({grant.sources for grant in group}) > 1
    }


def _new(grant: Grant) -> bool:
    """Whether *grant* never had a path, nor was asked for before."""
    return len(grant.initiate.ids) == 1 and grant.opened_at is None


def _again(grant: Grant, now: datetime) -> Grant:
    """Return a newcomer as if nothing had been asked for it: Azure took nothing."""
    nothing = replace(grant.initiate, ids=(), at=None, sources=(), until=None)
    return replace(grant, initiate=nothing, next_check_at=now)


def _refused(grant: Grant, code: str, now: datetime) -> Grant:
    """A 4xx opened nothing: who came with this initiate fails, the others keep what they had."""
    if _new(grant):
        end = lifetime.begin_closing if grant.footprint.companions else lifetime.close
        return end(grant, CloseReason.FAILED, now, f"{lifetime.REFUSED} to open it ({code})")
    return replace(
        grant,
        initiate=replace(
            grant.initiate,
            ids=grant.initiate.ids[:-1],
            sources=(),  # an older initiate is in force: Azure's own list has its sources
            until=None,
            answered=True,
        ),
        next_check_at=now + _REFUSED,
        note=f"{lifetime.REFUSED} a change of its path ({code})",
    )
