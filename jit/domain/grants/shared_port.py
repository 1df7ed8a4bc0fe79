"""
The request that a VM port should have while several grants share it.

Defender keeps one request per VM port, and a newer one revokes the older. So the broker always
asks for the union of the sources of all live grants of the port, until that set next shrinks. Then
it asks for the sources that remain. The later comer has the gap of such a hand-over. A source that
is inside another one adds nothing to the union: the wider one stands for both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants.timing import SHORTEST, TIMES, TOLERANCE
from jit.domain.model.grant import Grant, Status
from jit.domain.values.last_ends import LastEnds
from jit.domain.values.prefix_index import PrefixIndex, drop_covered, find_same_set
from jit.domain.values.prefixes import Prefix, Prefixes, are_all_inside

MOST_PREFIXES = 4000
"""
Prefixes that one security rule takes.

Source:
    https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
    (networking limits: "Addresses and ranges specified for source or destination in a security
    group").
"""

CROWDED = (
    "port {} is shared by so many sources that a rule of Azure cannot have one more "
    f"({MOST_PREFIXES:,} prefixes)"
)
"""The reason to refuse one more grant, for people."""

_NEVER = datetime.max.replace(tzinfo=UTC)
_Order = tuple[datetime, datetime, str]


@dataclass(frozen=True, slots=True)
class WantedRequest:
    """The one request that a VM port should have: these sources, until then."""

    sources: frozenset[Prefix]
    until: datetime


def find_wanted_request(grants: Iterable[Grant], *, now: datetime) -> WantedRequest | None:
    """
    Return the request that the live grants of one VM port need now; None if none needs a path.

    The end is the earliest moment when the set of sources shrinks. If an earlier grant stays, the
    request runs longer by the lead; the later grants end earlier by the lead. The next request is
    accepted before this one expires.
    """
    live = _list_needing(grants, now)
    if not live:
        return None
    end = _find_next_shrink(live)
    stayers = [grant for grant in live if _end(grant) > end]
    if stayers and end not in _find_interrupting_ends(live):
        end = min(end + TIMES[live[0].via].lead, max(_end(stayer) for stayer in stayers))
    return WantedRequest(_unite(live), end)


def join_sources(grants: Iterable[Grant]) -> frozenset[Prefix]:
    """Return the sources of all *grants*, also if one is inside another one."""
    return find_same_set(frozenset(source for grant in grants for source in grant.sources))


def _unite(grants: Iterable[Grant]) -> frozenset[Prefix]:
    """Return the sources that one request for all *grants* names: they do not overlap."""
    return drop_covered(join_sources(grants))


def find_other_family(grant: Grant, others: Iterable[Grant]) -> Grant | None:
    """
    Return one of *others* on the VM port that no rule can have together with *grant*, or None.

    Azure takes no rule with IPv4 and IPv6 prefixes. A grant that is closing asks for nothing more.
    """
    family = {source.version for source in grant.sources}
    beside = _list_beside(grant, others)
    return next((o for o in beside if {source.version for source in o.sources} != family), None)


def is_crowded(grant: Grant, others: Iterable[Grant]) -> bool:
    """
    Return True if *grant* and *others* on the VM port have more sources than one rule takes.

    All of them count that share any time with *grant*, whether or not at the same moment.
    """
    return len(_unite([grant, *_list_beside(grant, others)])) > MOST_PREFIXES


def _list_beside(grant: Grant, others: Iterable[Grant]) -> list[Grant]:
    """Return the *others* that want the VM port at some time of *grant*; none that is closing."""
    return [
        other
        for other in others
        if other.id != grant.id
        and other.live
        and other.status is not Status.CLOSING
        and other.starts_at < _end(grant)
        and grant.starts_at < _end(other)
    ]


def fix_end(
    grant: Grant,
    others: Iterable[Grant],
    *,
    end: datetime,
    now: datetime,
    held: datetime | None = None,
) -> datetime:
    """
    Return the end of *grant*, given that it joins *others* on the VM port at *now*.

    If an earlier comer with other sources stays, the end comes earlier by the lead. If less than
    Defender's shortest access would remain after a hand-over, the end is the hand-over. Neither
    leaves less than the shortest access, or less than was wanted. Until *held* the path stands on
    a stranger's request.
    """
    earlier = [other for other in _list_needing(others, now) if other.id != grant.id]
    stay = [other for other in earlier if _end(other) > end]
    least = min(end, now + SHORTEST)
    if stay and not are_all_inside(grant.sources, join_sources(stay)):
        end = max(end - TIMES[grant.via].lead, least)
    gap = find_handover(grant, earlier, end=end, now=now, held=held)
    if gap is not None and gap >= least and end - gap < SHORTEST:
        return gap
    return end


def find_handover(
    grant: Grant,
    others: Iterable[Grant],
    *,
    end: datetime,
    now: datetime,
    held: datetime | None = None,
) -> datetime | None:
    """
    Return the first change of the shared path that interrupts *grant* before its *end*, if any.

    Until *held* the path stands on a stranger's request. No initiate of ours changes it, and it
    ends with that request, for everybody.
    """
    there = [other for other in _list_needing(others, now) if other.id != grant.id]
    ends = _find_interrupting_ends([*there, replace(grant, expires_at=end)])
    return _choose_handover(grant, ends, end=end, now=now, held=held)


def _choose_handover(
    grant: Grant,
    ends: Iterable[datetime],
    *,
    end: datetime,
    now: datetime,
    held: datetime | None,
) -> datetime | None:
    """Return the first of *ends* that comes before *end*, or what a stranger's request leaves."""
    if held is not None and held > max(grant.starts_at, now):
        return held if held < end else None
    return min((moment for moment in ends if moment < end), default=None)


def find_next_handover(
    grant: Grant, others: Iterable[Grant], *, now: datetime, held: datetime | None = None
) -> datetime | None:
    """
    Return the next hand-over of *grant*; it moves with the ends of the others.

    A hand-over that is past stays until the path has had its time to change. Then the next one
    follows, or at once if it comes sooner than that. Until *held* the path stands on a stranger's
    request.
    """
    there = [other for other in _list_needing(others, now) if other.id != grant.id]
    return _follow_ends(grant, _find_interrupting_ends([*there, grant]), now, held)


def announce_handovers(
    grants: Sequence[Grant], *, now: datetime, held: datetime | None = None
) -> list[Grant]:
    """Return the *grants* of a VM port, each with its hand-over; see `find_next_handover`."""
    ends = sorted(_find_interrupting_ends(_list_needing(grants, now)))[:1]  # nobody hears of more
    found = ((grant, _follow_ends(grant, ends, now, held)) for grant in grants)
    return [g if g.handover_at == at else replace(g, handover_at=at) for g, at in found]


def _follow_ends(
    grant: Grant, ends: Iterable[datetime], now: datetime, held: datetime | None
) -> datetime | None:
    """Return the next hand-over of *grant*, given the *ends* that interrupt somebody."""
    before = grant.handover_at
    if not grant.wants_path:
        return before
    following = _choose_handover(grant, ends, end=_end(grant), now=now, held=held)
    if before is None or before > now:  # an end that was put off is taken back
        return following
    changes = add_change_time(before, grant)
    if following is None or now < changes <= following:
        return before
    return following


def add_change_time(moment: datetime, grant: Grant) -> datetime:
    """Return the time by which the path of *grant* has changed after a hand-over at *moment*."""
    return moment + TIMES[grant.via].lead


def covers(entry: DefenderRequest, target: WantedRequest, *, now: datetime) -> bool:
    """Return True if *entry* already is the request that the VM port should have."""
    same = entry.is_in_force(now) and Prefixes(entry.sources).equals(target.sources)
    return same and lasts_long_enough(entry.ends_at, target, now=now)


def lasts_long_enough(until: datetime, target: WantedRequest, *, now: datetime) -> bool:
    """Return True if access *until* then is as long as *target* wants it."""
    if abs(until - target.until) <= TOLERANCE:
        return True
    # Defender grants no less than five minutes. A request that short cannot be shortened further.
    return target.until <= until <= now + SHORTEST + TOLERANCE


def ends_in_time(until: datetime, target: WantedRequest) -> bool:
    """Return True if access *until* then ends when *target* ends, or before."""
    return until <= target.until + TOLERANCE


def _list_needing(grants: Iterable[Grant], now: datetime) -> list[Grant]:
    return [grant for grant in grants if grant.wants_path and _end(grant) > now]


def _end(grant: Grant) -> datetime:
    return grant.expires_at or grant.latest_end


def _find_next_shrink(live: Sequence[Grant]) -> datetime:
    """Return the first end after which the sources of those who stay are not all sources."""
    return min(_read_last_ends(live).list_all(), default=max(map(_end, live)))


def _read_last_ends(live: Iterable[Grant]) -> LastEnds:
    return LastEnds((grant.sources, _end(grant)) for grant in live)


def _find_interrupting_ends(live: Sequence[Grant]) -> list[datetime]:
    """
    Return the ends of *live* grants that interrupt a grant that stays.

    An end interrupts nobody if a grant stays that came earlier than all grants whose sources go.
    """
    found: list[datetime] = []
    last, first = _read_last_ends(live), None
    for moment, group in groupby(sorted(live, key=_end, reverse=True), key=_end):
        ending = list(group)
        leavers = [_order(g) for g in ending if _list_going(g, last)]
        if first is None or any(leaver <= first for leaver in leavers):
            found.append(moment)
        first = min([*([first] if first is not None else []), *map(_order, ending)])
    return found


def _list_going(grant: Grant, last: LastEnds) -> list[Prefix]:
    """Return the sources of *grant*, which are among *last*, that go when the grant ends."""
    return [source for source in grant.sources if (last.find(source) or _NEVER) <= _end(grant)]


def _order(grant: Grant) -> _Order:
    """Return the order of arrival. Grants admitted in one step came as they start."""
    return (grant.admitted_at or _NEVER, grant.starts_at, grant.id)


# ---- grants that join, one after the other -------------------------------------------------------


class Company:
    """
    The grants that need a VM port, while others join them one after the other.

    It answers as `fix_end` and `find_handover` do, without reading all grants for each that joins.
    An end interrupts somebody only if its grant came before all grants that end later: only such
    *leaders* are asked. Their ends are in the order of their arrival.
    """

    def __init__(self, grants: Iterable[Grant], *, now: datetime, held: datetime | None) -> None:
        """Begin with those of *grants* that need the port at *now*; *held* as for `fix_end`."""
        self._now, self._held = now, held
        self._members: list[Grant] = []
        self._leaders: deque[Grant] = deque()
        self._last = LastEnds()
        self._latest: datetime | None = None
        self._is_ordered = True
        for grant in sorted(_list_needing(grants, now), key=_order):
            self.join(grant)

    def join(self, grant: Grant) -> None:
        """Note that *grant* has been admitted."""
        if not _list_needing([grant], self._now):
            return
        if self._members and _order(grant) < _order(self._members[-1]):
            self._is_ordered = False
        if self._latest is None or _end(grant) >= self._latest:
            self._leaders.append(grant)
            self._latest = _end(grant)
        self._members.append(grant)
        self._last.add(grant.sources, _end(grant))

    def fix_end(self, grant: Grant, *, end: datetime) -> datetime:
        """Return the end of *grant*, which joins now; see the function `fix_end`."""
        if not self._may_lead(grant):
            return fix_end(grant, self._members, end=end, now=self._now, held=self._held)
        least = min(end, self._now + SHORTEST)
        stay = self._latest is not None and self._latest > end
        if stay and not all((self._last.find(s) or end) > end for s in grant.sources):
            end = max(end - TIMES[grant.via].lead, least)
        gap = self.find_handover(grant, end=end)
        return gap if gap is not None and gap >= least and end - gap < SHORTEST else end

    def find_handover(self, grant: Grant, *, end: datetime) -> datetime | None:
        """Return the first hand-over of *grant*, which joins now; see `find_handover`."""
        now, held = self._now, self._held
        if not self._may_lead(grant):
            return find_handover(grant, self._members, end=end, now=now, held=held)
        ends = self._find_first_leave(grant, before=end)
        return _choose_handover(grant, ends, end=end, now=now, held=held)

    def _may_lead(self, grant: Grant) -> bool:
        """Return True if *grant* comes after all others, so that the leaders answer for it."""
        is_last = not self._members or _order(self._members[-1]) < _order(grant)
        return self._is_ordered and is_last

    def _find_first_leave(self, grant: Grant, *, before: datetime) -> list[datetime]:
        """Return the first end of a leader by which sources go that *grant* does not have."""
        while self._leaders and not _list_going(self._leaders[0], self._last):
            self._leaders.popleft()  # somebody has its sources for longer, whoever joins
        own = PrefixIndex(grant.sources)
        for leader in self._leaders:
            if _end(leader) >= before:
                break
            if not all(map(own.covers, _list_going(leader, self._last))):
                return [_end(leader)]
        return []
