"""The rules in NSGs and firewalls that let somebody reach a port of a VM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network

from jit.domain.azure.defender_rules import opens_one_port
from jit.domain.azure.firewall import NatRule
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VirtualMachine
from jit.domain.paths.machine_view import MachineView
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix, Prefixes, read_address

_TCP_ONLY = frozenset({22, 3389})
"""SSH and RDP: people connect with TCP, even if the policy's rule is for any protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """
    A rule of Defender that lets somebody reach a port of a VM.

    Attributes:
        id: ARM id; for a NAT rule, the firewall's id followed by collection and rule name.
        holder_id: The NSG or firewall that contains the rule.
        collection: NAT rule collection; None for an NSG rule.
        target: Private address of the VM.
        public_end: Address and port that people connect to, if it is a NAT rule that names them.
        protocols: Protocols of a NAT rule, as Azure writes them: ``TCP``, ``UDP``, ``Any``.
        exact: The rule could be read in full, and leads only to this address and port.
        vm_id: The VM that the rule was looked up for; empty for none.
        port: The port of that VM.
    """

    id: str
    holder_id: str
    name: str
    collection: str | None
    sources: tuple[str, ...] = field(hash=False)  # thousands: the id tells rules apart
    target: str
    exact: bool
    public_end: tuple[str, int] | None = None
    protocols: tuple[str, ...] = ()
    vm_id: str = ""
    port: int = 0


def list_addresses(vm: VirtualMachine) -> tuple[str, ...]:
    """Return the private addresses of a VM, the primary one first."""
    found = (nic.private_ip for nic in vm.ordered_interfaces if nic.private_ip)
    return tuple(dict.fromkeys(found))


def name_addresses(texts: Iterable[str]) -> frozenset[str]:
    """Return destinations of a rule, single addresses in the form that a VM's addresses have."""
    return frozenset(_name_address(text) for text in texts)


def _name_address(text: str) -> str:
    if ":" not in text:
        return text.removesuffix("/32")
    found = read_address(text)
    return str(found.network_address) if found is not None else text


def list_holders(vm: VirtualMachine) -> tuple[str, ...]:
    """Return the ids of the NSGs and of the firewall whose rules may lead to a VM."""
    nsg_ids = dict.fromkeys(nsg_id for nic in vm.interfaces for nsg_id in nic.nsg_ids)
    return (*nsg_ids, *filter(None, (vm.firewall_id,)))


def find_port_rules(
    view: MachineView, port: int, recorded: Iterable[str] = (), *, known: Iterable[str] = ()
) -> tuple[PathRule, ...]:
    """
    Return Defender's rules that let anybody reach one port of a VM.

    Args:
        view: The VM as just read.
        port: Port of the VM.
        recorded: Addresses that the VM had when its rules were first seen. A rule for an address
            that the VM no longer has is still its rule.
        known: Ids of rules that led only to this VM when they were recorded. If somebody has
            changed where they lead, they still count, but are not ``exact``.
    """
    ips = frozenset({*list_addresses(view.vm), *recorded})
    ids = frozenset(map(arm_ids.key, known))
    return view.memo.recall(
        (find_port_rules, port, ips, ids),
        lambda: (*_find_nsg_rules(view, port, ips, ids), *_find_nat_rules(view, port, ips)),
    )


def _find_nsg_rules(
    view: MachineView, port: int, ips: frozenset[str], known: frozenset[str]
) -> Iterator[PathRule]:
    for nsg in view.nsgs.values():
        for allow in nsg.allows:
            targets = ips & name_addresses(allow.destinations)
            exact = bool(targets) and opens_one_port(allow)
            if not targets and arm_ids.key(allow.id) in known:
                targets = frozenset(ip for ip in ips if _may_reach(ip, allow.destinations))
            if targets and any(port in ports for ports in allow.destination_ports):
                yield PathRule(
                    id=allow.id,
                    holder_id=nsg.id,
                    name=allow.name,
                    collection=None,
                    sources=allow.sources,
                    target=min(targets),
                    exact=exact,
                    vm_id=view.vm.id,
                    port=port,
                )


def _may_reach(ip: str, destinations: Iterable[str]) -> bool:
    """Return True if *destinations* contain *ip*, or one cannot be read: ``*``, a tag, a range."""
    prefixes = Prefixes(tuple(destinations))
    return bool(prefixes.unreadable) or prefixes.covers(ip_network(ip))


def _find_nat_rules(view: MachineView, port: int, ips: frozenset[str]) -> Iterator[PathRule]:
    there = ((firewall.id, rule) for firewall in view.firewalls for rule in firewall.nat_rules)
    for holder_id, rule in there:
        if rule.is_jit and rule.translated_address in ips and rule.translated_port == str(port):
            yield PathRule(
                id=build_nat_rule_id(holder_id, rule),
                holder_id=holder_id,
                name=rule.name,
                collection=rule.collection,
                sources=rule.sources,
                target=rule.translated_address,
                exact=not rule.ip_groups and not rule.translated_fqdn,
                public_end=_public_end(rule),
                protocols=rule.protocols,
                vm_id=view.vm.id,
                port=port,
            )


def build_nat_rule_id(firewall_id: str, rule: NatRule) -> str:
    """Return an id for a NAT rule; Azure gives collections and rules only names."""
    return f"{firewall_id}/natRuleCollections/{rule.collection}/rules/{rule.name}"


def _public_end(rule: NatRule) -> tuple[str, int] | None:
    """Return the address and port to connect to; None if the rule has `*`, prefixes or ranges."""
    hosts = (host for host in map(read_address, rule.destinations) if host is not None)
    host = next(hosts, None)
    ports = [int(text) for text in rule.ports if text.isdigit()]
    return (str(host.network_address), ports[0]) if host is not None and ports else None


def keep_rules_for(rules: Iterable[PathRule], sources: Iterable[Prefix]) -> tuple[PathRule, ...]:
    """Return the *rules* that let in an address of *sources*, or may do so."""
    wanted = tuple(sources)
    return tuple(rule for rule in rules if may_let_in(rule, wanted))


def keep_rules_to(rules: Iterable[PathRule], vm: VirtualMachine) -> tuple[PathRule, ...]:
    """Return the *rules* that lead to an address of *vm*, in an NSG or firewall on its paths."""
    holders, addresses = frozenset(map(arm_ids.key, list_holders(vm))), list_addresses(vm)
    return tuple(
        rule
        for rule in rules
        if rule.target in addresses and arm_ids.key(rule.holder_id) in holders
    )


def may_let_in(rule: PathRule, sources: Iterable[Prefix]) -> bool:
    """Return True if *rule* lets in an address of *sources*, or cannot be read in full."""
    prefixes = Prefixes(rule.sources)
    return any(prefixes.may_overlap(source) for source in sources)


def lets_all_in(rules: Iterable[PathRule], sources: Iterable[Prefix]) -> bool:
    """Return True if each of *sources* is inside one prefix of one of *rules*."""
    lists = [rule.sources for rule in rules]
    texts = lists[0] if len(lists) == 1 else tuple(text for each in lists for text in each)
    return Prefixes(texts).covers_all(sources)


def is_limited_to(rule: PathRule, allowed: Iterable[Prefix]) -> bool:
    """
    Return True if *rule* lets in no address outside the *allowed* prefixes.

    A rule without prefixes names an IP group, which may contain any address.
    """
    return bool(rule.sources) and Prefixes(rule.sources).are_inside(allowed)


def find_packet_protocol(grant: Grant) -> str:
    """Return the protocol of the packets of *grant*."""
    return choose_packet_protocol(grant.port, grant.protocol)


def choose_packet_protocol(port: int, protocol: str) -> str:
    """Return the protocol of the packets: TCP for RDP and SSH, even if the policy says ``*``."""
    return "TCP" if port in _TCP_ONLY and protocol == "*" else protocol
