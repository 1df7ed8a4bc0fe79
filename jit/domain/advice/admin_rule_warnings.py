"""Warnings about security admin rules that stand before the JIT rules of a VM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network

from jit.domain.azure.nsg_effect import Flow
from jit.domain.model.machine import MachineWarning, PortRule, Via, VirtualMachine
from jit.domain.network_manager.admin_stage import Outcome, Share, split_at_admin_rules
from jit.domain.network_manager.security_admin_rules import AdminRules
from jit.domain.obstacles.admin_obstacles import ADMIN_RULE_BLOCKS
from jit.domain.values.prefixes import Prefix, read_prefix

_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_NAMED = 3


def find_admin_rule_warnings(vm: VirtualMachine, admin: AdminRules) -> Iterator[MachineWarning]:
    """
    Yield warnings about security admin rules that defeat just-in-time access, one a port and kind.

    * ``admin-rule-blocks``: traffic from allowed sources is denied before any NSG sees it. Behind a
      firewall that is traffic from the firewall's own addresses.
    * ``admin-rule-bypasses-jit``: traffic is always allowed, so the JIT deny rule never sees it.

    A rule with unknown addresses may do either. If the rules are not known, there is no warning.

    Source:
        https://learn.microsoft.com/azure/virtual-network-manager/concept-security-admins
    """
    for port in vm.ports:
        denied = _find_shares(vm, admin, port, _list_expected(vm, port), Outcome.DENIED)
        if denied:
            yield _warn_of_block(port, denied)
        passed = _find_shares(vm, admin, port, _EVERYWHERE, Outcome.PASSED)
        if passed:
            yield _warn_of_bypass(port, passed)


def _list_expected(vm: VirtualMachine, port: PortRule) -> tuple[Prefix, ...]:
    """Return the sources that the VM sees if its JIT policy lets somebody in."""
    behind = vm.via is Via.FIREWALL
    found = [
        read_prefix(text) for text in (vm.firewall_sources if behind else port.allowed_sources)
    ]
    known = tuple(prefix for prefix in found if prefix is not None)
    return known if len(known) == len(found) else _EVERYWHERE


def _find_shares(
    vm: VirtualMachine,
    admin: AdminRules,
    port: PortRule,
    sources: Iterable[Prefix],
    outcome: Outcome,
) -> list[Share]:
    """Return the shares of the traffic to *port* that have *outcome*, or may have it."""
    flows = [
        Flow(source, target, port.number, port.protocol)
        for nic in vm.interfaces
        if read_prefix(nic.private_ip) is not None
        for target in (ip_address(nic.private_ip),)
        for source in sources
        if source.version == target.version
    ]
    shares = (
        share
        for flow in flows
        for share in split_at_admin_rules(admin.rules, flow, vm.vnet_prefixes)
    )
    return [share for share in shares if outcome in share.outcomes]


def _warn_of_block(port: PortRule, shares: Sequence[Share]) -> MachineWarning:
    verb = "blocks" if _is_sure(shares) else "may block"
    detail = (
        f"port {port.number}: before every NSG, {_name_rules(shares, Outcome.DENIED)} {verb} "
        f"traffic from {_name_sources(shares)}, so no path opens from there; ask the owner of the "
        "network manager for a rule that allows it"
    )
    return MachineWarning(code=ADMIN_RULE_BLOCKS, detail=detail)


def _warn_of_bypass(port: PortRule, shares: Sequence[Share]) -> MachineWarning:
    verb = "lets" if _is_sure(shares) else "may let"
    detail = (
        f"port {port.number}: before every NSG, {_name_rules(shares, Outcome.PASSED)} {verb} "
        f"traffic from {_name_sources(shares)} in at any time; ask the owner of the network "
        "manager for Allow instead of AlwaysAllow"
    )
    return MachineWarning(code="admin-rule-bypasses-jit", detail=detail)


def _is_sure(shares: Iterable[Share]) -> bool:
    return any(len(share.outcomes) == 1 for share in shares)


def _name_rules(shares: Iterable[Share], outcome: Outcome) -> str:
    return ", ".join(dict.fromkeys(share.name_rules(outcome) for share in shares))


def _name_sources(shares: Iterable[Share]) -> str:
    names = list(dict.fromkeys(str(share.flow.source) for share in shares))
    more = f" and {len(names) - _NAMED} more prefixes" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
