"""
One step of a JIT policy: from its grants and a fresh look at Azure to what to write and to do.

Level-triggered: the step depends on the present alone, so that a lost, doubled or late message
changes nothing. ``step`` is pure; the caller stores the grants that come back before it acts, so
the end of a path is durable before its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jit.domain import accompany, armid, closing, entries, paths, sharing
from jit.domain.accompany import Companion
from jit.domain.closing import APPEARS_WITHIN
from jit.domain.entries import Entry
from jit.domain.limits import Limits
from jit.domain.model import (
    AccessRequest,
    CloseReason,
    Grant,
    Network,
    Occupation,
    Status,
    Via,
    WantedMachine,
    WantedPort,
)
from jit.domain.paths import Look, MachineView, PathRule, Sight
from jit.domain.policy import decide

OPENS_WITHIN = {
    Via.FIREWALL: timedelta(minutes=40),  # Defender's update behind two others of 3 to 5 minutes
    Via.PUBLIC_IP: timedelta(minutes=20),
    Via.PRIVATE: timedelta(minutes=20),
}
"""The deadline of an initiate: what is not open by then is closed as failed."""

REOPENS = 3
"""How often a path that somebody wiped is asked for again."""

_SOONEST, _LATEST = timedelta(seconds=3), timedelta(minutes=1)
_TURN = timedelta(minutes=1)
_KEPT_INITIATES = 12
_KEPT_RULES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """
    What was just read from Azure about one JIT policy.

    Attributes:
        found: False when Azure says that the policy does not exist.
        entries: Defender's requests of the policy, oldest first.
        machines: By VM key; a VM that could not be read is missing and named in *unreadable*.
        known: Initiate ids that this broker stored: on live grants and on tombstones.
        turns: Keys of the firewalls that this step may have changed.
        asks_from: Azure wanted us to ask for nothing before; closing does not wait for it.
    """

    found: bool
    entries: tuple[Entry, ...]
    machines: Mapping[str, MachineView]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    turns: frozenset[str] = frozenset()
    asks_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One VM port of an initiate: exactly these sources, until then."""

    vm_id: str
    port: int
    sources: tuple[Network, ...]
    until: datetime
    firewall_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step decided."""

    grants: tuple[Grant, ...]
    asks: tuple[Ask, ...] = ()
    companions: tuple[Companion, ...] = ()
    removals: tuple[PathRule, ...] = ()
    companion_removals: tuple[str, ...] = ()


def step(
    grants: Iterable[Grant], world: World, *, now: datetime, initiate_id: str, limits: Limits
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
    context = _Context(world, now, initiate_id, limits)
    parts: list[Step] = []
    for group in _groups(grants):
        taken = [wish for part in parts for wish in part.companions]
        parts.append(_port(group, context, taken))
    return Step(
        grants=tuple(grant for part in parts for grant in part.grants),
        asks=tuple(ask for part in parts for ask in part.asks),
        companions=tuple(wish for part in parts for wish in part.companions),
        removals=tuple(_unique(rule for part in parts for rule in part.removals)),
        companion_removals=tuple(
            dict.fromkeys(rule for part in parts for rule in part.companion_removals)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Context:
    world: World
    now: datetime
    initiate_id: str
    limits: Limits


def _unique(rules: Iterable[PathRule]) -> Iterable[PathRule]:
    return {rule.id: rule for rule in rules}.values()


def _groups(grants: Iterable[Grant]) -> list[list[Grant]]:
    """Group by VM port, in the order in which the requests came."""
    groups: dict[tuple[str, int], list[Grant]] = {}
    for grant in sorted(grants, key=lambda item: (item.starts_at, item.id)):
        groups.setdefault((armid.key(grant.vm_id), grant.port), []).append(grant)
    return list(groups.values())


def _port(group: Sequence[Grant], context: _Context, taken: Sequence[Companion]) -> Step:
    """Advance the grants of one VM port; the priorities of *taken* are not free any more."""
    now, world = context.now, context.world
    grants = [by_time(grant, now=now) for grant in group]
    view = world.machines.get(armid.key(group[0].vm_id))
    if view is None:
        return Step(grants=tuple(_blind(grant, context) for grant in grants))
    seen = entries.of_port(world.entries, group[0].vm_id, group[0].port)
    grants = [_by_entries(grant, seen, context) for grant in grants]
    grants = _claimed(grants, view, seen, context)
    looks = {grant.id: paths.look(grant, view) for grant in grants if grant.live}
    current = _current(seen, context)
    stranger = current is not None and _foreign(current, context)
    asked = frozenset() if stranger else sharing.union(grants)
    until = current.ends_at if current is not None else None
    grants = [
        _looked(_recorded(grant, looks[grant.id], view, asked), looks[grant.id], until, now)
        if grant.live
        else grant
        for grant in grants
    ]
    grants, asks = _asked(grants, looks, view, seen, context)
    grants, companions = _accompanied(grants, looks, view, taken, context)
    return _closed(grants, asks, companions, view, seen, context)


# ---- what time alone decides -----------------------------------------------------------------


def by_time(grant: Grant, *, now: datetime) -> Grant:
    """Return *grant* as the clock alone makes it: due, too late, or at its end."""
    if grant.status is Status.SCHEDULED and grant.starts_at <= now:
        grant = grant.advance(Status.PENDING)
    if grant.status is Status.PENDING and now >= grant.latest_end - grant.duration:
        return close(grant, CloseReason.FAILED, now, grant.note or "it could not be opened in time")
    if grant.wants_path and grant.expires_at is not None and grant.expires_at <= now:
        reason = CloseReason.EXPIRED if grant.opened_at else CloseReason.FAILED
        return begin_closing(grant, reason, now)
    return grant


def begin_closing(
    grant: Grant, reason: CloseReason, now: datetime, note: str | None = None
) -> Grant:
    """Return *grant* on its way out; what was never asked of Azure is closed at once."""
    if grant.initiated_at is None and not grant.rules and not grant.companions and not grant.seen:
        return close(grant, reason, now, note)
    return grant.advance(
        Status.CLOSING, close_reason=reason, closing_at=now, next_check_at=now, note=note
    )


def close(grant: Grant, reason: CloseReason, now: datetime, note: str | None = None) -> Grant:
    """Return *grant* closed."""
    return grant.advance(
        Status.CLOSED, close_reason=grant.close_reason or reason, closed_at=now, note=note
    )


def _blind(grant: Grant, context: _Context) -> Grant:
    """The VM could not be read: nothing changes, and the grant says so."""
    if not grant.live or grant.status is Status.SCHEDULED:
        return grant
    why = context.world.unreadable.get(armid.key(grant.vm_id), "the VM could not be read")
    return replace(grant, note=why, next_check_at=context.now + _LATEST)


# ---- what Defender's own memory says -----------------------------------------------------------


def _foreign(entry: Entry, context: _Context) -> bool:
    return entry.initiate_id is None or entry.initiate_id not in context.world.known


def _by_entries(grant: Grant, seen: Sequence[Entry], context: _Context) -> Grant:
    """Close a grant whose request in Defender was replaced or revoked by somebody else."""
    mine = [entry for entry in seen if entry.initiate_id in grant.initiates]
    if not grant.wants_path or any(entry.active for entry in mine):
        return grant
    later = seen[seen.index(mine[-1]) + 1 :] if mine else _since(seen, grant)
    if _superseded(grant, mine, later, context):
        note = "somebody else's newer request for this port replaced it in Defender"
        return begin_closing(grant, CloseReason.SUPERSEDED, context.now, note)
    if mine and not later and mine[-1].reason not in {"Expired", "NewerRequestInitiated"}:
        return begin_closing(grant, CloseReason.REVOKED, context.now, "revoked in Azure")
    return grant


def _superseded(
    grant: Grant, mine: Sequence[Entry], later: Sequence[Entry], context: _Context
) -> bool:
    """Whether a stranger's request took the place of the grant's own, or of one it had joined."""
    strangers = [entry for entry in later if _foreign(entry, context)]
    if strangers and not mine:  # it has joined the newest of them, or still waits for its own
        joined = sharing.same_sources(strangers[-1].sources, frozenset(grant.sources))
        return strangers[-1].in_force(context.now) and not joined
    if strangers:
        return True
    # Defender says that a newer one came, but shows none: it is not ours, so it is not to be cut.
    last = mine[-1] if mine and not later else None
    return (
        last is not None
        and last.reason == "NewerRequestInitiated"
        and last.initiate_id == grant.initiates[-1]
    )


def _since(seen: Sequence[Entry], grant: Grant) -> list[Entry]:
    """Entries made after a grant that carries no initiate of its own was claimed."""
    claimed = grant.claimed_at
    return [entry for entry in seen if claimed is not None and entry.started_at > claimed]


# ---- opening -----------------------------------------------------------------------------------


def _claimed(
    grants: Sequence[Grant], view: MachineView, seen: Sequence[Entry], context: _Context
) -> list[Grant]:
    """Decide again about each due grant and fix its end, in the order of arrival."""
    done = list(grants)
    for index, grant in enumerate(done):
        if grant.status is Status.PENDING:
            done[index] = _claim(grant, done, view, seen, context)
    return done


def _claim(
    grant: Grant,
    group: Sequence[Grant],
    view: MachineView,
    seen: Sequence[Entry],
    context: _Context,
) -> Grant:
    now = context.now
    why_not = _denial(grant, view, seen, context)
    if why_not:
        return close(grant, CloseReason.DENIED, now, why_not)
    grant = replace(grant, via=view.vm.via, firewall_id=view.vm.firewall_id)
    if not _may_change(grant, view, context):
        note = "waiting for another update of the firewall"
        return replace(grant, note=note, next_check_at=now + _TURN)
    wait = _wait(context)
    if wait is not None:
        return replace(grant, note="Azure asked us to wait", next_check_at=wait)
    start = max(grant.starts_at, now)
    end = sharing.fixed_end(
        grant, group, end=min(start + grant.duration, grant.latest_end), now=now
    ).replace(microsecond=0)
    return grant.advance(
        Status.OPENING,
        claimed_at=now,
        expires_at=end,
        handover_at=sharing.handover(grant, group, end=end, now=now),
        note=None,
    )


def _denial(grant: Grant, view: MachineView, seen: Sequence[Entry], context: _Context) -> str:
    """Return why today's policy, inventory and neighbours forbid *grant*; empty if they allow."""
    if not context.world.found:
        return "its JIT policy no longer exists"
    strict = tuple(
        Occupation(port=entry.port, sources=entry.sources, ends_at=entry.ends_at)
        for entry in seen
        if entry.in_force(context.now) and _foreign(entry, context)
    )
    vm = replace(view.vm, occupations=strict)
    found = decide(
        as_request(grant), {armid.key(grant.vm_id): vm}, now=context.now, limits=context.limits
    )
    return "; ".join(finding.violation.detail for finding in found)


def as_request(grant: Grant) -> AccessRequest:
    """Return the part of the request that became *grant*, to decide about it again."""
    port = WantedPort(number=grant.port, protocol=None, pointer="#/virtualMachines/0/ports/0")
    machine = WantedMachine(id=grant.vm_id, ports=(port,), pointer="#/virtualMachines/0")
    return AccessRequest(
        machines=(machine,),
        sources=grant.sources,
        duration=grant.duration,
        starts_at=None,
        justification="decided again",
    )


def _may_change(grant: Grant, view: MachineView, context: _Context) -> bool:
    if grant.via is not Via.FIREWALL:
        return True
    ready = view.firewall is not None and view.firewall.settled
    return ready and armid.key(grant.firewall_id or "") in context.world.turns


def _current(seen: Sequence[Entry], context: _Context) -> Entry | None:
    """Return the request that the VM port's path stands on, ours or a stranger's."""
    return next((entry for entry in reversed(seen) if entry.in_force(context.now)), None)


def _recorded(grant: Grant, look: Look, view: MachineView, asked: frozenset[Network]) -> Grant:
    """Write down the rules of a path that open what was *asked*, and nothing more."""
    own = [rule.id for rule in look.rules if _asked_for(rule, asked)]
    if not own or look.sight is Sight.UNCLEAR:
        return grant
    whole = look.sight in {Sight.OPEN, Sight.BLOCKED}  # what is partial is still on its way
    rules = tuple(dict.fromkeys((*grant.rules, *own)))[-_KEPT_RULES:]
    ips = grant.private_ips or paths.addresses(view.vm)
    return replace(grant, rules=rules, private_ips=ips, seen=grant.seen or whole)


def _asked_for(rule: PathRule, asked: frozenset[Network]) -> bool:
    """Whether it is what Defender writes for *asked*: a wider one is somebody else's leftover."""
    networks = paths.readable(rule.sources)
    whole = bool(networks) and len(networks) == len(rule.sources)
    return rule.exact and whole and asked.issuperset(networks)


def _looked(grant: Grant, look: Look, until: datetime | None, now: datetime) -> Grant:
    """Advance a grant by what was seen of its path, which stands on a request *until* then."""
    if not grant.wants_path:
        return grant
    if look.sight is Sight.OPEN:
        ends = filter(None, (grant.expires_at, until))
        return grant.advance(
            Status.OPEN,
            opened_at=grant.opened_at or now,
            connection=look.connection,
            lost_at=None,
            next_check_at=min(ends, default=now),
            note=None,
        )
    return _not_open(grant, look, now)


def _not_open(grant: Grant, look: Look, now: datetime) -> Grant:
    if grant.status is Status.OPEN and look.sight is not Sight.UNCLEAR:
        grant = grant.advance(Status.OPENING, lost_at=now)
    if grant.status is Status.OPENING and _overdue(grant, now):
        return begin_closing(grant, CloseReason.FAILED, now, f"not open in time: {look.why}")
    wait = pace(now - (grant.initiated_at or now))
    return replace(grant, note=look.why, next_check_at=min(now + wait, grant.expires_at or now))


def _overdue(grant: Grant, now: datetime) -> bool:
    """Whether the newest initiate, or the mending of a lost path, has had its time."""
    since = max(filter(None, (grant.claimed_at, grant.initiated_at, grant.lost_at)), default=now)
    return now >= since + OPENS_WITHIN[grant.via]


def pace(elapsed: timedelta) -> timedelta:
    """Return how long to wait before the next look: half of what has passed, 3 s to 1 min."""
    return max(_SOONEST, min(_LATEST, elapsed / 2))


def _asked(
    grants: list[Grant],
    looks: Mapping[str, Look],
    view: MachineView,
    seen: Sequence[Entry],
    context: _Context,
) -> tuple[list[Grant], tuple[Ask, ...]]:
    """Ask Defender for what the VM port should have, if it does not have it already."""
    target = sharing.wanted(grants, now=context.now)
    if target is None or not _needs_asking(target, grants, looks, seen, context):
        return [_joined(grant, grants, seen, context) for grant in grants], ()
    first = next(grant for grant in grants if grant.wants_path)
    if not _may_change(first, view, context):
        return [_postponed(grant, context.now + _TURN) for grant in grants], ()
    wait = _wait(context)
    if wait is not None:
        return [_postponed(grant, wait) for grant in grants], ()
    ask = Ask(
        vm_id=first.vm_id,
        port=first.port,
        sources=tuple(sorted(target.sources, key=str)),
        until=max(target.until, context.now + sharing.SHORTEST).replace(microsecond=0),
        firewall_id=first.firewall_id if first.via is Via.FIREWALL else None,
    )
    return [_carried(grant, looks.get(grant.id), context) for grant in grants], (ask,)


def _wait(context: _Context) -> datetime | None:
    """Return until when nothing may be asked for; None if it may."""
    until = context.world.asks_from
    return until if until is not None and until > context.now else None


def _postponed(grant: Grant, until: datetime) -> Grant:
    """A grant that waits for its turn, even one that is open still, is looked at again."""
    if not grant.wants_path:
        return grant
    return replace(grant, next_check_at=min(grant.next_check_at, until))


def _carried(grant: Grant, look: Look | None, context: _Context) -> Grant:
    if not grant.wants_path:
        return grant
    wiped = grant.seen and look is not None and look.sight is Sight.ABSENT
    return replace(
        grant,
        initiates=(*grant.initiates, context.initiate_id)[-_KEPT_INITIATES:],
        initiated_at=context.now,
        answered=False,
        seen=False,
        attempts=grant.attempts + (1 if wiped or not grant.answered else 0),
        next_check_at=context.now + _SOONEST,
    )


def _joined(
    grant: Grant, grants: Sequence[Grant], seen: Sequence[Entry], context: _Context
) -> Grant:
    """A grant whose path another grant's initiate already opened carries that initiate too."""
    current = _current(seen, context)
    shared = {i for other in grants if other.wants_path for i in other.initiates}
    if (
        not grant.wants_path
        or current is None
        or current.initiate_id not in shared.difference(grant.initiates)
    ):
        return grant
    return replace(
        grant,
        initiates=(*grant.initiates, current.initiate_id),
        initiated_at=context.now,
        answered=True,
    )


def _needs_asking(
    target: sharing.Wanted,
    grants: Sequence[Grant],
    looks: Mapping[str, Look],
    seen: Sequence[Entry],
    context: _Context,
) -> bool:
    live = [grant for grant in grants if grant.wants_path]
    current = _current(seen, context)
    if current is not None and _foreign(current, context):
        return False  # same sources, or the grant would have been denied: join, never supersede
    carried = {initiate for grant in live for initiate in grant.initiates}
    if current is not None and current.initiate_id in carried:
        if sharing.covers(current, target, now=context.now):
            return any(_wiped(grant, looks[grant.id]) for grant in live)
        return True
    return not _waiting(live, seen, context)


def _wiped(grant: Grant, look: Look) -> bool:
    """Whether a path that was seen is gone although Defender still counts it as open."""
    return grant.seen and look.sight is Sight.ABSENT and grant.attempts <= REOPENS


def _waiting(live: Sequence[Grant], seen: Sequence[Entry], context: _Context) -> bool:
    """Whether Azure answered 202 to an initiate for all of them that has not shown up yet."""
    newest = {grant.initiates[-1] if grant.initiates else "" for grant in live}
    shown = {entry.initiate_id for entry in seen}
    return (
        len(newest) == 1
        and "" not in newest
        and not newest & shown
        and all(
            grant.answered
            and grant.initiated_at is not None
            and context.now < grant.initiated_at + APPEARS_WITHIN
            for grant in live
        )
    )


# ---- the companion rule ------------------------------------------------------------------------


def _accompanied(
    grants: list[Grant],
    looks: Mapping[str, Look],
    view: MachineView,
    taken: Sequence[Companion],
    context: _Context,
) -> tuple[list[Grant], tuple[Companion, ...]]:
    """Let the firewall's own addresses through where an NSG would stop them."""
    done: list[Grant] = []
    wishes: list[Companion] = []
    for grant in grants:
        look = looks.get(grant.id)
        if not (grant.status is Status.OPENING and look and look.blocked_by):
            done.append(grant)
            continue
        changed, found = accompany.wish(grant, look, view, taken=(*taken, *wishes), now=context.now)
        done.append(changed)
        wishes.extend(found)
    return done, tuple(wishes)


# ---- closing -----------------------------------------------------------------------------------


def _closed(
    grants: list[Grant],
    asks: tuple[Ask, ...],
    companions: tuple[Companion, ...],
    view: MachineView,
    seen: Sequence[Entry],
    context: _Context,
) -> Step:
    held = tuple(
        text
        for entry in seen
        if entry.in_force(context.now) and _foreign(entry, context)
        for text in entry.sources
    )
    done: list[Grant] = []
    removals: list[PathRule] = []
    companion_removals: list[str] = []
    for grant in grants:
        if grant.status is not Status.CLOSING:
            done.append(grant)
            continue
        result = closing.work(grant, grants, view, seen, held=held, now=context.now)
        removals.extend(
            rule
            for rule in result.removals
            if rule.collection is None or armid.key(rule.holder_id) in context.world.turns
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
