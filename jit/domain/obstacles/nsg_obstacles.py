"""
Obstacles in NSGs: rules that stop packets although a grant adds its own.

Defender writes its allow rule into one NSG of an interface, with the first free priority from 100
on. So a customer's deny rule in front of every free priority stays in force, and the interface's
other NSG must let the sources in by its own rules. The NSG that Defender writes into is the one
with its deny rule. Behind a firewall the broker adds a companion to each NSG that needs one; there,
only a deny rule in front of every free priority is an obstacle.

Only certain stops count. A rule in doubt is no obstacle here: the grant is accepted, and its
path is looked at.

Source:
    Exported templates in public repositories (rules of Defender); Learn, "Network security groups":
    the NSG of the subnet and the NSG of the interface both apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from itertools import chain

from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.defender_rules import JitKind, parse_jit_name
from jit.domain.azure.nsg_effect import Blocked, Flow, split_flow
from jit.domain.azure.nsg_rules import LAST_PRIORITY, Access, Direction, SecurityRule
from jit.domain.model.machine import Interface, Obstacle, PortRule, Via
from jit.domain.obstacles.stopped_sources import Stop, expand_parts, find_stop_obstacles
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import choose_packet_protocol, name_addresses
from jit.domain.values import arm_ids
from jit.domain.values.address_sets import AddressSet, join_sets
from jit.domain.values.prefixes import Prefix, keep_prefixes

NSG_RULE_BLOCKS = "nsg-rule-blocks"
"""The code of a reason to refuse a request, and of the warning that says the same."""

_FIRST = 100
"""The smallest priority number of a rule."""

_BEFORE = (
    "rule {rule} of NSG {nsg} (priority {priority}) stops the packets, and no priority before it is"
    " free; ask the owner of the NSG to give that rule a larger number"
)
_BESIDE = (
    "rule {rule} of NSG {nsg} stops the packets, and just-in-time access adds its rule to the other"
    " NSG of {nic} only; ask the owner of the NSG for a rule that lets them in"
)

FirstFree = Mapping[str, int]
"""By the key of an NSG, what `find_first_free` says of it."""


def find_first_free(rules: Iterable[SecurityRule]) -> int:
    """Return the smallest priority that a new inbound rule can have while no grant is open."""
    inbound = [rule for rule in rules if rule.direction is not Direction.OUTBOUND]
    if not any(rule.priority == _FIRST for rule in inbound):  # as in nearly every NSG
        return _FIRST
    taken = {rule.priority for rule in _keep_standing(inbound)}
    return next(number for number in range(_FIRST, LAST_PRIORITY) if number not in taken)


def find_nsg_obstacles(
    view: MachineView, first_free: FirstFree | None = None
) -> tuple[Obstacle, ...]:
    """
    Return the obstacles in the NSGs of a VM.

    An NSG that was not read, or is being updated, gives none.

    Args:
        view: The VM.
        first_free: The number of each of its NSGs; None if *view* holds all of their rules.
    """
    if first_free is None:
        first_free = {key: find_first_free(nsg.rules) for key, nsg in view.nsgs.items()}
    if not any(_may_stop(view, nic, first_free) for nic in view.vm.interfaces):
        return ()
    free = first_free

    def find(nic: Interface, port: PortRule, source: Prefix) -> list[Stop] | None:
        return _find_stops(view, nic, port, source, free)

    return tuple(find_stop_obstacles(view.vm, NSG_RULE_BLOCKS, find))


def _may_stop(view: MachineView, nic: Interface, first_free: FirstFree) -> bool:
    """Return False if there is certainly no obstacle: of thousands of VMs, few have one."""
    keys = [arm_ids.key(nsg_id) for nsg_id in nic.nsg_ids]
    beside = len(keys) > 1 and view.vm.via is not Via.FIREWALL
    return beside or any(first_free.get(key, _FIRST) > _FIRST for key in keys)


def _find_stops(
    view: MachineView, nic: Interface, port: PortRule, source: Prefix, first_free: FirstFree
) -> list[Stop] | None:
    nsgs = view.nsgs_of(nic)
    if nsgs is None or not all(nsg.settled for nsg in nsgs):
        return None
    guards = [nsg for nsg in nsgs if _is_guard(nsg, nic, port)]
    written = guards if len(guards) == 1 and view.vm.via is not Via.FIREWALL else nsgs
    found = (
        _list_early(nsg, nic, port, source, view, first_free)
        if nsg in written
        else _list_beside(nsg, nic, port, source, view)
        for nsg in nsgs
    )
    return list(chain.from_iterable(found))


def _list_early(
    nsg: NsgView,
    nic: Interface,
    port: PortRule,
    source: Prefix,
    view: MachineView,
    first_free: FirstFree,
) -> Iterator[Stop]:
    """Yield the deny rules in front of each free priority of an NSG, with their sources."""
    before = first_free.get(arm_ids.key(nsg.id), _FIRST)
    early = [rule for rule in _keep_standing(nsg.rules) if rule.priority < before]
    for stop, rule in _list_blocked(early, nic, port, source, view):
        why = _BEFORE.format(rule=rule.name, nsg=arm_ids.name(nsg.id), priority=rule.priority)
        yield Stop(stop, why)


def _list_beside(
    nsg: NsgView, nic: Interface, port: PortRule, source: Prefix, view: MachineView
) -> Iterator[Stop]:
    """Yield the sources that an NSG stops, if Defender adds nothing to it."""
    for stop, rule in _list_blocked(_keep_standing(nsg.rules), nic, port, source, view):
        names = {"rule": rule.name, "nsg": arm_ids.name(nsg.id), "nic": arm_ids.name(nic.id)}
        yield Stop(stop, _BESIDE.format(**names))


def _list_blocked(
    rules: Iterable[SecurityRule], nic: Interface, port: PortRule, source: Prefix, view: MachineView
) -> list[tuple[AddressSet, SecurityRule]]:
    """Return each rule that certainly stops a part of *source*, with the addresses of that part."""
    protocol = choose_packet_protocol(port.number, port.protocol)
    flow = Flow(source, ip_address(nic.private_ip), port.number, protocol, nic.group_keys)
    vnet = keep_prefixes(view.vm.vnet_prefixes)
    found: dict[SecurityRule, list[AddressSet]] = {}
    parts = (part for (part,) in split_flow([list(rules)], flow, vnet))
    for addresses, part in expand_parts(parts, source):
        verdict = part.verdict
        if isinstance(verdict, Blocked):
            found.setdefault(verdict.rule, []).append(addresses)
    return [(join_sets(shares), rule) for rule, shares in found.items()]


def _is_guard(nsg: NsgView, nic: Interface, port: PortRule) -> bool:
    """Return True if an NSG has Defender's deny rule for a port of *nic*."""
    return any(
        (name := parse_jit_name(rule.name)) is not None
        and name.kind is JitKind.DENY
        and rule.access is Access.DENY
        and nic.private_ip in name_addresses(rule.destinations)
        and any(port.number in ports for ports in rule.destination_ports)
        for rule in nsg.rules
    )


def _keep_standing(rules: Iterable[SecurityRule]) -> list[SecurityRule]:
    """Return *rules* without Defender's, which it moves as it likes, and without companions."""
    return [
        rule
        for rule in rules
        if parse_jit_name(rule.name) is None and parse_companion_name(rule.name) is None
    ]
