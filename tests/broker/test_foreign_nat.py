"""Customers' NAT rules to a port that a grant has open behind a firewall."""

import json
import logging
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jit.domain.errors import AccessDenied
from jit.domain.model.grant import CloseReason
from tests.broker.inprocess import BOB, HERE, OLGA, THERE, InProcess, policy_of, wish
from tests.broker.reconciling import Reconciling, told
from tests.local.azure.sim import PRODUCTION, group, machine, network

WHERE = group("rg-nat")
NAT1 = machine("nat1", WHERE)
FIREWALL = network("azureFirewalls", "fw", WHERE)
POLICY = network("firewallPolicies", "central", WHERE)
NSG = network("networkSecurityGroups", "n1", WHERE)
NOBODY = "198.51.100.99"
"""An address that nobody asks for."""

OPENED, UPDATED = 7, 6  # minutes: to open behind the firewall, to update it
STAFF = network("ipGroups", "staff", WHERE)
IN_GROUP = {"sourceAddresses": [], "sourceIpGroups": [STAFF]}
INSIDE = {"destinationAddresses": ["10.84.0.4"]}
_ANYBODY = {"allowedSourceAddressPrefix": "*", "maxRequestAccessDuration": "PT3H"}
BY_NAME = {"translatedAddress": "", "translatedFqdn": "nat1.corp.example"}


def case(name: str) -> Any:
    """Return a state that somebody exported."""
    return json.loads((Path(__file__).parent / "cases" / f"{name}.json").read_text())


@pytest.fixture
def it(broker: InProcess) -> Reconciling:
    """A broker that knows the exported VM; an IP group with everybody in it."""
    staff = {STAFF: {"properties": {"ipAddresses": ["0.0.0.0/0"]}}}
    broker.sim.control("PUT", "state", case("firewall-vm"))
    broker.sim.control("PUT", "state", {"resources": staff})
    return Reconciling(broker)


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def opened(it: Reconciling) -> str:
    """Open the VM for HERE by a grant; return the request's id."""
    request_id = it.broker.ask(wish(NAT1, 3389, duration="PT3H"))
    it.broker.live(OPENED)
    assert it.broker.status(request_id) == "open"
    return request_id


def publish(it: Reconciling, **changes: Any) -> None:
    """Write a customer's rule into the firewall, as its owner: it is updated for minutes."""
    _rewrite(it, [_jump(**changes)])


def take_back(it: Reconciling) -> None:
    """Remove the customer's rules in the same way."""
    _rewrite(it, [])


def _rewrite(it: Reconciling, customers: list[Any]) -> None:
    body = it.broker.sim.call("GET", FIREWALL, as_="petra").json()
    nats = body["properties"]["natRuleCollections"]
    own = [each for each in nats if each["name"].startswith("MDC-JIT")]
    body["properties"]["natRuleCollections"] = [*own, *customers]
    answer = it.broker.sim.call("PUT", FIREWALL, body, as_="petra")
    assert answer.status == 200, answer.json()


def _jump(**changes: Any) -> Any:
    firewall = case("firewall-with-a-customers-dnat")["resources"][FIREWALL]
    jump = deepcopy(firewall["properties"]["natRuleCollections"][0])
    jump["properties"]["rules"][0].update(changes)
    return jump


def companions(it: Reconciling) -> list[str]:
    return [name for name in it.broker.sim.rules(NSG) if name.startswith("jit-broker-")]


def compare(it: Reconciling, minutes: float = 0.2) -> None:
    it.run(PRODUCTION)
    it.broker.live(minutes)


# ---- while a grant is open -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "who"),
    [({}, NOBODY), (BY_NAME, NOBODY), (IN_GROUP, NOBODY), (INSIDE, "10.84.1.200")],
    ids=["address", "name", "group", "private"],
)
def test_nobody_else_comes_in_by_the_companion_of_an_open_grant(it, changes, who, caplog):
    """The next comparison withdraws it before the customer's rule is in force, and alerts."""
    request_id = opened(it)
    publish(it, **changes)

    compare(it)

    grant, (alert,) = it.broker.grant(request_id), told(caplog, "companion.withdrawn")
    assert (companions(it), grant.status) == ([], "opening")
    assert "NAT rule jump/rdp of firewall fw" in (grant.note or "")
    assert (alert["rule"], alert["grant_id"]) == ("jump/rdp", grant.id)
    it.broker.live(UPDATED)
    assert not it.broker.reachable(NAT1, 3389, who)
    assert companions(it) == []


def test_the_exported_state_is_seen_at_the_next_comparison_too(it):
    """The customer's rule is in force already, and the firewall has lost Defender's."""
    opened(it)
    it.broker.sim.control("PUT", "state", case("firewall-with-a-customers-dnat"))
    assert it.broker.reachable(NAT1, 3389, NOBODY)

    compare(it)

    assert companions(it) == []
    assert not it.broker.reachable(NAT1, 3389, NOBODY)


def test_a_look_of_the_worker_withdraws_it_without_a_comparison(it):
    """Any reason to look is enough: here somebody asks for more time."""
    request_id = opened(it)
    publish(it)

    it.broker.extend(request_id, timedelta(hours=3))
    it.broker.live(0.2)

    assert companions(it) == []


def test_the_grant_opens_again_when_the_customer_takes_the_rule_back(it):
    """But not before the firewall's update has ended."""
    request_id = opened(it)
    publish(it)
    compare(it, UPDATED)

    take_back(it)
    it.broker.live(2)
    assert companions(it) == []
    it.broker.live(UPDATED)

    assert it.broker.status(request_id) == "open"
    assert it.broker.reachable(NAT1, 3389, HERE)
    assert not it.broker.reachable(NAT1, 3389, NOBODY)


def test_the_grant_fails_with_the_reason_if_the_rule_stays(it, caplog):
    """Forty minutes later. The customer's rule is as it was."""
    request_id = opened(it)
    publish(it)
    compare(it, 60)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.close_reason) == ("closed", CloseReason.FAILED)
    assert (grant.note or "").startswith("not open in time: NAT rule jump/rdp")
    assert len(told(caplog, "companion.withdrawn")) == 1
    nats = it.broker.sim.get(FIREWALL)["properties"]["natRuleCollections"]
    assert [each["name"] for each in nats] == ["jump"]
    assert nats[0]["properties"]["rules"] == _jump()["properties"]["rules"]


def test_the_plan_says_what_the_run_does(it):
    """One line: the companion, and why it goes."""
    opened(it)
    publish(it)

    assert it.planned(PRODUCTION) == [("remove-rule", "companion")]
    compare(it)
    assert it.planned(PRODUCTION) == []


@pytest.mark.parametrize(
    "changes",
    [{"translatedAddress": "10.84.1.5"}, {"translatedPort": "22"}, {"protocols": ["UDP"]}],
)
def test_a_customers_rule_to_elsewhere_changes_nothing(it, changes):
    """Another machine, another port, packets that the companion stops."""
    request_id = opened(it)
    publish(it, **changes)

    compare(it, UPDATED)

    assert it.broker.status(request_id) == "open"
    assert len(companions(it)) == 1


def test_a_companion_goes_if_the_firewall_follows_a_policy_by_now(it):
    """The NAT rules of a firewall policy are not read."""
    opened(it)
    firewall = it.broker.sim.get(FIREWALL)
    firewall["properties"] |= {"firewallPolicy": {"id": POLICY}, "natRuleCollections": []}
    it.edit(**{FIREWALL: firewall})

    compare(it)

    assert companions(it) == []


def test_a_companion_that_cannot_be_removed_is_tried_again_and_told_again(it, caplog):
    """Others come in until the lock is gone: silence would be wrong."""
    opened(it)
    publish(it)
    match = {"method": "DELETE", "path": "jit-broker-"}
    locked = {"status": 409, "code": "ScopeLocked"}
    it.broker.sim.faults({"match": match, "answer": locked, "times": 3})

    compare(it, 6)

    assert len(told(caplog, "companion.withdrawn")) > 1
    assert companions(it) == []


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [(CloseReason.REVOKED, 409, "ScopeLocked"), (CloseReason.EXPIRED, 403, "AuthorizationFailed")],
)
def test_a_grant_is_not_closed_while_its_sources_come_in_by_the_companion(it, reason, status, code):
    """The companion stays for another grant, is withdrawn, and cannot be removed for a while."""
    first = it.broker.ask(wish(NAT1, 3389, duration="PT40M"))
    it.broker.ask(wish(NAT1, 3389, source=THERE, duration="PT3H"), BOB)
    it.broker.live(OPENED)
    publish(it)
    match = {"method": "DELETE", "path": "jit-broker-"}
    refused = {"status": status, "code": code}
    it.broker.sim.faults({"match": match, "answer": refused, "times": None})
    if reason is CloseReason.REVOKED:
        it.broker.revoke(first)
    compare(it, 45)

    grant = it.broker.grant(first)
    assert (grant.status, grant.close_reason) == ("closing", reason)
    assert it.broker.reachable(NAT1, 3389, HERE)
    assert f"still there: {companions(it)[0]}" in (grant.note or "")
    it.broker.sim.control("DELETE", "faults")
    compare(it, 45)
    assert (it.broker.status(first), companions(it)) == ("closed", [])
    assert not it.broker.reachable(NAT1, 3389, HERE)


# ---- before a grant ------------------------------------------------------------------------------


def _refusal(it: Reconciling, **changes: Any) -> AccessDenied:
    with pytest.raises(AccessDenied) as refused:
        it.broker.ask(wish(NAT1, 3389, **changes))
    return refused.value


def _warnings(it: Reconciling) -> list[str]:
    found, _ = it.broker.queries.list_machines(PRODUCTION, OLGA, now=it.broker.now)
    return [each.code for vm, _ in found if vm.name == "nat1" for each in vm.warnings]


@pytest.mark.parametrize("compared", [True, False])
def test_a_request_for_a_published_port_is_refused_with_what_to_do(it, compared):
    """By the inventory or by a look at Azure; nothing is opened and nobody waits."""
    publish(it)
    it.broker.live(UPDATED)
    if compared:
        it.run(PRODUCTION)

    (violation,) = _refusal(it).violations

    assert (violation.code, violation.pointer) == (
        "nat-rule-blocks",
        "#/virtualMachines/0/ports/0/number",
    )
    assert "NAT rule jump/rdp of firewall fw leads others to port 3389" in violation.detail
    assert "ask the owner of the firewall" in violation.detail
    assert it.broker.initiates() == []


def test_a_request_after_the_rule_is_gone_is_accepted_before_the_next_comparison(it):
    """A refusal by the inventory is checked against Azure first."""
    publish(it)
    it.broker.live(UPDATED)
    it.run(PRODUCTION)
    take_back(it)
    it.broker.live(UPDATED)

    assert opened(it)


def test_the_vm_warns_of_a_published_port_until_the_rule_is_gone(it):
    """Each comparison finds out anew."""
    publish(it)
    it.broker.live(UPDATED)
    it.run(PRODUCTION)
    before = _warnings(it)
    take_back(it)
    it.broker.live(UPDATED)
    it.run(PRODUCTION)

    assert ("nat-rule-blocks" in before, "nat-rule-blocks" in _warnings(it)) == (True, False)


def test_a_pass_of_the_worker_forgets_no_obstacle(it):
    """It writes the VMs that it read into the inventory."""
    ports = [{"number": each, "protocol": "*", **_ANYBODY} for each in (22, 3389)]
    policy = it.broker.sim.get(policy_of(NAT1))
    policy["properties"]["virtualMachines"][0]["ports"] = ports
    it.edit(**{policy_of(NAT1): policy})
    publish(it)
    it.broker.live(UPDATED)
    it.run(PRODUCTION)
    network_id = network("virtualNetworks", "v", WHERE)
    changed = it.broker.sim.get(network_id)
    changed["properties"]["addressSpace"]["addressPrefixes"].append("10.99.0.0/16")
    it.edit(**{network_id: changed})

    it.broker.ask(wish(NAT1, 22, duration="PT1H"))
    it.broker.live(1)

    vm = it.broker.inventory.find_machine(NAT1)
    assert "10.99.0.0/16" in vm.vnet_prefixes
    assert [each.port for each in vm.obstacles] == [3389]


def test_a_request_for_later_is_denied_at_its_start_if_the_port_is_published_by_then(it):
    """The decision is taken again at opening (P1)."""
    start = it.broker.now + timedelta(minutes=30)
    request_id = it.broker.ask(wish(NAT1, 3389, startTime=start.isoformat()))
    publish(it)

    it.broker.live(32)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.close_reason) == ("closed", CloseReason.DENIED)
    assert "NAT rule jump/rdp" in (grant.note or "")
    assert it.broker.initiates() == []


def test_a_request_is_accepted_if_the_nsg_lets_the_firewall_in_anyway(it):
    """No companion is needed. The VM warns that others come in without a grant."""
    own = {
        **next(iter(it.broker.sim.rules(NSG).values())),
        "priority": 300,
        "access": "Allow",
        "sourceAddressPrefix": "10.84.0.0/26",
        "description": "a customer's",
    }
    it.edit(**{f"{NSG}/securityRules/from-firewall": {"properties": own}})
    publish(it)
    it.broker.live(UPDATED)
    it.run(PRODUCTION)

    assert opened(it)
    assert "nat-rule-bypasses-jit" in _warnings(it)
    assert companions(it) == []
