"""Rules that let somebody reach a port of a VM, in the NSGs and firewalls that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from jit.domain.azure.defender_rules import JitAllow
from jit.domain.azure.firewall import NatRule
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VirtualMachine
from jit.domain.paths.machine_view import MachineView
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix, Prefixes, all_inside, read_address

_TCP_ONLY = frozenset(
    {22, 3389}
)  # SSH and RDP commands use TCP, even under a rule for any protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """
    One of Defender's rules that let somebody reach a port of a VM.

    Attributes:
        id: ARM id; for a NAT rule, the firewall's id with collection and rule name behind it.
        holder_id: The NSG or firewall that holds it.
        collection: NAT rule collection; None for an NSG rule.
        target: The VM's private address that it leads to.
        public_end: Address and port that people connect to, of a NAT rule that has one such.
        protocols: What a NAT rule forwards, as Azure writes it: ``TCP``, ``UDP``, ``Any``.
        exact: It leads to that address and port and nowhere else, and could be read in full.
        vm_id: The VM that it was looked up for, empty where it was not.
        port: The port of that VM.
    """

    id: str
    holder_id: str
    name: str
    collection: str | None
    sources: tuple[str, ...]
    target: str
    exact: bool
    public_end: tuple[str, int] | None = None
    protocols: tuple[str, ...] = ()
    vm_id: str = ""
    port: int = 0


def addresses(vm: VirtualMachine) -> tuple[str, ...]:
    """Return the private addresses of a VM, the primary one first."""
    ordered = sorted(vm.interfaces, key=lambda nic: not nic.primary)
    return tuple(nic.private_ip for nic in ordered if nic.private_ip)


def rules_of_port(
    view: MachineView, port: int, recorded: Iterable[str] = (), *, known: Iterable[str] = ()
) -> tuple[PathRule, ...]:
    """
    Return Defender's rules that let anybody reach one port of a VM.

    *recorded* are addresses the VM had when its rules were first seen: a rule for an address it
    no longer has is still its rule. *known* are ids of rules that led to it alone when they were
    recorded: they count, not as ``exact``, wherever else somebody has made them lead.
    """
    ips = frozenset({*addresses(view.vm), *recorded})
    ids = frozenset(map(arm_ids.key, known))
    return (*_allows(view, port, ips, ids), *_nats(view, port, ips))


def _allows(
    view: MachineView, port: int, ips: frozenset[str], known: frozenset[str]
) -> Iterator[PathRule]:
    for nsg in view.nsgs.values():
        for allow in nsg.allows:
            targets = ips & {text.removesuffix("/32") for text in allow.destinations}
            exact = bool(targets) and _lone(allow, port) and not allow.faults
            if not targets and arm_ids.key(allow.id) in known:
                targets = frozenset(ip for ip in ips if _may_reach(ip, allow.destinations))
            if targets and any(port in ports for ports in allow.ports):
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


def _lone(allow: JitAllow, port: int) -> bool:
    """Whether the rule opens that one port of one address."""
    return len(allow.destinations) == 1 and [str(ports) for ports in allow.ports] == [str(port)]


def _nats(view: MachineView, port: int, ips: frozenset[str]) -> Iterator[PathRule]:
    if view.firewall is None:
        return
    for rule in view.firewall.nat_rules:
        if rule.is_jit and rule.translated_address in ips and rule.translated_port == str(port):
            yield PathRule(
                id=nat_rule_id(view.firewall.id, rule),
                holder_id=view.firewall.id,
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


def nat_rule_id(firewall_id: str, rule: NatRule) -> str:
    """Return an id for a NAT rule: Azure gives collections and rules names only."""
    return f"{firewall_id}/natRuleCollections/{rule.collection}/rules/{rule.name}"


def _public_end(rule: NatRule) -> tuple[str, int] | None:
    """Return where people connect to; None where `*`, a prefix or a range leaves that open."""
    hosts = (host for host in map(read_address, rule.destinations) if host is not None)
    host = next(hosts, None)
    ports = [int(text) for text in rule.ports if text.isdigit()]
    return (str(host.network_address), ports[0]) if host is not None and ports else None


def letting_in(rules: Iterable[PathRule], sources: Iterable[Prefix]) -> tuple[PathRule, ...]:
    """Return the *rules* that let in an address of *sources*."""
    wanted = tuple(sources)
    return tuple(
        rule
        for rule in rules
        if any(Prefixes(rule.sources).may_overlap(source) for source in wanted)
    )


def let_in_all(rules: Iterable[PathRule], sources: Iterable[Prefix]) -> bool:
    """Return True if each of *sources* is inside one prefix of one of *rules*."""
    texts = (text for rule in rules for text in rule.sources)
    return Prefixes(tuple(texts)).covers_all(sources)


def opens_only(rule: PathRule, allowed: Iterable[Prefix]) -> bool:
    """
    Tell whether *rule* lets in nobody outside the prefixes that are *allowed*.

    One that names no source by its prefix, but an IP group, may let in anybody.
    """
    return bool(rule.sources) and Prefixes(rule.sources).are_inside(allowed)


def protocol_of(grant: Grant) -> str:
    """Return the protocol that packets use: RDP and SSH are TCP even where a policy says ``*``."""
    return "TCP" if grant.port in _TCP_ONLY and grant.protocol == "*" else grant.protocol


# ---- former names, for callers that have not changed yet -------------------------------------

all_within = all_inside


def readable(texts: Iterable[str]) -> tuple[Prefix, ...]:
    """Return the prefixes among *texts*."""
    return Prefixes(tuple(texts)).readable
