"""
Obstacles in routes: forced tunnelling of a VM with a public address.

A person comes to the public address, and the answer leaves by the route of the VM's subnet. If that
leads to an appliance or a gateway, the answer comes from another address or meets a firewall that
never saw the question. The connection does not come about. NSGs show nothing of it.

Behind a firewall, the VM answers to the firewall's own address, and a route to that firewall is
wanted. Private paths are not judged: they may lead over the same appliance both ways.

Source:
    https://learn.microsoft.com/azure/firewall/integrate-lb (asymmetric routing);
    https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jit.domain.azure.route_tables import NextHop, RouteRule, RoutesBySubnet
from jit.domain.model.machine import Interface, Obstacle, PortRule, Via, VirtualMachine
from jit.domain.obstacles.stopped_sources import Stop, find_stop_obstacles
from jit.domain.values import arm_ids
from jit.domain.values.address_sets import build_all_addresses, expand_prefix, read_addresses
from jit.domain.values.prefixes import Prefix, keep_prefixes

FORCED_TUNNELLING = "forced-tunnelling"
"""The code of a reason to refuse a request, and of the warning that says the same."""

_WHY = (
    "route {name} of route table {table} sends the VM's answers {where}, not back to the internet;"
    " ask the owner of the route table for a route to your address with the next hop Internet"
)
_DETOURS = {
    NextHop.APPLIANCE: "to the appliance {address}",
    NextHop.GATEWAY: "to a network gateway",
    NextHop.NOWHERE: "nowhere",
}


def find_route_obstacles(vm: VirtualMachine, routes: RoutesBySubnet) -> tuple[Obstacle, ...]:
    """Return the obstacles in the user-defined routes of the subnets of *vm*."""
    keys = {arm_ids.key(nic.subnet_id) for nic in vm.interfaces}
    if vm.via is not Via.PUBLIC_IP or not any(routes.get(key) for key in keys):
        return ()
    vnet = keep_prefixes(vm.vnet_prefixes)

    def find(nic: Interface, _: PortRule, source: Prefix) -> list[Stop] | None:
        own = routes.get(arm_ids.key(nic.subnet_id), ())
        return list(_find_detours(own, vnet, source.version)) if own is not None else None

    return tuple(find_stop_obstacles(vm, FORCED_TUNNELLING, find))


def _find_detours(routes: Iterable[RouteRule], vnet: Iterable[str], version: int) -> Iterator[Stop]:
    """
    Yield the addresses that the routes lead elsewhere, the longest prefixes first.

    A service tag may mean any address, so a route for one that does not lead elsewhere is a doubt
    about all of them.
    """
    known = [(route, route.prefix) for route in routes if route.prefix is not None]
    if any(route.prefix is None and route.next_hop not in _DETOURS for route in routes):
        return
    left = build_all_addresses(version) & read_addresses(vnet, version).invert(version)
    for route, prefix in sorted(known, key=lambda each: each[1].prefixlen, reverse=True):
        if prefix.version == version:
            taken = expand_prefix(prefix)
            if route.next_hop in _DETOURS:
                yield Stop(taken & left, _explain(route, route.next_hop))
            left = left & taken.invert(version)


def _explain(route: RouteRule, next_hop: NextHop) -> str:
    where = _DETOURS[next_hop].format(address=route.address)
    return _WHY.format(name=route.name, table=route.table, where=where)
