"""
The network path of a grant as observed: its rules, and whether packets would pass.

A path is ``open`` only if its rules were seen, they let every source in, and the last update of
each resource has succeeded. Behind a firewall the VM sees an address of AzureFirewallSubnet instead
of the requester's (https://github.com/MicrosoftDocs/azure-docs/issues/46777), so the NSGs are
evaluated for these addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address, ip_network

from jit.domain.azure import nsg_effect
from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.nsg_rules import LAST_PRIORITY, SecurityRule
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Connection, Interface, Via
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import (
    PathRule,
    find_packet_protocol,
    find_port_rules,
    is_limited_to,
    keep_rules_for,
    lets_all_in,
)
from jit.domain.values.prefixes import Prefix

_COMMANDS = {3389: "mstsc /v:{host}:{port}", 22: "ssh -p {port} user@{address}"}
"""By port. ``host`` has brackets around an IPv6 address. ssh takes the bare address (ssh(1))."""

_Stop = nsg_effect.Blocked | nsg_effect.CannotTell


class PathState(Enum):
    """How much of a path is there, and if it works."""

    OPEN = "open"  # rules present, packets pass
    BLOCKED = "blocked"  # rules present, something stops the packets
    PARTIAL = "partial"  # some of the rules are there
    ABSENT = "absent"  # no rule is there
    UNCLEAR = "unclear"  # something is being updated or could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class PathView:
    """
    A path as observed.

    Attributes:
        state: The summary.
        rules: Rules that let any of the grant's sources in.
        connection: Address and port to connect to, if ``open``.
        why: A sentence for people.
        blocked_by: Per NSG id, the priority of the rule that stops the firewall's address.
        leaving: Only while ``unclear``: the rules that are listed already do not let every source
            in any more.
    """

    state: PathState
    rules: tuple[PathRule, ...] = ()
    connection: Connection | None = None
    why: str = ""
    blocked_by: Mapping[str, int] | None = None
    leaving: bool = False

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """Resource ids of the rules."""
        return tuple(rule.id for rule in self.rules)


@dataclass(frozen=True, slots=True)
class _Block:
    """
    The reason why packets do not pass, or may not pass.

    Attributes:
        why: A sentence for people.
        by: Per NSG id, the smallest priority of a rule that stops them.
    """

    why: str
    by: Mapping[str, int] = field(default_factory=dict)


def observe_path(
    grant: Grant, view: MachineView, asked: Iterable[Prefix] | None = None
) -> PathView:
    """
    Return how far the path of *grant* is there, and if it works for every source.

    Args:
        grant: Any grant on the VM of *view*.
        view: The VM as just read.
        asked: Everything that was asked for on the VM port, or None. A rule that opens more is
            ignored, because no access may depend on it.
    """
    everything = find_port_rules(view, grant.port, grant.footprint.private_ips)
    rules = keep_rules_for(everything, grant.sources)
    if asked is not None:
        allowed = tuple(asked)
        rules = tuple(rule for rule in rules if is_limited_to(rule, allowed))
    if why := _explain_unclear(grant, view):
        return PathView(
            state=PathState.UNCLEAR,
            rules=rules,
            why=why,
            blocked_by=_predict_blocks(grant, view),
            leaving=_is_leaving(grant, view, rules),
        )
    if not rules:
        return PathView(
            state=PathState.ABSENT,
            why=_explain_absence(grant, view),
            blocked_by=_predict_blocks(grant, view),
        )
    if grant.via is Via.FIREWALL:
        return _judge_firewall_path(grant, view, rules)
    return _judge_nsg_path(grant, view, rules)


# ---- while something is unclear or missing ---------------------------------------------------


def _is_leaving(grant: Grant, view: MachineView, rules: Sequence[PathRule]) -> bool:
    """Return True if the list of rules could be read and does not let every source in."""
    nic = view.vm.interface
    behind = grant.via is Via.FIREWALL
    if nic is None or (view.firewall is None if behind else view.nsgs_of(nic) is None):
        return False
    own = [r for r in rules if (r.collection is not None) is behind and r.target == nic.private_ip]
    return not lets_all_in(own, grant.sources) or _may_be_stopped(grant, view, nic)


def _may_be_stopped(grant: Grant, view: MachineView, nic: Interface) -> bool:
    """Return True if an NSG, as it is listed, stops packets of the path or may stop them."""
    if view.nsgs_of(nic) is None:
        return False
    if grant.via is Via.FIREWALL:
        return _find_firewall_block(grant, view, nic) is not None
    public = grant.via is Via.PUBLIC_IP
    return _find_block(grant, view, nic, grant.sources, public=public) is not None


def _explain_absence(grant: Grant, view: MachineView) -> str:
    has_nsg = any(nic.nsg_ids for nic in view.vm.interfaces)
    if grant.via is Via.FIREWALL or has_nsg:
        return "no rule is there yet"
    return "no NSG guards the VM any more, so there is no place for a rule"


def _predict_blocks(grant: Grant, view: MachineView) -> Mapping[str, int]:
    """Return the NSGs that will stop packets after the firewall lets them through."""
    if grant.via is not Via.FIREWALL or _explain_unclear_nsg(view):
        return {}
    block = _find_firewall_block(grant, view, view.vm.interface)
    return block.by if block is not None else {}


def _explain_unclear(grant: Grant, view: MachineView) -> str:
    why = _explain_unclear_nsg(view)
    if not why and grant.via is Via.FIREWALL:
        return _explain_unclear_firewall(view)
    return why


def _explain_unclear_nsg(view: MachineView) -> str:
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


def _explain_unclear_firewall(view: MachineView) -> str:
    firewall = view.firewall
    if firewall is None:  # without a firewall in the inventory, there is no rule in one
        return "the firewall could not be read" if view.vm.firewall_id else ""
    if firewall.failed:
        return f"the last update of firewall {_name(firewall.id)} failed; repeat it in Azure"
    return "" if firewall.settled else f"firewall {_name(firewall.id)} is being updated"


def _name(resource_id: str) -> str:
    return resource_id.rsplit("/", 1)[-1]


# ---- judging a path --------------------------------------------------------------------------


def _judge_nsg_path(grant: Grant, view: MachineView, rules: tuple[PathRule, ...]) -> PathView:
    nic, public = view.vm.interface, grant.via is Via.PUBLIC_IP
    if nic is None:
        return PathView(state=PathState.UNCLEAR, rules=rules, why="the VM has no interface")
    if not lets_all_in((rule for rule in rules if rule.target == nic.private_ip), grant.sources):
        return PathView(state=PathState.PARTIAL, rules=rules, why="not every rule is there yet")
    if block := _find_block(grant, view, nic, grant.sources, public=public):
        return PathView(state=PathState.BLOCKED, rules=rules, why=block.why)
    address = nic.public_ip if public else nic.private_ip
    if not (address or nic.public_ip_id):  # a stopped VM gets its dynamic address when it starts
        why = "the VM's interface has no public address any more"
        return PathView(state=PathState.BLOCKED, rules=rules, why=why)
    return _open_view(grant, rules, address or nic.private_ip, grant.port)


def _judge_firewall_path(grant: Grant, view: MachineView, rules: tuple[PathRule, ...]) -> PathView:
    nic = view.vm.interface
    own = [
        rule
        for rule in rules
        if rule.collection is not None
        and _carries(rule, grant)
        and nic is not None
        and rule.target == nic.private_ip
    ]
    public_ends = tuple(dict.fromkeys(rule.public_end for rule in own if rule.public_end))
    public_end = next((end for end in public_ends if _leads_in(end, own, grant)), None)
    block = _find_firewall_block(grant, view, nic)
    blocked_by = block.by if block is not None else {}
    if public_end is None:
        why = "no NAT rule lets all its sources in by one address and port"
        if not public_ends:
            why = "the NAT rule is not there yet"
        return PathView(state=PathState.PARTIAL, rules=rules, why=why, blocked_by=blocked_by)
    if block is not None:
        return PathView(state=PathState.BLOCKED, rules=rules, why=block.why, blocked_by=blocked_by)
    return _open_view(grant, rules, *public_end)


def _carries(rule: PathRule, grant: Grant) -> bool:
    """Return True if a NAT rule forwards every protocol of the grant."""
    wanted, forwarded = (
        find_packet_protocol(grant).upper(),
        {text.upper() for text in rule.protocols},
    )
    return "ANY" in forwarded or forwarded >= ({"TCP", "UDP"} if wanted == "*" else {wanted})


def _leads_in(public_end: tuple[str, int], rules: Iterable[PathRule], grant: Grant) -> bool:
    """Return True if all sources of *grant* may connect to that one address and port."""
    return lets_all_in((rule for rule in rules if rule.public_end == public_end), grant.sources)


def _open_view(grant: Grant, rules: tuple[PathRule, ...], address: str, port: int) -> PathView:
    command = _COMMANDS.get(grant.port, "{host}:{port}")
    host = f"[{address}]" if ":" in address else address
    return PathView(
        state=PathState.OPEN,
        rules=rules,
        connection=Connection(
            via=grant.via,
            address=address,
            port=port,
            command=command.format(address=address, host=host, port=port),
        ),
    )


# ---- rules that stop packets -----------------------------------------------------------------


def _find_firewall_block(grant: Grant, view: MachineView, nic: Interface | None) -> _Block | None:
    """Return the reason if packets from the firewall's own addresses do not pass, else None."""
    sources = tuple(ip_network(prefix) for prefix in view.vm.firewall_sources)
    if nic is None or not sources:
        return _Block("the firewall's subnet is unknown")
    return _find_block(grant, view, nic, sources, public=False)


def _find_block(
    grant: Grant, view: MachineView, nic: Interface, sources: Iterable[Prefix], *, public: bool
) -> _Block | None:
    """Return the reason if packets from *sources* do not reach *nic*; None if all NSGs let them."""
    nsgs = view.nsgs_of(nic) or []
    if not nic.private_ip:  # an interface that is being changed may have none for a moment
        return _Block(f"the address of {_name(nic.id)} is not known")
    target = ip_address(nic.private_ip)
    why, stopped = "", dict[str, int]()
    for source in sources:
        if source.version != target.version:
            return _Block(f"{source} cannot reach {target}: another IP version")
        flow = nsg_effect.Flow(source, target, grant.port, find_packet_protocol(grant))
        for nsg, stop in _find_stops(nsgs, flow, view.vm.vnet_prefixes, grant):
            stopped[nsg.id] = min(_priority(stop), stopped.get(nsg.id, LAST_PRIORITY))
            why = f"{_name(nsg.id)}: {_explain_stop(stop)}"
    if not nsgs and public:
        return _Block("a public address without any NSG")
    return _Block(why, stopped) if stopped else None


def _find_stops(
    nsgs: Iterable[NsgView], flow: nsg_effect.Flow, vnet: tuple[str, ...], grant: Grant
) -> Iterator[tuple[NsgView, _Stop]]:
    """Yield each NSG that stops *flow*, or may stop it, with its verdict."""
    for nsg in nsgs:
        rules = tuple(_drop_foreign_companions(nsg.rules, grant))
        verdict = nsg_effect.evaluate(rules, flow, vnet)
        if not isinstance(verdict, nsg_effect.Allowed):
            yield nsg, verdict


def _drop_foreign_companions(rules: Iterable[SecurityRule], grant: Grant) -> Iterator[SecurityRule]:
    """Leave out the companion rules of other grants, because they go when those grants end."""
    for rule in rules:
        owner = parse_companion_name(rule.name)
        if owner is None or owner == grant.id:
            yield rule


def _priority(stop: _Stop) -> int:
    return stop.rule.priority if stop.rule is not None else LAST_PRIORITY


def _explain_stop(stop: _Stop) -> str:
    if isinstance(stop, nsg_effect.Blocked):
        return f"rule {stop.rule.name} blocks it"
    if stop.rule is None:
        return "no rule is known to decide"
    return f"cannot tell whether rule {stop.rule.name} lets it pass"
