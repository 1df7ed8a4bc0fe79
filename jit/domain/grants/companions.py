"""
Companion rules: when a grant behind a firewall needs one, at which priority.

DNAT traffic reaches the VM from an address of AzureFirewallSubnet. Defender's own allow rule is
made for the requester's address and does not cover it. The companion is the one rule that could
outlive a dead broker; it opens nothing once the NAT rule is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit.domain.azure import companion_rule, nsg_effect
from jit.domain.azure.firewall import NatRule
from jit.domain.grants import lifetime
from jit.domain.grants.timing import COMPANION_WRITE
from jit.domain.model.grant import Grant
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


def plan_companion(
    grant: Grant, look: PathView, view: MachineView, *, taken: Iterable[Companion], now: datetime
) -> tuple[Grant, tuple[Companion, ...]]:
    """
    Return the grant with the companion rules it needs written down, and those rules.

    Args:
        grant: In status ``opening``, behind a firewall.
        look: Its path, as just seen; ``blocked_by`` names the NSGs that stop the firewall.
        view: The VM.
        taken: Companions already decided in this step: their priorities are not free.
        now: Aware, UTC.
    """
    nic = next((nic for nic in view.vm.interfaces if nic.private_ip == look.address), None)
    if nic is None or view.firewall is None or not look.blocked_by:
        return grant, ()
    stranger = _find_stranger(grant, view, nic)
    if stranger:
        note = f"NAT rule {stranger} would be let through too, so no companion rule was added"
        return replace(grant, note=note), ()
    used = list(taken)
    found: list[Companion] = []
    for nsg_id, priority in look.blocked_by.items():
        made = _companion(grant, view, nic, nsg_id, priority, used)
        if made is None:
            return replace(grant, note=f"no free priority in NSG above {priority}"), ()
        used.append(made)
        found.append(made)
    left = grant.footprint
    ids = tuple(dict.fromkeys((*left.companions, *(made.rule_id for made in found))))
    wait = max(COMPANION_WRITE, lifetime.pace_opening(now - (grant.admitted_at or now)))
    footprint = replace(left, companions=ids)
    return replace(grant, footprint=footprint, next_check_at=now + wait), tuple(found)


def _find_stranger(grant: Grant, view: MachineView, nic: Interface) -> str:
    """Return a NAT rule that leads others to the same VM port; empty if there is none."""
    rules = view.firewall.nat_rules if view.firewall else ()
    for rule in rules:
        if _is_same_target(rule, nic, grant.port) and not _is_ours(rule):
            return f"{rule.collection}/{rule.name}"
    return ""


def _is_same_target(rule: NatRule, nic: Interface, port: int) -> bool:
    return rule.translated_address == nic.private_ip and rule.translated_port == str(port)


def _is_ours(rule: NatRule) -> bool:
    """Defender's own NAT rules are superseded per VM port: the one there is the grants' one."""
    return rule.is_jit


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
