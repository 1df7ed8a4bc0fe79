"""
User-defined routes of subnets: they lead the answers of a VM.

Source:
    https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview: the longest
    prefix decides; of equal ones, the user's route; Microsoft.Network 2024-05-01,
    ``RoutePropertiesFormat``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix, read_prefix


class NextHop(StrEnum):
    """The kinds of places that a route leads to."""

    APPLIANCE = "VirtualAppliance"
    GATEWAY = "VirtualNetworkGateway"
    NETWORK = "VnetLocal"
    INTERNET = "Internet"
    NOWHERE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """
    One user-defined route.

    Attributes:
        name: Its name in the table.
        table: Name of the route table.
        prefix: The addresses that it is for; None if it names a service tag, or cannot be read.
        next_hop: None if it cannot be read.
        address: The address of the appliance; empty without one.
    """

    name: str
    table: str
    prefix: Prefix | None
    next_hop: NextHop | None
    address: str = ""


RoutesBySubnet = Mapping[str, tuple[RouteRule, ...] | None]
"""The routes of a subnet, by its key; None if its route table was not read, or is being updated."""

_NEXT_HOPS = {hop.value.lower(): hop for hop in NextHop}


def group_routes(
    networks: Iterable[Resource], tables: Iterable[Resource] | None
) -> dict[str, tuple[RouteRule, ...] | None]:
    """
    Return the routes of each subnet that has a route table.

    Args:
        networks: Virtual networks with their subnets.
        tables: Route tables with their routes; None if they were not read.
    """
    known = {arm_json.key(table): _parse_table(table) for table in tables or ()}
    found: dict[str, tuple[RouteRule, ...] | None] = {}
    for subnet in (each for net in networks for each in _list_subnets(net)):
        table_id = arm_json.read_reference(arm_json.properties(subnet), "routeTable")
        if table_id:
            found[arm_json.key(subnet)] = known.get(arm_ids.key(table_id))
    return found


def _list_subnets(network: Resource) -> list[Resource]:
    return arm_json.mappings(arm_json.properties(network), "subnets")


def _parse_table(table: Resource) -> tuple[RouteRule, ...] | None:
    """Return the routes of a table; None if the table or one of its routes is not settled."""
    items = arm_json.mappings(arm_json.properties(table), "routes")
    states = {arm_json.read_provisioning_state(each) for each in (table, *items)}
    if not states <= {"Succeeded", ""}:
        return None
    return tuple(_parse_route(each, arm_json.text(table, "name")) for each in items)


def _parse_route(item: Resource, table: str) -> RouteRule:
    body = arm_json.properties(item)
    return RouteRule(
        name=arm_json.text(item, "name"),
        table=table,
        prefix=read_prefix(arm_json.text(body, "addressPrefix")),
        next_hop=_NEXT_HOPS.get(arm_json.text(body, "nextHopType").lower()),
        address=arm_json.text(body, "nextHopIpAddress"),
    )
