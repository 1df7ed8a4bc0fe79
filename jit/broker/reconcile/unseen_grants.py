"""
Unseen grants: they should be gone for long, and a comparison finds no rule of theirs.

Such a grant may just wait for its next look, for example after somebody took a lock away. Then it
is no alert: a comparison makes it due, and its worker closes it. It is an alert if the comparison
cannot tell either, or if the next comparison finds it in the same state.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

from jit import telemetry
from jit.broker.reconcile.comparison import Comparison
from jit.domain.grants.lifetime import find_leftover_start
from jit.domain.grants.timing import OVERDUE
from jit.domain.model.grant import Grant, Status
from jit.domain.paths.machine_view import FirewallView, MachineView, NsgView
from jit.domain.values import arm_ids

_NAMED = 5


class _Sight(StrEnum):
    """How well a comparison saw the NSGs and the firewall on the path to a VM."""

    CLEAR = "clear"
    UPDATING = "updating"
    UNKNOWN = "unknown"


def find_unseen(comparison: Comparison, named: Collection[str | None]) -> list[Grant]:
    """
    Return the grants that should be gone for half an hour, and are not among *named*.

    Args:
        comparison: Rules and grants.
        named: The ids of the grants with an item in the plan: a rule of theirs was seen.
    """
    return [
        grant
        for grant in comparison.grants
        if grant.status is Status.CLOSING
        and (since := find_leftover_start(grant)) is not None
        and comparison.now >= since + OVERDUE
        and grant.id not in named
    ]


def alert_unverified(
    unseen: Sequence[Grant], comparison: Comparison, reported: Collection[str]
) -> frozenset[str]:
    """
    Raise one alert for the unseen grants that cannot be observed gone.

    Args:
        unseen: The grants.
        comparison: The comparison that found them.
        reported: Names that the comparison before returned.

    Returns:
        Names of the unseen grants with their states, for the next comparison.
    """
    sights = {grant.id: _judge_sight(_find_view(grant, comparison)) for grant in unseen}
    names = {grant.id: _name(grant, sights[grant.id]) for grant in unseen}
    found = [
        grant
        for grant in unseen
        if sights[grant.id] is _Sight.UNKNOWN or names[grant.id] in reported
    ]
    if found:
        telemetry.alert(
            "grants.unverified",
            subscription=comparison.subscription,
            count=len(found),
            grants=[grant.id for grant in found[:_NAMED]],
            reasons=sorted({grant.note or "" for grant in found})[:_NAMED],
        )
    return frozenset(names.values())


def _find_view(grant: Grant, comparison: Comparison) -> MachineView | None:
    return comparison.observed.machines.get(arm_ids.key(grant.vm_id))


def _judge_sight(view: MachineView | None) -> _Sight:
    if view is None or (view.vm.firewall_id and view.firewall is None):
        return _Sight.UNKNOWN
    held = [view.nsgs_of(nic) for nic in view.vm.interfaces]
    holders: list[NsgView | FirewallView] = [nsg for nsgs in held for nsg in nsgs or ()]
    if view.firewall is not None:
        holders.append(view.firewall)
    if None in held or any(holder.failed for holder in holders):
        return _Sight.UNKNOWN
    return _Sight.CLEAR if all(holder.settled for holder in holders) else _Sight.UPDATING


def _name(grant: Grant, sight: _Sight) -> str:
    return arm_ids.row_hash(f"unseen|{sight}|{grant.id}")[:10]
