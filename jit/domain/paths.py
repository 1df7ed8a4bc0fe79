"""
What can be seen of a grant's network path: its rules, and whether packets would pass.

``open`` means observed open and effective for that source, in a resource whose provisioning has
succeeded. Behind a firewall the VM sees an address of AzureFirewallSubnet and not the requester's
(https://github.com/MicrosoftDocs/azure-docs/issues/46777), so the NSG is evaluated for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address, ip_network

from jit.domain import armid, nsg
from jit.domain.addresses import network
from jit.domain.aimed import Aimed
from jit.domain.companion import parse_companion_name
from jit.domain.firewall import NatRule
from jit.domain.jitrules import JitAllow
from jit.domain.model import Connection, Grant, Interface, Network, Via, VirtualMachine
from jit.domain.securityrules import SecurityRule
from jit.domain.sharing import covered

_COMMANDS = {3389: "mstsc /v:{address}:{port}", 22: "ssh -p {port} user@{address}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """
    An NSG as read.

    Attributes:
        settled: Its provisioning state is ``Succeeded``.
        failed: Its last update failed: what it lists may not be what packets meet.
    """

    id: str
    settled: bool
    rules: tuple[SecurityRule, ...]
    allows: tuple[JitAllow, ...]
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """
    A classic-rules firewall as read.

    Attributes:
        settled: Its provisioning state is ``Succeeded``.
        failed: Its last update failed: some of its instances may run old rules, some new.
        etag: Names that version.
        foreign: Digest of everything in it that is not Defender's.
    """

    id: str
    settled: bool
    failed: bool
    etag: str
    foreign: str
    nat_rules: tuple[NatRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """
    One of Defender's rules that let somebody reach a port of a VM.

    Attributes:
        id: ARM id; for a NAT rule, the firewall's id with collection and rule name behind it.
        holder_id: The NSG or firewall that holds it.
        collection: NAT rule collection; None for an NSG rule.
        target: The VM's private address that it leads to.
        front: Public address and ports of a NAT rule.
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
    front: tuple[str, int] | None = None
    vm_id: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineView:
    """A VM with everything on its path, as read just now."""

    vm: VirtualMachine
    guards: Mapping[str, Guard]
    firewall: Firewall | None = None

    def guards_of(self, interface: Interface) -> list[Guard] | None:
        """Return the NSGs of an interface; None if one of them could not be read."""
        found = [self.guards.get(armid.key(nsg_id)) for nsg_id in interface.nsg_ids]
        return None if None in found else [guard for guard in found if guard is not None]


class Sieve:
    """
    Leaves out of views the NSG rules that certainly do not concern one port of a VM.

    Every look at that port shows the same; where many grants share an NSG, each looks at less. For
    looking only: priorities that are taken by other rules are not to be seen. An NSG is sorted by
    address once, so a sieve serves one reading of Azure.
    """

    def __init__(self) -> None:
        self._aimed: dict[str, Aimed] = {}

    def narrowed(self, view: MachineView, port: int) -> MachineView:
        """Return *view* with what may concern *port*."""
        own = addresses(view.vm)
        guards = {
            key: replace(
                guard,
                rules=tuple(rule for rule in self._at(guard, own) if _concerns(rule, port)),
                allows=tuple(a for a in guard.allows if any(port in ports for ports in a.ports)),
            )
            for key, guard in view.guards.items()
        }
        return replace(view, guards=guards)

    def _at(self, guard: Guard, own: Sequence[str]) -> Sequence[SecurityRule]:
        if guard.id not in self._aimed:
            self._aimed[guard.id] = Aimed(guard.rules)
        return self._aimed[guard.id].at(*own)


def _concerns(rule: SecurityRule, port: int) -> bool:
    if rule.faults or not rule.in_force:
        return True
    return any(port in ports for ports in rule.destination_ports)


class Sight(Enum):
    """What a look at a path showed."""

    OPEN = "open"  # rules present, packets pass
    BLOCKED = "blocked"  # rules present, something stops the packets
    PARTIAL = "partial"  # some of the rules are there
    ABSENT = "absent"  # none of the rules is there
    UNCLEAR = "unclear"  # something is being updated or could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    The result of a look.

    Attributes:
        sight: The summary.
        rules: Rules that let any of the grant's sources in.
        connection: What to connect to, once ``open``.
        why: A sentence for people.
        blocked_by: Per NSG id, the priority of the rule that stops the firewall's address.
    """

    sight: Sight
    rules: tuple[PathRule, ...] = ()
    connection: Connection | None = None
    why: str = ""
    blocked_by: Mapping[str, int] | None = None

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Resource ids of the rules seen."""
        return tuple(rule.id for rule in self.rules)


def addresses(vm: VirtualMachine) -> tuple[str, ...]:
    """Return the private addresses of a VM, the primary one first."""
    ordered = sorted(vm.interfaces, key=lambda nic: not nic.primary)
    return tuple(nic.private_ip for nic in ordered if nic.private_ip)


def rules_of_port(
    view: MachineView, port: int, recorded: Iterable[str] = ()
) -> tuple[PathRule, ...]:
    """
    Return Defender's rules that let anybody reach one port of a VM.

    *recorded* are addresses the VM had when its rules were first seen: a rule for an address it
    no longer has is still its rule.
    """
    ips = frozenset({*addresses(view.vm), *recorded})
    return (*_allows(view, port, ips), *_nats(view, port, ips))


def _allows(view: MachineView, port: int, ips: frozenset[str]) -> Iterator[PathRule]:
    for guard in view.guards.values():
        for allow in guard.allows:
            targets = ips & {text.removesuffix("/32") for text in allow.destinations}
            if targets and any(port in ports for ports in allow.ports):
                yield PathRule(
                    id=allow.id,
                    holder_id=guard.id,
                    name=allow.name,
                    collection=None,
                    sources=allow.sources,
                    target=min(targets),
                    exact=_lone(allow, port) and not allow.faults,
                    vm_id=view.vm.id,
                    port=port,
                )


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
                exact=not rule.ip_groups,
                front=_front(rule),
                vm_id=view.vm.id,
                port=port,
            )


def nat_rule_id(firewall_id: str, rule: NatRule) -> str:
    """Return an id for a NAT rule: Azure gives collections and rules names only."""
    return f"{firewall_id}/natRuleCollections/{rule.collection}/rules/{rule.name}"


def _front(rule: NatRule) -> tuple[str, int] | None:
    ports = [int(text) for text in rule.ports if text.isdigit()]
    return (rule.destinations[0], ports[0]) if rule.destinations and ports else None


def letting_in(rules: Iterable[PathRule], sources: Iterable[Network]) -> tuple[PathRule, ...]:
    """Return the *rules* that let in an address of *sources*."""
    wanted = tuple(sources)
    return tuple(rule for rule in rules if any(_touches(rule, source) for source in wanted))


def look(grant: Grant, view: MachineView, asked: Iterable[Network] | None = None) -> Look:
    """
    Look at the path of *grant*: is it there, and does it work for every source?

    Rules that open more than what was *asked* for on the VM port count as none: nobody's access
    may rest on them.
    """
    everything = rules_of_port(view, grant.port, grant.private_ips)
    rules = letting_in(everything, grant.sources)
    if asked is not None:
        allowed = tuple(asked)
        rules = tuple(rule for rule in rules if opens_only(rule, allowed))
    unclear = _unclear(grant, view)
    if unclear:
        return Look(
            sight=Sight.UNCLEAR, rules=rules, why=unclear, blocked_by=_meanwhile(grant, view)
        )
    if not rules:
        return Look(
            sight=Sight.ABSENT, why="no rule is there yet", blocked_by=_meanwhile(grant, view)
        )
    through = _through_firewall if grant.via is Via.FIREWALL else _through_nsg
    return through(grant, view, rules)


def opens_only(rule: PathRule, allowed: Iterable[Network]) -> bool:
    """Tell whether *rule* lets in nobody outside the prefixes that are *allowed*."""
    texts = tuple(str(prefix) for prefix in allowed)
    prefixes = readable(rule.sources)
    return len(prefixes) == len(rule.sources) and all(covered(item, texts) for item in prefixes)


def readable(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the prefixes among *texts*; tags, ranges and ``*`` are left out."""
    return tuple(prefix for prefix in map(network, texts) if prefix is not None)


def _touches(rule: PathRule, source: Network) -> bool:
    return any(_overlaps(text, source) for text in rule.sources)


def _overlaps(text: str, source: Network) -> bool:
    prefix = network(text)
    return prefix is None or prefix.overlaps(source)  # `*`, a tag, a range: it may well let it in


def _meanwhile(grant: Grant, view: MachineView) -> Mapping[str, int]:
    """Return what the NSGs will stop once the firewall lets packets through."""
    if grant.via is not Via.FIREWALL or _nsg_unclear(view):
        return {}
    return _firewall_blocked(grant, view, view.vm.interface)[1]


def _unclear(grant: Grant, view: MachineView) -> str:
    found = _nsg_unclear(view)
    if not found and grant.via is Via.FIREWALL:
        return _firewall_unclear(view)
    return found


def _nsg_unclear(view: MachineView) -> str:
    for nic in view.vm.interfaces:
        guards = view.guards_of(nic)
        if guards is None:
            return f"an NSG of {_name(nic.id)} could not be read"
        for guard in guards:
            if guard.failed:
                return f"the last update of NSG {_name(guard.id)} failed; repeat it in Azure"
            if not guard.settled:
                return f"NSG {_name(guard.id)} is being updated"
    return ""


def _firewall_unclear(view: MachineView) -> str:
    firewall = view.firewall
    if firewall is None:  # where none is known any more, none is there: nothing leads through it
        return "the firewall could not be read" if view.vm.firewall_id else ""
    if firewall.failed:
        return f"the last update of firewall {_name(firewall.id)} failed; repeat it in Azure"
    return "" if firewall.settled else f"firewall {_name(firewall.id)} is being updated"


def _name(resource_id: str) -> str:
    return resource_id.rsplit("/", 1)[-1]


def _through_nsg(grant: Grant, view: MachineView, rules: Sequence[PathRule]) -> Look:
    nic = view.vm.interface
    if nic is None:
        return Look(sight=Sight.UNCLEAR, rules=tuple(rules), why="the VM has no interface")
    texts = [text for rule in rules if rule.target == nic.private_ip for text in rule.sources]
    if not all(covered(source, texts) for source in grant.sources):
        return Look(sight=Sight.PARTIAL, rules=tuple(rules), why="not every rule is there yet")
    verdict = _verdict(view, nic, grant.sources, grant, public=grant.via is Via.PUBLIC_IP)
    if verdict is not None:
        return Look(sight=Sight.BLOCKED, rules=tuple(rules), why=verdict[0])
    address = nic.public_ip if grant.via is Via.PUBLIC_IP else nic.private_ip
    return _open(grant, rules, address or nic.private_ip, grant.port)


def _through_firewall(grant: Grant, view: MachineView, rules: Sequence[PathRule]) -> Look:
    nic = view.vm.interface
    nats = [rule for rule in rules if rule.collection is not None]
    here = [rule for rule in nats if nic is not None and rule.target == nic.private_ip]
    front = next((rule.front for rule in here if rule.front), None)
    blocked = _firewall_blocked(grant, view, nic)
    covers_all = all(covered(s, [t for r in here for t in r.sources]) for s in grant.sources)
    if nic is None or not covers_all or front is None:
        return Look(
            sight=Sight.PARTIAL,
            rules=tuple(rules),
            why="the NAT rule is not there yet",
            blocked_by=blocked[1],
        )
    if blocked[0]:
        return Look(sight=Sight.BLOCKED, rules=tuple(rules), why=blocked[0], blocked_by=blocked[1])
    return _open(grant, rules, *front)


def _firewall_blocked(
    grant: Grant, view: MachineView, nic: Interface | None
) -> tuple[str, Mapping[str, int]]:
    """Return why the firewall's own addresses would be stopped, and by which priorities."""
    sources = tuple(ip_network(prefix) for prefix in view.vm.firewall_sources)
    if nic is None or not sources:
        return "the firewall's subnet is unknown", {}
    verdict = _verdict(view, nic, sources, grant, public=False)
    return verdict if verdict is not None else ("", {})


def _verdict(
    view: MachineView,
    nic: Interface,
    sources: Iterable[Network],
    grant: Grant,
    *,
    public: bool,
) -> tuple[str, Mapping[str, int]] | None:
    """Return what stops a flow from *sources*; None if every NSG lets all of it pass."""
    guards = view.guards_of(nic) or []
    stopped: dict[str, int] = {}
    why = ""
    target = ip_address(nic.private_ip)
    for source in sources:
        if source.version != target.version:
            return f"{source} cannot reach {target}: another IP version", {}
        flow = nsg.Flow(source, target, grant.port, protocol_of(grant))
        for guard in guards:
            rules = tuple(_without_others_companions(guard.rules, grant))
            verdict = nsg.evaluate(rules, flow, view.vm.vnet_prefixes)
            if not isinstance(verdict, nsg.Allowed):
                stopped[guard.id] = min(_priority(verdict), stopped.get(guard.id, 65500))
                why = f"{_name(guard.id)}: {_because(verdict)}"
    if not guards and public:
        return "a public address without any NSG", {}
    return (why, stopped) if stopped else None


def _without_others_companions(
    rules: Iterable[SecurityRule], grant: Grant
) -> Iterator[SecurityRule]:
    """Leave out other grants' companion rules: they go when those grants go."""
    for rule in rules:
        owner = parse_companion_name(rule.name)
        if owner is None or owner == grant.id:
            yield rule


def protocol_of(grant: Grant) -> str:
    """Return the protocol that packets use: RDP and SSH are TCP even where a policy says ``*``."""
    return "TCP" if grant.port in _COMMANDS and grant.protocol == "*" else grant.protocol


def _priority(verdict: nsg.Blocked | nsg.CannotTell) -> int:
    return verdict.rule.priority if verdict.rule is not None else 65500


def _because(verdict: nsg.Blocked | nsg.CannotTell) -> str:
    if isinstance(verdict, nsg.Blocked):
        return f"rule {verdict.rule.name} blocks it"
    if verdict.rule is None:
        return "no rule is known to decide"
    return f"cannot tell whether rule {verdict.rule.name} lets it pass"


def _open(grant: Grant, rules: Sequence[PathRule], address: str, port: int) -> Look:
    command = _COMMANDS.get(grant.port, "{address}:{port}")
    host = f"[{address}]" if ":" in address else address
    return Look(
        sight=Sight.OPEN,
        rules=tuple(rules),
        connection=Connection(
            via=grant.via,
            address=address,
            port=port,
            command=command.format(address=host, port=port),
        ),
    )
