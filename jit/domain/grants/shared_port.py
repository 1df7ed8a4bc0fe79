"""
What a VM port should look like while several grants share it.

Defender keeps one request per VM port and a newer one revokes the older. So the broker always
asks for the union of the sources of all live grants of the port, until the moment when that set
next shrinks; then for what remains. Whoever came later bears the gap of a hand-over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants.timing import SHORTEST, TIMES, TOLERANCE
from jit.domain.model.grant import Grant
from jit.domain.values.prefixes import Prefix, same_sources

_NEVER = datetime.max.replace(tzinfo=UTC)
_Order = tuple[datetime, datetime, str]


@dataclass(frozen=True, slots=True)
class WantedRequest:
    """The one request that a VM port should have: these sources, until then."""

    sources: frozenset[Prefix]
    until: datetime


def wanted_request(grants: Iterable[Grant], *, now: datetime) -> WantedRequest | None:
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
    if stayers and end not in _borne(live):
        end = min(end + TIMES[live[0].via].lead, max(_end(stayer) for stayer in stayers))
    return WantedRequest(union(live), end)


def union(grants: Iterable[Grant]) -> frozenset[Prefix]:
    """Return the sources of all *grants*."""
    return frozenset(source for grant in grants for source in grant.sources)


def fixed_end(
    grant: Grant,
    others: Iterable[Grant],
    *,
    end: datetime,
    now: datetime,
    held: datetime | None = None,
) -> datetime:
    """
    Return the end of *grant*, given that it joins *others* on the VM port at *now*.

    Brought forward by the lead where an earlier comer with other sources stays on; rounded down
    to the hand-over where less than Defender's shortest access would remain after it. Neither
    leaves less than the shortest access, nor more than was to be had. *held*: until then a
    stranger's request is what the path stands on.
    """
    earlier = [other for other in _needing(others, now) if other.id != grant.id]
    stay = [other for other in earlier if _end(other) > end]
    least = min(end, now + SHORTEST)
    if stay and not frozenset(grant.sources) <= union(stay):
        end = max(end - TIMES[grant.via].lead, least)
    gap = handover(grant, earlier, end=end, now=now, held=held)
    if gap is not None and gap >= least and end - gap < SHORTEST:
        return gap
    return end


def handover(
    grant: Grant,
    others: Iterable[Grant],
    *,
    end: datetime,
    now: datetime,
    held: datetime | None = None,
) -> datetime | None:
    """
    Return when the shared path changes under *grant* before its *end*, if it does.

    While it stands on a stranger's request, *held* until then, nothing of ours changes it; with
    that request it ends, for everybody.
    """
    if held is not None and held > max(grant.starts_at, now):
        return held if held < end else None
    there = [other for other in _needing(others, now) if other.id != grant.id]
    return _handover(grant, there, end=end)


def announced(
    grant: Grant, others: Iterable[Grant], *, now: datetime, held: datetime | None = None
) -> datetime | None:
    """
    Return the next hand-over of *grant*: an end that was moved since moves it.

    *held*: until then a stranger's request is what the path stands on.

    One that is past stays until the path has had its time to change; the next one follows it, at
    once where it comes sooner than that.
    """
    before = grant.handover_at
    if not grant.wants_path:
        return before
    following = handover(grant, others, end=_end(grant), now=now, held=held)
    if before is None or before > now:  # none comes any more where an end was put off: taken back
        return following
    changes = changed(before, grant)
    if following is None or now < changes <= following:
        return before
    return following


def changed(moment: datetime, grant: Grant) -> datetime:
    """Return when the path of *grant* has changed, a hand-over having been at *moment*."""
    return moment + TIMES[grant.via].lead


def covers(entry: DefenderRequest, target: WantedRequest, *, now: datetime) -> bool:
    """Tell whether *entry* already is what the VM port should have."""
    same = entry.in_force(now) and same_sources(entry.sources, target.sources)
    return same and lasts(entry.ends_at, target, now=now)


def lasts(until: datetime, target: WantedRequest, *, now: datetime) -> bool:
    """Tell whether access *until* then is as long as *target* wants it."""
    if abs(until - target.until) <= TOLERANCE:
        return True
    # Defender grants no less than five minutes: what is that short cannot be shortened further.
    return target.until <= until <= now + SHORTEST + TOLERANCE


def ends_by(until: datetime, target: WantedRequest) -> bool:
    """Tell whether access *until* then ends with what *target* wants, or before."""
    return until <= target.until + TOLERANCE


def _needing(grants: Iterable[Grant], now: datetime) -> list[Grant]:
    return [grant for grant in grants if grant.wants_path and _end(grant) > now]


def _end(grant: Grant) -> datetime:
    return grant.expires_at or grant.latest_end


def _next_shrink(live: Sequence[Grant]) -> datetime:
    everything = union(live)
    ends = sorted({_end(grant) for grant in live})
    shrinks = (end for end in ends if union(g for g in live if _end(g) > end) != everything)
    return next(shrinks, ends[-1])


def _borne(live: Iterable[Grant]) -> list[datetime]:
    """
    Return the ends of *live* grants whose change somebody who stays has to bear.

    Nobody has where somebody stays who came earlier than all whose sources go.
    """
    found: list[datetime] = []
    kept: set[Prefix] = set()
    stayers: list[_Order] = []
    for moment, group in groupby(sorted(live, key=_end, reverse=True), key=_end):
        ending = list(group)
        leavers = [_order(grant) for grant in ending if not kept.issuperset(grant.sources)]
        first = min(stayers, default=None)
        if first is None or any(leaver <= first for leaver in leavers):
            found.append(moment)
        kept.update(union(ending))
        stayers = [min([*stayers, *map(_order, ending)])]
    return found


def _order(grant: Grant) -> _Order:
    """Return what tells earlier from later comers; those claimed in one step came as they start."""
    return (grant.claimed_at or _NEVER, grant.starts_at, grant.id)


def _handover(grant: Grant, others: Sequence[Grant], *, end: datetime) -> datetime | None:
    """Return the first end of another that takes sources away before *end*, and spares nobody."""
    ends = _borne([*others, replace(grant, expires_at=end)])
    return min((moment for moment in ends if moment < end), default=None)
