"""What to ask Defender for: the one request that a VM port should have, if it lacks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import rule_evidence, shared_port, timing
from jit.domain.grants.policy_view import StepContext
from jit.domain.grants.timing import APPEARS_WITHIN, EXCHANGE_PAUSE, FIREWALL_WAIT, LAST_MOMENTS
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import Via
from jit.domain.paths.effective import PathState, PathView
from jit.domain.paths.machine_view import MachineView
from jit.domain.values.prefixes import Prefix

REOPENS = 3
"""How often a path that somebody wiped is asked for again."""

_WIPED = frozenset({PathState.ABSENT, PathState.PARTIAL})
"""What a path must not look like once all of it was seen: somebody took it, or half of it."""

_KEPT_INITIATES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PortToOpen:
    """One VM port of an initiate: exactly these sources, until then."""

    vm_id: str
    port: int
    sources: tuple[Prefix, ...]
    until: datetime
    firewall_id: str | None = None


def plan_initiate(
    grants: list[Grant],
    looks: Mapping[str, PathView],
    view: MachineView,
    seen: Sequence[DefenderRequest],
    context: StepContext,
) -> tuple[list[Grant], tuple[PortToOpen, ...]]:
    """Ask Defender for what the VM port should have, if it does not have it already."""
    target = shared_port.wanted_request(grants, now=context.now)
    if target is None or not _needs_asking(target, grants, looks, seen, context):
        return [_joined(grant, grants, seen, context) for grant in grants], ()
    first = next(grant for grant in grants if grant.wants_path)
    if not context.may_change(first, view):
        return [_postponed(grant, context.now + FIREWALL_WAIT) for grant in grants], ()
    ending = _ending(target, context.current(seen), context)
    wait = context.waits_until or _swapping(grants, context) or ending
    if wait is not None:
        return [_postponed(grant, wait) for grant in grants], ()
    ask = PortToOpen(
        vm_id=first.vm_id,
        port=first.port,
        sources=tuple(sorted(target.sources, key=str)),
        until=max(target.until, context.now + timing.SHORTEST).replace(microsecond=0),
        firewall_id=first.firewall_id if first.via is Via.FIREWALL else None,
    )
    before = rule_evidence.before(grants, view, context.now)
    done = [_carried(grant, looks.get(grant.id), ask, context) for grant in grants]
    return [replace(grant, before=before) if grant.wants_path else grant for grant in done], (ask,)


def _swapping(grants: Sequence[Grant], context: StepContext) -> datetime | None:
    """
    Return until when an open path is being exchanged for the one asked for last.

    Defender takes a path away with the request that replaces it: of three requests at once, the
    second is over before its rules are written, and whoever stood on the first is cut meanwhile.
    """
    last = max((g.initiated_at for g in grants if g.wants_path and g.initiated_at), default=None)
    if last is None or context.now >= last + EXCHANGE_PAUSE:
        return None
    stood = any(g.status is Status.OPEN and g.opened_at and g.opened_at < last for g in grants)
    return last + EXCHANGE_PAUSE if stood else None


def _ending(
    target: shared_port.WantedRequest, current: DefenderRequest | None, context: StepContext
) -> datetime | None:
    """
    Return when that ends which is wanted for seconds only, and ends then without being asked for.

    Defender grants no less than five minutes: whoever asks now has a path to close after the end.
    """
    longer = current is not None and not shared_port.ends_by(current.ends_at, target)
    return None if longer or target.until > context.now + LAST_MOMENTS else target.until


def _postponed(grant: Grant, until: datetime) -> Grant:
    """A grant that waits for its turn, even one that is open still, is looked at again."""
    if not grant.wants_path:
        return grant
    return replace(grant, next_check_at=min(grant.next_check_at, until))


def _carried(grant: Grant, look: PathView | None, ask: PortToOpen, context: StepContext) -> Grant:
    if not grant.wants_path:
        return grant
    wiped = grant.seen and look is not None and look.state in _WIPED
    return replace(
        grant,
        initiates=(*grant.initiates, context.initiate_id)[-_KEPT_INITIATES:],
        initiated_at=context.now,
        asked=ask.sources,
        asked_until=ask.until,
        answered=False,
        written=False,
        seen=False,
        attempts=grant.attempts + (0 if grant.answered else 1),
        reopens=grant.reopens + (1 if wiped else 0),
        next_check_at=context.now + timing.SOONEST_LOOK,
    )


def _joined(
    grant: Grant, grants: Sequence[Grant], seen: Sequence[DefenderRequest], context: StepContext
) -> Grant:
    """A grant whose path another grant's initiate already opened carries that initiate too."""
    current = context.current(seen)
    if not grant.wants_path or current is None or current.initiate_id in grant.initiates:
        return grant
    wanting = [other for other in grants if other.wants_path]
    carrier = next((other for other in wanting if current.initiate_id in other.initiates), None)
    if carrier is None or current.initiate_id is None:
        return grant
    newest = carrier.initiates[-1] == current.initiate_id
    return replace(
        grant,
        initiates=(*grant.initiates, current.initiate_id),
        initiated_at=carrier.initiated_at if newest else context.now,
        asked=carrier.asked if newest else (),
        asked_until=carrier.asked_until if newest else None,
        answered=True,
        before=carrier.before if newest else None,
        written=newest and carrier.written,
    )


def _needs_asking(
    target: shared_port.WantedRequest,
    grants: Sequence[Grant],
    looks: Mapping[str, PathView],
    seen: Sequence[DefenderRequest],
    context: StepContext,
) -> bool:
    live = [grant for grant in grants if grant.wants_path]
    current = context.current(seen)
    if current is not None and context.is_foreign(current):
        return False  # same sources, or the grant would have been denied: join, never supersede
    if _waiting(target, live, seen, context):
        return False
    carried = {initiate for grant in live for initiate in grant.initiates}
    if current is None or current.initiate_id not in carried:
        return True
    if not _was_asked(current, target, live, context):
        return True
    return any(_wiped(grant, looks[grant.id]) for grant in live)


def _was_asked(
    current: DefenderRequest,
    target: shared_port.WantedRequest,
    live: Sequence[Grant],
    context: StepContext,
) -> bool:
    """
    Whether *current* stands for just what is wanted: by what we stored before the call.

    What Azure repeats of it may be written otherwise, or leave the sources out; believing that
    would mean asking again and again.
    """
    stored = [grant for grant in live if grant.initiates[-1:] == (current.initiate_id,)]
    if any(_asks_for(grant, target, context) for grant in stored):
        return True
    return shared_port.covers(current, target, now=context.now)


def _asks_for(grant: Grant, target: shared_port.WantedRequest, context: StepContext) -> bool:
    until = grant.asked_until
    return (
        until is not None
        and frozenset(grant.asked) == target.sources
        and shared_port.lasts(until, target, now=context.now)
    )


def _wiped(grant: Grant, look: PathView) -> bool:
    """Whether a path that was seen is gone although Defender still counts it as open."""
    return grant.seen and look.state in _WIPED and grant.reopens < REOPENS


def given_up(grant: Grant, look: PathView) -> bool:
    """Tell whether a path was wiped once more than it is asked for again."""
    return grant.seen and look.state in _WIPED and grant.reopens >= REOPENS


def _waiting(
    target: shared_port.WantedRequest,
    live: Sequence[Grant],
    seen: Sequence[DefenderRequest],
    context: StepContext,
) -> bool:
    """Whether Azure answered 202 to an initiate for just that, which has not shown up yet."""
    newest = {grant.initiates[-1] if grant.initiates else "" for grant in live}
    shown = {entry.initiate_id for entry in seen}
    return (
        len(newest) == 1
        and "" not in newest
        and not newest & shown
        and all(
            grant.answered
            and (grant.asked_until is None or _asks_for(grant, target, context))
            and grant.initiated_at is not None
            and context.now < grant.initiated_at + APPEARS_WITHIN
            for grant in live
        )
    )
