"""
The rules in NSGs that stop packets on a path, or may stop them.

A path in doubt is not open: a rule that nobody can evaluate stops the packets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from jit.domain.azure import nsg_effect
from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.nsg_rules import LAST_PRIORITY, SecurityRule
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Interface, Via
from jit.domain.network_manager.admin_stage import Outcome, Share
from jit.domain.paths.admin_check import explain_obstacle, split_flow_for
from jit.domain.paths.companion_owners import list_owners
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import find_packet_protocol
from jit.domain.values.prefixes import Prefix

_Stop = nsg_effect.Blocked | nsg_effect.CannotTell


@dataclass(frozen=True, slots=True)
class Block:
    """
    The reason why packets do not pass, or may not pass.

    Attributes:
        why: A sentence for people.
        by: Per NSG id, the smallest priority of a rule that stops them.
    """

    why: str
    by: Mapping[str, int] = field(default_factory=dict)


def find_block(grant: Grant, view: MachineView, nic: Interface) -> Block | None:
    """Return the reason if packets do not reach *nic* on the path of *grant*, else None."""
    if grant.via is not Via.FIREWALL:
        public = grant.via is Via.PUBLIC_IP
        return _find_stopped(grant, view, nic, grant.sources, public=public)
    sources = _list_senders(grant, view, nic)
    if not sources:
        return Block("the firewall's subnet is unknown")
    return _find_stopped(grant, view, nic, sources, public=False)


def _list_senders(grant: Grant, view: MachineView, nic: Interface) -> tuple[Prefix, ...]:
    """Return the sources of the packets that the NSGs see on the path of *grant*."""
    if grant.via is not Via.FIREWALL:
        return grant.sources
    return tuple(
        prefix
        for prefix in map(ip_network, view.vm.firewall_sources)
        if prefix.version == read_version(nic)  # its subnet may have prefixes of both IP versions
    )


def _find_stopped(
    grant: Grant, view: MachineView, nic: Interface, sources: Iterable[Prefix], *, public: bool
) -> Block | None:
    """Return the reason if packets from *sources* do not reach *nic*; None if all NSGs let them."""
    nsgs = view.nsgs_of(nic) or []
    if not nic.private_ip:  # an interface that is being changed may have none for a moment
        return Block(f"the address of {nic.id.rsplit('/', 1)[-1]} is not known")
    target = ip_address(nic.private_ip)
    why, stopped = "", dict[str, int]()
    for source in sources:
        if source.version != target.version:
            return Block(f"{source} cannot reach {target}: another IP version")
        for share in _list_shares(grant, view, nic, source):
            if obstacle := explain_obstacle(share):
                return Block(obstacle)
            for nsg, stop in _find_stops(nsgs, share.flow, view.vm.vnet_prefixes, grant):
                stopped[nsg.id] = min(_priority(stop), stopped.get(nsg.id, LAST_PRIORITY))
                why = f"{nsg.id.rsplit('/', 1)[-1]}: {_explain_stop(stop)}"
    if not nsgs and public:
        return Block("a public address without any NSG")
    return Block(why, stopped) if stopped else None


def _list_shares(
    grant: Grant, view: MachineView, nic: Interface, source: Prefix
) -> Iterator[Share]:
    """Yield the packets from *source* to *nic* in shares that fare alike before the NSGs."""
    target, protocol = ip_address(nic.private_ip), find_packet_protocol(grant)
    flow = nsg_effect.Flow(source, target, grant.port, protocol, nic.group_keys)
    yield from split_flow_for(grant, view, flow)


def _find_stops(
    nsgs: Iterable[NsgView], flow: nsg_effect.Flow, vnet: tuple[str, ...], grant: Grant
) -> Iterator[tuple[NsgView, _Stop]]:
    """Yield each NSG that stops *flow*, or may stop it, with its verdict."""
    for nsg in nsgs:
        rules = tuple(_drop_foreign_companions(nsg.rules, grant))
        verdict = nsg_effect.evaluate(rules, flow, vnet)
        if not isinstance(verdict, nsg_effect.Allowed):
            yield nsg, verdict


def is_certainly_stopped(grant: Grant, view: MachineView, nic: Interface) -> bool:
    """
    Return True if packets from some source certainly do not reach *nic* on the path of *grant*.

    Each rule counts as it reads, also while its NSG is being updated or that has failed. A rule
    that is being deleted does not count. A doubt stops nothing here.
    """
    if not nic.private_ip:
        return False
    sources = _list_senders(grant, view, nic)
    nsgs = [replace(nsg, rules=_read_as_written(nsg.rules)) for nsg in view.nsgs_of(nic) or []]
    return any(
        source.version != read_version(nic)
        or any(
            _is_certainly_stopped(share, nsgs, grant, view)
            for share in _list_shares(grant, view, nic, source)
        )
        for source in sources
    )


def _read_as_written(rules: Iterable[SecurityRule]) -> tuple[SecurityRule, ...]:
    kept = (rule for rule in rules if rule.state.lower() != "deleting")
    return tuple(rule if rule.in_force else replace(rule, state="Succeeded") for rule in kept)


def _is_certainly_stopped(
    share: Share, nsgs: Iterable[NsgView], grant: Grant, view: MachineView
) -> bool:
    if Outcome.PASSED in share.outcomes:  # then no NSG is asked
        return False
    stops = _find_stops(nsgs, share.flow, view.vm.vnet_prefixes, grant)
    return share.outcomes == {Outcome.DENIED} or any(
        isinstance(stop, nsg_effect.Blocked) for _, stop in stops
    )


def _drop_foreign_companions(rules: Iterable[SecurityRule], grant: Grant) -> Iterator[SecurityRule]:
    """Leave out the companions that *grant* has no share in: they go when other grants end."""
    owners = list_owners(grant)
    for rule in rules:
        owner = parse_companion_name(rule.name)
        if owner is None or owner in owners:
            yield rule


def _priority(stop: _Stop) -> int:
    return stop.rule.priority if stop.rule is not None else LAST_PRIORITY


def _explain_stop(stop: _Stop) -> str:
    if isinstance(stop, nsg_effect.Blocked):
        return f"rule {stop.rule.name} blocks it"
    if stop.rule is None:
        return "no rule is known to decide"
    return f"cannot tell whether rule {stop.rule.name} lets it pass"


def read_version(nic: Interface) -> int:
    """Return 4 or 6: the IP version of an interface's address; 4 if it has none now."""
    return ip_address(nic.private_ip).version if nic.private_ip else 4
