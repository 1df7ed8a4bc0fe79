"""
What can be seen of a grant's network path: its rules, and whether packets would pass.

``open`` means observed open and effective for that source, in a resource whose provisioning has
succeeded. Behind a firewall the VM sees an address of AzureFirewallSubnet and not the requester's
(https://github.com/MicrosoftDocs/azure-docs/issues/46777), so the NSG is evaluated for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address, ip_network

from jit.domain.azure import nsg_effect
from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Connection, Interface, Via
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import (
    PathRule,
    let_in_all,
    letting_in,
    opens_only,
    protocol_of,
    rules_of_port,
)
from jit.domain.values.prefixes import Prefix

_COMMANDS = {3389: "mstsc /v:{address}:{port}", 22: "ssh -p {port} user@{address}"}


class PathState(Enum):
    """What a look at a path showed."""

    OPEN = "open"  # rules present, packets pass
    BLOCKED = "blocked"  # rules present, something stops the packets
    PARTIAL = "partial"  # some of the rules are there
    ABSENT = "absent"  # none of the rules is there
    UNCLEAR = "unclear"  # something is being updated or could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class PathView:
    """
    The result of a look.

    Attributes:
        state: The summary.
        rules: Rules that let any of the grant's sources in.
        connection: What to connect to, once ``open``.
        why: A sentence for people.
        blocked_by: Per NSG id, the priority of the rule that stops the firewall's address.
        leaving: While ``unclear``: what is listed already no longer lets all of it in.
    """

    state: PathState
    rules: tuple[PathRule, ...] = ()
    connection: Connection | None = None
    why: str = ""
    blocked_by: Mapping[str, int] | None = None
    leaving: bool = False

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Resource ids of the rules seen."""
        return tuple(rule.id for rule in self.rules)


def observe_path(
    grant: Grant, view: MachineView, asked: Iterable[Prefix] | None = None
) -> PathView:
    """
    Look at the path of *grant*: is it there, and does it work for every source?

    Rules that open more than what was *asked* for on the VM port count as none: nobody's access
    may rest on them.
    """
    everything = rules_of_port(view, grant.port, grant.footprint.private_ips)
    rules = letting_in(everything, grant.sources)
    if asked is not None:
        allowed = tuple(asked)
        rules = tuple(rule for rule in rules if opens_only(rule, allowed))
    unclear = _unclear(grant, view)
    if unclear:
        return PathView(
            state=PathState.UNCLEAR,
            rules=rules,
            why=unclear,
            blocked_by=_meanwhile(grant, view),
            leaving=_leaving(grant, view, rules),
        )
    if not rules:
        return PathView(
            state=PathState.ABSENT, why=_nowhere(grant, view), blocked_by=_meanwhile(grant, view)
        )
    through = _through_firewall if grant.via is Via.FIREWALL else _through_nsg
    return through(grant, view, rules)


def _leaving(grant: Grant, view: MachineView, rules: Sequence[PathRule]) -> bool:
    """Whether what is listed could be read, and will not let all of it in."""
    nic = view.vm.interface
    behind = grant.via is Via.FIREWALL
    if nic is None or (view.firewall is None if behind else view.nsgs_of(nic) is None):
        return False
    kind = [r for r in rules if (r.collection is not None) is behind and r.target == nic.private_ip]
    return not let_in_all(kind, grant.sources) or _stopped(grant, view, nic)


def _stopped(grant: Grant, view: MachineView, nic: Interface) -> bool:
    """Whether an NSG as it is listed stops what should pass, or may stop it."""
    if view.nsgs_of(nic) is None:
        return False
    if grant.via is Via.FIREWALL:
        return bool(_firewall_blocked(grant, view, nic)[0])
    public = grant.via is Via.PUBLIC_IP
    return _verdict(view, nic, grant.sources, grant, public=public) is not None


def _nowhere(grant: Grant, view: MachineView) -> str:
    guarded = any(nic.nsg_ids for nic in view.vm.interfaces)
    if grant.via is Via.FIREWALL or guarded:
        return "no rule is there yet"
    return "no NSG guards the VM any more, so there is no place for a rule"


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
        nsgs = view.nsgs_of(nic)
        if nsgs is None:
            return f"an NSG of {_name(nic.id)} could not be read"
        for nsg in nsgs:
            if nsg.failed:
                return f"the last update of NSG {_name(nsg.id)} failed; repeat it in Azure"
            if not nsg.settled:
                return f"NSG {_name(nsg.id)} is being updated"
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


def _through_nsg(grant: Grant, view: MachineView, rules: Sequence[PathRule]) -> PathView:
    nic = view.vm.interface
    if nic is None:
        return PathView(state=PathState.UNCLEAR, rules=tuple(rules), why="the VM has no interface")
    if not let_in_all((rule for rule in rules if rule.target == nic.private_ip), grant.sources):
        return PathView(
            state=PathState.PARTIAL, rules=tuple(rules), why="not every rule is there yet"
        )
    verdict = _verdict(view, nic, grant.sources, grant, public=grant.via is Via.PUBLIC_IP)
    if verdict is not None:
        return PathView(state=PathState.BLOCKED, rules=tuple(rules), why=verdict[0])
    address = nic.public_ip if grant.via is Via.PUBLIC_IP else nic.private_ip
    if not (address or nic.public_ip_id):  # a stopped VM's dynamic address comes when it starts
        why = "the VM's interface has no public address any more"
        return PathView(state=PathState.BLOCKED, rules=tuple(rules), why=why)
    return _open(grant, rules, address or nic.private_ip, grant.port)


def _through_firewall(grant: Grant, view: MachineView, rules: Sequence[PathRule]) -> PathView:
    nic = view.vm.interface
    nats = [rule for rule in rules if rule.collection is not None and _carries(rule, grant)]
    here = [rule for rule in nats if nic is not None and rule.target == nic.private_ip]
    public_ends = tuple(dict.fromkeys(rule.public_end for rule in here if rule.public_end))
    public_end = next((end for end in public_ends if _leads_in(end, here, grant)), None)
    blocked = _firewall_blocked(grant, view, nic)
    if public_end is None:
        why = "no NAT rule lets all its sources in by one address and port"
        if not public_ends:
            why = "the NAT rule is not there yet"
        return PathView(state=PathState.PARTIAL, rules=tuple(rules), why=why, blocked_by=blocked[1])
    if blocked[0]:
        return PathView(
            state=PathState.BLOCKED, rules=tuple(rules), why=blocked[0], blocked_by=blocked[1]
        )
    return _open(grant, rules, *public_end)


def _carries(rule: PathRule, grant: Grant) -> bool:
    """Whether a NAT rule forwards every protocol that the grant is for."""
    wanted, there = protocol_of(grant).upper(), {text.upper() for text in rule.protocols}
    return "ANY" in there or there.issuperset({"TCP", "UDP"} if wanted == "*" else {wanted})


def _leads_in(public_end: tuple[str, int], rules: Iterable[PathRule], grant: Grant) -> bool:
    """Return True if all sources of *grant* may connect to that one address and port."""
    return let_in_all((rule for rule in rules if rule.public_end == public_end), grant.sources)


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
    sources: Iterable[Prefix],
    grant: Grant,
    *,
    public: bool,
) -> tuple[str, Mapping[str, int]] | None:
    """Return what stops a flow from *sources*; None if every NSG lets all of it pass."""
    nsgs = view.nsgs_of(nic) or []
    stopped: dict[str, int] = {}
    why = ""
    if not nic.private_ip:  # a NIC that is being changed may name none for a moment
        return f"the address of {_name(nic.id)} is not known", {}
    target = ip_address(nic.private_ip)
    for source in sources:
        if source.version != target.version:
            return f"{source} cannot reach {target}: another IP version", {}
        flow = nsg_effect.Flow(source, target, grant.port, protocol_of(grant))
        for nsg in nsgs:
            rules = tuple(_without_others_companions(nsg.rules, grant))
            verdict = nsg_effect.evaluate(rules, flow, view.vm.vnet_prefixes)
            if not isinstance(verdict, nsg_effect.Allowed):
                stopped[nsg.id] = min(_priority(verdict), stopped.get(nsg.id, 65500))
                why = f"{_name(nsg.id)}: {_because(verdict)}"
    if not nsgs and public:
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


def _priority(verdict: nsg_effect.Blocked | nsg_effect.CannotTell) -> int:
    return verdict.rule.priority if verdict.rule is not None else 65500


def _because(verdict: nsg_effect.Blocked | nsg_effect.CannotTell) -> str:
    if isinstance(verdict, nsg_effect.Blocked):
        return f"rule {verdict.rule.name} blocks it"
    if verdict.rule is None:
        return "no rule is known to decide"
    return f"cannot tell whether rule {verdict.rule.name} lets it pass"


def _open(grant: Grant, rules: Sequence[PathRule], address: str, port: int) -> PathView:
    command = _COMMANDS.get(grant.port, "{address}:{port}")
    host = f"[{address}]" if ":" in address else address
    return PathView(
        state=PathState.OPEN,
        rules=tuple(rules),
        connection=Connection(
            via=grant.via,
            address=address,
            port=port,
            command=command.format(address=host, port=port),
        ),
    )
