"""Routes in the simulator: answers that go elsewhere keep a public path shut."""

import pytest

from tests.broker.inprocess import ELSEWHERE, HERE, farm
from tests.local.azure.sim import DEVELOPMENT, Sim, group, network

WHERE = group("rg-farm-1", DEVELOPMENT)
VNET, TABLE, NSG = (
    network(kind, name, WHERE)
    for kind, name in (
        ("virtualNetworks", "vnet-farm-1"),
        ("routeTables", "rt-farm-1"),
        ("networkSecurityGroups", "nsg-farm-1"),
    )
)
OPEN = {
    "priority": 200,
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "22",
}


def a_route(prefix, hop):
    return {"name": prefix, "properties": {"addressPrefix": prefix, "nextHopType": hop}}


def route(sim, *routes):
    """Open the port to all, and give the subnet these routes."""
    vnet = sim.get(VNET)
    vnet["properties"]["subnets"][0]["properties"]["routeTable"] = {"id": TABLE}
    resources = {
        TABLE: {"properties": {"routes": list(routes)}},
        VNET: vnet,
        f"{NSG}/securityRules/open": {"properties": OPEN},
    }
    sim.control("PUT", "state", {"resources": resources})


@pytest.mark.parametrize("hop", ["VirtualAppliance", "VirtualNetworkGateway", "None"])
def test_a_default_route_elsewhere_shuts_public_paths(sim: Sim, hop):
    """The answer never comes back to the person."""
    route(sim, a_route("0.0.0.0/0", hop))

    found = sim.reachable(farm(1), 22, HERE)

    assert (found["reachable"], hop in found["because"]) == (False, True)


def test_the_longest_prefix_decides(sim: Sim):
    """A route to the internet for some addresses lets these in; a service tag is skipped."""
    exception = a_route("203.0.113.0/24", "Internet")
    route(sim, a_route("0.0.0.0/0", "None"), exception, a_route("AzureCloud", "Internet"))

    assert sim.reachable(farm(1), 22, HERE)["reachable"]
    assert not sim.reachable(farm(1), 22, ELSEWHERE)["reachable"]


def test_a_table_without_routes_changes_nothing(sim: Sim):
    """Azure's own routes lead to the internet."""
    route(sim)

    assert sim.reachable(farm(1), 22, HERE)["reachable"]
    assert sim.get(TABLE)["name"] == "rt-farm-1"
