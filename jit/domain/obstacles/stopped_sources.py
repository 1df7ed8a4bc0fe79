"""
Stopped sources: the addresses from which nothing gets in to a port of a VM, by any of its ways.

A VM may have several addresses, and a grant is open if one of them works. So a source is stopped
only if something stops it at each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network, summarize_address_range

from jit.domain.azure.nsg_effect import Part
from jit.domain.model.machine import (
    INTERNET,
    Interface,
    Obstacle,
    PortRule,
    Via,
    VirtualMachine,
)
from jit.domain.paths.ways import list_ways
from jit.domain.values.address_sets import AddressSet, expand_prefix, join_sets
from jit.domain.values.prefixes import IPV6, NOT_PUBLIC, Prefix, Prefixes

MOST_PREFIXES = 256
"""An obstacle names at most so many prefixes, the widest first: it is kept in a row of a table."""

_ALL = {4: ip_network("0.0.0.0/0"), IPV6: ip_network("::/0")}


@dataclass(frozen=True, slots=True)
class Stop:
    """Source addresses that something keeps out of one address of a VM; *why* is a clause."""

    addresses: AddressSet
    why: str


FindStops = Callable[[Interface, PortRule, Prefix], Iterable[Stop] | None]
"""Yields what stops packets from a prefix at one interface; None if nobody can tell."""


def find_stop_obstacles(vm: VirtualMachine, code: str, find: FindStops) -> Iterator[Obstacle]:
    """
    Yield the obstacles of *code*: for each port, the reasons that stop the sources of its policy.

    Behind a firewall the VM sees the firewall's addresses only. If one of them is stopped, the
    obstacle is one to every source: nobody chooses the address that his packets come from.
    """
    for port in vm.ports:
        for version in _ALL:
            ways, expected = list_ways(vm, version), _list_expected(vm, port, version)
            if ways and vm.via is Via.FIREWALL:
                yield from _find_behind_firewall(vm, code, ways[0], port, find)
            elif ways and expected.ranges:
                yield from _find_direct(code, ways, port, expected, find, version)


def _list_expected(vm: VirtualMachine, port: PortRule, version: int) -> AddressSet:
    """Return the sources of IP *version* that may be asked for on a port; ``*`` means IPv4."""
    is_any = version != IPV6 and {"*", INTERNET}.intersection(port.allowed_sources)
    named = [each for each in Prefixes(port.allowed_sources).readable if each.version == version]
    allowed = join_sets(map(expand_prefix, [_ALL[version]] if is_any else named))
    if vm.via is not Via.PUBLIC_IP:
        return allowed
    inner = join_sets(expand_prefix(each) for each in NOT_PUBLIC if each.version == version)
    return allowed & inner.invert(version)


def _find_behind_firewall(
    vm: VirtualMachine, code: str, nic: Interface, port: PortRule, find: FindStops
) -> Iterator[Obstacle]:
    seen = (prefix for prefix in Prefixes(vm.firewall_sources).readable if prefix.version != IPV6)
    stops = [stop for prefix in seen for stop in find(nic, port, prefix) or ()]
    for why in dict.fromkeys(stop.why for stop in stops):
        yield Obstacle(port=port.number, code=code, detail=why)


def _find_direct(
    code: str,
    ways: Sequence[Interface],
    port: PortRule,
    expected: AddressSet,
    find: FindStops,
    version: int,
) -> Iterator[Obstacle]:
    """Yield an obstacle for each reason at the first way, with the sources stopped at all ways."""
    found = [find(nic, port, _ALL[version]) for nic in ways]
    known = [list(stops) for stops in found if stops is not None]
    if len(known) < len(ways):
        return
    stopped = expected
    for stops in known:
        stopped = stopped & join_sets(stop.addresses for stop in stops)
    for why in dict.fromkeys(stop.why for stop in known[0]):
        own = join_sets(stop.addresses for stop in known[0] if stop.why == why) & stopped
        sources = sorted(summarize_addresses(own, version), key=lambda each: each.prefixlen)
        if sources:
            kept = tuple(sources[:MOST_PREFIXES])
            yield Obstacle(port=port.number, code=code, detail=why, sources=kept)


def summarize_addresses(addresses: AddressSet, version: int) -> list[Prefix]:
    """Return the fewest prefixes of IP *version* that have exactly *addresses*."""
    found: list[Prefix] = []
    for first, last in addresses.ranges:
        if version == IPV6:
            found += summarize_address_range(IPv6Address(first), IPv6Address(last))
        else:
            found += summarize_address_range(IPv4Address(first), IPv4Address(last))
    return found


def expand_parts(parts: Iterable[Part], source: Prefix) -> Iterator[tuple[AddressSet, Part]]:
    """Yield each part of the flow of *source* with its addresses; it ends where the next begins."""
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.protocol.value, []).append(part)
    for own in groups.values():
        lasts = [part.address - 1 for part in own[1:]] + [int(source.broadcast_address)]
        for part, last in zip(own, lasts, strict=True):
            yield AddressSet(((part.address, last),)), part
