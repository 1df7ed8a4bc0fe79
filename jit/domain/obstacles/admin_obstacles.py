"""
Obstacles in security admin rules: sources that one denies before every NSG.

The rules are read every quarter of an hour only. A reading counts for twice that time. After that
it is no obstacle any more: the look that would call a path open reads the rules anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

from jit.domain.azure.nsg_effect import Flow
from jit.domain.model.machine import Interface, Obstacle, PortRule, VirtualMachine
from jit.domain.network_manager.admin_stage import Outcome, split_at_admin_rules
from jit.domain.network_manager.security_admin_rules import AdminAccess, AdminRules
from jit.domain.obstacles.stopped_sources import Stop, find_stop_obstacles
from jit.domain.paths.rules import choose_packet_protocol
from jit.domain.values.address_sets import expand_prefix
from jit.domain.values.prefixes import Prefix, keep_prefixes

ADMIN_RULE_BLOCKS = "admin-rule-blocks"
"""The code of a reason to refuse a request, and of the warning that says the same."""

COUNTS_FOR = timedelta(minutes=30)
"""How long a reading of the rules is a reason to refuse."""

_WHY = (
    "{rules} denies the packets before every NSG; ask the owner of the network manager for a rule"
    " that allows them"
)


def find_admin_obstacles(vm: VirtualMachine, admin: AdminRules) -> tuple[Obstacle, ...]:
    """Return the obstacles in the security admin rules of the network of *vm*."""
    denies = any(rule.access is AdminAccess.DENY for rule in admin.rules)
    if admin.read_at is None or not denies:
        return ()
    until, vnet = admin.read_at + COUNTS_FOR, keep_prefixes(vm.vnet_prefixes)

    def find(nic: Interface, port: PortRule, source: Prefix) -> Iterator[Stop]:
        protocol = choose_packet_protocol(port.number, port.protocol)
        flow = Flow(source, ip_address(nic.private_ip), port.number, protocol)
        for share in split_at_admin_rules(admin.rules, flow, vnet):
            if share.outcomes == {Outcome.DENIED}:
                why = _WHY.format(rules=share.name_rules(Outcome.DENIED))
                yield Stop(expand_prefix(share.flow.source), why)

    found = find_stop_obstacles(vm, ADMIN_RULE_BLOCKS, find)
    return tuple(replace(each, until=until) for each in found)
