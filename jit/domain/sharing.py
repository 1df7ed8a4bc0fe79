"""
What a VM port should look like while several grants share it.

Defender keeps one request per VM port and a newer one revokes the older. So the broker always
asks for the union of the sources of all live grants of the port, until the moment when that set
next shrinks; then for what remains. Whoever came later bears the gap of a hand-over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jit.domain.entries import Entry
from jit.domain.model import Grant, Network, Via
from jit.domain.sources import same, within

SHORTEST = timedelta(minutes=5)
"""Defender's shortest access (Microsoft.Security 2020-01-01, ``maxRequestAccessDuration``)."""

_LEAD = {
    Via.FIREWALL: timedelta(minutes=8),  # two firewall updates of 3 to 5 minutes
    Via.PUBLIC_IP: timedelta(minutes=2),
    Via.PRIVATE: timedelta(minutes=2),
}
_TOLERANCE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The one request that a VM port should have: these sources, until then."""

    sources: frozenset[Network]
    until: datetime


def lead(via: Via) -> timedelta:
    """Return how long before a shared entry's end its successor must be asked for."""
    return _LEAD[via]


def wanted(grants: Iterable[Grant], *, now: datetime) -> Wanted | None:
    """
    Return what the live grants of one VM port need now; None if none needs a path.

    The end is the earliest moment when the set of sources shrinks. Where somebody who came
    earlier stays, the entry outlasts the leavers by the lead that their ends were brought
    forward by, so that its successor replaces it while it still holds.
    """
    live = _needing(grants, now)
    if not live:
        return None
    end = _next_shrink(live)
    stayers = [grant for grant in live if _end(grant) > end]
    kept = union(stayers)
    leavers = [g for g in live if _end(g) == end and not kept.issuperset(g.sources)]
    spared = bool(stayers) and all(_bears_nothing(leaver, stayers) for leaver in leavers)
    if spared:
        end = min(end + lead(live[0].via), max(_end(stayer) for stayer in stayers))
    return Wanted(union(live), end)


def union(grants: Iterable[Grant]) -> frozenset[Network]:
    """Return the sources of all *grants*."""
    return frozenset(source for grant in grants for source in grant.sources)


def fixed_end(grant: Grant, others: Iterable[Grant], *, end: datetime, now: datetime) -> datetime:
    """
    Return the end of *grant*, given that it joins *others* on the VM port at *now*.

    Brought forward by the lead where an earlier comer with other sources stays on; rounded down
    to the hand-over where less than Defender's shortest access would remain after it. Neither
    leaves less than the shortest access, nor more than was to be had.
    """
    earlier = [other for other in _needing(others, now) if other.id != grant.id]
    stay = [other for other in earlier if _end(other) > end]
    least = min(end, now + SHORTEST)
    if stay and not frozenset(grant.sources) <= union(stay):
        end = max(end - lead(grant.via), least)
    gap = _handover(grant, earlier, end=end)
    if gap is not None and gap >= least and end - gap < SHORTEST:
        return gap
    return end


def handover(
    grant: Grant, others: Iterable[Grant], *, end: datetime, now: datetime
) -> datetime | None:
    """Return when the shared path changes under *grant* before its *end*, if it does."""
    others = [other for other in _needing(others, now) if other.id != grant.id]
    earlier = [other for other in others if _order(other) < _order(grant)]
    moment = _handover(grant, earlier, end=end)
    return moment if moment is not None and moment < end else None


def announced(grant: Grant, others: Iterable[Grant], *, now: datetime) -> datetime | None:
    """Return the hand-over of *grant*: an end that was moved since moves it, until it is past."""
    before = grant.handover_at
    if not grant.wants_path or (before is not None and before <= now):
        return before
    return handover(grant, others, end=_end(grant), now=now)


def covers(entry: Entry, target: Wanted, *, now: datetime) -> bool:
    """Tell whether *entry* already is what the VM port should have."""
    same = entry.in_force(now) and same_sources(entry.sources, target.sources)
    return same and lasts(entry.ends_at, target, now=now)


def lasts(until: datetime, target: Wanted, *, now: datetime) -> bool:
    """Tell whether access *until* then is as long as *target* wants it."""
    if abs(until - target.until) <= _TOLERANCE:
        return True
    # Defender grants no less than five minutes: what is that short cannot be shortened further.
    return target.until <= until <= now + SHORTEST + _TOLERANCE


def same_sources(texts: Sequence[str], sources: frozenset[Network]) -> bool:
    """Compare prefixes as Azure writes them with ours; a lone address equals its /32."""
    return same(tuple(sources), tuple(texts))


def covered(source: Network, texts: Iterable[str]) -> bool:
    """Tell whether prefixes as Azure writes them contain *source*."""
    return within(source, tuple(texts))


def _needing(grants: Iterable[Grant], now: datetime) -> list[Grant]:
    return [grant for grant in grants if grant.wants_path and _end(grant) > now]


def _end(grant: Grant) -> datetime:
    return grant.expires_at or grant.latest_end


def _next_shrink(live: Sequence[Grant]) -> datetime:
    everything = union(live)
    ends = sorted({_end(grant) for grant in live})
    shrinks = (end for end in ends if union(g for g in live if _end(g) > end) != everything)
    return next(shrinks, ends[-1])


def _bears_nothing(leaver: Grant, stayers: Sequence[Grant]) -> bool:
    """Whether an earlier comer than *leaver* stays, and must not be cut."""
    return any(_order(stayer) < _order(leaver) for stayer in stayers)


def _order(grant: Grant) -> tuple[datetime, datetime, str]:
    """Return what tells earlier from later comers; those claimed in one step came as they start."""
    never = datetime.max.replace(tzinfo=UTC)
    return (grant.claimed_at or never, grant.starts_at, grant.id)


def _handover(grant: Grant, earlier: Sequence[Grant], *, end: datetime) -> datetime | None:
    """Return the first end of an earlier comer that takes sources away before *end*."""
    for moment in sorted({_end(other) for other in earlier if _end(other) < end}):
        before = [other for other in earlier if _end(other) >= moment]
        after = [other for other in earlier if _end(other) > moment]
        mine = frozenset(grant.sources)
        if union(before) | mine != union(after) | mine:
            return moment
    return None
