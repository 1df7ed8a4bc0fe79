"""VMs with several addresses: each is inventoried, opened, observed, offered, closed, compared."""

import copy
import json
import logging
from pathlib import Path

import pytest

from jit.domain.errors import AccessDenied
from tests.broker.inprocess import HERE, OLGA, farm, wish
from tests.broker.reconciling import NSG_FARM, told
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION, group, machine, network

CASE = Path(__file__).parent.parent / "cases" / "two-ip-configurations.json"
WHERE = group("rg-ipcfg")
VM, NSG = machine("cfg", WHERE), network("networkSecurityGroups", "n1", WHERE)
FIRST, SECOND, PUBLIC = "10.70.1.5", "10.70.1.6", "203.0.113.201"
LEAVES = {"match": {"path": "/n1"}, "times": None, "leaveRules": True}


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


@pytest.fixture
def two(it):
    """A VM with two IP configurations; the second one has the public address."""
    it.edit(**json.loads(CASE.read_text())["resources"])
    it.run(PRODUCTION)
    return it


def targets(it, nsg=NSG):
    """The addresses that Defender's allow rules lead to."""
    rules = it.broker.sim.rules(nsg)
    return sorted(r["destinationAddressPrefix"] for n, r in rules.items() if "JITRule-" in n)


def test_the_address_that_people_can_connect_to_is_offered(two):
    """The primary IP configuration has no public address; the second one has."""
    request_id = two.opened(VM)

    grant = two.broker.grant(request_id)
    assert (grant.status, grant.connection.address) == ("open", PUBLIC)
    assert targets(two) == [FIRST, SECOND]


def test_the_rules_of_all_addresses_are_gone_when_a_grant_is_closed(two):
    """Defender forgets them; the broker removes each."""
    request_id = two.opened(VM)
    two.broker.sim.faults(LEAVES)

    two.broker.revoke(request_id)
    two.broker.live(10)

    assert two.broker.status(request_id) == "closed"
    assert targets(two) == []


def test_a_grant_is_not_closed_while_the_rule_of_one_address_is_there(two):
    """The path by the other address is still open."""
    request_id = two.opened(VM)
    two.broker.sim.faults(LEAVES)
    two.broker.sim.faults(
        LEAVES,
        {
            "match": {"method": "DELETE", "principal": "broker", "path": "securityRules"},
            "times": None,
            "answer": {"status": 409, "code": "ScopeLocked"},
        },
    )

    two.broker.revoke(request_id)
    two.broker.live(5)
    first = next(n for n, r in two.broker.sim.rules(NSG).items() if "JITRule-" in n)
    two.edit(**{f"{NSG}/securityRules/{first}": None})
    two.broker.live(30)

    assert len(targets(two)) == 1
    assert two.broker.status(request_id) == "closing"


def test_the_rule_of_a_second_address_is_no_widening(two, caplog):
    """A comparison finds both rules as Defender wrote them."""
    request_id = two.opened(VM)

    assert two.planned(PRODUCTION) == []
    two.run(PRODUCTION)
    two.broker.live(5)
    assert two.broker.status(request_id) == "open"
    assert told(caplog, "grants.widened") == []


def with_second_nic(it, vm, nsg, *, public):
    """Give a VM a second network interface with its own NSG; return its private address."""
    body = it.broker.sim.get(vm)
    links = body["properties"]["networkProfile"]["networkInterfaces"]
    first = it.broker.sim.get(links[0]["id"])
    second = copy.deepcopy(first)
    second["id"], second["name"] = f"{first['id']}-b", f"{first['name']}-b"
    ip = second["properties"]["ipConfigurations"][0]["properties"]
    ip["privateIPAddress"] = "10.21.0.202"
    ip.pop("publicIPAddress", None)
    if public:
        ip["publicIPAddress"] = first["properties"]["ipConfigurations"][0]["properties"].pop(
            "publicIPAddress"
        )
    second["properties"]["networkSecurityGroup"] = {"id": nsg}
    empty = {"id": nsg, "name": nsg.rsplit("/", 1)[-1], "location": "westeurope"}
    links[0].setdefault("properties", {})["primary"] = True
    links.append({"id": second["id"], "properties": {"primary": False}})
    it.edit(**{nsg: {**empty, "properties": {"securityRules": []}}})
    it.edit(**{first["id"]: first, second["id"]: second, vm: body})
    it.run(DEVELOPMENT)
    return ip["privateIPAddress"]


@pytest.mark.parametrize("public", [False, True], ids=["inside", "public"])
def test_the_own_nsg_of_a_second_interface_is_opened_and_closed(it, public):
    """With the public address on it, it is the one that people reach."""
    nsg = NSG_FARM.replace("nsg-farm-1", "nsg-second")
    address = with_second_nic(it, farm(1), nsg, public=public)

    request_id = it.opened()

    assert it.broker.status(request_id) == "open"
    assert targets(it, nsg) == [address]
    assert it.broker.reachable(farm(1), source=HERE)
    it.broker.sim.faults({"match": {"path": "nsg-second"}, "times": None, "leaveRules": True})
    it.broker.revoke(request_id)
    it.broker.live(10)
    assert (it.broker.status(request_id), targets(it, nsg)) == ("closed", [])


def test_a_dual_stack_vm_opens_for_an_ipv4_source_by_its_ipv4_address(two):
    """Defender writes no rule from an IPv4 source to an IPv6 address."""
    nic = two.broker.sim.get(network("networkInterfaces", "ia", WHERE))
    six = nic["properties"]["ipConfigurations"][0]["properties"]
    six.update(privateIPAddress="fd00:db8::5", privateIPAddressVersion="IPv6")
    two.edit(**{nic["id"]: nic})
    two.run(PRODUCTION)

    request_id = two.opened(VM)
    assert (two.broker.status(request_id), targets(two)) == ("open", [SECOND])
    two.broker.revoke(request_id, caller=OLGA)
    two.broker.live(6)

    assert two.broker.status(request_id) == "closed"


# ---- an address that changes ---------------------------------------------------------------------


def renumbered(it, address):
    """Give the public address of the VM another value, as Azure does with a dynamic one."""
    public = it.broker.sim.get(network("publicIPAddresses", "p", WHERE))
    public["properties"].pop("ipAddress", None)
    if address:
        public["properties"]["ipAddress"] = address
    it.edit(**{public["id"]: public})


def test_an_address_that_changes_while_a_grant_is_open_is_told_within_one_comparison(two, caplog):
    """The person was given an address that now belongs to somebody else."""
    request_id = two.opened(VM)
    renumbered(two, "203.0.113.209")

    two.run(PRODUCTION)
    two.broker.live(1)

    grant = two.broker.grant(request_id)
    assert (grant.status, grant.connection.address) == ("open", "203.0.113.209")
    assert grant.note == (
        f"the address to connect to has changed: {PUBLIC} port 22 is now 203.0.113.209 port 22"
    )
    assert len(told(caplog, "connection.moved")) == 1


def test_the_note_of_a_changed_address_stays_until_the_end(two, caplog):
    """A person may look hours later. There is one event for one change."""
    request_id = two.opened(VM)
    renumbered(two, "203.0.113.209")

    for _ in range(3):
        two.run(PRODUCTION)
        two.broker.live(5)

    assert "has changed" in two.broker.grant(request_id).note
    assert len(told(caplog, "connection.moved")) == 1


def test_a_dynamic_address_that_appears_is_told(two):
    """The VM was stopped when its path opened."""
    renumbered(two, None)
    request_id = two.opened(VM)
    assert "not known" in two.broker.grant(request_id).note
    renumbered(two, PUBLIC)

    two.run(PRODUCTION)
    two.broker.live(1)

    assert two.broker.grant(request_id).connection.address == PUBLIC


def test_a_dry_run_tells_of_a_changed_address(two):
    """The run does the plan."""
    two.opened(VM)
    renumbered(two, "203.0.113.209")

    assert two.planned(PRODUCTION) == [("reopen", "moved")]


def test_a_public_source_is_refused_if_the_vm_has_private_addresses_only(two):
    """Nothing leads from the internet to it: an open grant would be untrue."""
    nic = two.broker.sim.get(network("networkInterfaces", "ia", WHERE))
    nic["properties"]["ipConfigurations"][1]["properties"].pop("publicIPAddress")
    two.edit(**{nic["id"]: nic})
    two.run(PRODUCTION)

    with pytest.raises(AccessDenied) as refused:
        two.broker.ask(wish(VM))
    assert [each.code for each in refused.value.violations] == ["source-not-private"]
    inside = two.opened(VM, source="10.70.9.9")
    assert "route" in two.broker.grant(inside).note


def test_a_list_without_the_public_address_leaves_what_a_person_was_told(two, caplog):
    """The resource is there; a list of Azure was short once."""
    request_id = two.opened(VM)
    path = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Network/publicIPAddresses"
    short = {"status": 200, "body": {"value": []}}
    match = {"method": "GET", "path": path, "principal": "broker"}
    two.broker.sim.faults({"match": match, "times": 1, "answer": short})

    two.run(PRODUCTION)
    two.broker.live(1)

    assert two.broker.grant(request_id).connection.address == PUBLIC
    assert told(caplog, "connection.moved") == []


def test_a_vm_that_got_a_public_address_since_the_last_comparison_is_not_refused(two):
    """A denial is checked against Azure before it is answered."""
    nic = two.broker.sim.get(network("networkInterfaces", "ia", WHERE))
    hidden = copy.deepcopy(nic)
    hidden["properties"]["ipConfigurations"][1]["properties"].pop("publicIPAddress")
    two.edit(**{nic["id"]: hidden})
    two.run(PRODUCTION)
    two.edit(**{nic["id"]: nic})

    assert two.broker.status(two.opened(VM)) == "open"
