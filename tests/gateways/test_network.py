"""NSGs and firewalls through the real client, in process and over HTTP."""

import copy

import pytest

from jit.domain.errors import (
    Busy,
    Gone,
    PermissionLost,
    Refused,
    StateConflict,
    Unavailable,
    Unknown,
)
from tests.builders.admin_rules import arm_admin
from tests.gateways.faults import REFUSALS, REFUSALS_OF_READS, answer, body, drop
from tests.local.azure.sim import DB, FW_PROD, NSG_DB, WEB, network, rule

VNET_DB = network("virtualNetworks", "vnet-db", DB)
RULE = f"{NSG_DB}/securityRules/jit-broker-test"
BODY = rule(priority=3000, destinationAddressPrefix="10.2.1.4")
LOST = [drop("before"), drop("after"), answer(500), body({}, 203)]
LOST_IDS = ["before", "after", "500", "203"]


def changed(found):
    """A firewall with one more address in a customer's rule."""
    after = copy.deepcopy(found)
    after["tags"] = {"changed": "yes"}
    return after


# ---- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "resource_id"), [("get_nsg", NSG_DB), ("get_firewall", FW_PROD)])
def test_a_resource_comes_as_azure_wrote_it(azure, sim, name, resource_id):
    """Raw JSON: members that the SDK's models drop or cannot hold pass through."""
    found = {**sim.get(resource_id), "newField": {"of": ["the", "future"]}}
    found["properties"]["securityRules"] = [{"properties": {"priority": "first"}}, 7]
    sim.faults(body(found))

    assert getattr(azure.network, name)(resource_id) == found


@pytest.mark.parametrize(
    ("name", "kind"), [("get_nsg", "networkSecurityGroups"), ("get_firewall", "azureFirewalls")]
)
def test_a_resource_that_does_not_exist_is_gone(azure, name, kind):
    """404 means gone."""
    with pytest.raises(Gone):
        getattr(azure.network, name)(network(kind, "nothing", DB))


def manage(sim, count):
    """Let the network have that many security admin rules."""
    rules = [arm_admin(number=number) for number in range(1, count + 1)]
    sim.control("PUT", "state", {"adminRules": {VNET_DB: rules}})
    return rules


@pytest.mark.parametrize("count", [0, 1, 50, 51, 130])
def test_security_admin_rules_come_with_all_pages(azure, sim, count):
    """Fifty a page; the token of the next one goes back in the body."""
    rules = manage(sim, count)

    assert azure.network.list_admin_rules(VNET_DB) == rules


def test_security_admin_rules_of_a_network_that_does_not_exist_are_gone(azure):
    """404 means gone."""
    with pytest.raises(Gone):
        azure.network.list_admin_rules(network("virtualNetworks", "nothing", DB))


@pytest.mark.parametrize("page", [{"value": None}, {}, [], "<html>", {"value": {}}])
def test_a_page_without_a_list_is_not_a_network_without_rules(azure, sim, page):
    """Unread is not none."""
    sim.faults(body(page))
    with pytest.raises(Unavailable):
        azure.network.list_admin_rules(VNET_DB)


def test_a_second_page_that_fails_fails_the_whole(azure, sim):
    """Half a list would hide a rule."""
    manage(sim, 60)
    sim.faults({**answer(503), "skip": 1})
    with pytest.raises(Unavailable):
        azure.network.list_admin_rules(VNET_DB)


def test_rules_that_no_model_could_hold_come_as_azure_wrote_them(azure, sim):
    """A new kind of rule, or a priority that is a text."""
    odd = [{"id": "/one", "kind": "Future", "properties": {"priority": "first"}}, {"id": "/two"}]
    sim.faults(body({"value": odd}))

    assert azure.network.list_admin_rules(VNET_DB) == odd


READS = [
    pytest.param(lambda azure: azure.list_admin_rules(VNET_DB), id="admin rules"),
    pytest.param(lambda azure: azure.get_nsg(NSG_DB), id="nsg"),
    pytest.param(lambda azure: azure.get_firewall(FW_PROD), id="firewall"),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS_OF_READS)
def test_each_refusal_of_a_read_is_its_own_error(azure, sim, read, status, code, kind):
    """The next step depends on them."""
    sim.faults(answer(status, code))
    with pytest.raises(kind) as error:
        read(azure.network)

    assert type(error.value) is kind


@pytest.mark.parametrize(
    "fault", [drop("before"), drop("after"), body("<html>"), body([]), body({"status": "ok"})]
)
def test_a_read_without_an_answer_is_an_outage(azure, sim, fault):
    """Nothing was changed: the caller may simply repeat."""
    sim.faults(fault)
    with pytest.raises(Unavailable) as error:
        azure.network.get_firewall(FW_PROD)

    assert type(error.value) is Unavailable


# ---- single rules --------------------------------------------------------------------------------


def test_putting_a_rule_returns_before_it_works(azure, sim):
    """Azure takes its seconds; nobody waits for them."""
    azure.network.put_rule(RULE, BODY)
    before = azure.network.get_nsg(NSG_DB)["properties"]["provisioningState"]
    sim.advance("PT1M")
    after = azure.network.get_nsg(NSG_DB)["properties"]["provisioningState"]

    assert (before, after) == ("Updating", "Succeeded")
    assert sim.rules(NSG_DB)["jit-broker-test"]["destinationPortRange"] == "3389"


def test_putting_the_same_rule_again_changes_nothing(azure, sim):
    """A repeated step of the broker is harmless."""
    azure.network.put_rule(RULE, BODY)
    sim.advance("PT1M")
    before = sim.rules(NSG_DB)
    azure.network.put_rule(RULE, BODY)
    sim.advance("PT1M")

    assert sim.rules(NSG_DB).keys() == before.keys()


def test_deleting_a_rule_returns_before_it_is_gone(azure, sim):
    """And leaves every other rule alone."""
    others = sim.rules(NSG_DB).keys()
    azure.network.put_rule(RULE, BODY)
    sim.advance("PT1M")
    azure.network.delete_rule(RULE)
    sim.advance("PT1M")

    assert sim.rules(NSG_DB).keys() == others


@pytest.mark.parametrize(
    "rule_id", [RULE, RULE.replace("nsg-db", "nsg-gone"), RULE.replace("rg-db", "rg-gone")]
)
def test_deleting_nothing_is_fine(azure, sim, rule_id):
    """A rule, an NSG, a whole group may have gone first."""
    before = sim.rules(NSG_DB)
    azure.network.delete_rule(rule_id)

    assert sim.rules(NSG_DB) == before


def test_a_rule_that_collides_is_refused(azure, sim):
    """Two rules of one direction cannot share a priority."""
    taken = next(iter(sim.rules(NSG_DB).values()))["priority"]
    with pytest.raises(Refused) as error:
        azure.network.put_rule(RULE, rule(priority=taken))

    assert error.value.azure_status == 400


def test_a_rule_in_an_nsg_that_is_gone_is_gone(azure):
    """Unlike a delete, a put has nowhere to go."""
    with pytest.raises(Gone):
        azure.network.put_rule(RULE.replace("nsg-db", "nsg-gone"), BODY)


@pytest.mark.parametrize(
    ("action", "call"),
    [
        ("write", lambda network: network.put_rule(RULE, BODY)),
        ("delete", lambda network: network.delete_rule(RULE)),
    ],
)
def test_a_right_that_was_taken_away_is_its_own_error(azure, sim, action, call):
    """The broker's role lost an action."""
    denied = [f"Microsoft.Network/networkSecurityGroups/securityRules/{action}"]
    sim.control("PUT", "state", {"deniedActions": denied})

    with pytest.raises(PermissionLost):
        call(azure.network)


CHANGES = [
    pytest.param(lambda azure: azure.put_rule(RULE, BODY), id="put-rule"),
    pytest.param(lambda azure: azure.delete_rule(RULE), id="delete-rule"),
    pytest.param(lambda azure: azure.put_firewall(FW_PROD, {}, etag="x"), id="put-firewall"),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("status", "code", "kind"), [item for item in REFUSALS if item[2] is not Gone]
)
def test_each_refusal_of_a_change_is_its_own_error(azure, sim, change, status, code, kind):
    """The next step depends on them."""
    sim.faults(answer(status, code))
    with pytest.raises(kind) as error:
        change(azure.network)

    assert type(error.value) is kind


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fault", LOST, ids=LOST_IDS)
def test_a_change_without_an_answer_may_have_happened(azure, sim, change, fault):
    """The caller does not know the outcome, and reads."""
    sim.faults(fault)

    with pytest.raises(Unknown):
        change(azure.network)


# ---- whole firewalls -----------------------------------------------------------------------------


def test_a_firewall_is_replaced_under_the_etag_that_was_read(azure, sim):
    """The call returns at once; the update takes minutes."""
    found = azure.network.get_firewall(FW_PROD)
    azure.network.put_firewall(FW_PROD, changed(found), etag=found["etag"])
    during = azure.network.get_firewall(FW_PROD)["properties"]["provisioningState"]
    sim.advance("PT10M")

    assert during == "Updating"
    assert azure.network.get_firewall(FW_PROD)["tags"] == {"changed": "yes"}


def test_a_firewall_that_somebody_changed_is_not_replaced(azure, sim):
    """If-Match is the safety: Defender and others write the same object."""
    found = azure.network.get_firewall(FW_PROD)
    azure.network.put_firewall(FW_PROD, found, etag=found["etag"])
    sim.advance("PT10M")
    with pytest.raises(StateConflict):
        azure.network.put_firewall(FW_PROD, changed(found), etag=found["etag"])

    assert "tags" not in azure.network.get_firewall(FW_PROD)


def test_a_firewall_that_is_being_updated_is_busy(azure):
    """One update at a time; the lock outlives its caller."""
    found = azure.network.get_firewall(FW_PROD)
    azure.network.put_firewall(FW_PROD, found, etag=found["etag"])
    now_there = azure.network.get_firewall(FW_PROD)

    with pytest.raises(Busy):
        azure.network.put_firewall(FW_PROD, now_there, etag=now_there["etag"])


def test_the_etag_is_sent(azure, sim):
    """Without it a PUT would overwrite any other version."""
    found = azure.network.get_firewall(FW_PROD)
    azure.network.put_firewall(FW_PROD, found, etag=found["etag"])
    put = next(e for e in sim.control("GET", "log") if e["method"] == "PUT")
    headers = {name.lower(): value for name, value in put["requestHeaders"].items()}

    assert headers["if-match"] == found["etag"]
    assert put["requestBody"] == found


def test_an_answer_without_an_operation_is_taken(azure, sim):
    """Azure may be done at once."""
    found = sim.get(FW_PROD)
    sim.faults({**body(found), "match": {"method": "PUT"}})

    azure.network.put_firewall(FW_PROD, found, etag=found["etag"])

    assert [e["method"] for e in sim.control("GET", "log")].count("PUT") == 1


def test_one_call_is_one_put(azure, sim):
    """A failed PUT is never repeated behind the broker's back."""
    found = azure.network.get_firewall(FW_PROD)
    sim.faults({**answer(503), "match": {"method": "PUT"}, "times": 9})
    with pytest.raises(Unknown):
        azure.network.put_firewall(FW_PROD, found, etag=found["etag"])

    assert [e["method"] for e in sim.control("GET", "log")].count("PUT") == 1


@pytest.mark.parametrize("bad", ["", "fw-prod", "/subscriptions/x", WEB + "/x"])
def test_an_id_that_names_nothing_is_our_own_mistake(azure, sim, bad):
    """No call is made with it."""
    with pytest.raises((ValueError, KeyError)):
        azure.network.put_rule(bad, BODY)

    assert sim.control("GET", "log") == []
