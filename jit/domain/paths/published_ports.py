"""
Published ports: JIT ports of a VM that a customer's NAT rule leads others to.

Defender leads grants to the VM's first address. If an NSG stops the firewall there, a grant on
such a port needs a companion and may not get one: no grant can ever open it. If all NSGs let the
firewall pass at an address that the NAT rule leads to, those others come in without any grant. Both
may be true of a VM with several addresses, or neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jit.domain.azure import nsg_effect
from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.defender_rules import is_jit_allow_name
from jit.domain.azure.firewall import NatRule
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.model.machine import Interface, Obstacle, PortRule
from jit.domain.paths.blocks import read_version
from jit.domain.paths.foreign_nat import ForeignWay, build_way, may_lead_to
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import choose_packet_protocol, list_addresses
from jit.domain.paths.ways import list_ways
from jit.domain.values.prefixes import IPV6, Prefix, Prefixes, keep_prefixes, read_prefix

NAT_RULE_BLOCKS = "nat-rule-blocks"
"""The code of a reason to refuse a request, and of the warning that says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """
    A JIT port that a customer's NAT rule leads, or may lead, others to.

    Attributes:
        port: Port of the VM.
        way: The NAT rule.
        is_blocked: True if an NSG stops the firewall on the way that a grant takes, apart from the
            rules of grants.
        is_open: True if the NSGs let the firewall pass on the way of the NAT rule.
    """

    port: int
    way: ForeignWay
    is_blocked: bool
    is_open: bool


def find_published_ports(view: MachineView) -> Iterator[PublishedPort]:
    """
    Yield the published JIT ports of a VM, each with the first NAT rule that leads there.

    Defender's own rules publish nothing. If the NSGs were not read, or the firewall's subnet is not
    known, there is no answer.
    """
    customers = [r for r in view.firewall.nat_rules if not r.is_jit] if view.firewall else []
    for port in view.vm.ports if customers else ():
        found = _find_published(port, customers, view)
        if found is not None:
            yield found


def find_obstacles(view: MachineView) -> tuple[Obstacle, ...]:
    """Return the ports of a VM that no grant can open, because they are published."""
    return tuple(
        Obstacle(
            port=found.port,
            code=NAT_RULE_BLOCKS,
            detail=f"{found.way.title}, and would let them in together with you; ask the owner of "
            "the firewall to remove that NAT rule, or to let it lead elsewhere",
        )
        for found in find_published_ports(view)
        if found.is_blocked
    )


def _find_published(
    port: PortRule, customers: Iterable[NatRule], view: MachineView
) -> PublishedPort | None:
    protocol = choose_packet_protocol(port.number, port.protocol)
    targets = Prefixes(list_addresses(view.vm)).readable
    rules = [rule for rule in customers if may_lead_to(rule, targets, port.number, protocol)]
    ways = list_ways(view.vm, 4)
    if not rules or not ways or view.firewall is None:
        return None
    blocked = _is_firewall_stopped(ways[0], port.number, protocol, view)
    if blocked is None:
        return None
    free = _list_free_addresses(port.number, protocol, view)
    opened = (rule for rule in rules if may_lead_to(rule, free, port.number, protocol))
    rule = next(opened, None) if free else None
    return PublishedPort(
        port=port.number,
        way=build_way(view.firewall.id, rule or rules[0], port.number),
        is_blocked=blocked,
        is_open=rule is not None,
    )


def _list_free_addresses(port: int, protocol: str, view: MachineView) -> list[Prefix]:
    """Return the addresses of the VM that the NSGs let the firewall reach at any time."""
    nics = [nic for nic in view.vm.interfaces if nic.private_ip and read_version(nic) != IPV6]
    stops = [_is_firewall_stopped(nic, port, protocol, view) for nic in nics]
    passed = [nic.private_ip for nic, stop in zip(nics, stops, strict=True) if stop is False]
    return list(Prefixes(tuple(passed)).readable)


def _is_firewall_stopped(
    nic: Interface, port: int, protocol: str, view: MachineView
) -> bool | None:
    """Return True if an NSG stops the firewall's packets, or may; None if nobody can tell."""
    nsgs, address = view.nsgs_of(nic), read_prefix(nic.private_ip)
    sources = Prefixes(view.vm.firewall_sources).readable
    if nsgs is None or address is None or not sources:
        return None
    to, vnet = address.network_address, keep_prefixes(view.vm.vnet_prefixes)
    same = [source for source in sources if source.version == to.version]
    flows = [nsg_effect.Flow(source, to, port, protocol, nic.group_keys) for source in same]
    verdicts = (
        nsg_effect.evaluate(_drop_temporary(nsg), flow, vnet) for nsg in nsgs for flow in flows
    )
    return any(not isinstance(verdict, nsg_effect.Allowed) for verdict in verdicts)


def _drop_temporary(nsg: NsgView) -> Sequence[SecurityRule]:
    """Return the rules of an NSG without those that exist only during a grant."""
    return [
        rule
        for rule in nsg.rules
        if not is_jit_allow_name(rule.name) and parse_companion_name(rule.name) is None
    ]
