"""Initiates: how to ask Defender for the one request that a VM port should have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.grants import lifetime, rule_evidence, shared_port, timing
from jit.domain.grants.admission import find_person_wait
from jit.domain.grants.policy_view import StepContext
from jit.domain.grants.shared_port import WantedRequest
from jit.domain.grants.timing import (
    APPEARS_WITHIN,
    EXCHANGE_PAUSE,
    FIREWALL_WAIT,
    LAST_CHANCE,
    LAST_MOMENTS,
    REFUSAL_PAUSE,
    TOLERANCE,
)
from jit.domain.model.grant import Grant, Initiate, Status
from jit.domain.model.machine import Via
from jit.domain.model.named_sources import mark_sources, sort_sources
from jit.domain.paths.effective import PathState, PathView
from jit.domain.paths.machine_view import MachineView
from jit.domain.values.prefixes import Prefix

REOPENS = 3
"""How often a path that somebody wiped is asked for again."""

_WIPED = frozenset({PathState.ABSENT, PathState.PARTIAL})
"""If a path that was seen looks like this, somebody took its rules, or some of them."""

_KEPT_INITIATES = 12


def plan_initiate(
    grants: Sequence[Grant],
    paths: Mapping[str, PathView],
    view: MachineView,
    requests: Sequence[DefenderRequest],
    context: StepContext,
) -> tuple[list[Grant], tuple[PortToOpen, ...]]:
    """
    Ask Defender for the request that a VM port should have, if it does not have it already.

    Args:
        grants: The grants of the VM port.
        paths: Grant id -> its path, as it was just seen.
        view: The VM.
        requests: Defender's requests for the VM port, oldest first.
        context: The step's present.

    Returns:
        The grants, each with the initiate that it now carries, and at most one VM port to open.
    """
    target = shared_port.find_wanted_request(grants, now=context.now)
    if target is None or not _needs_initiate(target, grants, paths, requests, context):
        return _join_carriers(grants, requests, context), ()
    first = next(grant for grant in grants if grant.wants_path)
    wait = _find_waiting_end(target, first, grants, view, requests, context)
    if wait is not None:
        lapse = _find_lapse(target, context.find_current(requests), before=wait)
        return [_postpone(grant, wait, lapse, context.now) for grant in grants], ()
    ask = PortToOpen(
        vm_id=first.vm_id,
        port=first.port,
        sources=sort_sources(target.sources),
        until=max(target.until, context.now + timing.SHORTEST).replace(microsecond=0),
        firewall_id=first.firewall_id if first.via is Via.FIREWALL else None,
    )
    before = rule_evidence.list_marks(grants, view, context.now)
    standing = {entry.initiate_id for entry in requests if entry.is_in_force(context.now)}
    new = Initiate(
        at=context.now,
        sources=ask.sources,
        sources_mark=mark_sources(target.sources),
        until=ask.until,
        before=before,
    )
    carried = [_carry(grant, paths.get(grant.id), new, standing, context) for grant in grants]
    return [_note_firewall(grant, view) for grant in carried], (ask,)


# ---- when to wait --------------------------------------------------------------------------------


def _find_waiting_end(
    target: WantedRequest,
    first: Grant,
    grants: Sequence[Grant],
    view: MachineView,
    requests: Sequence[DefenderRequest],
    context: StepContext,
) -> datetime | None:
    """Return the time to try again, or None if the broker may ask now."""
    current = context.find_current(requests)
    lapse = _find_lapse(target, current, before=context.now + LAST_CHANCE)
    is_last_chance = lapse is not None and not context.must_close_first(first)
    if not is_last_chance and not context.may_change(first, view):
        return context.now + FIREWALL_WAIT
    ending = _find_own_end(target, current, context)
    waits = (
        context.waits_until,
        find_person_wait(grants, context),
        _find_pause_end(grants, context),
        _find_exchange_end(grants, context),
        ending,
    )
    return next(filter(None, waits), None)


def _find_pause_end(grants: Iterable[Grant], context: StepContext) -> datetime | None:
    """Return until when Azure has its pause after a refusal, whichever grant a pass is due for."""
    times = (g.initiate.refused_at for g in grants if g.wants_path)
    last = max(filter(None, times), default=None)
    if last is None or context.now >= last + REFUSAL_PAUSE:
        return None
    return last + REFUSAL_PAUSE


def _find_lapse(
    target: WantedRequest, current: DefenderRequest | None, *, before: datetime
) -> datetime | None:
    """Return the end of the *current* request if it comes *before* then, and the target's later."""
    if current is None or current.ends_at > before:
        return None
    return current.ends_at if target.until > current.ends_at + TOLERANCE else None


def _find_exchange_end(grants: Sequence[Grant], context: StepContext) -> datetime | None:
    """
    Return until when an open path is being exchanged for the one asked for last.

    A new request revokes the one before. If three are sent within seconds, users of the first lose
    access until the third is applied.
    """
    times = (g.initiate.at for g in grants if g.wants_path)
    last = max(filter(None, times), default=None)
    if last is None or context.now >= last + EXCHANGE_PAUSE:
        return None
    stood = any(g.status is Status.OPEN and g.opened_at and g.opened_at < last for g in grants)
    return last + EXCHANGE_PAUSE if stood else None


def _find_own_end(
    target: WantedRequest, current: DefenderRequest | None, context: StepContext
) -> datetime | None:
    """
    Return the end of a path that is wanted for seconds only, and ends then without a request.

    Defender grants no less than five minutes. A request made now would have to be closed by hand.
    """
    longer = current is not None and not shared_port.ends_in_time(current.ends_at, target)
    return None if longer or target.until > context.now + LAST_MOMENTS else target.until


def _postpone(grant: Grant, until: datetime, lapse: datetime | None, now: datetime) -> Grant:
    """Look again *until* then, even if the grant is open; say so if its request ends at *lapse*."""
    if not grant.wants_path:
        return grant
    if lapse is not None and grant.via is Via.FIREWALL:
        grant = lifetime.announce_gap(grant, lapse, now=now)
    return replace(grant, next_check_at=min(grant.next_check_at, until))


# ---- grants that carry the initiate --------------------------------------------------------------


def _carry(
    grant: Grant,
    path: PathView | None,
    new: Initiate,
    standing: Collection[str | None],
    context: StepContext,
) -> Grant:
    """
    Return a grant that wants a path with the *new* initiate, which is about to be sent.

    The oldest initiates are forgotten, but never one whose request in Defender is *standing*: the
    broker would take its own request for a stranger's.
    """
    if not grant.wants_path:
        return grant
    asked = grant.initiate
    wiped = asked.seen and path is not None and path.state in _WIPED
    return replace(
        grant,
        initiate=replace(
            new,
            ids=(*_choose_kept(asked.ids, standing), context.initiate_id),
            taken=asked.taken or asked.answered,
            refused_at=asked.refused_at,
            refusal=asked.refusal,
            attempts=asked.attempts + (0 if asked.answered else 1),
            reopens=asked.reopens + (1 if wiped else 0),
        ),
        next_check_at=context.now + timing.SOONEST_LOOK,
    )


def _choose_kept(ids: Sequence[str], standing: Collection[str | None]) -> list[str]:
    """Return the newest of *ids*, and those whose requests are *standing*, in their order."""
    newest = ids[1 - _KEPT_INITIATES :]
    return [id_ for id_ in ids if id_ in newest or id_ in standing]


def _note_firewall(grant: Grant, view: MachineView) -> Grant:
    """Return a grant that was asked for with the firewall before its VM: Defender writes there."""
    firewall_id = view.vm.firewall_id or grant.firewall_id
    return replace(grant, firewall_id=firewall_id) if grant.wants_path else grant


def _join_carriers(
    grants: Sequence[Grant], requests: Sequence[DefenderRequest], context: StepContext
) -> list[Grant]:
    """Return *grants*; one whose path another grant's initiate opened has that initiate."""
    current = context.find_current(requests)
    current_id = current.initiate_id if current is not None else None
    wanting = (other.initiate for other in grants if other.wants_path)
    carried = next((other for other in wanting if current_id in other.ids), None)
    return [_join_carrier(grant, current_id, carried, context) for grant in grants]


def _join_carrier(
    grant: Grant, current_id: str | None, carried: Initiate | None, context: StepContext
) -> Grant:
    """Return a grant whose path another grant's initiate opened, with that initiate."""
    asked = grant.initiate
    if not grant.wants_path or current_id is None or current_id in asked.ids:
        return grant
    if carried is None:
        return grant
    newest = carried.newest == current_id
    return replace(
        grant,
        initiate=replace(
            asked,
            ids=(*asked.ids, current_id),
            at=carried.at if newest else context.now,
            sources=carried.sources if newest else (),
            sources_mark=carried.sources_mark if newest else "",
            until=carried.until if newest else None,
            answered=True,
            before=carried.before if newest else None,
            written=newest and carried.written,
        ),
    )


# ---- is an initiate needed? ----------------------------------------------------------------------


def _needs_initiate(
    target: WantedRequest,
    grants: Sequence[Grant],
    paths: Mapping[str, PathView],
    requests: Sequence[DefenderRequest],
    context: StepContext,
) -> bool:
    live = [grant for grant in grants if grant.wants_path]
    current = context.find_current(requests)
    if current is not None and context.is_foreign(current):
        return False  # same sources, or the grant would have been denied: join, never supersede
    if _awaits_answer(target, live, requests, context):
        return False
    carried = {initiate_id for grant in live for initiate_id in grant.initiate.ids}
    if current is None or current.initiate_id not in carried:
        return True
    if not _stands_for(current, target, live, context):
        return True
    return any(_is_wiped(grant, paths[grant.id]) for grant in live)


def _stands_for(
    current: DefenderRequest, target: WantedRequest, live: Sequence[Grant], context: StepContext
) -> bool:
    """
    Return True if *current* stands for exactly the wanted request.

    The values that were stored before the call decide. Azure may repeat it in other words, or
    leave the sources out. Believing that would mean asking again and again.
    """
    stored = [grant for grant in live if grant.initiate.newest == current.initiate_id]
    if any(_has_asked_for(grant, target, context) for grant in stored):
        return True
    return shared_port.covers(current, target, now=context.now)


def _has_asked_for(grant: Grant, target: WantedRequest, context: StepContext) -> bool:
    """Return True if the newest initiate of *grant* named the sources and end of *target*."""
    until = grant.initiate.until
    return (
        until is not None
        and _has_named(grant.initiate, target.sources)
        and shared_port.lasts_long_enough(until, target, now=context.now)
    )


def _has_named(asked: Initiate, sources: frozenset[Prefix]) -> bool:
    """Return True if *asked* named exactly these *sources*; many are compared by their digest."""
    if asked.sources_mark:
        return asked.sources_mark == mark_sources(sources)
    return len(asked.sources) == len(sources) and frozenset(asked.sources) == sources


def _is_wiped(grant: Grant, path: PathView) -> bool:
    """Return True if a path that was seen is gone although Defender still counts it as open."""
    asked = grant.initiate
    return asked.seen and path.state in _WIPED and asked.reopens < REOPENS


def is_given_up(grant: Grant, path: PathView) -> bool:
    """Return True if a path was wiped once more than it is asked for again."""
    asked = grant.initiate
    return asked.seen and path.state in _WIPED and asked.reopens >= REOPENS


def _awaits_answer(
    target: WantedRequest,
    live: Sequence[Grant],
    requests: Sequence[DefenderRequest],
    context: StepContext,
) -> bool:
    """Return True if Azure answered 202 to an initiate for *target* that has not shown up yet."""
    newest = {grant.initiate.newest for grant in live}
    shown = {entry.initiate_id for entry in requests}
    return (
        len(newest) == 1
        and None not in newest
        and not newest & shown
        and all(
            grant.initiate.answered
            and (grant.initiate.until is None or _has_asked_for(grant, target, context))
            and grant.initiate.at is not None
            and context.now < grant.initiate.at + APPEARS_WITHIN
            for grant in live
        )
    )
