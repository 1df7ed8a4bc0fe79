"""
One step of a JIT policy: from its grants and a fresh look at Azure to what to write and to do.

Level-triggered: the step depends on the present alone, so that a lost, doubled or late message
changes nothing. ``step`` is pure; the caller stores the grants that come back before it acts, so
the end of a path is durable before its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit.domain.azure import defender_requests
from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import (
    admission,
    closing,
    initiate,
    lifetime,
    removal,
    rule_evidence,
    shared_port,
    superseded,
    widened,
)
from jit.domain.grants.companions import Companion, plan_companion
from jit.domain.grants.initiate import PortToOpen
from jit.domain.grants.lifetime import begin_closing, by_time, pace
from jit.domain.grants.policy_view import PolicyView, StepContext, is_used_elsewhere, rule_users
from jit.domain.grants.timing import LOOK_WHILE_OPENING, TIMES
from jit.domain.grants.widened import Excess
from jit.domain.limits import Limits
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.paths import effective
from jit.domain.paths.effective import PathState, PathView
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule, addresses, readable, rules_of_port
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix

_BORROWED = "what lets it in now is about to be replaced by its own rule"
_KEPT_RULES, _KEPT_ADDRESSES = 24, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    What one step decided.

    Attributes:
        unjudged: Keys of VMs of which Azure says something that cannot be read.
    """

    grants: tuple[Grant, ...]
    asks: tuple[PortToOpen, ...] = ()
    companions: tuple[Companion, ...] = ()
    removals: tuple[PathRule, ...] = ()
    companion_removals: tuple[str, ...] = ()
    excesses: tuple[Excess, ...] = ()
    unjudged: tuple[str, ...] = ()


def run_step(
    grants: Iterable[Grant], world: PolicyView, *, now: datetime, initiate_id: str, limits: Limits
) -> Step:
    """
    Advance every live grant of a policy as far as the present allows.

    Args:
        grants: Every unfinished grant of the policy.
        world: A fresh look.
        now: Aware, UTC.
        initiate_id: Fresh id for the initiate that this step may ask for.
        limits: The broker's own limits, for deciding again.
    """
    every = tuple(grants)
    context = StepContext(
        world=world, now=now, initiate_id=initiate_id, limits=limits, rule_users=rule_users(every)
    )
    parts: list[Step] = []
    for group in _groups(every):
        taken = [wish for part in parts for wish in part.companions]
        parts.append(_judged(group, context, taken))
    return Step(
        grants=tuple(grant for part in parts for grant in part.grants),
        asks=tuple(ask for part in parts for ask in part.asks),
        companions=tuple(wish for part in parts for wish in part.companions),
        removals=tuple(_unique(rule for part in parts for rule in part.removals)),
        companion_removals=tuple(
            dict.fromkeys(rule for part in parts for rule in part.companion_removals)
        ),
        excesses=tuple(wide for part in parts for wide in part.excesses),
        unjudged=tuple(key for part in parts for key in part.unjudged),
    )


def _judged(group: Sequence[Grant], context: StepContext, taken: Sequence[Companion]) -> Step:
    """
    Advance the grants of one VM port.

    What Azure says of one VM may be unlike anything foreseen: the grants of the others close and
    open all the same.
    """
    try:
        return _port(group, context, taken)
    except ValueError:
        key = arm_ids.key(group[0].vm_id)
        world = replace(context.world, unreadable={key: "what Azure says of it cannot be read"})
        blind = replace(context, world=world)
        timely = (by_time(grant, now=context.now) for grant in group)
        return Step(grants=tuple(_blind(grant, blind) for grant in timely), unjudged=(key,))


def _unique(rules: Iterable[PathRule]) -> Iterable[PathRule]:
    return {rule.id: rule for rule in rules}.values()


def _groups(grants: Iterable[Grant]) -> list[list[Grant]]:
    """Group by VM port, in the order in which the requests came."""
    groups: dict[tuple[str, int], list[Grant]] = {}
    for grant in sorted(grants, key=lambda item: (item.starts_at, item.id)):
        groups.setdefault((arm_ids.key(grant.vm_id), grant.port), []).append(grant)
    return list(groups.values())


def _port(group: Sequence[Grant], context: StepContext, taken: Sequence[Companion]) -> Step:
    """Advance the grants of one VM port; the priorities of *taken* are not free any more."""
    now, world = context.now, context.world
    grants = [by_time(grant, now=now) for grant in group]
    view = world.machines.get(arm_ids.key(group[0].vm_id))
    if view is None:
        return Step(grants=tuple(_blind(grant, context) for grant in grants))
    seen = defender_requests.requests_of_port(world.entries, group[0].vm_id, group[0].port)
    grants = [superseded.close_if_replaced(grant, seen, context) for grant in grants]
    grants, excesses = _narrowed(grants, view, seen, context)
    grants = _claimed(grants, view, seen, context)
    held = context.foreign_until(seen)
    grants = [
        replace(g, handover_at=shared_port.announced(g, grants, now=now, held=held)) for g in grants
    ]
    asked = widened.asked_for(widened.asking(grants), context.foreign_requests(seen))
    looks = {grant.id: effective.observe_path(grant, view, asked) for grant in grants if grant.live}
    current = context.current(seen)
    recorded = frozenset() if held else shared_port.union(widened.asking(grants))
    until = current.ends_at if current is not None else None
    for place, grant in enumerate(grants):
        if grant.wants_path or grant.status is Status.CLOSING:  # a new one's rules are not its own
            noted = _recorded(grant, looks[grant.id], view, recorded, context)
            doubt = _doubt(noted, context, joined=held is not None)
            grants[place] = _looked(noted, looks[grant.id], until, now, doubt=doubt)
    grants, asks = initiate.plan_initiate(grants, looks, view, seen, context)
    grants, companions = _accompanied(grants, looks, view, taken, context)
    done = _closed(grants, asks, companions, view, seen, context)
    return replace(done, excesses=excesses)


def _claimed(
    grants: Sequence[Grant],
    view: MachineView,
    seen: Sequence[DefenderRequest],
    context: StepContext,
) -> list[Grant]:
    """Decide about new grants; where their VM was read only in part they alone wait for it."""
    if arm_ids.key(view.vm.id) not in context.world.unreadable:
        return admission.admit_due(grants, view, seen, context)
    return [_blind(g, context) if g.status is Status.PENDING else g for g in grants]


def _narrowed(
    grants: Sequence[Grant],
    view: MachineView,
    seen: Sequence[DefenderRequest],
    context: StepContext,
) -> tuple[list[Grant], tuple[Excess, ...]]:
    """Close every grant whose path opens more than was asked for."""
    asked = widened.asked_for(widened.asking(grants), context.foreign_requests(seen))
    done: list[Grant] = []
    wide: list[Excess] = []
    for grant in grants:
        rules = rules_of_port(view, grant.port, grant.private_ips, known=grant.rules)
        found = widened.found(grant, asked, seen, rules)
        done.append(widened.closed(grant, found, context) if found else grant)
        wide += [found] if found else []
    return done, tuple(wide)


def _blind(grant: Grant, context: StepContext) -> Grant:
    """The VM could not be read: nothing is concluded but that time passes, and it says so."""
    if not grant.live or grant.status is Status.SCHEDULED:
        return grant
    now = context.now
    why = context.world.unreadable.get(arm_ids.key(grant.vm_id), "the VM could not be read")
    if grant.status is Status.CLOSING:
        return closing.wait(grant, now, why, unclear=True)
    if grant.status is Status.OPENING and _overdue(grant, now):
        return begin_closing(grant, CloseReason.FAILED, now, f"not open in time: {why}")
    ends = filter(None, (now + LOOK_WHILE_OPENING, grant.expires_at))
    return replace(grant, note=why, next_check_at=min(ends))


def _recorded(
    grant: Grant, look: PathView, view: MachineView, asked: frozenset[Prefix], context: StepContext
) -> Grant:
    """Write down the rules of a path that open what was *asked*, and nothing more."""
    there = addresses(view.vm)
    own = [
        rule
        for rule in look.rules
        if rule.target in there
        and _asked_for(rule, asked)
        and not is_used_elsewhere(rule.id, grant, context.rule_users)
    ]
    if look.state is PathState.UNCLEAR:
        return grant
    grant = rule_evidence.remaining(grant, view)
    if not own:
        return grant
    whole = look.state in {PathState.OPEN, PathState.BLOCKED}  # what is partial is still on its way
    rules = tuple(dict.fromkeys((*grant.rules, *(rule.id for rule in own))))[-_KEPT_RULES:]
    ips = tuple(dict.fromkeys((*grant.private_ips, *there)))[-_KEPT_ADDRESSES:]
    noted = replace(grant, rules=rules, private_ips=ips)
    if not whole:
        return noted
    after = rule_evidence.observed(noted, own, view)
    own_path = grant.status is Status.OPEN or not _borrowed(after, context.now)
    return replace(after, seen=after.seen or own_path)


def _asked_for(rule: PathRule, asked: frozenset[Prefix]) -> bool:
    """Whether it is what Defender writes for *asked*: a wider one is somebody else's leftover."""
    networks = readable(rule.sources)
    whole = bool(networks) and len(networks) == len(rule.sources)
    return rule.exact and whole and asked.issuperset(networks)


def _looked(
    grant: Grant, look: PathView, until: datetime | None, now: datetime, *, doubt: str
) -> Grant:
    """
    Advance a grant by what was seen of its path, which stands on a request *until* then.

    *doubt* is why a path that lets its sources in is not called open all the same.
    """
    if not grant.wants_path:
        return grant
    if look.state is PathState.OPEN and doubt:
        return _not_open(grant, replace(look, state=PathState.BLOCKED, why=doubt), now)
    if look.state is PathState.OPEN:
        ends = filter(None, (grant.expires_at, until, _next_news(grant, now)))
        return grant.advance(
            Status.OPEN,
            opened_at=grant.opened_at or now,
            connection=look.connection,
            lost_at=None,
            next_check_at=min(ends, default=now),
            note=None,
        )
    return _not_open(grant, look, now)


def _doubt(grant: Grant, context: StepContext, *, joined: bool) -> str:
    """Return why *grant* is not opened by what lets it in; one *joined* to a stranger's has it."""
    if grant.status is not Status.OPENING:
        return ""
    unread = context.world.unreadable.get(arm_ids.key(grant.vm_id), "")
    newcomer = grant.opened_at is None and not joined
    return unread or (_BORROWED if newcomer and _borrowed(grant, context.now) else "")


def _borrowed(grant: Grant, now: datetime) -> bool:
    """
    Whether the rules that let a grant in may be about to go, its own being on their way.

    What stood there before its initiate is another's, whose end is near, or is being exchanged for
    its own; who is called in meanwhile is soon cut. Where its own rule is not told apart, that is
    believed for as long as such an exchange takes.
    """
    since = grant.initiated_at
    if since is None:
        return True  # nothing was asked for it yet
    if grant.written:
        return bool(grant.before)  # Azure put it off: what stood there is all there is
    stood = grant.before is None or bool(grant.before)
    return stood and now < min(since + TIMES[grant.via].exchanged_within, _limit(grant))


def _limit(grant: Grant) -> datetime:
    """
    Return until when a newcomer waits for a rule of its own, twice as long where Azure put it off.

    Each later comer has the path asked for anew: that must not begin the wait of the others again.
    """
    began = grant.claimed_at or grant.starts_at
    return began + TIMES[grant.via].exchanged_within * min(max(grant.attempts, 1), 2)


def _next_news(grant: Grant, now: datetime) -> datetime | None:
    """Return when *grant* can be told of the hand-over after the one that it was told of."""
    told = grant.handover_at
    until = shared_port.changed(told, grant) if told is not None else now
    return until if until > now else None


def _not_open(grant: Grant, look: PathView, now: datetime) -> Grant:
    if grant.status is Status.OPEN and (look.state is not PathState.UNCLEAR or look.leaving):
        grant = grant.advance(Status.OPENING, lost_at=now)
    why = _why(grant, look)
    if initiate.given_up(grant, look):
        return begin_closing(grant, CloseReason.FAILED, now, why)
    if grant.status is Status.OPENING and _overdue(grant, now):
        return begin_closing(grant, CloseReason.FAILED, now, f"not open in time: {why}")
    wait = pace(now - (grant.initiated_at or now))
    return replace(grant, note=why, next_check_at=min(now + wait, grant.expires_at or now))


def _why(grant: Grant, look: PathView) -> str:
    """Return why it is not open: what Azure did not take cannot be there."""
    if initiate.given_up(grant, look):
        return f"its rules were taken away again after {grant.reopens} repetitions"
    if look.state is not PathState.ABSENT:
        return look.why
    if grant.note and grant.note.startswith(lifetime.REFUSED):
        return grant.note
    if grant.answered or not grant.attempts:
        return look.why
    return f"Azure has not taken the request to open it, {grant.attempts} times asked"


def _overdue(grant: Grant, now: datetime) -> bool:
    """Whether opening, or the mending of a lost path, has had its time, however often asked."""
    since = max(filter(None, (grant.claimed_at, grant.lost_at)), default=now)
    return now >= since + TIMES[grant.via].opens_within


# ---- the companion rule ------------------------------------------------------------------------


def _accompanied(
    grants: list[Grant],
    looks: Mapping[str, PathView],
    view: MachineView,
    taken: Sequence[Companion],
    context: StepContext,
) -> tuple[list[Grant], tuple[Companion, ...]]:
    """Let the firewall's own addresses through where an NSG would stop them."""
    done: list[Grant] = []
    wishes: list[Companion] = []
    for grant in grants:
        look = looks.get(grant.id)
        if not (grant.status is Status.OPENING and look and look.blocked_by):
            done.append(grant)
            continue
        changed, found = plan_companion(grant, look, view, taken=(*taken, *wishes), now=context.now)
        done.append(changed)
        wishes.extend(found)
    return done, tuple(wishes)


# ---- closing -----------------------------------------------------------------------------------


def _closed(
    grants: list[Grant],
    asks: tuple[PortToOpen, ...],
    companions: tuple[Companion, ...],
    view: MachineView,
    seen: Sequence[DefenderRequest],
    context: StepContext,
) -> Step:
    port = closing.VmPortView(
        grants=grants,
        view=view,
        requests=seen,
        foreign=removal.foreign_requests(seen, context.world.known, now=context.now),
        users=context.rule_users,
    )
    done: list[Grant] = []
    removals: list[PathRule] = []
    companion_removals: list[str] = []
    for grant in grants:
        if grant.status is not Status.CLOSING:
            done.append(grant)
            continue
        result = closing.close_grant(grant, port, now=context.now)
        removals.extend(
            rule
            for rule in result.removals
            if rule.collection is None or arm_ids.key(rule.holder_id) in context.world.turns
        )
        companion_removals.extend(result.companions)
        done.append(result.grant)
    return Step(
        grants=tuple(done),
        asks=asks,
        companions=companions,
        removals=tuple(removals),
        companion_removals=tuple(companion_removals),
    )
