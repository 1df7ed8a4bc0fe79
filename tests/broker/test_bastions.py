"""People who come by a Bastion: its subnet is asked for, opened, shown and closed like a source."""

import logging
from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, InvalidRequest, Unavailable
from tests import api_calls
from tests.broker.inprocess import DAVE, HERE, policy_of, wish
from tests.broker.reconciling import told
from tests.local.azure.sim import (
    APP01,
    DB,
    DB01,
    FW_PROD,
    NSG_DB,
    PRODUCTION,
    WEB,
    WEB01,
    network,
)

BASTION, PREFIX = network("bastionHosts", "bas-db", DB), "10.2.0.0/26"
BY, OUTSIDE = "10.2.0.9", "10.2.2.9"
"""An address of the Bastion, and another one of the network of db01."""

VNET_DB, VNET_PROD = (
    network("virtualNetworks", "vnet-db", DB),
    network("virtualNetworks", "vnet-prod", WEB),
)
LEAVES = {"match": {"path": "initiate"}, "leaveRules": True, "times": None}


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def by_bastion(vm=DB01, port=22, **changes):
    """A body that names no source of its own."""
    body = wish(vm, port, via="bastion", **changes)
    if "sources" not in changes:
        del body["sources"]
    return body


def opened(it, body, minutes=2, caller=None):
    """Ask and let it open; return the request's id."""
    request_id = it.broker.ask(body, caller) if caller else it.broker.ask(body)
    it.broker.live(minutes)
    return request_id


def peer(it, vnet=VNET_PROD, hub=VNET_DB, **fields):
    """Connect the network of web01 to the one with the Bastion."""
    body = it.broker.sim.get(vnet)
    link = {"peeringState": "Connected", "remoteVirtualNetwork": {"id": hub}, **fields}
    inner = {
        **body["properties"],
        "virtualNetworkPeerings": [{"name": "to-hub", "properties": link}],
    }
    it.edit(**{vnet: {**body, "properties": inner}})


def change(it, resource, **fields):
    body = it.broker.sim.get(resource)
    it.edit(**{resource: {**body, "properties": {**body["properties"], **fields}}})


def test_a_vm_with_a_public_address_opens_for_its_bastion_alone(it):
    """The source is the Bastion's subnet, and nothing else."""
    request_id = opened(it, by_bastion())

    grant = it.broker.grant(request_id)
    assert (grant.status, [str(each) for each in grant.sources]) == ("open", [PREFIX])
    assert (grant.bastion.id, grant.bastion.name) == (BASTION, "bas-db")
    assert (grant.connection.address, grant.connection.port) == ("10.2.1.4", 22)
    assert it.broker.reachable(DB01, 22, BY)
    assert not it.broker.reachable(DB01, 22, HERE)
    assert not it.broker.reachable(DB01, 22, OUTSIDE)


def test_behind_a_firewall_it_is_open_as_soon_as_the_nsg_lets_the_bastion_in(it):
    """The Bastion is in a peered hub. No NAT rule and no companion is needed for it."""
    peer(it)
    it.run(PRODUCTION)

    request_id = opened(it, by_bastion(WEB01, 3389), minutes=2)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.connection.address) == ("open", "10.1.1.4")
    assert grant.footprint.companions == ()
    assert it.broker.reachable(WEB01, 3389, BY)
    assert not it.broker.reachable(WEB01, 3389, HERE)


def test_behind_a_firewall_it_is_closed_when_the_firewall_has_no_rule_either(it):
    """Defender writes a NAT rule for the Bastion's subnet, although nobody comes by it."""
    peer(it)
    it.run(PRODUCTION)
    it.broker.sim.faults(LEAVES)
    request_id = opened(it, by_bastion(WEB01, 3389), minutes=8)
    assert PREFIX in str(it.broker.sim.get(FW_PROD))

    it.broker.revoke(request_id)
    it.broker.live(1)
    assert it.broker.status(request_id) == "closing"
    it.broker.live(30)

    assert it.broker.status(request_id) == "closed"
    assert PREFIX not in str(it.broker.sim.get(FW_PROD))
    assert not it.broker.reachable(WEB01, 3389, BY)


def test_rules_that_defender_leaves_are_removed_at_the_end(it):
    """They are the grant's own: recorded, for its sources."""
    it.broker.sim.faults(LEAVES)
    request_id = opened(it, by_bastion(duration="PT5M"), minutes=20)

    assert it.broker.status(request_id) == "closed"
    assert [name for name in it.broker.sim.rules(NSG_DB) if "JITRule-" in name] == []


def test_a_source_and_a_bastion_together_are_open_if_both_get_in(it):
    """At least one of them is required; a request with both has both."""
    request_id = opened(it, by_bastion(sources=[HERE]))

    grant = it.broker.grant(request_id)
    assert (grant.status, sorted(map(str, grant.sources))) == ("open", [PREFIX, f"{HERE}/32"])
    assert grant.connection.address == "20.71.10.11"
    assert "come by Bastion bas-db" in grant.note
    assert it.broker.reachable(DB01, 22, HERE)
    assert it.broker.reachable(DB01, 22, BY)


def test_behind_a_firewall_a_source_beside_the_bastion_waits_for_its_nat_rule(it):
    """The Bastion could come earlier, but the grant is for both."""
    peer(it)
    it.run(PRODUCTION)
    request_id = opened(it, by_bastion(WEB01, 3389, sources=[HERE]), minutes=2)
    assert it.broker.status(request_id) == "opening"

    it.broker.live(8)

    assert it.broker.grant(request_id).connection.address == "52.137.62.53"
    assert it.broker.reachable(WEB01, 3389, HERE)
    assert it.broker.reachable(WEB01, 3389, BY)


def test_it_shares_a_port_with_another_persons_source(it):
    """Defender is asked for both; the end of one leaves the other open."""
    first = opened(it, wish(DB01, duration="PT2H"))
    second = opened(it, by_bastion(), minutes=5, caller=DAVE)
    assert [it.broker.status(each) for each in (first, second)] == ["open", "open"]

    it.broker.revoke(second, DAVE)
    it.broker.live(10)

    assert it.broker.status(second) == "closed"
    assert it.broker.status(first) == "open"
    assert it.broker.reachable(DB01, 22, HERE)
    assert not it.broker.reachable(DB01, 22, BY)


def test_it_joins_a_portal_users_request_for_the_same_subnet(it):
    """Equal sources are no reason to refuse."""
    it.broker.occupy(DB01, 22, PREFIX)
    it.broker.live(2)

    assert it.broker.status(opened(it, by_bastion())) == "open"


def test_it_is_extended_like_any_other(it):
    """The path stays for the same source."""
    request_id = opened(it, by_bastion())
    before = it.broker.grant(request_id).expires_at

    it.broker.extend(request_id, timedelta(hours=2))
    it.broker.live(2)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.expires_at > before) == ("open", True)
    assert it.broker.reachable(DB01, 22, BY)


def move_subnet(it, prefix="10.2.9.0/26"):
    """Give the Bastion another subnet."""
    vnet = it.broker.sim.get(VNET_DB)
    for subnet in vnet["properties"]["subnets"]:
        if subnet["name"] == "AzureBastionSubnet":
            subnet["properties"]["addressPrefix"] = prefix
    it.edit(**{VNET_DB: vnet})


def replace_bastion(it):
    """Delete the Bastion, and deploy one with another name."""
    body = it.broker.sim.get(BASTION)
    del body["id"], body["name"]
    it.edit(**{BASTION: None, BASTION.replace("bas-db", "aaa-bas"): body})


def deploy_bastion(it, vnet, prefix):
    """Deploy one more, in *vnet*."""
    subnet = {"id": f"{vnet}/subnets/AzureBastionSubnet", "name": "AzureBastionSubnet"}
    subnets = it.broker.sim.get(vnet)["properties"]["subnets"]
    change(it, vnet, subnets=[*subnets, {**subnet, "properties": {"addressPrefix": prefix}}])
    body = it.broker.sim.get(BASTION)
    legs = [{"name": "leg", "properties": {"subnet": {"id": subnet["id"]}}}]
    inner = {**body["properties"], "ipConfigurations": legs}
    fresh = {key: value for key, value in body.items() if key not in ("id", "name")}
    it.edit(**{network("bastionHosts", "bas-new", WEB): {**fresh, "properties": inner}})


def allow_only(it, machine, *sources):
    """Let the policy of *machine* allow those sources on every port."""
    policy = policy_of(machine)
    body = it.broker.sim.get(policy)
    for vm in body["properties"]["virtualMachines"]:
        for port in vm["ports"]:
            port.pop("allowedSourceAddressPrefix", None)
            port["allowedSourceAddressPrefixes"] = list(sources)
    it.edit(**{policy: body})


def not_extended(it, request_id):
    """Codes of the refusal of an extension."""
    with pytest.raises(AccessDenied) as caught:
        it.broker.extend(request_id, timedelta(hours=2))
    return [violation.code for violation in caught.value.violations]


@pytest.mark.parametrize("happen", [move_subnet, replace_bastion])
def test_an_extension_is_refused_if_the_bastion_of_the_grant_is_another_today(it, happen):
    """Whichever Bastion reaches the VM now: the old source stays no longer than promised."""
    request_id = opened(it, by_bastion())
    happen(it)
    it.run_twice(PRODUCTION)

    assert not_extended(it, request_id) == ["no-bastion"]


def test_an_extension_is_decided_for_the_bastion_of_the_grant(it):
    """The policy of today allows a newer one only, which is nearer to the VM."""
    peer(it)
    it.run(PRODUCTION)
    request_id = opened(it, by_bastion(WEB01, 3389))
    deploy_bastion(it, VNET_PROD, "10.1.9.0/26")
    allow_only(it, WEB01, "203.0.113.0/24", "10.1.9.0/26")
    it.run(PRODUCTION)
    near, own = it.broker.inventory.find_machine(WEB01).bastions
    assert (near.prefixes, own.prefixes) == (("10.1.9.0/26",), (PREFIX,))

    assert not_extended(it, request_id) == ["source-not-allowed"]


@pytest.mark.parametrize(
    "answer",
    [{"status": 403, "code": "AuthorizationFailed"}, {"status": 200, "body": {"value": []}}],
    ids=["unread", "short"],
)
def test_one_wrong_list_of_bastions_refuses_no_extension(it, answer):
    """People work on the VM meanwhile."""
    it.run(PRODUCTION)
    request_id = opened(it, by_bastion())
    it.broker.sim.faults({"match": {"path": "bastionHosts"}, "times": 1, "answer": answer})
    it.run(PRODUCTION)

    assert it.broker.extend(request_id, timedelta(hours=2)).changed


def test_an_unread_list_and_a_short_one_refuse_no_extension(it):
    """They come together in an outage. Only lists that were read say that something is gone."""
    it.run(PRODUCTION)
    request_id = opened(it, by_bastion())
    for answer in ({"status": 503}, {"status": 200, "body": {"value": []}}):
        it.broker.sim.faults({"match": {"path": "bastionHosts"}, "times": 1, "answer": answer})
        it.run(PRODUCTION)
        it.broker.live(5)

    assert it.broker.extend(request_id, timedelta(hours=2)).changed


def test_while_bastions_cannot_be_read_an_extension_is_put_off(it):
    """Nobody could tell whether the source still is a Bastion's subnet."""
    it.run(PRODUCTION)
    request_id = opened(it, by_bastion())
    answer = {"status": 403, "code": "AuthorizationFailed"}
    it.broker.sim.faults({"match": {"path": "bastionHosts"}, "times": None, "answer": answer})
    for _ in range(3):
        it.run(PRODUCTION)
        it.broker.live(5)

    with pytest.raises(Unavailable, match="Bastion bas-db could not be read since"):
        it.broker.extend(request_id, timedelta(hours=2))


def test_a_look_between_two_comparisons_does_not_keep_a_bastion_that_is_gone(it):
    """Somebody polls the request all the time; the subnet may belong to others by now."""
    it.run(PRODUCTION)
    request_id = opened(it, by_bastion())
    it.edit(**{BASTION: None})
    for _ in range(2):
        it.run(PRODUCTION)
        it.broker.live(2)
        it.broker.poll(request_id)
        it.broker.deliver()

    assert it.broker.inventory.find_machine(DB01).bastions == ()
    assert not_extended(it, request_id) == ["no-bastion"]


@pytest.mark.parametrize(
    "answer", [{"status": 503}, {"status": 200, "body": {"value": []}}], ids=["unread", "short"]
)
def test_a_new_request_by_a_bastion_that_azure_does_not_show_is_refused(it, answer):
    """Doubt denies. The answer says when to ask again."""
    it.run(PRODUCTION)
    it.broker.sim.faults({"match": {"path": "bastionHosts"}, "times": None, "answer": answer})
    it.run(PRODUCTION)

    (_, code, detail) = refused(it, by_bastion())

    assert code == "bastion-not-known"
    assert detail.startswith("Azure did not show Bastion bas-db, by which db01 was reached before")


def test_a_comparison_finds_nothing_to_do_about_it(it, caplog):
    """Its rule is as wide as asked, and its path works."""
    request_id = opened(it, by_bastion())

    assert it.planned(PRODUCTION) == []
    it.run(PRODUCTION)
    assert it.broker.status(request_id) == "open"
    assert told(caplog, "grants.widened") == []


@pytest.mark.parametrize("vm", [DB01, WEB01], ids=["public", "firewall"])
def test_a_rule_that_somebody_takes_away_is_asked_for_again(it, vm):
    """A NAT rule that is still there is no path of a Bastion."""
    peer(it)
    it.run(PRODUCTION)
    request_id = opened(it, by_bastion(vm), minutes=10)
    nsg = NSG_DB if vm == DB01 else network("networkSecurityGroups", "nsg-web", WEB)
    it.wipe(nsg)
    assert not it.broker.reachable(vm, 22, BY)

    it.run(PRODUCTION)
    it.broker.live(15)

    assert it.broker.status(request_id) == "open"
    assert it.broker.reachable(vm, 22, BY)


def test_the_warning_that_a_bastion_is_cut_off_advises_what_is_granted(it):
    """The advice is the body's field, word for word."""
    it.run(PRODUCTION)
    vm = it.broker.inventory.find_machine(DB01)
    (advice,) = {w.detail for w in vm.warnings if w.detail.startswith("port 22: ")}

    assert 'ask for access with "via": "bastion"' in advice
    assert it.broker.preview(by_bastion()).allowed


# ---- refusals ----------------------------------------------------------------------------------


def refused(it, body, error=AccessDenied):
    """Pointer, code and sentence of the only reason."""
    with pytest.raises(error) as caught:
        it.broker.accept(body)
    (violation,) = caught.value.violations
    return violation.pointer, violation.code, violation.detail


def test_without_a_bastion_that_reaches_the_vm_it_is_refused(it):
    """The network of web01 is not peered with the one of the Bastion."""
    pointer, code, detail = refused(it, by_bastion(WEB01))

    assert (pointer, code) == ("#/via", "no-bastion")
    assert "name sources, or an operator can deploy a Bastion" in detail


def test_if_bastions_cannot_be_read_it_is_refused(it):
    """A subnet with that name is no proof of a Bastion."""
    answer = {"status": 403, "code": "AuthorizationFailed"}
    it.broker.sim.faults({"match": {"path": "bastionHosts"}, "times": None, "answer": answer})

    pointer, code, detail = refused(it, by_bastion())

    assert (pointer, code) == ("#/via", "bastion-not-known")
    assert "could not be read" in detail


def test_a_bastion_without_a_subnet_is_refused(it):
    """The SKU Developer shares the host's address."""
    change(it, BASTION, ipConfigurations=[], virtualNetwork={"id": VNET_DB})

    pointer, code, detail = refused(it, by_bastion())

    assert (pointer, code) == ("#/via", "bastion-not-known")
    assert "Developer" in detail


def test_a_policy_that_does_not_allow_the_subnet_is_named_with_the_next_step(it):
    """RDP of db01 is for one public prefix."""
    pointer, code, detail = refused(it, by_bastion(DB01, 3389))

    assert (pointer, code) == ("#/via", "source-not-allowed")
    assert detail.endswith(
        "its JIT policy allows 203.0.113.0/24; an operator can add the Bastion's subnet to it"
    )


def test_one_vm_of_several_without_a_bastion_refuses_the_request(it):
    """Each VM has its own."""
    assert refused(it, by_bastion((DB01, WEB01)))[1] == "no-bastion"


def test_neither_a_source_nor_a_bastion_is_a_fault(it):
    """Nothing is ever assumed."""
    body = by_bastion()
    del body["via"]

    pointer, code, detail = refused(it, body, InvalidRequest)

    assert (pointer, code) == ("#/sources", "missing-field")
    assert detail == "at least one of sources and via is required"


# ---- opening decides again ---------------------------------------------------------------------


def scheduled(it):
    """A request that starts in an hour."""
    start = (it.broker.now + timedelta(hours=1)).isoformat()
    return it.broker.ask(by_bastion(APP01, 3389, startTime=start))


def test_a_bastion_with_another_subnet_at_the_opening_is_denied(it):
    """The answer named the source; nobody exchanges it afterwards."""
    request_id = scheduled(it)
    vnet = it.broker.sim.get(VNET_DB)
    for subnet in vnet["properties"]["subnets"]:
        if subnet["name"] == "AzureBastionSubnet":
            subnet["properties"]["addressPrefix"] = "10.2.9.0/26"
    it.edit(**{VNET_DB: vnet})

    it.broker.live(62)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.close_reason) == ("closed", "denied")
    assert grant.note.startswith(f"Bastion bas-db does not reach app01 from {PREFIX} any more")
    assert [(each.pointer, each.code) for each in grant.denials] == [("#/via", "no-bastion")]


@pytest.mark.parametrize("status", [404, 503])
def test_a_bastion_that_cannot_be_read_at_the_opening_lets_the_grant_wait(it, status):
    """One wrong answer denies nothing."""
    request_id = scheduled(it)
    it.broker.live(59)
    fault = {"match": {"path": "bas-db"}, "times": 2, "answer": {"status": status, "code": "X"}}
    it.broker.sim.faults(fault)

    it.broker.live(1.1)
    assert it.broker.grant(request_id).note == "Bastion bas-db could not be read"
    it.broker.live(5)

    assert it.broker.status(request_id) == "open"


def test_a_bastion_that_is_gone_holds_up_no_grant_by_another_one(it):
    """Only the grant that names it waits."""
    soon = (it.broker.now + timedelta(minutes=10)).isoformat()
    old = it.broker.ask(by_bastion(APP01, 3389, startTime=soon))
    replace_bastion(it)
    it.run_twice(PRODUCTION)
    it.broker.live(12)
    assert it.broker.grant(old).note == "Bastion bas-db could not be read"

    new = it.broker.ask(by_bastion(APP01, 3389), DAVE)
    it.broker.live(3)

    assert it.broker.grant(new).bastion.name == "aaa-bas"
    assert (it.broker.status(old), it.broker.status(new)) == ("pending", "open")


# ---- from the HTTP API to the end --------------------------------------------------------------


def test_a_caller_who_names_the_bastion_is_told_it_and_how_to_come(monkeypatch):
    """From the request to closed, as the API shows it."""
    api = api_calls.Api(monkeypatch)

    asked = api.call("POST", "access-requests", by_bastion(APP01, 3389))
    (grant,) = asked.doc["grants"]
    named = {"id": BASTION, "name": "bas-db", "sources": [PREFIX]}
    assert (asked.status, grant["sources"], grant["bastion"]) == (202, [PREFIX], named)

    api.wait(2)
    settled = api.call("GET", f"access-requests/{asked.doc['id']}/outcome")
    (grant,) = settled.doc["grants"]
    assert (settled.status, grant["status"]) == (200, "open")
    link = grant["connection"]
    assert (link["via"], link["address"], link["port"]) == ("bastion", "10.2.2.5", 3389)
    assert link["command"] == (
        "az network bastion rdp --name bas-db --resource-group rg-db"
        f" --subscription {PRODUCTION} --target-resource-id {grant['virtualMachineId']}"
    )
    assert "come by Bastion bas-db" in grant["note"]
    assert api.broker.reachable(APP01, 3389, BY)

    api.wait(70)
    ended = api.call("GET", f"access-requests/{asked.doc['id']}")
    (grant,) = ended.doc["grants"]
    assert (ended.doc["status"], grant["closeReason"]) == ("closed", "expired")
    assert (grant["bastion"], grant["connection"]) == (named, None)
    assert not api.broker.reachable(APP01, 3389, BY)


def test_the_same_body_without_the_bastion_is_another_request(monkeypatch):
    """The key is taken by a request with other sources."""
    api = api_calls.Api(monkeypatch)
    first = api.call("POST", "access-requests", by_bastion(), Idempotency_Key="one")
    again = api.call("POST", "access-requests", by_bastion(), Idempotency_Key="one")
    other = api.call("POST", "access-requests", wish(DB01), Idempotency_Key="one")

    assert (first.doc["id"], other.status) == (again.doc["id"], 409)


def test_a_dry_run_decides_about_the_bastion(monkeypatch):
    """Nothing is stored."""
    api = api_calls.Api(monkeypatch)

    good = api.call("POST", "access-requests", by_bastion(dryRun=True))
    bad = api.call("POST", "access-requests", by_bastion(WEB01, dryRun=True))

    assert (good.status, good.doc["allowed"]) == (200, True)
    assert [each["code"] for each in bad.doc["errors"]] == ["no-bastion"]


def test_an_unknown_way_is_a_fault(monkeypatch):
    """Null is refused too: it is never an absence."""
    api = api_calls.Api(monkeypatch)
    codes = [
        api.call("POST", "access-requests", {**by_bastion(), "via": way}).doc["errors"][0]["code"]
        for way in ("vpn", "Bastion", None)
    ]

    assert codes == ["via-unknown", "via-unknown", "wrong-type"]
