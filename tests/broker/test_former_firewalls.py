"""Firewalls that are not before a VM any more: a path is closed only after they lack its rule."""

import copy
import json
from datetime import timedelta

import pytest

from jit.domain.grants.timing import TIMES
from jit.domain.model.machine import Via
from tests.broker.inprocess import OLGA, farm
from tests.local.azure.sim import DEVELOPMENT, FW_PROD, PRODUCTION, WEB01

UPDATE = TIMES[Via.FIREWALL].update.total_seconds() / 60
FARM_FIREWALL = FW_PROD.replace(PRODUCTION, DEVELOPMENT).replace("rg-web", "rg-farm-1")


def deallocate(it):
    """Stop the firewall, as its owner does at night; return it as it was."""
    before = it.broker.sim.get(FW_PROD)
    stopped = copy.deepcopy(before)
    stopped["properties"]["ipConfigurations"] = []
    assert it.broker.sim.call("PUT", FW_PROD, stopped).status == 200
    it.broker.live(UPDATE)
    it.run(PRODUCTION)
    return before


def start(it, before):
    """Start the firewall again, with the rules that it has."""
    body = it.broker.sim.get(FW_PROD)
    body["properties"]["ipConfigurations"] = before["properties"]["ipConfigurations"]
    it.edit(**{FW_PROD: body})
    it.run(PRODUCTION)


def told(caplog, event):
    """The fields of each event of that name."""
    found = (json.loads(record.getMessage()) for record in caplog.records)
    return [each for each in found if each["event"] == event]


def test_a_path_is_not_closed_while_a_firewall_that_is_stopped_keeps_its_rule(it, caplog):
    """The rule lets people in when the firewall is started again; the note and an alert name it."""
    request_id = it.opened(WEB01, port=3389, minutes=10)
    before = deallocate(it)
    (rule,) = it.broker.sim.nat()
    it.broker.revoke(request_id)

    it.broker.live(45)
    it.run(PRODUCTION)

    grant = it.broker.grant(request_id)
    assert grant.status == "closing"
    assert f"still there: {rule['name']} in fw-prod, which is stopped" in grant.note
    assert "refused to change fw-prod" in grant.note
    assert grant.note.endswith("it is tried again until somebody starts it")
    assert any(rule["name"] in each["rule"] for each in told(caplog, "rule.overdue"))

    start(it, before)
    it.broker.live(2 * UPDATE)

    assert (it.broker.status(request_id), it.broker.sim.nat()) == ("closed", [])


def test_a_stopped_firewall_is_asked_for_a_rule_that_nobody_saw(it):
    """Defender wrote it after the last look: the initiate names the firewall."""
    request_id = it.opened(WEB01, port=3389, minutes=0)
    it.broker.work(WEB01)
    it.broker.advance(TIMES[Via.FIREWALL].update)
    assert it.broker.grant(request_id).footprint.rules == ()
    before = it.broker.sim.get(FW_PROD)
    stopped = copy.deepcopy(before)
    stopped["properties"]["ipConfigurations"] = []
    it.edit(**{FW_PROD: stopped})
    it.run(PRODUCTION)
    it.broker.revoke(request_id)

    it.broker.live(30)

    assert it.broker.status(request_id) == "closing"
    start(it, before)
    it.broker.live(2 * UPDATE)
    assert (it.broker.status(request_id), it.broker.sim.nat()) == ("closed", [])


def test_a_rule_that_may_have_moved_into_a_firewall_policy_keeps_its_grant_closing(it):
    """The broker reads no firewall policies; after an hour an operator may say that it went."""
    request_id = it.opened(WEB01, port=3389, minutes=10)
    body = it.broker.sim.get(FW_PROD)
    policy = FW_PROD.replace("azureFirewalls/fw-prod", "firewallPolicies/afwp-prod")
    kinds = ("natRuleCollections", "networkRuleCollections", "applicationRuleCollections")
    body["properties"] |= {"firewallPolicy": {"id": policy}, **{kind: [] for kind in kinds}}
    it.edit(**{FW_PROD: body})
    it.run(PRODUCTION)
    it.broker.revoke(request_id)

    it.broker.live(70)

    grant = it.broker.grant(request_id)
    assert (grant.status, it.broker.sim.nat()) == ("closing", [])
    assert grant.note.startswith("fw-prod has firewall policy afwp-prod now")
    it.broker.revoke(request_id, OLGA, "looked at the policy: it has no such rule")
    assert it.broker.grant(request_id).close_reason == "unverified"


def _add_firewall_to_farm(it):
    """Let a firewall with classic rules come into the network of the first VM of the farm."""
    firewall = copy.deepcopy(it.broker.sim.get(FW_PROD))
    (link,) = it.broker.sim.get(farm(1))["properties"]["networkProfile"]["networkInterfaces"]
    leg = it.broker.sim.get(link["id"])["properties"]["ipConfigurations"][0]["properties"]
    vnet = it.broker.sim.get(leg["subnet"]["id"].rsplit("/subnets/", 1)[0])
    subnet = f"{vnet['id']}/subnets/AzureFirewallSubnet"
    own = {"id": subnet, "name": "AzureFirewallSubnet"}
    vnet["properties"]["subnets"].append({**own, "properties": {"addressPrefix": "10.21.255.0/26"}})
    firewall["properties"]["ipConfigurations"][0]["properties"]["subnet"] = {"id": subnet}
    for kind in ("natRuleCollections", "networkRuleCollections", "applicationRuleCollections"):
        firewall["properties"][kind] = []
    it.edit(**{vnet["id"]: vnet, FARM_FIREWALL: {**firewall, "id": FARM_FIREWALL}})
    it.run()


def nat_of_farm(it):
    """The names of Defender's NAT rules in that firewall."""
    found = it.broker.sim.get(FARM_FIREWALL)["properties"]["natRuleCollections"]
    return [rule["name"] for each in found for rule in each["properties"]["rules"]]


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_a_grant_that_opened_before_a_firewall_came_waits_for_it_when_it_closes(it, stopped):
    """An extension let Defender write there too."""
    request_id = it.opened()
    _add_firewall_to_farm(it)
    it.broker.extend(request_id, timedelta(hours=2))
    it.broker.live(1)
    it.broker.revoke(request_id)
    it.broker.live(1)
    assert nat_of_farm(it)
    assert it.broker.grant(request_id).via == "public-ip"
    assert it.broker.status(request_id) == "closing"
    if stopped:
        body = it.broker.sim.get(FARM_FIREWALL)
        body["properties"]["ipConfigurations"] = []
        it.edit(**{FARM_FIREWALL: body})
        it.run()

    it.broker.live(20)

    done = ("closing", True) if stopped else ("closed", False)
    assert (it.broker.status(request_id), bool(nat_of_farm(it))) == done
