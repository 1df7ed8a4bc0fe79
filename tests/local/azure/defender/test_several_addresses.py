"""VMs with several addresses: Defender writes a rule for each that a source can reach."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.local.azure.sim import ALICE, Sim, group, machine, network, policy

CASE = Path(__file__).parents[3] / "cases" / "two-ip-configurations.json"
WHERE = group("rg-ipcfg")
VM, NSG = machine("cfg", WHERE), network("networkSecurityGroups", "n1", WHERE)
INTERFACE = network("networkInterfaces", "ia", WHERE)
FIRST, SECOND, SIX = "10.70.1.5", "10.70.1.6", "fd00:70::5"


@pytest.fixture
def two(sim: Sim) -> Sim:
    """A VM with two IP configurations, as exported."""
    sim.control("PUT", "state", json.loads(CASE.read_text()))
    return sim


def make_dual_stack(sim: Sim) -> None:
    """Give the second IP configuration an IPv6 address, and its network a prefix for it."""
    nic = sim.get(INTERFACE)
    six = nic["properties"]["ipConfigurations"][1]["properties"]
    six.update(privateIPAddress=SIX, privateIPAddressVersion="IPv6")
    six.pop("publicIPAddress", None)
    net = sim.get(network("virtualNetworks", "v", WHERE))
    net["properties"]["addressSpace"]["addressPrefixes"].append("fd00:70::/48")
    subnet = net["properties"]["subnets"][0]["properties"]
    subnet["addressPrefixes"] = [subnet.pop("addressPrefix"), "fd00:70::/64"]
    allowed = sim.get(policy(WHERE))
    port = allowed["properties"]["virtualMachines"][0]["ports"][0]
    port["allowedSourceAddressPrefix"] = "*"
    port.pop("allowedSourceAddressPrefixes", None)
    changed = {each["id"]: each for each in (nic, net, allowed)}
    sim.control("PUT", "state", {"resources": changed})


def opened(sim: Sim, source: Any) -> dict[str, str]:
    """Open SSH; return the address that each of Defender's rules leads to, by its name."""
    assert sim.initiate(VM, 22, source).status == 202
    sim.advance("PT1M")
    rules = sim.rules(NSG)
    return {n: r["destinationAddressPrefix"] for n, r in rules.items() if "JITRule-" in n}


def test_two_ip_configurations_have_two_rules_with_two_names(two):
    """One NSG takes no two rules of one name."""
    found = opened(two, ALICE)

    assert sorted(found.values()) == [FIRST, SECOND]
    assert len(found) == 2


def test_both_rules_go_at_the_end_of_the_request(two):
    """Each belongs to the same request."""
    opened(two, ALICE)

    two.advance("PT2H")
    assert two.allows(NSG) == []


@pytest.mark.parametrize(("source", "address"), [(ALICE, FIRST), ("2001:db8::7", SIX)])
def test_no_rule_leads_from_one_address_family_to_the_other(two, source, address):
    """Azure takes no rule with both."""
    make_dual_stack(two)

    assert list(opened(two, source).values()) == [address]
