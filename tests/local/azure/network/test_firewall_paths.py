"""Firewalls in connected hubs: their NAT rules are ways to VMs in a spoke."""

from copy import deepcopy
from typing import Any

import pytest

from tests.builders.spokes import FIREWALL, HUB, NSG, SPOKE, TRANSLATED, VM, a_hub_firewall, a_spoke
from tests.local.azure.sim import ALICE, Sim, rule

BY_FIREWALL = rule(
    sourceAddressPrefix="10.91.0.0/26", destinationAddressPrefix="*", destinationPortRange="22"
)
PEERING = "virtualNetworkPeerings"


def behind_hub(sim: Sim, *rules: Any, **changes: Any) -> Sim:
    """A VM whose hub leads everybody to it; its NSG has *rules* besides Azure's own."""
    nsg = {NSG: {"properties": {"securityRules": list(rules)}}}
    resources = {**a_spoke(), **a_hub_firewall(**changes), **nsg}
    sim.control("PUT", "state", {"resources": resources})
    return sim


def test_a_firewall_of_a_connected_hub_leads_to_the_vm(sim: Sim):
    """The VM sees an address of AzureFirewallSubnet, which belongs to the virtual network."""
    way = {"kind": "firewall", "address": TRANSLATED, "port": 2202}

    assert behind_hub(sim).reachable(VM, 22)["via"] == [way]


def test_the_nsg_judges_the_address_of_the_firewall(sim: Sim):
    """A rule for the person's own address neither opens nor shuts this way."""
    theirs = {"sourceAddressPrefix": ALICE, "destinationAddressPrefix": "*"}
    shut = rule(access="Deny", destinationPortRange="22", **{**theirs, "sourceAddressPrefix": "*"})
    mine = rule(destinationPortRange="22", priority=100, **theirs)
    inner = {"name": "inner", **BY_FIREWALL}
    inner["properties"]["priority"] = 101
    behind_hub(sim, {"name": "shut", **shut}, {"name": "mine", **mine})
    by_own_rule = sim.reachable(VM, 22)
    behind_hub(sim, {"name": "shut", **shut}, inner)

    assert not by_own_rule["reachable"]
    assert sim.reachable(VM, 22)["reachable"]


@pytest.mark.parametrize("state", ["Initiated", "Disconnected"])
def test_a_peering_that_is_not_connected_carries_nothing(sim: Sim, state):
    """A peering has two ends."""
    behind_hub(sim)
    spoke = deepcopy(a_spoke()[SPOKE])
    spoke["properties"][PEERING][0]["properties"]["peeringState"] = state
    sim.control("PUT", "state", {"resources": {SPOKE: spoke}})

    assert not sim.reachable(VM, 22)["reachable"]
    assert not sim.reachable(VM, 22, "10.91.5.9")["reachable"]


def test_a_private_address_of_the_hubs_firewall_lets_the_inside_in_only(sim: Sim):
    """The hub and the networks that are connected with it."""
    behind_hub(sim, destinationAddresses=["10.91.0.4"])

    assert not sim.reachable(VM, 22)["reachable"]
    assert "firewall" in [way["kind"] for way in sim.reachable(VM, 22, "10.90.1.9")["via"]]


def test_a_firewalls_subnet_may_have_prefixes_of_both_versions(sim: Sim):
    """ARM has one field for one prefix, another for several. The packet is an IPv4 one."""
    behind_hub(sim)
    hub = deepcopy(a_spoke()[HUB])
    hub["properties"]["subnets"][0]["properties"] = {
        "addressPrefixes": ["fd00:91::/64", "10.91.0.0/26"]
    }
    sim.control("PUT", "state", {"resources": {HUB: hub}})

    assert sim.reachable(VM, 22)["reachable"]


def test_a_leg_without_a_subnet_hides_no_other_leg(sim: Sim):
    """A leg for a further public address names no subnet."""
    behind_hub(sim)
    firewall = deepcopy(a_hub_firewall()[FIREWALL])
    legs = firewall["properties"]["ipConfigurations"]
    public = legs[0]["properties"].pop("publicIPAddress")
    legs.insert(0, {"name": "further", "properties": {"publicIPAddress": public}})
    sim.control("PUT", "state", {"resources": {FIREWALL: firewall}})

    assert sim.reachable(VM, 22)["reachable"]
