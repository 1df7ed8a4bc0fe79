"""
Companion rules: when a grant behind a firewall needs one, at which priority.

DNAT traffic reaches the VM from an address of AzureFirewallSubnet. Defender's own allow rule is
made for the requester's address and does not cover it. The companion is the one rule that could
outlive a dead broker; it opens nothing once the NAT rule is gone. ``paths.companion_paths`` knows
when it may not stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit.domain.azure import companion_rule, nsg_effect
from jit.domain.grants import lifetime
from jit.domain.grants.timing import COMPANION_WRITE
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import Interface
from jit.domain.paths.effective import PathView
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import find_packet_protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A companion rule to create; its grant's row names it before the call."""

    rule_id: str
    nsg_id: str
    priority: int
    body: dict[str, object]


def plan_companions(
    grants: Iterable[Grant],
    paths: Mapping[str, PathView],
    view: MachineView,
    *,
    taken: Sequence[Companion],
    now: datetime,
) -> tuple[tuple[Grant, ...], tuple[Companion, ...]]:
    """Return the grants of a VM port, and the companions that they need; see `plan_companion`."""
    done: list[Grant] = []
    wanted: list[Companion] = []
    for grant in grants:
        path = paths.get(grant.id)
        if not (grant.status is Status.OPENING and path and path.blocked_by):
            done.append(grant)
            continue
        changed, found = plan_companion(grant, path, view, taken=(*taken, *wanted), now=now)
        done.append(changed)
        wanted.extend(found)
    return tuple(done), tuple(wanted)


def plan_companion(
    grant: Grant, look: PathView, view: MachineView, *, taken: Iterable[Companion], now: datetime
) -> tuple[Grant, tuple[Companion, ...]]:
    """
    Return the grant with the companion rules it needs written down, and those rules.

    Args:
        grant: In status ``opening``, behind a firewall.
        look: Its path, as ``companion_paths.observe_path`` just saw it; ``blocked_by`` names the
            NSGs that stop the firewall and may get a companion.
        view: The VM.
        taken: Companions already decided in this step: their priorities are not free.
        now: Aware, UTC.
    """
    nic = next((nic for nic in view.vm.interfaces if nic.private_ip == look.address), None)
    if nic is None or view.firewall is None or not look.blocked_by:
        return grant, ()
    if not view.firewall.settled:  # a NAT rule that it no longer lists may still be in force
        return grant, ()
    used = list(taken)
    found: list[Companion] = []
    for nsg_id, priority in look.blocked_by.items():
        made = _companion(grant, view, nic, nsg_id, priority, used)
        if made is None:
            why = f"no free priority in NSG above {priority}"
            return replace(grant, note=why, hindrance=why), ()
        used.append(made)
        found.append(made)
    left = grant.footprint
    ids = tuple(dict.fromkeys((*left.companions, *(made.rule_id for made in found))))
    wait = max(COMPANION_WRITE, lifetime.pace_opening(now - (grant.admitted_at or now)))
    footprint = replace(left, companions=ids)
    return replace(grant, footprint=footprint, next_check_at=now + wait), tuple(found)


def _companion(
    grant: Grant,
    view: MachineView,
    nic: Interface,
    nsg_id: str,
    blocking: int,
    used: Sequence[Companion],
) -> Companion | None:
    nsg = next((item for item in view.nsgs.values() if item.id == nsg_id), None)
    if nsg is None:
        return None
    priority = _find_free_priority(nsg, blocking, used)
    if priority is None:
        return None
    return Companion(
        rule_id=f"{nsg.id}/securityRules/{companion_rule.build_companion_name(grant.id)}",
        nsg_id=nsg.id,
        priority=priority,
        body=companion_rule.build_companion_body(
            grant.id,
            private_ip=nic.private_ip,
            port=grant.port,
            protocol=find_packet_protocol(grant),
            sources=view.vm.firewall_sources,
            priority=priority,
        ),
    )


def _find_free_priority(nsg: NsgView, blocking: int, used: Sequence[Companion]) -> int | None:
    """Return a free priority that decides before *blocking*; the nearest, to disturb least."""
    below = min([blocking, *(item.priority for item in used if item.nsg_id == nsg.id)])
    return nsg_effect.find_free_priority(nsg.rules, below=below)
