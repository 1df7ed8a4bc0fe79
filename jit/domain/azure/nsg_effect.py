"""
The effect of network security groups on a flow.

There are three answers and no guess: ``Allowed``, ``Blocked``, ``CannotTell``. The addresses of a
rule may be unknown: a service tag, an application security group as source, a rule that is being
changed. The memberships of the VM's own interface say if a rule for a group leads to it.
Then the evaluation follows both readings; if they end in the same way, this is the answer. A rule
that is being changed is expected to keep its priority. The caller checks if the whole NSG is being
changed.

Rules apply as in Azure: the rule with the smallest priority number that takes a packet decides. The
destination of an inbound packet is the VM's private address, also if people connect to a public one
(https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from jit.domain.azure.nsg_rules import (
    Access,
    Direction,
    PortRange,
    RuleProtocol,
    SecurityRule,
    sort_groups,
)
from jit.domain.azure.service_tags import Reach, build_unknown_reach, resolve_reach
from jit.domain.values.address_sets import AddressSet, expand_prefix, read_addresses
from jit.domain.values.prefixes import Prefix

HIGHEST_PRIORITY = 4096
"""The largest priority number of a rule that is not a default rule."""


@dataclass(frozen=True, slots=True)
class Flow:
    """
    Packets that come in from somewhere to one port of a VM, from any source port.

    Attributes:
        source: The flow is allowed only if packets from every address of it pass.
        destination: The VM's private address, of the same family as *source*.
        port: 1 to 65535.
        protocol: ``TCP``, ``UDP``, or ``*`` for both. Both must pass, because ``*`` in a JIT policy
            promises either. Protocols without ports are not evaluated.
        groups: Keys of the application security groups that the VM's interface is a member of.
            None if they are not known: then each rule for a group is a doubt.
    """

    source: Prefix
    destination: IPv4Address | IPv6Address
    port: int
    protocol: str
    groups: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The whole flow passes. *rule* decides about its first part; None if there is no NSG."""

    rule: SecurityRule | None


@dataclass(frozen=True, slots=True)
class Blocked:
    """
    Some packets of the flow certainly do not pass.

    Attributes:
        rule: The rule with the smallest priority number of all rules that stop a part of the flow.
            A new rule with a smaller number overrules all of them.
    """

    rule: SecurityRule


@dataclass(frozen=True, slots=True)
class CannotTell:
    """
    The answer depends on facts that are unknown here.

    Attributes:
        rule: The rule in doubt; None if the doubt is not about a rule.
        why: One clause for people.
    """

    rule: SecurityRule | None
    why: str


Verdict = Allowed | Blocked | CannotTell


@dataclass(frozen=True, slots=True)
class Part:
    """
    A part of a flow that no rule splits any further.

    Attributes:
        address: The first source address of the part, as a number; all others fare the same.
        protocol: TCP or UDP.
        doubts: Rules that may take the part before *decider* does, in order.
        decider: The first rule that certainly takes the part; None if there is no such rule.
    """

    address: int
    protocol: RuleProtocol
    doubts: tuple[SecurityRule, ...]
    decider: SecurityRule | None

    @property
    def verdict(self) -> Verdict:
        """The verdict on the part."""
        if self.decider is None:
            rule = self.doubts[0] if self.doubts else None
            return CannotTell(rule, "no rule is known to decide")
        for rule in self.doubts:
            if not rule.in_force or rule.access is not self.decider.access:
                return CannotTell(rule, _explain_doubt(rule))
        allows = self.decider.access is Access.ALLOW
        return Allowed(self.decider) if allows else Blocked(self.decider)


def evaluate(rules: Sequence[SecurityRule], flow: Flow, vnet_prefixes: Iterable[str]) -> Verdict:
    """
    Return the verdict of one NSG on *flow*.

    Args:
        rules: All rules of the NSG with its default rules (``nsg_rules.parse_rules``); any order.
        flow: One source prefix to one VM port.
        vnet_prefixes: The VNet's address space, and peered or routed prefixes if they are known:
            the sure part of the tag ``VirtualNetwork``. A private address outside is a doubt.

    Raises:
        ValueError: One of *vnet_prefixes* is no prefix.
    """
    (verdict,) = _verdicts([rules], flow, vnet_prefixes)
    return verdict


def evaluate_path(
    nsgs: Sequence[Sequence[SecurityRule]],
    flow: Flow,
    vnet_prefixes: Iterable[str],
    *,
    public: bool,
) -> Verdict:
    """
    Return the verdict of an interface's NSGs on *flow*: the subnet's, then the interface's own.

    Each NSG must let the whole flow pass. Without any NSG a private path is open. A public path is
    a doubt then: a Basic public IP would be open, a Standard one closed, and the SKU is not known
    here (Learn, "Public IP addresses": SKU; "Network security groups": "if no NSG").

    Args:
        nsgs: The rules of each NSG; zero to two NSGs. Their order does not matter.
        flow: As for ``evaluate``.
        vnet_prefixes: As for ``evaluate``.
        public: True if the packets arrive at a public IP of the VM; False if they come through a
            firewall in its VNet, or privately.
    """
    if not nsgs:
        why = "there is no NSG, and whether the public IP is open without one is not known"
        return CannotTell(None, why) if public else Allowed(None)
    return _combine(_verdicts(nsgs, flow, vnet_prefixes))


def _verdicts(
    nsgs: Sequence[Sequence[SecurityRule]], flow: Flow, vnet_prefixes: Iterable[str]
) -> list[Verdict]:
    if flow.source.version != flow.destination.version:
        return [CannotTell(None, f"{flow.source} cannot send to {flow.destination}")]
    anyone, vnet = replace(flow, source=flow.source.supernet(new_prefix=0)), tuple(vnet_prefixes)
    found = [_recall_candidates(tuple(rules), anyone, vnet) for rules in nsgs]
    return [_combine([part.verdict for (part,) in _split([each], flow)]) for each in found]


def _combine(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on the whole: blocked if a part is; else in doubt if a part is."""
    blocked = [verdict for verdict in verdicts if isinstance(verdict, Blocked)]
    doubts = (verdict for verdict in verdicts if isinstance(verdict, CannotTell))
    if blocked:
        return min(blocked, key=lambda verdict: verdict.rule.priority)
    return next(doubts, verdicts[0])


# ---- parts -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Candidate:
    """
    A rule that may take packets to the flow's destination.

    Attributes:
        sources: The source addresses of the rule.
        sure: True if it certainly takes packets to this destination.
    """

    rule: SecurityRule
    sources: Reach
    sure: bool

    def may_take(self, address: int, protocol: RuleProtocol) -> bool:
        """Return True if the rule may take a packet from *address*."""
        carried = self.rule.protocol in {protocol, RuleProtocol.ANY, None}
        return (carried or not self.rule.in_force) and address in self.sources.possible

    def must_take(self, address: int) -> bool:
        """Return True if the rule certainly takes a packet that it may take."""
        return self.sure and address in self.sources.sure


def split_flow(
    nsgs: Sequence[Sequence[SecurityRule]], flow: Flow, vnet_prefixes: Iterable[str]
) -> Iterator[tuple[Part, ...]]:
    """
    Yield *flow* in parts; each is a tuple with one `Part` for each of *nsgs*, in their order.

    A part begins at an address at which the sources of a rule begin or end. Between two such edges
    every rule treats all addresses alike, so the first address represents all.

    Raises:
        ValueError: One of *vnet_prefixes* is no prefix.
    """
    prefixes = tuple(vnet_prefixes)
    return _split([_list_candidates(rules, flow, prefixes) for rules in nsgs], flow)


def _split(groups: Sequence[Sequence[_Candidate]], flow: Flow) -> Iterator[tuple[Part, ...]]:
    addresses = _first_addresses(flow.source, [item for group in groups for item in group])
    for protocol in _protocols(flow):
        for address in addresses:
            yield tuple(_part(group, address, protocol) for group in groups)


def _protocols(flow: Flow) -> tuple[RuleProtocol, ...]:
    both = (RuleProtocol.TCP, RuleProtocol.UDP)
    named = tuple(item for item in both if item.value == flow.protocol.upper())
    return named or both


def _first_addresses(source: Prefix, candidates: Iterable[_Candidate]) -> list[int]:
    """Return the first address of each part of *source*, ascending."""
    ((first, last),) = expand_prefix(source).ranges
    edges = {
        edge
        for candidate in (candidates if first < last else ())
        for addresses in (candidate.sources.sure, candidate.sources.possible)
        for edge in addresses.list_edges(first, last)
    }
    return [first, *sorted(edges)]


def _part(candidates: Iterable[_Candidate], address: int, protocol: RuleProtocol) -> Part:
    """Follow the rules, first to last, until one certainly decides."""
    doubts: list[SecurityRule] = []
    for candidate in candidates:
        if candidate.may_take(address, protocol):
            if candidate.must_take(address):
                return Part(address, protocol, tuple(doubts), candidate.rule)
            doubts.append(candidate.rule)
    return Part(address, protocol, tuple(doubts), None)


def _list_candidates(
    rules: Iterable[SecurityRule], flow: Flow, vnet_prefixes: Iterable[str]
) -> tuple[_Candidate, ...]:
    """Return the rules that may take packets to the flow's destination, first to last."""
    vnet = read_addresses(vnet_prefixes, flow.source.version)
    found: list[_Candidate] = []
    inbound = [rule for rule in rules if rule.direction is not Direction.OUTBOUND]
    for rule in sorted(inbound, key=lambda item: item.priority):
        if rule.faults or not rule.in_force:
            found.append(_Candidate(rule, build_unknown_reach(flow.source.version), sure=False))
        elif any(flow.port in ports for ports in rule.destination_ports):
            found += _candidates_at(rule, flow, vnet)
    return tuple(found)


_recall_candidates = lru_cache(maxsize=64)(_list_candidates)  # each person meets the same rules


def _candidates_at(rule: SecurityRule, flow: Flow, vnet: AddressSet) -> Iterator[_Candidate]:
    """Yield *rule* if the flow's destination may be one of its destinations."""
    version = flow.source.version
    target = int(flow.destination)
    to = resolve_reach(rule.destinations, vnet, version)
    own, others = sort_groups(rule.destination_groups, flow.groups)
    if target in to.possible or own:
        certain = target in to.sure or (bool(own) and not others)
        sure = certain and any(map(_is_every_source_port, rule.source_ports))
        yield _Candidate(rule, _reach_sources(rule, vnet, version), sure)


def may_concern(rule: SecurityRule, flow: Flow, vnet_prefixes: Iterable[str]) -> bool:
    """
    Return True if *rule*, as it reads, may take packets of *flow*; also if it cannot be read.

    Raises:
        ValueError: One of *vnet_prefixes* is no prefix.
    """
    written = replace(rule, state="Succeeded")
    return bool(_list_candidates([written], flow, vnet_prefixes))


def _reach_sources(rule: SecurityRule, vnet: AddressSet, version: int) -> Reach:
    """Return the source addresses of *rule*; members of a group may have any address."""
    known = resolve_reach(rule.sources, vnet, version)
    return known | build_unknown_reach(version) if rule.source_groups else known


def _is_every_source_port(ports: PortRange) -> bool:
    """Return True if *ports* contain every port; TCP and UDP do not use port 0."""
    return ports.first <= 1 and ports.last == 65535  # noqa: PLR2004 # the last port


def _explain_doubt(rule: SecurityRule) -> str:
    """Say in one clause why it is unknown if *rule* takes a packet."""
    if rule.faults:
        return f"rule {rule.name} cannot be read: {', '.join(rule.faults)}"
    if not rule.in_force:
        return f"rule {rule.name} is {rule.state}"
    return f"whether rule {rule.name} applies depends on addresses or ports not known here"


# ---- priorities ------------------------------------------------------------------------------


def find_free_priority(
    rules: Iterable[SecurityRule], *, below: int, lowest: int = 100
) -> int | None:
    """
    Return the largest free priority below *below*, or None if all are taken.

    The largest free number overrules the fewest rules. Defender uses the numbers from 100 upwards
    for its own rules.

    Args:
        rules: All rules of the NSG that gets the new rule.
        below: The priority of the rule to overrule; it may be a default rule.
        lowest: The smallest number to use.
    """
    taken = {rule.priority for rule in rules if rule.direction is not Direction.OUTBOUND}
    free = range(min(below - 1, HIGHEST_PRIORITY), lowest - 1, -1)
    return next((number for number in free if number not in taken), None)
