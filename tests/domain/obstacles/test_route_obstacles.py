"""Forced tunnelling: routes that lead a VM's answers away from the internet."""

import pytest

from jit.domain.azure.route_tables import group_routes
from jit.domain.model.machine import Via
from jit.domain.obstacles.route_obstacles import find_route_obstacles
from jit.domain.values import arm_ids
from tests.builders.machines import a_configured_vm, a_nic, a_rule
from tests.builders.routes import SUBNET, arm_routed_network, arm_table, arm_udr

OFFICE, HOME = "198.51.100.0/24", "203.0.113.0/24"
PORTS = (a_rule(22, allowed_sources=(OFFICE, HOME)),)
OUT = arm_udr("0.0.0.0/0", "VirtualAppliance", "10.9.0.4", name="out")


def stopped(*routes, **changes):
    """The sources of the obstacles of a VM in a subnet with those routes."""
    vm = a_configured_vm(**{"ports": PORTS, **changes})
    found = find_route_obstacles(vm, group_routes([arm_routed_network()], [arm_table(*routes)]))
    return [sorted(map(str, each.sources)) for each in found]


@pytest.mark.parametrize("hop", ["VirtualAppliance", "VirtualNetworkGateway", "None"])
def test_a_default_route_elsewhere_stops_every_source(hop):
    """The person's question arrives, and the answer does not."""
    assert stopped(arm_udr("0.0.0.0/0", hop)) == [[OFFICE, HOME]]


@pytest.mark.parametrize(
    ("routes", "sources"),
    [
        ([OUT, arm_udr(OFFICE, "Internet")], [[HOME]]),
        ([arm_udr(OFFICE, "VirtualNetworkGateway")], [[OFFICE]]),
        ([arm_udr("0.0.0.0/0", "Internet"), arm_udr(HOME, "None")], [[HOME]]),
        ([arm_udr("10.0.0.0/8", "VirtualAppliance")], []),
        ([arm_udr("0.0.0.0/0", "Internet")], []),
        ([arm_udr("0.0.0.0/0", "Moon")], []),
        ([OUT, arm_udr("AzureCloud", "Internet")], []),
        ([arm_udr("::/0", "None")], []),
        ([], []),
    ],
)
def test_the_longest_prefix_decides_and_a_doubt_is_no_obstacle(routes, sources):
    """A service tag may be about the person's address."""
    assert stopped(*routes) == sources


def test_sources_inside_the_network_have_routes_of_their_own():
    """A network may have public addresses."""
    assert stopped(OUT, vnet_prefixes=("10.1.0.0/16", OFFICE)) == [[HOME]]


@pytest.mark.parametrize(
    "changes", [{"firewall": True}, {"via": Via.PRIVATE}, {"interfaces": ()}], ids=str
)
def test_only_a_path_by_a_public_address_of_the_vm_can_be_torn(changes):
    """Behind a firewall a route to it is wanted."""
    assert stopped(OUT, **changes) == []


def test_a_second_interface_in_another_subnet_is_another_way():
    """Its answers take its own routes."""
    elsewhere = a_nic("second", private_ip="10.1.9.4", subnet_id=f"{SUBNET}2", primary=False)

    assert stopped(OUT, interfaces=(a_nic(), elsewhere)) == []


def test_a_table_that_was_not_read_is_no_obstacle():
    """A doubt refuses nobody."""
    vm = a_configured_vm(ports=PORTS)

    assert find_route_obstacles(vm, {arm_ids.key(SUBNET): None}) == ()


def test_the_obstacle_says_what_to_do():
    """It names the route, the table and the appliance."""
    routes = group_routes([arm_routed_network()], [arm_table(OUT)])
    (found,) = find_route_obstacles(a_configured_vm(ports=PORTS), routes)

    assert (found.port, found.code) == (22, "forced-tunnelling")
    assert "route out of route table rt sends the VM's answers to the appliance" in found.detail
    assert "ask the owner of the route table" in found.detail
