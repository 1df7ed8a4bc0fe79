"""Reachability: the fate of a packet to a VM."""

from typing import Any

import pytest

from tests.local.azure.sim import (
    ALICE,
    APP01,
    BOB,
    DB,
    DB01,
    DEVELOPMENT,
    FW_PROD,
    NEW01,
    NSG_DB,
    NSG_NEW,
    NSG_WEB,
    WEB,
    WEB01,
    Sim,
    group,
    machine,
    network,
    rule,
)

FARM5 = group("rg-farm-5", DEVELOPMENT)
NSG_FARM5 = network("networkSecurityGroups", "nsg-farm-5", FARM5)


def edit(sim: Sim, rule_id: str, **changes: Any) -> None:
    """Play somebody who writes a rule in the portal."""
    sim.control("PUT", "state", {"resources": {rule_id: plain(**changes)}})


def plain(**changes: Any) -> dict[str, Any]:
    """A rule as ARM shows it."""
    return rule(destinationPortRanges=[], sourceAddressPrefixes=[], **changes)


def allow(port: str, **changes: Any) -> dict[str, Any]:
    return {"destinationAddressPrefix": "*", "destinationPortRange": port, **changes}


def test_closed_port_is_closed_and_the_rule_is_named(sim: Sim):
    """The verdict says which rule decided."""
    verdict = sim.reachable(DB01, 22)

    assert (verdict["reachable"], verdict["via"]) == (False, [])
    assert "nsg-db" in verdict["because"]
    assert "JITRule_" in verdict["because"]


def test_customers_open_port_is_open_to_whom_it_allows(sim: Sim):
    """The office's SSH rule lets the office in, nobody else."""
    assert sim.reachable(NEW01, 22, "198.51.100.9")["reachable"]
    assert not sim.reachable(NEW01, 22, ALICE)["reachable"]


def test_open_way_is_named(sim: Sim):
    """The address and port to connect to."""
    assert sim.reachable(NEW01, 22, "198.51.100.9")["via"] == [
        {"kind": "publicIp", "address": "20.71.10.13", "port": 22}
    ]


def test_access_is_for_its_source_and_port_alone(sim: Sim):
    """Opening one does not open another."""
    sim.initiate(DB01, 22, ALICE)
    sim.advance("PT13S")

    assert sim.reachable(DB01, 22, ALICE)["reachable"]
    assert not sim.reachable(DB01, 22, BOB)["reachable"]
    assert not sim.reachable(DB01, 5985, ALICE)["reachable"]


def test_rule_that_is_still_updating_lets_nobody_in(sim: Sim):
    """Shown is not effective."""
    path = f"{NSG_DB}/securityRules/mine"
    sim.call("PUT", path, rule(priority=300, **allow("8080", sourceAddressPrefix="*")))
    before = sim.reachable(DB01, 8080)["reachable"]
    sim.advance("PT3S")

    assert (before, sim.reachable(DB01, 8080)["reachable"]) == (False, True)


def test_rule_that_is_being_deleted_still_lets_in(sim: Sim):
    """Gone is gone only when the operation has ended."""
    sim.call("DELETE", f"{NSG_NEW}/securityRules/allow-ssh-office")
    before = sim.reachable(NEW01, 22, "198.51.100.9")["reachable"]
    sim.advance("PT3S")

    assert (before, sim.reachable(NEW01, 22, "198.51.100.9")["reachable"]) == (True, False)


def test_first_match_in_order_of_priority_decides(sim: Sim):
    """A deny above an allow wins, below it does not."""
    edit(sim, f"{NSG_DB}/securityRules/a", priority=150, **allow("80", sourceAddressPrefix="*"))
    opened = sim.reachable(DB01, 80)["reachable"]
    edit(sim, f"{NSG_DB}/securityRules/b", priority=149, access="Deny", **allow("80-90"))
    elsewhere = sim.reachable(DB01, 80)["reachable"]
    edit(
        sim,
        f"{NSG_DB}/securityRules/b",
        priority=149,
        access="Deny",
        **allow("80-90", sourceAddressPrefix="Internet"),
    )

    assert (opened, elsewhere, sim.reachable(DB01, 80)["reachable"]) == (True, True, False)


@pytest.mark.parametrize(
    ("source", "opens"),
    [
        ("*", True),
        ("Internet", True),
        ("VirtualNetwork", False),
        ("AzureLoadBalancer", False),
        ("203.0.113.0/24", True),
        ("203.0.114.0/24", False),
        ("Storage.WestEurope", False),
        ("2001:db8::/32", False),
    ],
)
def test_sources_are_read_as_prefixes_or_tags(sim: Sim, source, opens):
    """The internet is everything outside the network; an unknown tag holds nobody."""
    edit(sim, f"{NSG_DB}/securityRules/a", **allow("80", sourceAddressPrefix=source))

    assert sim.reachable(DB01, 80)["reachable"] is opens


@pytest.mark.parametrize(
    ("changes", "opens"),
    [
        ({"protocol": "Tcp"}, True),
        ({"protocol": "Udp"}, False),
        ({"protocol": "*"}, True),
        ({"direction": "Outbound"}, False),
        ({"destinationAddressPrefix": "10.2.1.0/24"}, True),
        ({"destinationAddressPrefix": "10.2.1.5"}, False),
        ({"destinationAddressPrefix": "VirtualNetwork"}, True),
        ({"destinationPortRange": "79-81"}, True),
        ({"destinationPortRange": "*"}, True),
    ],
)
def test_a_rule_matches_with_all_its_parts(sim: Sim, changes, opens):
    """Protocol, direction, destination, port."""
    edit(sim, f"{NSG_DB}/securityRules/a", **allow("80", sourceAddressPrefix="*") | changes)

    assert sim.reachable(DB01, 80)["reachable"] is opens


def test_udp_is_judged_on_request(sim: Sim):
    """The protocol is part of the question."""
    edit(sim, f"{NSG_DB}/securityRules/a", **allow("80", sourceAddressPrefix="*", protocol="Udp"))
    query = f"reachable?source={ALICE}&port=80&vm={DB01}&protocol=Udp"

    assert sim.control("GET", query)["reachable"]


def test_network_itself_may_come_in_by_default(sim: Sim):
    """Azure's own rule allows the virtual network; JIT's deny still stands above it."""
    assert sim.reachable(DB01, 8080, "10.2.2.5")["via"][0]["kind"] == "private"
    assert not sim.reachable(DB01, 22, "10.2.2.5")["reachable"]


def test_group_of_the_subnet_counts_too(sim: Sim):
    """If the interface has none, the subnet's decides."""
    farm = machine("farm41", FARM5)
    before = sim.reachable(farm, 80)["reachable"]
    edit(sim, f"{NSG_FARM5}/securityRules/a", **allow("80", sourceAddressPrefix="*"))

    assert (before, sim.reachable(farm, 80)["reachable"]) == (False, True)


def test_both_groups_must_allow(sim: Sim):
    """Subnet and interface are asked one after the other."""
    vnet = network("virtualNetworks", "vnet-db", DB)
    whole = sim.get(vnet)
    whole["properties"]["subnets"][0]["properties"]["networkSecurityGroup"] = {"id": NSG_NEW}
    sim.control("PUT", "state", {"resources": {vnet: whole}})
    edit(sim, f"{NSG_DB}/securityRules/a", **allow("80", sourceAddressPrefix="*"))
    first = sim.reachable(DB01, 80)
    edit(sim, f"{NSG_NEW}/securityRules/a", **allow("80", sourceAddressPrefix="*"))

    assert (first["reachable"], sim.reachable(DB01, 80)["reachable"]) == (False, True)
    assert "nsg-new" in first["because"]


def test_standard_address_without_a_group_is_closed(sim: Sim):
    """A standard public IP is secure by default."""
    nic = network("networkInterfaces", "db01-nic", DB)
    whole = sim.get(nic)
    del whole["properties"]["networkSecurityGroup"]
    sim.control("PUT", "state", {"resources": {nic: whole}})

    assert "without an NSG is closed" in sim.reachable(DB01, 22)["because"]


def test_each_interface_is_a_way(sim: Sim):
    """The second interface has no public address, so it is none from outside."""
    sim.initiate(APP01, 3389)
    sim.advance("PT20S")

    assert [way["address"] for way in sim.reachable(APP01, 3389)["via"]] == ["20.71.10.12"]


# -- through a firewall ---------------------------------------------------------------------


def through(sim: Sim) -> None:
    """Open RDP to web01 through the firewall, with the companion rule that it needs."""
    sim.initiate(WEB01, 3389)
    sim.advance("PT5M")
    edit(sim, f"{NSG_WEB}/securityRules/companion", priority=150)


def test_machine_behind_a_firewall_sees_the_firewalls_subnet(sim: Sim):
    """Without a rule for that subnet the NSG blocks; with it the way is open."""
    sim.initiate(WEB01, 3389)
    sim.advance("PT5M")
    before = sim.reachable(WEB01, 3389)
    edit(sim, f"{NSG_WEB}/securityRules/companion", priority=150)

    assert not before["reachable"]
    assert "10.1.0.4" in before["because"]
    assert sim.reachable(WEB01, 3389)["via"] == [
        {"kind": "firewall", "address": "52.137.62.53", "port": 13389}
    ]


def test_rule_for_one_address_of_the_firewalls_subnet_is_not_enough(sim: Sim):
    """Any instance of the firewall may carry the packet."""
    sim.initiate(WEB01, 3389)
    sim.advance("PT5M")
    edit(sim, f"{NSG_WEB}/securityRules/companion", priority=150, sourceAddressPrefix="10.1.0.4")

    assert not sim.reachable(WEB01, 3389)["reachable"]


def test_firewall_lets_in_the_source_of_its_rule_alone(sim: Sim):
    """The NSG no longer sees the source: the translation has to check it."""
    through(sim)

    assert sim.reachable(WEB01, 3389, ALICE)["reachable"]
    assert not sim.reachable(WEB01, 3389, BOB)["reachable"]


def test_companion_rule_without_a_translation_opens_nothing(sim: Sim):
    """No way leads to the VM from outside."""
    edit(sim, f"{NSG_WEB}/securityRules/companion", priority=150)

    assert sim.reachable(WEB01, 3389)["because"] == "no way leads to the VM"


def test_way_stays_open_until_the_firewalls_update_has_ended(sim: Sim):
    """Expired, removed from view, still effective for minutes."""
    through(sim)
    sim.advance("PT55M30S")
    during = sim.reachable(WEB01, 3389)["reachable"]
    sim.advance("PT5M")

    assert (during, sim.reachable(WEB01, 3389)["reachable"]) == (True, False)


def deny_rule(**changes: Any) -> dict[str, Any]:
    return {
        "name": "no-rdp",
        "protocols": ["Any"],
        "sourceAddresses": ["203.0.113.0-203.0.113.255"],
        "destinationAddresses": ["10.1.1.0/24"],
        "destinationPorts": ["3389"],
        **changes,
    }


@pytest.mark.parametrize(
    ("action", "changes", "opens"),
    [
        ("Deny", {}, False),
        ("Allow", {}, True),
        ("Deny", {"destinationPorts": ["22"]}, True),
        ("Deny", {"sourceAddresses": ["198.51.100.0/24"]}, True),
        ("Deny", {"protocols": ["UDP"]}, True),
    ],
)
def test_network_rule_of_the_firewall_may_deny_translated_traffic(sim: Sim, action, changes, opens):
    """An explicit deny overrides the allow that a translation implies."""
    through(sim)
    firewall = sim.get(FW_PROD)
    properties = {"priority": 150, "action": {"type": action}, "rules": [deny_rule(**changes)]}
    firewall["properties"]["networkRuleCollections"].append({"name": "x", "properties": properties})
    sim.control("PUT", "state", {"resources": {FW_PROD: firewall}})

    assert sim.reachable(WEB01, 3389)["reachable"] is opens


# ---- application security groups -----------------------------------------------------------------

GROUP_IDS = {name: network("applicationSecurityGroups", name, DB) for name in ("db", "web", "void")}


def join(sim: Sim, vm: str, *names: str) -> None:
    """Make the interface of a VM a member of groups."""
    reference = sim.get(vm)["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
    nic = sim.get(reference)
    member = [{"id": GROUP_IDS[name].upper()} for name in names]
    nic["properties"]["ipConfigurations"][0]["properties"]["applicationSecurityGroups"] = member
    sim.control("PUT", "state", {"resources": {reference: nic}})


def naming(end: str, *names: str) -> dict[str, Any]:
    """A rule's fields with groups at one end."""
    groups = [{"id": GROUP_IDS[name]} for name in names]
    return {f"{end}AddressPrefix": None, f"{end}ApplicationSecurityGroups": groups}


@pytest.mark.parametrize(
    ("members", "named", "opens"),
    [
        (["db"], ["db"], True),
        (["web", "db"], ["db"], True),
        (["web"], ["db"], False),
        ([], ["db"], False),
        (["db"], ["db", "void"], False),
    ],
)
def test_rule_for_a_group_takes_packets_to_its_members(sim: Sim, members, named, opens):
    """A rule with a group that nobody is in applies to nothing."""
    join(sim, DB01, *members)
    fields = {"destinationPortRange": "22", "sourceAddressPrefix": "*"}
    edit(sim, f"{NSG_DB}/securityRules/x", **fields, **naming("destination", *named))

    assert sim.reachable(DB01, 22)["reachable"] is opens


@pytest.mark.parametrize(("source", "opens"), [("app01", True), ("db01", False)])
def test_rule_from_a_group_takes_packets_of_its_members(sim: Sim, source, opens):
    """By their private addresses."""
    join(sim, APP01, "web")
    edit(sim, f"{NSG_DB}/securityRules/x", **allow("22", **naming("source", "web")))

    assert sim.reachable(DB01, 22, private(sim, source))["reachable"] is opens


def private(sim: Sim, name: str) -> str:
    """The private address of a VM of the databases."""
    reference = sim.get(machine(name, DB))["properties"]["networkProfile"]["networkInterfaces"][0]
    nic = sim.get(reference["id"])
    return str(nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"])


@pytest.mark.parametrize(
    "query",
    [
        f"source={ALICE}&port=22",
        f"source={ALICE}&port=x&vm={DB01}",
        f"source=me&port=22&vm={DB01}",
        f"source={ALICE}&port=22&vm={DB01}x",
    ],
)
def test_question_that_is_none_is_refused(sim: Sim, query):
    """A misspelt question must not look like a closed port."""
    assert sim.send("GET", f"/_sim/reachable?{query}").status == 400


# ---- customers' NAT rules ------------------------------------------------------------------------

STAFF = network("ipGroups", "staff", WEB)
INSIDE = "10.1.1.200"


def publish(sim: Sim, **changes: Any) -> None:
    """Let a customer's NAT rule lead to port 3389 of web01; its NSG lets the firewall in."""
    firewall = sim.get(FW_PROD)
    jump = {
        "name": "rdp",
        "protocols": ["TCP"],
        "sourceAddresses": ["*"],
        "destinationAddresses": ["52.137.62.53"],
        "destinationPorts": ["33890"],
        "translatedAddress": "10.1.1.4",
        "translatedPort": "3389",
        **changes,
    }
    properties = {"priority": 500, "action": {"type": "Dnat"}, "rules": [jump]}
    firewall["properties"]["natRuleCollections"] = [{"name": "jump", "properties": properties}]
    sim.control("PUT", "state", {"resources": {FW_PROD: firewall}})
    edit(sim, f"{NSG_WEB}/securityRules/from-firewall", priority=300)


def test_a_nat_rule_for_a_name_leads_to_the_vm_of_that_name(sim: Sim):
    """A private zone registers the names of VMs."""
    publish(sim, translatedAddress="", translatedFqdn="WEB01.corp.example")
    named = sim.reachable(WEB01, 3389, BOB)
    publish(sim, translatedAddress="", translatedFqdn="other.corp.example")

    assert (named["reachable"], named["via"][0]["kind"]) == (True, "firewall")
    assert not sim.reachable(WEB01, 3389, BOB)["reachable"]


def test_a_nat_rule_lets_the_members_of_an_ip_group_in(sim: Sim):
    """A group that is not there has no members: Azure skips its rule."""
    publish(sim, sourceAddresses=[], sourceIpGroups=[STAFF])
    before = sim.reachable(WEB01, 3389, BOB)["reachable"]
    members = {"properties": {"ipAddresses": ["203.0.113.8"]}}
    sim.control("PUT", "state", {"resources": {STAFF: members}})

    assert (before, sim.reachable(WEB01, 3389, BOB)["reachable"]) == (False, True)
    assert not sim.reachable(WEB01, 3389, ALICE)["reachable"]


def test_a_nat_rule_on_a_private_address_lets_the_inside_in_only(sim: Sim):
    """Nobody outside has a way to that address."""
    publish(sim, destinationAddresses=["10.1.0.4"])
    ways = sim.reachable(WEB01, 3389, INSIDE)["via"]

    assert "firewall" in [way["kind"] for way in ways]
    assert not sim.reachable(WEB01, 3389, BOB)["reachable"]
