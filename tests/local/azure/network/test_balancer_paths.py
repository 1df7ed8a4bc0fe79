"""Load balancers: an inbound NAT rule is a way to a VM without a public address."""

from typing import Any

import pytest

from tests.builders.spokes import (
    ADDRESS,
    BALANCED,
    BALANCER,
    IN_HUB,
    INTERFACE,
    NSG,
    SPOKE,
    VM,
    a_balancer,
    a_spoke,
)
from tests.local.azure.sim import ALICE, Sim, rule

OPEN = rule(sourceAddressPrefix=ALICE, destinationAddressPrefix=ADDRESS, destinationPortRange="22")
INTERNAL: Any = {"privateIPAddress": "10.90.1.200", "subnet": {"id": f"{SPOKE}/subnets/a"}}
OTHER = f"{INTERFACE}-other/ipConfigurations/c"
BOB = "203.0.113.8"


def balanced(sim: Sim, *, let_in: bool = True, **frontend: Any) -> Sim:
    """A VM behind a load balancer; its NSG lets ALICE in."""
    rules = [{"name": "mine", **OPEN}] if let_in else []
    nsg = {NSG: {"properties": {"securityRules": rules}}}
    resources = {**a_spoke(), **a_balancer(**frontend), **nsg}
    sim.control("PUT", "state", {"resources": resources})
    return sim


def test_an_inbound_nat_rule_leads_to_the_vm_and_the_nsg_sees_the_source(sim: Sim):
    """The person connects to the address and port of the load balancer."""
    balanced(sim)

    way = {"kind": "loadBalancer", "address": BALANCED, "port": 2201}
    assert sim.reachable(VM, 22)["via"] == [way]
    assert not sim.reachable(VM, 22, BOB)["reachable"]
    assert not sim.reachable(VM, 3389)["reachable"]


def test_without_a_rule_of_the_nsg_it_leads_nowhere(sim: Sim):
    """A standard load balancer is closed by default; so is a JIT port."""
    balanced(sim, let_in=False)

    assert not sim.reachable(VM, 22)["reachable"]


def test_an_internal_load_balancer_is_a_way_from_inside_only(sim: Sim):
    """Its address is private."""
    balanced(sim, **INTERNAL)

    assert sim.reachable(VM, 22)["via"] == []
    kinds = [way["kind"] for way in sim.reachable(VM, 22, IN_HUB)["via"]]
    assert kinds == ["private", "loadBalancer"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("backendIPConfiguration", None),
        ("backendIPConfiguration", {"id": OTHER}),
        ("backendPort", 23),
        ("protocol", "Udp"),
    ],
)
def test_a_rule_for_another_target_leads_elsewhere(sim: Sim, member, value):
    """Another VM, another port, another protocol; or no target yet."""
    balanced(sim)
    balancer = a_balancer()[BALANCER]
    balancer["properties"]["inboundNatRules"][0]["properties"][member] = value
    sim.control("PUT", "state", {"resources": {BALANCER: balancer}})

    assert sim.reachable(VM, 22)["via"] == []
