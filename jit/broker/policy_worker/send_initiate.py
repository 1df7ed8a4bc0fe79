"""One initiate for all that a pass asks of Defender, and the meaning of its answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from jit import telemetry
from jit.broker.azure_changes import Actions, Outcome
from jit.broker.initiate_parts import Ids, Reasons
from jit.broker.locks import Locks
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.azure import defender_requests
from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.errors import StateConflict
from jit.domain.grants import lifetime
from jit.domain.grants.timing import REFUSAL_PAUSE
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.model.machine import VmPort
from jit.domain.values.visible_text import make_line
from jit.storage.request_store import RequestStore

_ATTEMPTS = 3
_NAMED = 5  # requests named in Defender's own record
_AFTER_NO_ANSWER = timedelta(seconds=20)
_PASSING = frozenset({"NotFound", "ResourceGroupNotFound", "ResourceNotFound"})
"""Refusals of what may be there after all: one answer of 404 may be a passing fault."""


@dataclass(frozen=True, slots=True)
class InitiateSender:
    """Sends initiates."""

    requests: RequestStore
    locks: Locks
    actions: Actions

    def send(self, asks: Sequence[PortToOpen], state: Pass) -> None:
        """
        Ask Defender for *asks* under the id that is stored with their grants.

        Raises:
            StateConflict: The lease was lost, or somebody changed a grant meanwhile.
        """
        state.initiated = True
        ports = {ask.vm_port for ask in asks}
        here = (grant for grant in state.grants if grant.vm_port in ports)
        asking = [g for g in here if g.wants_path and not g.initiate.answered]
        newest = (g.initiate.newest for g in asking if g.initiate.at == state.now)
        initiate_id = next(filter(None, newest), "")
        reasons = Reasons(
            requests=_list_requests(asking),
            write=partial(self._write_justification, initiate_id, {}),
        )
        find_age = partial(self.locks.find_age, state.lease)
        outcome = self.actions.initiate(state.policy_id, asks, reasons, find_age)
        telemetry.event(
            "initiate.sent",
            policy_id=state.policy_id,
            initiate_id=initiate_id,
            ports=len(asks),
            answered=len(outcome.answered),
        )
        try:
            self._store_outcome(outcome, initiate_id, state)
        except StateConflict:  # somebody changed a grant, perhaps before the initiate
            self._make_due(asks, state)
            raise

    def _write_justification(self, initiate_id: str, read: dict[str, str], ids: Ids) -> str:
        """
        Return the justification for Defender's own record: people and their reasons.

        *read* keeps the reasons of the requests that earlier parts of the initiate named.
        """
        for request_id in ids[:_NAMED]:
            if request_id not in read:
                read[request_id] = self._describe_request(request_id)
        texts = filter(None, (read[request_id] for request_id in ids[:_NAMED]))
        more = f"; {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        return defender_requests.mark_reason(initiate_id, "; ".join(texts) + more)

    def _describe_request(self, request_id: str) -> str:
        request = self.requests.find_request(request_id)
        if request is None:
            return ""
        ticket = f"{request.ticket.id} " if request.ticket else ""
        name = make_line(request.requester.name)  # an older version stored names as they came
        return f"{ticket}{name or request.requester.id}: {request.justification}"

    def _store_outcome(self, outcome: Outcome, initiate_id: str, state: Pass) -> None:
        """Store the meaning of the answer; each time that Azure takes nothing, wait longer."""
        asking = [g for g in state.grants if g.wants_path and g.initiate.newest == initiate_id]
        if outcome.wait is not None:
            tries = max((grant.initiate.attempts for grant in asking), default=1)
            outcome.wait = max(outcome.wait, lifetime.pace_retries(tries))
            state.asks_from = state.now + outcome.wait
        alone = _choose_to_ask_alone(asking, outcome)
        if all(_is_just_taken(grant, outcome) for grant in asking):
            self._note_answered(asking, state)
            return
        changed = {
            grant.id: _ask_again(grant, state.now)
            if grant.id in alone
            else _apply_outcome(grant, outcome, state.now)
            for grant in asking
        }
        state.save(self.requests, changed, state.grants)

    def _note_answered(self, asking: Iterable[Grant], state: Pass) -> None:
        """
        Note that Azure took all of the initiate, if the policy is still this pass's.

        No row of a grant is written, so no conflict would tell that another pass took over, and
        that this initiate came after its one.
        """
        if not self.locks.is_held(state.lease):
            raise StateConflict("the initiate took too long: another pass has taken over")
        state.note_answered(grant.id for grant in asking)

    def _make_due(self, asks: Sequence[PortToOpen], state: Pass) -> None:
        """Make each grant due whose path the initiate may have changed unseen."""
        ports = {ask.vm_port for ask in asks}
        for _ in range(_ATTEMPTS):
            changes = [
                (row, tuple(_make_grant_due(grant, ports, state.now) for grant in row.grants))
                for row in self.requests.list_policy_grants(state.policy_id).rows
            ]
            with suppress(StateConflict):
                self.requests.save([each for each in changes if each[1] != each[0].grants], [])
                return


def _list_requests(asking: Iterable[Grant]) -> dict[VmPort, Ids]:
    """Return the ids of the requests behind each VM port that is asked for."""
    found: dict[VmPort, dict[str, None]] = {}
    for grant in asking:
        found.setdefault(grant.vm_port, {})[grant.request_id] = None
    return {port: tuple(ids) for port, ids in found.items()}


def _make_grant_due(grant: Grant, ports: Collection[VmPort], now: datetime) -> Grant:
    if not grant.wants_path or grant.vm_port not in ports:
        return grant
    return replace(grant, next_check_at=min(grant.next_check_at, now))


def _is_just_taken(grant: Grant, outcome: Outcome) -> bool:
    """Return True if Azure took an initiate, and that says nothing else about the grant."""
    return grant.vm_port in outcome.answered and grant.initiate.refused_at is None


def _apply_outcome(grant: Grant, outcome: Outcome, now: datetime) -> Grant:
    """Return a grant as the answer to its initiate leaves it."""
    port = grant.vm_port
    if port in outcome.answered:
        note = None if grant.initiate.refused_at is not None else grant.note
        taken = replace(grant.initiate, answered=True, refused_at=None, refusal="")
        return replace(grant, initiate=taken, note=note)
    if port in outcome.refused:
        return _apply_refusal(grant, outcome.refused[port], now)
    asked = grant.initiate
    untaken = port in outcome.untaken and asked.before is not None  # None: an older may yet come
    return replace(
        grant,
        note=outcome.note or None,
        next_check_at=now + (outcome.wait or _AFTER_NO_ANSWER),
        initiate=replace(asked, written=untaken),
    )


def _choose_to_ask_alone(asking: Iterable[Grant], outcome: Outcome) -> set[str]:
    """
    Return the grants to ask for again, alone, after a refusal: the first of several new ones.

    Azure may have refused the list of their sources. If it did not find something, it was not that.
    """
    groups: dict[VmPort, list[Grant]] = {}
    for grant in asking:
        if outcome.refused.get(grant.vm_port) not in _PASSING:
            groups.setdefault(grant.vm_port, []).append(grant)
    refused = [group for port, group in groups.items() if port in outcome.refused]
    return {
        min(group, key=lambda grant: (grant.starts_at, grant.id)).id
        for group in refused
        if all(map(_has_nothing_under_way, group)) and len({grant.sources for grant in group}) > 1
    }


def _is_newcomer(grant: Grant) -> bool:
    """
    Return True if *grant* was never open, and Azure has taken no initiate for it.

    Rules that were there before prove nothing, though they let its sources in.
    """
    asked = grant.initiate
    return grant.opened_at is None and not asked.taken and len(asked.ids) <= asked.attempts


def _has_nothing_under_way(grant: Grant) -> bool:
    """Return True if *grant* is a newcomer, and no older initiate may yet be written."""
    asked = grant.initiate
    return _is_newcomer(grant) and (len(asked.ids) == 1 or asked.before is not None)


def _ask_again(grant: Grant, now: datetime) -> Grant:
    """Return a new grant as if it had not been asked for, due at *now*: Azure took nothing."""
    nothing = replace(grant.initiate, ids=(), at=None, sources=(), sources_mark="", until=None)
    return replace(grant, initiate=nothing, next_check_at=now)


def _apply_refusal(grant: Grant, code: str, now: datetime) -> Grant:
    """
    Return a grant after a 4xx, which opened nothing.

    A newcomer fails; the others keep the path that they had. If Azure did not find something, the
    broker asks once more for the newcomer, after a pause.
    """
    if not _is_newcomer(grant):
        note = f"{lifetime.REFUSED} a change of its path ({code})"
        return _pause(_drop_newest(grant, answered=True), code, note, now)
    if code in _PASSING and grant.initiate.refusal not in _PASSING:
        clean = _has_nothing_under_way(grant)
        before = _ask_again(grant, now) if clean else _drop_newest(grant, answered=False)
        return _pause(before, code, lifetime.explain_refusal(code, again=True), now)
    may_be_there = bool(grant.footprint.companions) or not _has_nothing_under_way(grant)
    end = lifetime.begin_closing if may_be_there else lifetime.close
    return end(grant, CloseReason.FAILED, now, lifetime.explain_refusal(code, again=False))


def _drop_newest(grant: Grant, *, answered: bool) -> Grant:
    """Return a grant without its newest initiate; the one before counts again."""
    asked = grant.initiate
    return replace(
        grant,
        initiate=replace(
            asked,
            ids=asked.ids[:-1],
            sources=(),  # if an older initiate is in force, Azure's own list has its sources
            sources_mark="",
            until=None,
            answered=answered,
        ),
    )


def _pause(grant: Grant, code: str, note: str, now: datetime) -> Grant:
    """Return a refused grant with the refusal, until which time Azure is not asked again."""
    return replace(
        grant,
        initiate=replace(grant.initiate, refused_at=now, refusal=code),
        next_check_at=now + REFUSAL_PAUSE,
        note=note,
    )
