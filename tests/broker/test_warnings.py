"""Warnings as callers see them: in ``GET virtual-machines``, after a comparison of the whole."""

import pytest

from tests.broker.inprocess import OLGA, farm, policy_of, wish
from tests.broker.reconciling import NSG_FARM, told
from tests.local.azure.sim import (
    APP01,
    DB,
    DB01,
    DEVELOPMENT,
    FW_PROD,
    NSG_DB,
    PRODUCTION,
    WEB,
    WEB01,
    network,
    rule,
)

BASTION, PREFIX = network("bastionHosts", "bas-db", DB), "10.2.0.0/26"
REFUSED = {"status": 403, "code": "AuthorizationFailed"}
FAILURES = [REFUSED, {"status": 404, "code": "NotFound"}, {"status": 429}, {"status": 503}]


def shown(it, subscription=PRODUCTION):
    """Compare, then ask as an operator: the warnings by VM, each a pair of code and detail."""
    it.run(subscription)
    found, _ = it.broker.queries.list_machines(subscription, OLGA, now=it.broker.now)
    return {vm.name: [(each.code, each.detail) for each in vm.warnings] for vm, _ in found}


def codes(it, name, subscription=PRODUCTION):
    return [code for code, _ in shown(it, subscription)[name]]


def stand(it, **changes):
    """A customer's standing rule in the NSG of db01, for its SSH."""
    wanted = {
        "priority": 300,
        "destinationAddressPrefix": "*",
        "destinationPortRange": "22",
        **changes,
    }
    it.edit(**{f"{NSG_DB}/securityRules/standing": {"name": "standing", **rule(**wanted)}})


def change(it, resource, **fields):
    """Change properties of a resource behind everybody's back."""
    body = it.broker.sim.get(resource)
    it.edit(**{resource: {**body, "properties": {**body["properties"], **fields}}})


def move(it, region="westeurope", name="default"):
    """Put the JIT policy of db01 elsewhere, as it stands."""
    body = it.broker.sim.get(policy_of(DB01))
    there = policy_of(DB01).replace("/westeurope/", f"/{region}/").removesuffix("default") + name
    it.edit(**{policy_of(DB01): None, there: {**body, "id": there, "name": name}})


def unreadable(it, kind, answer):
    it.broker.sim.faults({"match": {"path": kind}, "times": None, "answer": answer})


# ---- Bastion -----------------------------------------------------------------------------------


def test_the_vms_that_a_bastion_would_reach_without_jit_say_that_it_is_cut_off(it):
    """Both VMs of its network that have a JIT policy, port by port; not those of other networks."""
    found = shown(it)

    cut = {name: [code for code, _ in warnings] for name, warnings in found.items()}
    assert cut == {
        "app01": ["bastion-cut-off"],
        "db01": ["bastion-cut-off"] * 3,
        "hub01": [],
        "new01": [],
        "web01": [],
    }
    assert found["db01"][0][1].startswith(f"port 22: the JIT deny rule stops the Bastion {PREFIX};")


@pytest.mark.parametrize("source", [PREFIX, "VirtualNetwork", "10.0.0.0/8", "*"])
def test_a_standing_rule_that_lets_the_bastion_past_jit_is_a_warning(it, source):
    """On the port that it opens, by name; the other ports are still cut off."""
    stand(it, sourceAddressPrefix=source)

    found = shown(it)["db01"]

    (detail,) = (detail for code, detail in found if code == "bastion-bypass")
    assert detail.startswith(f"port 22: the Bastion {PREFIX} gets in without a grant by standing (")
    assert [code for code, _ in found].count("bastion-cut-off") == 2


def test_warnings_about_the_bastion_agree_with_packets(it):
    """The simulator's own judge: stopped before, let in by the standing rule."""
    before = codes(it, "db01"), it.broker.reachable(DB01, 22, "10.2.0.4")
    stand(it, sourceAddressPrefix="VirtualNetwork")
    after = codes(it, "db01"), it.broker.reachable(DB01, 22, "10.2.0.4")

    assert ("bastion-bypass" in before[0], before[1]) == (False, False)
    assert ("bastion-bypass" in after[0], after[1]) == (True, True)


def test_access_for_the_bastions_prefix_ends_the_cut_as_long_as_it_lasts(it):
    """Asked for in the portal, for the broker grants a VM with a public way no private source."""
    it.broker.occupy(DB01, 22, PREFIX, minutes=30)
    it.broker.live(1)
    during = codes(it, "db01").count("bastion-cut-off")
    it.broker.live(40)

    assert (during, codes(it, "db01").count("bastion-cut-off")) == (2, 3)


def test_a_bastion_that_is_gone_is_no_warning(it):
    """Its subnet may well be still there."""
    it.edit(**{BASTION: None})

    assert {code for warnings in shown(it).values() for code, _ in warnings} == set()


def test_a_bastion_of_a_connected_hub_counts(it):
    """The network of web01 is peered with the Bastion's."""
    hub = network("virtualNetworks", "vnet-db", DB)
    peering = {"peeringState": "Connected", "remoteVirtualNetwork": {"id": hub.upper()}}
    change(
        it,
        network("virtualNetworks", "vnet-prod", WEB),
        virtualNetworkPeerings=[{"name": "to-hub", "properties": peering}],
    )

    assert codes(it, "web01") == ["bastion-cut-off"] * 2


# ---- while something is being updated ------------------------------------------------------------


def write(it, name="new-rule", **changes):
    """Begin to write a rule into the NSG of db01, as a portal user; the update takes a while."""
    wanted = rule(priority=310, destinationPortRange="443", **changes)
    it.broker.sim.call("PUT", f"{NSG_DB}/securityRules/{name}", wanted, as_="petra")


def test_a_comparison_during_an_update_of_an_nsg_keeps_the_last_word(it):
    """The NSG and every rule in it read as Updating, the deny rules of all its VMs too."""
    before = shown(it)
    write(it)

    during = shown(it)
    it.broker.live(1)

    assert it.broker.sim.get(NSG_DB)["properties"]["provisioningState"] == "Succeeded"
    assert (during, shown(it)) == (before, before)


def test_a_warning_that_was_true_before_an_update_stays_during_it(it):
    """And a new one waits until the update is done."""
    stand(it, sourceAddressPrefix="192.0.2.0/24")
    before = shown(it)["db01"]
    change(it, NSG_DB, provisioningState="Updating", securityRules=[])

    during = shown(it)["db01"]
    change(it, NSG_DB, provisioningState="Succeeded", securityRules=[])

    assert "jit-bypassed" in dict(before)
    assert during == before
    assert {code for code, _ in shown(it)["db01"]} == {"deny-missing"}


def test_a_vm_that_was_never_seen_settled_has_no_warning_about_its_nsg(it):
    """The first comparison meets an update; nothing is known yet."""
    change(it, NSG_DB, provisioningState="Updating", securityRules=[])

    assert shown(it)["db01"] == []


# ---- plan, policy, firewall ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"pricingTier": "Free"}, "switched off"),
        ({"pricingTier": "Standard", "subPlan": "P1"}, "Plan 1"),
    ],
)
def test_a_plan_without_jit_is_a_warning_on_every_vm_that_jit_could_serve(it, plan, says):
    """Configured or not; an unsupported VM would stay unsupported."""
    it.broker.sim.control("PUT", "state", {"plans": {PRODUCTION: plan}})

    found = shown(it)

    missing = {name: dict(warnings).get("plan-missing") for name, warnings in found.items()}
    assert [name for name, detail in missing.items() if detail] == [
        *("app01", "db01", "new01", "web01")
    ]
    assert f"Defender for Servers is {says} on the subscription" in str(missing["new01"])


def test_the_plan_of_one_subscription_says_nothing_about_another(it):
    """Each is bought on its own."""
    it.broker.sim.control("PUT", "state", {"plans": {PRODUCTION: {"pricingTier": "Free"}}})

    assert codes(it, "farm01", DEVELOPMENT) == []


def test_a_policy_in_another_region_than_its_vm_is_a_warning(it):
    """By both names."""
    move(it, region="northeurope")

    found = dict(shown(it)["db01"])

    assert "lies in northeurope, the VM in westeurope" in found["policy-location"]


def test_a_policy_whose_name_is_too_long_for_its_vm_is_a_warning(it):
    """By VM: 52 characters and ``app01`` make 57, with ``db01`` they make 56."""
    move(it, name="x" * 52)

    found = shown(it)

    assert "names-too-long" in dict(found["app01"])
    assert "names-too-long" not in dict(found["db01"])


def test_several_public_addresses_of_a_firewall_are_a_warning_on_the_vms_behind_it(it):
    """All of them, and which one Defender uses."""
    legs = it.broker.sim.get(FW_PROD)["properties"]["ipConfigurations"]
    second = network("publicIPAddresses", "pip-db01", DB)
    more = {"name": "second", "properties": {"publicIPAddress": {"id": second}}}
    change(it, FW_PROD, ipConfigurations=[*legs, more])
    it.broker.ask(wish(WEB01, 3389))
    it.broker.live(6)

    found = shown(it)

    told_to = [name for name, warnings in found.items() if "firewall-addresses" in dict(warnings)]
    assert told_to == ["web01"]
    detail = dict(found["web01"])["firewall-addresses"]
    assert "52.137.62.53, 20.71.10.11; Defender uses 52.137.62.53:" in detail


# ---- unreadable lists ----------------------------------------------------------------------------


@pytest.mark.parametrize("answer", FAILURES, ids=lambda answer: str(answer["status"]))
@pytest.mark.parametrize("kind", ["pricings", "bastionHosts"])
def test_lists_that_only_warnings_need_do_not_stop_the_comparison(it, kind, answer):
    """For each answer of Azure: a rule of a closed grant that reappears is still removed."""
    it.opened()
    rules = it.broker.sim.rules(NSG_FARM)
    (name,) = (name for name in rules if "JITRule-" in name)
    it.broker.live(70)
    it.edit(**{f"{NSG_FARM}/securityRules/{name}": {"name": name, "properties": rules[name]}})
    unreadable(it, kind, answer)

    left = it.broker.reachable(farm(1))
    it.run()
    it.broker.live(1)

    assert (left, it.broker.reachable(farm(1))) == (True, False)


@pytest.mark.parametrize("kind", ["pricings", "bastionHosts"])
def test_that_warnings_are_less_sure_is_an_event(it, caplog, kind):
    """One a comparison; not an alert, for no path depends on it."""
    unreadable(it, kind, REFUSED)

    it.run(PRODUCTION)

    (event,) = told(caplog, "advice.limited")
    assert kind in event["resource_id"]
    assert event["error"] == "PermissionLost"
    assert told(caplog, "permission.lost") == []


@pytest.mark.parametrize("answer", FAILURES, ids=lambda answer: str(answer["status"]))
def test_a_plan_that_cannot_be_read_is_no_warning(it, answer):
    """Doubt costs the warning."""
    it.broker.sim.control("PUT", "state", {"plans": {PRODUCTION: {"pricingTier": "Free"}}})
    unreadable(it, "pricings", answer)

    assert codes(it, "web01") == []


@pytest.mark.parametrize("answer", FAILURES, ids=lambda answer: str(answer["status"]))
def test_a_bastion_that_cannot_be_read_is_assumed_where_its_subnet_is(it, answer):
    """A false alarm costs less than a hidden way past JIT."""
    it.edit(**{BASTION: None})
    unreadable(it, "bastionHosts", answer)

    assert codes(it, "app01") == ["bastion-cut-off"]


def test_warnings_are_the_inventorys_and_cost_the_caller_no_call_to_azure(it):
    """They were worked out with the comparison."""
    it.run(PRODUCTION)
    before = it.broker.calls.count("arm")

    found, _ = it.broker.queries.list_machines(PRODUCTION, OLGA, now=it.broker.now)

    assert it.broker.calls.count("arm") == before
    assert {vm.id.lower() for vm, _ in found if vm.warnings} == {
        DB01.lower(),
        APP01.lower(),
    }
