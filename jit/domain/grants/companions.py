"""
Companion rules: when a VM port behind a firewall needs one, at which priority.

DNAT traffic reaches the VM from an address of AzureFirewallSubnet. Defender's own allow rule is
made for the requester's address and does not cover it. One companion in each NSG that stops the
traffic serves all grants of the VM port. It is the one rule that could outlive a dead broker; it
opens nothing once the NAT rule is gone. ``paths.companion_paths`` knows when it may not stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit.domain.azure import companion_rule, nsg_effect
from jit.domain.grants import lifetime
from jit.domain.grants.timing import COMPANION_WRITE, LOOK_WHILE_OPENING
from jit.domain.model.grant import Grant, Status
from jit.domain.paths import companion_paths
from jit.domain.paths.companion_owners import find_shared_owner, group_addresses, may_share
from jit.domain.paths.effective import PathView
from jit.domain.paths.foreign_nat import find_foreign_way
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import find_packet_protocol, list_addresses
from jit.domain.values.prefixes import Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A companion rule to create; rows of grants name it before the call."""

    rule_id: str
    nsg_id: str
    priority: int
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class PortPaths:
    """
    The paths of the grants of one VM port.

    Attributes:
        view: The VM as just read.
        paths: Grant id -> its path, as ``bastion_paths.observe_paths`` saw it; ``blocked_by`` names
            the NSGs that stop the firewall and may get a companion.
        asked: Every source that was asked for on the VM port, as for ``find_foreign_way``.
        withdrawn: Ids of companions that this step removes, because others would come in.
    """

    view: MachineView
    paths: Mapping[str, PathView]
    asked: Collection[Prefix] | None = None
    withdrawn: Collection[str] = ()


def plan_companions(
    grants: Iterable[Grant],
    port: PortPaths,
    *,
    taken: Sequence[Companion],
    held: bool = False,
    now: datetime,
) -> tuple[tuple[Grant, ...], tuple[Companion, ...]]:
    """
    Return the grants with the companions that they rest on written down, and those to create.

    Args:
        grants: All grants of the VM port.
        port: Their paths.
        taken: Companions already decided in this step: their priorities are not free.
        held: True if none may be created now, because it may let a barred person in.
        now: Aware, UTC.
    """
    done = {grant.id: grant for grant in grants}
    known = group_addresses(done.values())
    made: list[Companion] = []
    for owner, sharers in _group_by_owner(done.values()).items():
        stopped = frozenset() if held else {each.id for each in sharers if _is_stopped(each, port)}
        changed, found = _plan_shared(owner, sharers, stopped, port, taken=(*taken, *made), now=now)
        former = _list_former(owner, port, known[owner])
        done |= {grant.id: _record(grant, private_ips=former) for grant in changed}
        made.extend(found)
    return tuple(done.values()), tuple(made)


def _group_by_owner(grants: Iterable[Grant]) -> dict[str, list[Grant]]:
    """Return the grants that want a path through a firewall, by the owner that they share."""
    found: dict[str, list[Grant]] = {}
    for grant in grants:
        if grant.wants_path and may_share(grant):
            found.setdefault(find_shared_owner(grant), []).append(grant)
    return found


def _plan_shared(
    owner: str,
    grants: Sequence[Grant],
    stopped: Collection[str],
    port: PortPaths,
    *,
    taken: Sequence[Companion],
    now: datetime,
) -> tuple[list[Grant], tuple[Companion, ...]]:
    """
    Return the *grants* that share *owner* after a look, and its companions to create.

    *stopped* has the ids of the grants that need one.
    A companion that stands already is written down as well: the last grant that rests on it
    removes it.
    """
    standing = companion_paths.list_standing_of((owner,), port.view)
    made, why = _make_companions(owner, grants, stopped, port, taken) if stopped else ((), "")
    ids = (*standing, *(each.rule_id for each in made))
    is_withdrawn = not set(standing).isdisjoint(port.withdrawn)
    done = [_record(grant, companions=ids) for grant in grants]
    if is_withdrawn:
        done = [_look_soon(grant, now) for grant in done]
    return [_note(each, made, why, now) if each.id in stopped else each for each in done], made


def _is_stopped(grant: Grant, port: PortPaths) -> bool:
    """Return True if an NSG stops the firewall's packets for *grant*, and may get a companion."""
    path, firewall = port.paths.get(grant.id), port.view.firewall
    if grant.status is not Status.OPENING or path is None or not path.blocked_by:
        return False
    if firewall is None or not firewall.settled:  # a NAT rule that it lists no more may be in force
        return False
    return path.address in list_addresses(port.view.vm)


def _make_companions(
    owner: str,
    grants: Sequence[Grant],
    stopped: Collection[str],
    port: PortPaths,
    taken: Sequence[Companion],
) -> tuple[tuple[Companion, ...], str]:
    """Return a companion for each NSG that stops a grant; or none, and the reason for people."""
    ways = (find_foreign_way(grant, port.view, port.asked) for grant in grants)
    if way := next(filter(None, ways), None):  # the companion of one is the companion of all
        return (), way.explain()
    made: list[Companion] = []
    for nsg_id, blocking in _find_blocking(stopped, port).items():
        nsg = next((each for each in port.view.nsgs.values() if each.id == nsg_id), None)
        if nsg is None:
            return (), ""
        priority = _find_free_priority(nsg, blocking, (*taken, *made))
        if priority is None:
            return (), f"no free priority in NSG above {blocking}"
        made.append(_make_companion(owner, grants, port, nsg, priority))
    return tuple(made), ""


def _find_blocking(stopped: Iterable[str], port: PortPaths) -> dict[str, int]:
    """Return, per NSG id, the smallest priority of a rule that stops one of those grants."""
    found: dict[str, int] = {}
    for grant_id in stopped:
        for nsg_id, priority in (port.paths[grant_id].blocked_by or {}).items():
            found[nsg_id] = min(priority, found.get(nsg_id, priority))
    return dict(sorted(found.items()))


def _find_free_priority(nsg: NsgView, blocking: int, used: Sequence[Companion]) -> int | None:
    """Return a free priority that decides before *blocking*; the nearest, to disturb least."""
    below = min([blocking, *(item.priority for item in used if item.nsg_id == nsg.id)])
    return nsg_effect.find_free_priority(nsg.rules, below=below)


def _make_companion(
    owner: str, grants: Sequence[Grant], port: PortPaths, nsg: NsgView, priority: int
) -> Companion:
    """Return the companion of *owner* in an NSG, for the addresses that the paths lead to."""
    used = {path.address for grant in grants if (path := port.paths.get(grant.id)) is not None}
    return Companion(
        rule_id=f"{nsg.id}/securityRules/{companion_rule.build_companion_name(owner)}",
        nsg_id=nsg.id,
        priority=priority,
        body=companion_rule.build_companion_body(
            owner,
            private_ips=[each for each in list_addresses(port.view.vm) if each in used],
            port=grants[0].port,
            protocol=find_packet_protocol(grants[0]),
            sources=port.view.vm.firewall_sources,
            priority=priority,
        ),
    )


# ---- the grants ----------------------------------------------------------------------------------


def _list_former(owner: str, port: PortPaths, known: Collection[str]) -> list[str]:
    """Return the *known* addresses that the VM has no more and a companion of *owner* leads to."""
    former = set(known).difference(list_addresses(port.view.vm))
    return sorted(former & companion_paths.list_targets_of((owner,), port.view))


def _record(
    grant: Grant, *, companions: Iterable[str] = (), private_ips: Iterable[str] = ()
) -> Grant:
    """
    Return *grant* with more companions and addresses in its footprint.

    The grants that knew an address may end before it, and leave it a companion that leads there.
    """
    left = grant.footprint
    known = tuple(dict.fromkeys((*left.companions, *companions)))
    ips = tuple(dict.fromkeys((*left.private_ips, *private_ips)))
    if (known, ips) == (left.companions, left.private_ips):
        return grant
    return replace(grant, footprint=replace(left, companions=known, private_ips=ips))


def _note(grant: Grant, made: Sequence[Companion], why: str, now: datetime) -> Grant:
    """Return a stopped *grant* with the time to look for its companions, or why there are none."""
    if why:
        return replace(grant, note=why, hindrance=why)
    wait = max(COMPANION_WRITE, lifetime.pace_opening(now - (grant.admitted_at or now)))
    return replace(grant, next_check_at=now + wait) if made else grant


def _look_soon(grant: Grant, now: datetime) -> Grant:
    """Return *grant* with a look at its path soon: it loses a companion by the way of another."""
    return replace(grant, next_check_at=min(grant.next_check_at, now + LOOK_WHILE_OPENING))
