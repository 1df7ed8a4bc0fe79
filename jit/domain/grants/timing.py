"""
How long each phase of a grant may take: one table by the way that packets take.

Two facts are behind the table. An update of a firewall takes 3 to 5 minutes, and a write of an
NSG takes 1 minute at most. All other times count such updates, or are decisions of the broker.

Source:
    Learn, Azure Firewall known issues: an update takes 3 to 5 minutes on average, and updates do
    not run in parallel. A single NSG rule is written in seconds in the recordings of Azure's own
    SDK tests; Microsoft documents no limit, so 1 minute is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from jit.domain.model.machine import Via

_NSG_WRITE = timedelta(minutes=1)
_FIREWALL_UPDATE, _QUICK_FIREWALL_UPDATE = timedelta(minutes=5), timedelta(minutes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTimes:
    """
    The times of one way to a VM.

    Attributes:
        update: The longest time that Azure takes to change a rule on this way.
        quick_update: The time of an update that goes well.
        opens_within: The deadline of a grant. If it is not open by then, it closes as failed.
            20 minutes through an NSG; twice that behind a firewall, whose updates queue.
    """

    update: timedelta
    quick_update: timedelta
    opens_within: timedelta

    @property
    def grace(self) -> timedelta:
        """
        The time that Azure's own expiry has before the broker removes a rule.

        Two updates: another update may run when Azure begins its own.
        """
        return 2 * self.update

    @property
    def lead(self) -> timedelta:
        """
        How long before the end of a shared request its successor is asked for.

        A quick update, and the successor's own.
        """
        return self.quick_update + self.update

    @property
    def exchanged_within(self) -> timedelta:
        """
        How long after an initiate Azure may still exchange the older rules for the new ones.

        One update of this way, and the write of the NSG that Defender makes with it.
        """
        return self.update + _NSG_WRITE

    @property
    def gap(self) -> timedelta:
        """
        How long after its end a request may keep a path shut that was asked for again too late.

        A running update, the removal of the old rule, and the new rule: one after the other.
        """
        return 3 * self.update

    @property
    def shrinks_within(self) -> timedelta:
        """
        The longest time that a shared rule may stay after one of its grants ended.

        A new initiate for the other grants normally replaces it: one update behind two others,
        and one to spare. If Azure refuses the initiate, the broker removes the rule: an end that
        was promised comes before the others' access, which is then asked for again.
        """
        return 4 * self.update


_BY_NSG = PathTimes(update=_NSG_WRITE, quick_update=_NSG_WRITE, opens_within=timedelta(minutes=20))
TIMES: Mapping[Via, PathTimes] = MappingProxyType(
    {
        Via.FIREWALL: PathTimes(
            update=_FIREWALL_UPDATE,
            quick_update=_QUICK_FIREWALL_UPDATE,
            opens_within=2 * _BY_NSG.opens_within,
        ),
        Via.PUBLIC_IP: _BY_NSG,
        Via.PRIVATE: _BY_NSG,
    }
)
"""The times of each way."""


SHORTEST = timedelta(minutes=5)
"""Defender's shortest access (Microsoft.Security 2020-01-01, ``maxRequestAccessDuration``)."""

APPEARS_WITHIN = timedelta(minutes=15)
"""How long after an initiate its rules may still appear. Assumed; see docs/promises.md, P2."""

OVERDUE = timedelta(minutes=30)
"""If a path is still there so long after its end, an alert names its rule."""

FOREIGN_GRACE = TIMES[Via.FIREWALL].grace
"""How long after its end another person's request still counts: Azure removes its rules first."""

TOLERANCE = timedelta(seconds=2)
"""Two ends of a request that differ by less are the same: Azure may round."""

EXCHANGE_PAUSE = timedelta(seconds=20)
"""The pause between two initiates for an open path. Defender has written the rules by then."""

REFUSAL_PAUSE = timedelta(seconds=90)
"""
The pause after an initiate that Azure refused. A fault that passes had a minute to pass, and an
open path that must change soon may still change in time.
"""

LAST_MOMENTS = timedelta(seconds=30)
"""Before its end a grant asks for nothing: the rules would hardly be written in time."""


FIREWALL_WAIT = timedelta(minutes=1)
"""How long until the broker tries again to change a firewall that is busy."""

LAST_CHANCE = FIREWALL_WAIT + 2 * _NSG_WRITE
"""
How long before the end of a request its successor is asked for even if the firewall is busy.

One more wait, a minute by which a pass may be late, and a minute for Defender to take it up.
"""

SOONEST_LOOK = timedelta(seconds=3)
"""The shortest time between two looks: an NSG rule is written in seconds."""

LOOK_WHILE_OPENING = timedelta(minutes=1)
"""The longest time between two looks at a path that opens."""

NEXT_PEOPLE = timedelta(seconds=5)
"""How long a new grant waits while a pass reads the roles of other people first."""

LOOK_NOTED = timedelta(minutes=1)
"""
A look that changes nothing is stored if the last stored one is so old: one write a minute at most.

So old must the last look be, too, before somebody who asks for the state gets another one.
"""

LOOK_WHILE_CLOSING = timedelta(minutes=15)
"""The longest time between two tries to close a path: a lock costs four tries an hour."""

COMPANION_WRITE = timedelta(seconds=5)
"""How long Azure takes to write a companion rule."""

FIRST_RETRY, LAST_RETRY = timedelta(seconds=10), timedelta(minutes=5)
"""The first and the longest wait after an initiate that Azure did not take."""

UNVERIFIED_AFTER = timedelta(hours=1)
"""How long a closing grant must be unobservable before an operator may close it unseen."""
