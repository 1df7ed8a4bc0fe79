"""
What network security groups do to a flow.

Three answers, never a guess: ``Allowed``, ``Blocked``, ``CannotTell``. What a rule takes may be
unknown (a service tag, an application security group, a rule that is being changed); then both
readings are followed, and only where they end alike is that end the answer. A rule that is being
changed is taken to have had the priority that it shows; whether the NSG as a whole is being changed
is for whoever asks to look at.

Rules are read as Azure applies them: by priority, the first that takes a packet decides; the
destination of an inbound packet is the VM's private address, whichever public one was dialled
(https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from jit.domain.azure.nsg_rules import Access, Direction, PortRange, RuleProtocol, SecurityRule
from jit.domain.azure.service_tags import Reach, resolve_reach, unknown_reach
from jit.domain.values.address_sets import AddressSet, prefix_addresses, read_addresses
from jit.domain.values.prefixes import Prefix

HIGHEST_PRIORITY = 4096
"""The largest priority number that a rule of one's own may have."""


@dataclass(frozen=True, slots=True)
class Flow:
    """
    Packets that come in from somewhere to one port of a VM, from any source port.

    Attributes:
        source: All of it must get through for the flow to be allowed.
        destination: The VM's private address, of the same family as *source*.
        port: 1 to 65535.
        protocol: ``TCP``, ``UDP``, or ``*``, which means both, and both must get through: a JIT
            policy's ``*`` promises either. Protocols without ports are not asked about.
    """

    source: Prefix
    destination: IPv4Address | IPv6Address
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """The whole flow gets through; *rule* decides (its first part), None where there is no NSG."""

    rule: SecurityRule | None


@dataclass(frozen=True, slots=True)
class Blocked:
    """
    Some of the flow surely does not get through.

    Attributes:
        rule: Of the rules that stop a part of it, the one with the smallest priority number: a
            rule before this one overrules all of them.
    """

    rule: SecurityRule


@dataclass(frozen=True, slots=True)
class CannotTell:
    """
    It depends on what is not known here.

    Attributes:
        rule: The rule in doubt; None where the doubt is not about a rule.
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
        address: The first source address of the part, as a number; it speaks for the others.
        protocol: TCP or UDP.
        doubts: Rules that may take the part before *decider* does, in order.
        decider: The rule that surely takes what the doubtful ones leave; None where none does.
    """

    address: int
    protocol: RuleProtocol
    doubts: tuple[SecurityRule, ...]
    decider: SecurityRule | None

    @property
    def verdict(self) -> Verdict:
        """What happens to the part."""
        if self.decider is None:
            rule = self.doubts[0] if self.doubts else None
            return CannotTell(rule, "no rule is known to decide")
        for rule in self.doubts:
            if not rule.in_force or rule.access is not self.decider.access:
                return CannotTell(rule, _why(rule))
        allows = self.decider.access is Access.ALLOW
        return Allowed(self.decider) if allows else Blocked(self.decider)


def evaluate(rules: Sequence[SecurityRule], flow: Flow, vnet_prefixes: Iterable[str]) -> Verdict:
    """
    Return what one NSG does to *flow*.

    Args:
        rules: Of one NSG, default rules included (``securityrules.parse_rules``); any order.
        flow: One source prefix to one VM port.
        vnet_prefixes: The VNet's address space, and peered or routed prefixes where known: what
            the tag ``VirtualNetwork`` surely covers. A private address outside is a doubt.

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
    Return what the NSGs of an interface do to *flow*: the subnet's, then the interface's own.

    All must let all of it through. Without any NSG a private path is open, and a public one is a
    doubt: a Basic public IP is open then, a Standard one closed, and which it is, is not known
    here (Learn, "Public IP addresses": SKU; "Network security groups": "if no NSG").

    Args:
        nsgs: The rules of each, none to two; their order changes no outcome.
        flow: As for ``evaluate``.
        vnet_prefixes: As for ``evaluate``.
        public: Whether the packets come in by a public IP of the VM's own (and not through a
            firewall in its VNet, or privately).
    """
    if not nsgs:
        why = "there is no NSG, and whether the public IP is open without one is not known"
        return CannotTell(None, why) if public else Allowed(None)
    return _worst(_verdicts(nsgs, flow, vnet_prefixes))


def _verdicts(
    nsgs: Sequence[Sequence[SecurityRule]], flow: Flow, vnet_prefixes: Iterable[str]
) -> list[Verdict]:
    if flow.source.version != flow.destination.version:
        return [CannotTell(None, f"{flow.source} cannot send to {flow.destination}")]
    prefixes = tuple(vnet_prefixes)
    return [
        _worst([part.verdict for (part,) in split_flow([rules], flow, prefixes)]) for rules in nsgs
    ]


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on the whole: any part that is blocked blocks it, then any doubt."""
    blocked = [verdict for verdict in verdicts if isinstance(verdict, Blocked)]
    doubts = (verdict for verdict in verdicts if isinstance(verdict, CannotTell))
    if blocked:
        return min(blocked, key=lambda verdict: verdict.rule.priority)
    return next(doubts, verdicts[0])


# ---- parts -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A rule that may take packets to the flow's destination, and from where."""

    rule: SecurityRule
    sources: Reach
    sure: bool

    def may_take(self, address: int, protocol: RuleProtocol) -> bool:
        """Tell whether it may apply to such a packet."""
        carried = self.rule.protocol in {protocol, RuleProtocol.ANY, None}
        return (carried or not self.rule.in_force) and address in self.sources.possible

    def surely_takes(self, address: int) -> bool:
        """Tell whether it applies to such a packet, which it may take."""
        return self.sure and address in self.sources.sure


def split_flow(
    nsgs: Sequence[Sequence[SecurityRule]], flow: Flow, vnet_prefixes: Iterable[str]
) -> Iterator[tuple[Part, ...]]:
    """
    Yield *flow* in parts, each as every NSG of *nsgs* sees it, in their order.

    A part begins where some rule's sources begin or end; between two such edges no rule tells one
    address from another, so the first address stands for all.

    Raises:
        ValueError: One of *vnet_prefixes* is no prefix.
    """
    vnet = read_addresses(vnet_prefixes, flow.source.version)
    groups = [tuple(_candidates(rules, flow, vnet)) for rules in nsgs]
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
    ((first, last),) = prefix_addresses(source).ranges
    edges = {
        edge
        for candidate in candidates
        for addresses in (candidate.sources.sure, candidate.sources.possible)
        for edge in addresses.edges()
        if first < edge <= last
    }
    return [first, *sorted(edges)]


def _part(candidates: Iterable[_Candidate], address: int, protocol: RuleProtocol) -> Part:
    """Follow the rules, first to last, until one surely decides."""
    doubts: list[SecurityRule] = []
    for candidate in candidates:
        if candidate.may_take(address, protocol):
            if candidate.surely_takes(address):
                return Part(address, protocol, tuple(doubts), candidate.rule)
            doubts.append(candidate.rule)
    return Part(address, protocol, tuple(doubts), None)


def _candidates(
    rules: Iterable[SecurityRule], flow: Flow, vnet: AddressSet
) -> Iterator[_Candidate]:
    """Yield the rules that may take packets to the flow's destination, first to last."""
    for rule in sorted(rules, key=lambda item: item.priority):
        if rule.direction is Direction.OUTBOUND:
            continue
        if rule.faults or not rule.in_force:
            yield _Candidate(rule, unknown_reach(flow.source.version), sure=False)
        elif any(flow.port in ports for ports in rule.destination_ports):
            yield from _aimed(rule, flow, vnet)


def _aimed(rule: SecurityRule, flow: Flow, vnet: AddressSet) -> Iterator[_Candidate]:
    """Yield *rule* if the destination may be one of its own."""
    version = flow.source.version
    target = int(flow.destination)
    to = _reach(rule.destinations, rule.destination_groups, vnet, version)
    if target in to.possible:
        sure = target in to.sure and any(map(_every_source_port, rule.source_ports))
        yield _Candidate(rule, _reach(rule.sources, rule.source_groups, vnet, version), sure)


def _reach(texts: Sequence[str], groups: Sequence[str], vnet: AddressSet, version: int) -> Reach:
    """Return what one end of a rule stands for; members of a group may be anywhere."""
    known = resolve_reach(texts, vnet, version)
    return known | unknown_reach(version) if groups else known


def _every_source_port(ports: PortRange) -> bool:
    """Tell whether *ports* are all there are; 0 is not used by TCP or UDP."""
    return ports.first <= 1 and ports.last == 65535  # noqa: PLR2004 # the last port


def _why(rule: SecurityRule) -> str:
    """Return why *rule* may or may not take a packet."""
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
    Return a priority that no inbound rule has, just before *below*; None where none is free.

    The largest free number is taken: it overrules the fewest rules, and leaves alone the numbers
    from 100 upwards, where Defender puts its own.

    Args:
        rules: Of the NSG that gets the new rule.
        below: The priority of the rule to overrule; a default rule's works too.
        lowest: The smallest number to use.
    """
    taken = {rule.priority for rule in rules if rule.direction is not Direction.OUTBOUND}
    free = range(min(below - 1, HIGHEST_PRIORITY), lowest - 1, -1)
    return next((number for number in free if number not in taken), None)
