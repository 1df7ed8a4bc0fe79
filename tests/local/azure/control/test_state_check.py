"""The states that tests put in: the simulator takes what Azure could show, and names each fault."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import spokes
from tests.builders.spokes import BALANCER, FIREWALL, HUB, INTERFACE, NSG, POLICY, SPOKE, STAFF, VM
from tests.local.azure.network.test_body_shapes import JUNK, places, replaced
from tests.local.azure.sim import ROLE, Sim, network, rule
from tests.sizes import examples

ALL = {
    **spokes.a_spoke(),
    **spokes.a_balancer(),
    **spokes.a_hub_firewall(),
    **spokes.a_bastion(),
    NSG: {
        "properties": {
            "securityRules": [{"name": "mine", **rule()}],
            "defaultSecurityRules": [{"name": "DenyAll", **rule(priority=65500, access="Deny")}],
        }
    },
    STAFF: {"properties": {"ipAddresses": ["203.0.113.0/24"]}},
}
"""One resource of each type that the simulator reads."""

CASES = sorted((Path(__file__).parents[3]).glob("**/cases/*.json"))
FEW = [{**each, "farms": []} for each in ROLE.subscriptions]
READER = Sim(replace(ROLE, document={**ROLE.document, "subscriptions": FEW}))


def refusal(sim: Sim, document: Any) -> str:
    """The message of the refusal of a state."""
    response = sim.send("PUT", "/_sim/state", document)
    assert response.status == 400, response.status
    return str(response.json()["error"]["message"])


def spoilt(resource_id: str, path: str, value: Any) -> Any:
    """All resources, one of them with another value at a place such as ``subnets/0/name``."""
    changed = copy.deepcopy(ALL)
    place: Any = changed[resource_id]["properties"]
    *way, last = [int(step) if step.isdecimal() else step for step in path.split("/")]
    for step in way:
        place = place[step]
    place[last] = value
    return {"resources": changed}


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_each_exported_state_is_taken(sim: Sim, case):
    """Also a state about a part of what another one has put in."""
    base = case.with_name("firewall-vm.json")
    if base.exists():
        sim.control("PUT", "state", json.loads(base.read_text()))

    assert sim.control("PUT", "state", json.loads(case.read_text()))


def test_the_state_of_the_landscape_can_be_put_back(sim: Sim):
    """All of it at once, as somebody exported it."""
    before = sim.control("GET", "state")["resources"]

    after = sim.control("PUT", "state", {"resources": before})["resources"]

    assert after.keys() == before.keys()


NOWHERE = network("networkSecurityGroups", "gone", spokes.WHERE)
IN_PLACE = "networkProfile/networkInterfaces"


@pytest.mark.parametrize(
    ("resource_id", "path", "value", "fault"),
    [
        (VM, IN_PLACE, [{}], ".networkProfile.networkInterfaces[0].id is not there"),
        (VM, IN_PLACE, [{"id": NSG}], "[0].id is not an id of Microsoft.Network/networkInterfaces"),
        (VM, IN_PLACE, None, ".networkProfile.networkInterfaces is not a list"),
        (VM, "networkProfile", "x", ".networkProfile is not an object"),
        (INTERFACE, "ipConfigurations/0/properties/privateIPAddress", "10.90.1", "an IP address"),
        (INTERFACE, "ipConfigurations/0/properties/subnet", None, ".subnet is not there"),
        (INTERFACE, "networkSecurityGroup", {"id": NOWHERE}, "networkSecurityGroup leads to"),
        (NSG, "securityRules/0/properties/priority", 5000, "securityRules[0]: Security rule has"),
        (NSG, "securityRules/0/properties/direction", "inbound", "one of Inbound, Outbound"),
        (NSG, "defaultSecurityRules/0/properties/destinationPortRange", "x", "Rules[0]: Security"),
        (NSG, "securityRules/0/name", None, "securityRules[0].name is not there"),
        (SPOKE, "addressSpace", None, ".addressSpace is not there"),
        (SPOKE, "subnets/0/properties", {}, "needs addressPrefix or addressPrefixes"),
        (SPOKE, "virtualNetworkPeerings/0/properties", {}, ".remoteVirtualNetwork is not there"),
        (HUB, "subnets/0/name", "other", "AzureFirewallSubnet, which is not there"),
        (FIREWALL, "natRuleCollections/0/properties/rules", [], "jump has no rules"),
        (FIREWALL, "ipConfigurations/0/properties/subnet/id", "x", "virtualNetworks/subnets"),
        (BALANCER, "inboundNatRules/0/properties/backendPort", "22", "backendPort is not of type"),
        (BALANCER, "frontendIPConfigurations", [], "inboundNatRules[0] has a frontend"),
        (spokes.PUBLIC["lbp"], "ipAddress", "somewhere", ".ipAddress is not an IP address"),
        (spokes.BASTION, "ipConfigurations/0", 5, ".ipConfigurations[0] is not an object"),
        (STAFF, "ipAddresses", "10.0.0.0/8", ".ipAddresses is not a list"),
        (POLICY, "virtualMachines/0/ports/0/number", True, "ports[0].number is not of type int"),
        (POLICY, "requests", [{}], ".requests[0].virtualMachines is not there"),
    ],
)
def test_a_shape_that_azure_never_shows_is_refused_with_its_place(
    sim: Sim, resource_id, path, value, fault
):
    """And nothing is changed."""
    before = sim.control("GET", "state")

    message = refusal(sim, spoilt(resource_id, path, value))

    assert fault in message
    assert "resources['/subscriptions/" in message
    assert sim.control("GET", "state") == before


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"resources": [VM]}, "resources is not an object"),
        ({"resources": {f"{SPOKE}/subnets/b": {"properties": {}}}}, "stands in its Microsoft"),
        ({"resources": {NSG: {"type": "Microsoft.Network/x", "properties": {}}}}, ".type is 'Micr"),
        ({"deniedActions": [{"person": "alice"}]}, "deniedActions[0].action is not there"),
        ({"plans": {spokes.WHERE: 5}}, "plans['/subscriptions/"),
        ({"adminRules": {SPOKE: [5]}}, "adminRules.spoke[0]"),
        ({"options": {"pageSize": "x"}}, "options: option 'pageSize' takes a int"),
    ],
)
def test_each_part_of_a_state_is_refused_with_its_place(sim: Sim, document, fault):
    """A misspelt state must not look like a proof."""
    assert fault in refusal(sim, document)


def test_all_faults_are_told_at_once_and_a_bounded_number_of_them(sim: Sim):
    """A person repairs a state in one go; a thousand faults are no answer."""
    two = {"options": {"x": 1}, "resources": {"a": {}, NSG: {"properties": {"securityRules": 5}}}}
    many: Any = {"resources": {f"nothing-{number}": {} for number in range(1000)}}

    assert refusal(sim, two).count("; ") == 2
    assert refusal(sim, many).endswith("; and 980 more")
    assert len(refusal(sim, many)) < 2000


@pytest.mark.parametrize(
    ("resource_id", "path", "value"),
    [
        (POLICY, "virtualMachines/0/id", f"{VM}-deleted"),
        (POLICY, "virtualMachines/0/ports/0/allowedSourceAddressPrefix", ["203.0.113.7"]),
        (POLICY, "virtualMachines/0/id", "arn:aws:ec2:eu-central-1:1:instance/i-1"),
        (SPOKE, "virtualNetworkPeerings/0/properties/remoteVirtualNetwork/id", f"{HUB}-deleted"),
        (BALANCER, "inboundNatRules/0/properties/backendIPConfiguration", None),
        (FIREWALL, "ipConfigurations", []),
    ],
)
def test_an_odd_state_that_azure_can_show_is_taken(sim: Sim, resource_id, path, value):
    """A JIT policy outlives its VMs; a firewall that was deallocated keeps its rules."""
    assert sim.control("PUT", "state", spoilt(resource_id, path, value))


PLACES = [place for place in places(ALL) if len(place) > 1]


@pytest.mark.scaled
@settings(max_examples=examples(60, 3000), deadline=None)
@given(st.sampled_from(PLACES), JUNK)
def test_a_state_that_is_taken_fails_no_reader(place, junk):
    """Whatever stands anywhere: refused with its place, or each list and the packets' walk work."""
    sim = READER
    sim.send("POST", "/_sim/reset")
    response = sim.send("PUT", "/_sim/state", {"resources": replaced(ALL, place, junk)})

    message = "" if response.status == 200 else response.json()["error"]["message"]
    assert response.status == 200 or message.startswith("resources['/subscriptions/"), message
    assert response.status == 400 or sim.reachable(VM, 22)
    assert response.status == 400 or sim.initiate(VM, 22).status < 500
    sim.advance("PT1H")
    assert sim.control("GET", "state")
