"""Changes of a VM by its owners while a path to it is open: each ends in a state and a reason."""

import copy
import logging
from datetime import timedelta

import pytest

from tests.broker.inprocess import ALICE, BOB, HERE, OLGA, THERE, farm, wish
from tests.broker.reconciling import NSG_FARM, told
from tests.builders.nsgs import arm_rule
from tests.local.azure.sim import FW_PROD, NSG_WEB, PRODUCTION, WEB01

READS = "Microsoft.Network/networkSecurityGroups/read"
PARTS = [
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/virtualNetworks/read",
]
LOCKED = {"status": 409, "code": "ScopeLocked"}
LEAVES = {"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True}
LATER = "10.21.0.201"


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def denied(it, *actions):
    it.broker.sim.control("PUT", "state", {"deniedActions": list(actions)})


def allows(it, nsg=NSG_FARM):
    rules = it.broker.sim.rules(nsg)
    return {n: r["destinationAddressPrefix"] for n, r in rules.items() if "JITRule-" in n}


def nic_of(it, vm):
    reference = it.broker.sim.get(vm)["properties"]["networkProfile"]["networkInterfaces"][0]
    return it.broker.sim.get(reference["id"])


def moved_to(nic, address):
    """The same interface with another private address."""
    changed = copy.deepcopy(nic)
    changed["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = address
    return changed


def passed(it, minutes=10):
    """A comparison, and the passes that follow from it."""
    it.run()
    it.broker.live(minutes)


# ---- changes after the last comparison -----------------------------------------------------------


def a_new_nsg(it, name, *rules):
    """Another NSG beside the VM's own; its id."""
    nsg = NSG_FARM.replace("nsg-farm-1", name)
    body = {"id": nsg, "name": name, "location": "westeurope"}
    it.edit(**{nsg: {**body, "properties": {"securityRules": list(rules)}}})
    return nsg


def guarded_by(it, vm, nsg):
    """Give the VM's interface another NSG."""
    nic = copy.deepcopy(nic_of(it, vm))
    nic["properties"]["networkSecurityGroup"] = {"id": nsg}
    it.edit(**{nic["id"]: nic})


def guarded_within(it, vm, nsg):
    """Give the VM's subnet an NSG."""
    where = nic_of(it, vm)["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"]
    network = copy.deepcopy(it.broker.sim.get(where.rpartition("/subnets/")[0]))
    (subnet,) = (s for s in network["properties"]["subnets"] if s["id"].lower() == where.lower())
    subnet["properties"]["networkSecurityGroup"] = {"id": nsg}
    it.edit(**{network["id"]: network})


def test_a_path_in_an_nsg_that_was_exchanged_since_then_is_seen_and_closed(it):
    """The decision read where the VM's packets pass; the passes after it look there too."""
    it.run()
    guarded_by(it, farm(1), a_new_nsg(it, "nsg-new"))

    request_id = it.opened(farm(1), 1)
    opened = (it.broker.status(request_id), it.broker.reachable(farm(1)))
    it.broker.revoke(request_id)
    it.broker.live(1)

    assert opened == ("open", True)
    assert (it.broker.status(request_id), it.broker.reachable(farm(1))) == ("closed", False)


def test_a_decision_about_a_vm_that_has_not_changed_writes_nothing_about_it(it):
    """However Azure spells its ids from one answer to the next."""
    it.run()
    before = [row.etag for row in it.broker.state.rows("v|")]

    it.opened(farm(1), 1)

    assert [row.etag for row in it.broker.state.rows("v|")] == before


def test_a_deny_that_came_after_the_decision_is_seen_before_the_path_is_called_open(it):
    """Between asking Azure and its rules, an owner has guarded the subnet."""
    it.run()
    deny = arm_rule(100, "Deny", name="deny-ssh", port="22")
    request_id = it.broker.ask(wish(farm(1)))
    it.broker.deliver()
    guarded_within(it, farm(1), a_new_nsg(it, "nsg-shut", deny))

    it.broker.live(3)

    assert it.broker.status(request_id) == "opening"
    assert "deny-ssh" in str(it.broker.grant(request_id).note)


def test_a_vm_that_was_deleted_before_its_path_came_is_never_called_open(it):
    """Its NSG lets packets through to nobody."""
    request_id = it.broker.ask(wish(farm(1)))
    it.broker.deliver()
    it.edit(**{farm(1): None})

    it.broker.live(3)

    assert it.broker.status(request_id) == "opening"


# ---- the VM --------------------------------------------------------------------------------------


def test_the_power_state_of_a_vm_does_not_matter(it):
    """A path opens to a stopped VM too: its owner may be about to start it."""
    vm = it.broker.sim.get(farm(1))
    stopped = [{"code": "PowerState/deallocated"}]
    vm["properties"]["instanceView"] = {"statuses": stopped}
    it.edit(**{farm(1): vm})

    request_id = it.opened()

    assert it.broker.status(request_id) == "open"


def test_a_vm_that_is_deleted_closes_its_grants_at_the_second_comparison(it, caplog):
    """The next VM with its address would inherit an open path."""
    request_id = it.opened()
    it.edit(**{farm(1): None})

    it.run_twice()
    it.broker.live(10)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.close_reason) == ("closed", "failed")
    assert grant.note == "its VM no longer exists: deleted, or moved to another resource group"
    assert allows(it) == {}


def test_a_vm_that_is_moved_to_another_group_is_another_vm(it):
    """Its id changed, and with it the JIT policy: a requester asks for the new one."""
    request_id = it.opened()
    moved = copy.deepcopy(it.broker.sim.get(farm(1)))
    moved["id"] = farm(1).replace("rg-farm-1", "rg-farm-2")
    it.edit(**{farm(1): None, moved["id"]: moved})

    it.run_twice()
    it.broker.live(10)

    assert it.broker.status(request_id) == "closed"
    assert allows(it) == {}


# ---- its interface -------------------------------------------------------------------------------


def test_a_private_address_that_changes_while_open_is_followed(it):
    """The path to the old one is no path: Defender is asked for the new one."""
    request_id = it.opened()
    nic = nic_of(it, farm(1))
    it.edit(**{nic["id"]: moved_to(nic, LATER)})

    passed(it)

    assert it.broker.status(request_id) == "open"
    assert LATER in allows(it).values()


def test_paths_to_all_addresses_that_a_vm_had_are_closed(it):
    """Each was written down when its rule was seen."""
    it.broker.sim.faults(LEAVES)
    request_id = it.opened()
    nic = nic_of(it, farm(1))
    it.edit(**{nic["id"]: moved_to(nic, LATER)})
    passed(it)
    it.edit(**{nic["id"]: moved_to(nic, "10.21.0.202")})
    passed(it)
    it.broker.revoke(request_id)

    it.broker.live(10)

    assert it.broker.status(request_id) == "closed"
    assert allows(it) == {}


def test_an_address_that_another_vm_has_taken_over_keeps_that_vms_path(it):
    """The same person, the same port, the old address: the path leads to the other VM by now."""
    mine = it.opened(farm(1))
    nic, other = nic_of(it, farm(1)), nic_of(it, farm(2))
    old = it.address(farm(1))
    it.edit(**{nic["id"]: moved_to(nic, LATER), other["id"]: moved_to(other, old)})
    passed(it)
    theirs = it.opened(farm(2))
    it.broker.revoke(mine)

    it.broker.live(10)

    assert it.broker.status(mine) == "closed"
    assert it.broker.status(theirs) == "open"
    assert old in allows(it).values()


def test_an_interface_that_is_swapped_is_followed(it):
    """A new interface, a new address, the same VM."""
    request_id = it.opened()
    nic = nic_of(it, farm(1))
    new = moved_to(nic, LATER)
    new["id"], new["name"] = f"{nic['id']}-b", f"{nic['name']}-b"
    vm = it.broker.sim.get(farm(1))
    vm["properties"]["networkProfile"]["networkInterfaces"][0]["id"] = new["id"]
    it.edit(**{new["id"]: new, farm(1): vm, nic["id"]: None})

    passed(it)

    assert it.broker.status(request_id) == "open"
    assert LATER in allows(it).values()


# ---- its NSG -------------------------------------------------------------------------------------


def with_nsg(nic, nsg_id):
    """The interface guarded by another NSG, or by none."""
    changed = copy.deepcopy(nic)
    changed["properties"].pop("networkSecurityGroup", None)
    if nsg_id:
        changed["properties"]["networkSecurityGroup"] = {"id": nsg_id}
    return changed


def test_an_nsg_that_is_swapped_on_the_interface_is_followed(it):
    """The rule in the old one guards nobody; the new one gets its own."""
    request_id = it.opened()
    new = NSG_FARM.replace("nsg-farm-1", "nsg-new")
    empty = {"id": new, "name": "nsg-new", "location": "westeurope"}
    nic = nic_of(it, farm(1))
    it.edit(**{new: {**empty, "properties": {"securityRules": []}}})
    it.edit(**{nic["id"]: with_nsg(nic, new)})

    passed(it)

    assert it.broker.status(request_id) == "open"
    assert len(allows(it, new)) == 1


def test_a_vm_that_loses_its_nsg_has_no_path_and_says_why(it, caplog):
    """Without an NSG there is no place for a rule."""
    request_id = it.opened()
    nic = nic_of(it, farm(1))
    it.edit(**{nic["id"]: with_nsg(nic, None)})

    passed(it, minutes=40)

    grant, (alert,) = it.broker.grant(request_id), told(caplog, "grants.failed")
    assert (grant.status, grant.close_reason) == ("closed", "failed")
    assert "no NSG guards the VM" in alert["reasons"][0]


# ---- locks ---------------------------------------------------------------------------------------


def test_a_lock_that_keeps_a_path_from_opening_is_reported_at_once(it, caplog):
    """The requester reads Azure's own word for it."""
    it.broker.sim.faults({"match": {"path": "/initiate"}, "times": None, "answer": LOCKED})

    request_id = it.opened()

    grant = it.broker.grant(request_id)
    assert (grant.close_reason, grant.note) == ("failed", "Azure refused to open it (ScopeLocked)")
    assert len(told(caplog, "grants.failed")) == 1


def test_a_lock_that_keeps_a_wiped_path_from_coming_back_is_reported(it, caplog):
    """A path that cannot be mended is given up, with the first known reason."""
    request_id = it.opened()
    it.broker.sim.faults({"match": {"path": "/initiate"}, "times": None, "answer": LOCKED})
    it.wipe()

    passed(it, minutes=40)

    assert it.broker.grant(request_id).close_reason == "failed"
    assert "ScopeLocked" in told(caplog, "grants.failed")[0]["reasons"][0]


@pytest.mark.parametrize("answer", [LOCKED, {"status": 403, "code": "AuthorizationFailed"}])
def test_a_rule_that_may_not_be_removed_keeps_its_grant_closing_and_alerts(it, caplog, answer):
    """Never closed without having been seen gone; the rule has a name in the alert."""
    it.broker.sim.faults(LEAVES, {"match": {"method": "DELETE"}, "times": None, "answer": answer})
    request_id = it.opened()
    (name,) = allows(it)
    it.broker.revoke(request_id)
    it.broker.live(45)

    it.run()

    grant = it.broker.grant(request_id)
    refusal = f"still there: {name}; Azure refused to remove {name} ({answer['code']}): "
    assert grant.status == "closing"
    assert (grant.note or "").startswith(refusal)
    assert told(caplog, "rule.overdue")[-1]["rule"] == name


def test_a_rule_that_two_shared_and_nobody_may_remove_alerts_for_the_one_who_is_over(it, caplog):
    """The one who stays has a rule of her own by now. The old rule still lets the other one in."""
    it.broker.sim.faults(LEAVES, {"match": {"method": "DELETE"}, "times": None, "answer": LOCKED})
    stays = it.opened(minutes=5, sources=[THERE])
    leaves = it.opened(minutes=5)
    it.broker.revoke(leaves)
    it.broker.live(45)

    it.run()

    assert it.broker.reachable(farm(1), 22, HERE)
    assert (it.broker.status(leaves), it.broker.status(stays)) == ("closing", "open")
    assert told(caplog, "rule.overdue")[-1]["rule"] in allows(it)
    assert told(caplog, "leftovers.held") != []


def test_a_lock_that_is_lifted_lets_the_grant_close(it):
    """Trying never ends: a quarter of an hour to remove it, another one to see it gone."""
    it.broker.sim.faults(LEAVES, {"match": {"method": "DELETE"}, "times": None, "answer": LOCKED})
    request_id = it.opened()
    it.broker.revoke(request_id)
    it.broker.live(180)
    it.broker.sim.control("DELETE", "faults")

    it.broker.live(32)

    assert it.broker.status(request_id) == "closed"


def test_a_firewall_that_may_not_be_written_keeps_its_grant_closing_and_alerts(it, caplog):
    """The NAT rule is named; nothing is taken for gone."""
    request_id = it.opened(WEB01, 15, port=3389)
    (rule,) = it.broker.sim.nat()
    it.broker.sim.faults({"match": {"path": "fw-prod"}, "times": None, "leaveRules": True})
    denied(it, "Microsoft.Network/azureFirewalls/write")
    it.broker.revoke(request_id)
    it.broker.live(45)

    it.run(PRODUCTION)

    assert it.broker.status(request_id) == "closing"
    assert rule["name"] in told(caplog, "rule.overdue")[-1]["rule"]
    assert FW_PROD in {event.get("resource_id") for event in told(caplog, "permission.lost")}


# ---- permissions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action", [READS, "Microsoft.Security/locations/jitNetworkAccessPolicies/read"]
)
def test_an_unreadable_path_does_not_count_as_closed(it, caplog, action):
    """An alert and the grant both name the missing permission."""
    request_id = it.opened()
    denied(it, action)

    it.broker.live(180)
    it.run()

    grant = it.broker.grant(request_id)
    assert grant.status == "closing"
    assert "read" in grant.note
    assert len(told(caplog, "permission.lost")) > 0


def test_of_an_nsg_that_cannot_be_read_nothing_is_asked_for(it):
    """Nobody could see the path open, or gone after its end. It opens once it can be read."""
    it.run()
    denied(it, READS)
    request_id = it.broker.accept(wish(farm(1)), ALICE).request.id
    it.broker.live(10)

    grant = it.broker.grant(request_id)
    assert (grant.status, it.broker.initiates()) == ("pending", [])
    assert "the broker may not read nsg-farm-1" in grant.note
    denied(it)
    it.broker.live(5)
    assert it.broker.status(request_id) == "open"


def in_state(it, state, *, wiped=False):
    """Give the NSG of the VM that state; *wiped* of Defender's allow rules."""
    body = copy.deepcopy(it.broker.sim.get(NSG_FARM))
    rules = body["properties"]["securityRules"]
    kept = [rule for rule in rules if not wiped or "JITRule-" not in rule["name"]]
    body["properties"] |= {"securityRules": kept, "provisioningState": state}
    it.edit(**{NSG_FARM: body})


@pytest.mark.parametrize("state", ["Failed", "Updating"])
def test_an_nsg_in_doubt_leaves_an_open_path_open_until_its_rule_is_gone(it, state):
    """Its rules have the state of the NSG, and read as before."""
    request_id = it.opened()
    in_state(it, state)
    it.broker.poll(request_id)
    passed(it, 25)
    grant, reached = it.broker.grant(request_id), it.broker.reachable(farm(1))
    in_state(it, state, wiped=True)
    passed(it, 1)

    assert (grant.status, reached) == ("open", True)
    assert "nsg-farm-1" in grant.note.lower()
    assert it.broker.status(request_id) == "opening"


@pytest.mark.parametrize("state", ["Failed", "Updating"])
def test_an_nsg_in_doubt_that_the_vm_has_no_more_keeps_its_grant_closing(it, state):
    """The rule may be in force there unlisted, and the NSG may come back."""
    guarded_by(it, farm(1), NSG_FARM)
    request_id = it.opened(farm(1), 2)
    guarded_by(it, farm(1), a_new_nsg(it, "nsg-new"))
    it.run()
    body = copy.deepcopy(it.broker.sim.get(NSG_FARM))
    rules = body["properties"]["securityRules"]
    body["properties"]["securityRules"] = [rule for rule in rules if "JITRule-" not in rule["name"]]
    body["properties"]["provisioningState"] = state
    it.edit(**{NSG_FARM: body})
    it.broker.revoke(request_id)
    it.broker.live(30)

    grant = it.broker.grant(request_id)
    assert grant.status == "closing"
    assert "nsg-farm-1" in grant.note.lower()
    body["properties"]["provisioningState"] = "Succeeded"
    it.edit(**{NSG_FARM: body})
    it.broker.live(20)
    assert it.broker.status(request_id) == "closed"


def test_a_permission_that_is_given_back_lets_the_grant_close(it):
    """At the latest a quarter of an hour afterwards."""
    request_id = it.opened()
    denied(it, READS)
    it.broker.live(180)
    denied(it)

    it.broker.live(17)

    assert it.broker.status(request_id) == "closed"


@pytest.fixture(params=PARTS, ids=["vm", "interface", "network"])
def half_read(it, request):
    """Alice's path is open; a part of her VM that only opening needs may not be read."""
    request_id = it.opened()
    denied(it, request.param)
    return request_id


@pytest.mark.parametrize(
    ("days", "waits"), [(0, "pending"), (5, "scheduled")], ids=["due", "scheduled"]
)
def test_a_request_that_waits_keeps_no_other_path_open(it, half_read, days, waits):
    """The new one cannot be decided. The other one must close."""
    start = it.broker.now + timedelta(days=days, seconds=1)
    other = it.broker.ask(wish(farm(1), source=THERE, startTime=start.isoformat()), BOB)
    it.broker.live(1)
    it.broker.revoke(half_read)

    it.broker.live(3)

    assert it.broker.status(half_read) == "closed"
    assert not it.broker.reachable(farm(1))
    assert it.broker.status(other) == waits


def test_a_request_that_starts_later_makes_nobody_read_more(it):
    """There is nothing to decide about it yet: closing rests on NSGs and the firewall alone."""
    request_id = it.opened()
    start = it.broker.now + timedelta(days=5)
    it.broker.ask(wish(farm(1), source=THERE, startTime=start.isoformat()), BOB)
    before = it.broker.calls.count("arm.get")
    it.broker.revoke(request_id)

    it.broker.live(3)

    assert it.broker.status(request_id) == "closed"
    assert it.broker.calls.count("arm.get") == before


def test_a_vm_that_is_read_in_part_opens_for_nobody_new(it, half_read):
    """An open path stays. A waiting grant is neither opened nor denied, and has the reason."""
    other = it.broker.ask(wish(farm(1), source=THERE), BOB)

    passed(it)

    grant = it.broker.grant(other)
    assert (grant.status, grant.expires_at) == ("pending", None)
    assert "may not read" in grant.note
    assert it.broker.status(half_read) == "open"
    assert not it.broker.reachable(farm(1), source=THERE)
    assert len(it.broker.initiates()) == 1


def test_a_grant_that_waited_for_a_part_of_a_vm_opens_once_it_can_be_read(it, half_read):
    """At the latest a minute afterwards, and nobody is cut off by it."""
    other = it.broker.ask(wish(farm(1), source=THERE), BOB)
    it.broker.live(10)
    denied(it)

    it.broker.live(3)

    assert (it.broker.status(half_read), it.broker.status(other)) == ("open", "open")


def test_a_waiting_grant_takes_no_rule_of_an_open_request_for_its_own(it, half_read):
    """The same source, the same port: a grant that Azure never got is closed at once."""
    other = it.broker.ask(wish(farm(1)), BOB)
    it.broker.live(2)

    it.broker.revoke(other, BOB)

    assert it.broker.grant(other).footprint.rules == ()
    assert (it.broker.status(half_read), it.broker.status(other)) == ("open", "closed")


def test_a_scheduled_request_takes_no_rule_of_an_open_one_for_its_own(it):
    """It can be given back while the same source has a path already."""
    start = it.broker.now + timedelta(hours=3)
    other = it.broker.ask(wish(farm(1), startTime=start.isoformat()), BOB)
    request_id = it.opened()

    it.broker.revoke(other, BOB)

    assert it.broker.grant(other).footprint.rules == ()
    assert (it.broker.status(request_id), it.broker.status(other)) == ("open", "closed")


def test_a_firewall_that_stays_failed_is_an_alert_that_says_so(it, caplog):
    """Neither open nor closed: a person repeats its update, or nothing ever ends."""
    failed = {"match": {"principal": "defender", "path": "fw-prod"}, "times": None}
    it.broker.sim.faults(failed | {"operation": {"status": "Failed"}})
    it.broker.ask(wish(WEB01, 3389))
    it.broker.live(120)

    it.run(PRODUCTION)

    (alert,) = told(caplog, "grants.unverified")
    assert "the last update of firewall fw-prod failed" in alert["reasons"][0]


# ---- unverified ----------------------------------------------------------------------------------


@pytest.fixture
def unseen(it):
    """A grant that should have closed more than an hour ago, and cannot be looked at."""
    request_id = it.opened()
    denied(it, READS)
    it.broker.live(180)
    return request_id


def test_an_operator_may_end_a_grant_that_cannot_be_seen(it, unseen):
    """With a reason, after an hour. The trail has the operator, and that it was not seen closed."""
    it.broker.revoke(unseen, OLGA, "CHG0031337 the subscription is gone")
    it.broker.live(2)

    grant = it.broker.grant(unseen)
    assert (grant.status, grant.close_reason) == ("closed", "unverified")
    assert grant.note.startswith("closed unseen by an operator")


@pytest.mark.parametrize(("caller", "reason"), [(ALICE, "I am done"), (OLGA, None), (OLGA, "")])
def test_an_operator_without_a_reason_and_other_people_may_not(it, unseen, caller, reason):
    """Closing unseen is an operator's own responsibility."""
    it.broker.revoke(unseen, caller, reason)

    assert it.broker.status(unseen) == "closing"


def test_a_grant_that_is_unclear_for_less_than_an_hour_waits(it):
    """An outage is no reason."""
    request_id = it.opened()
    denied(it, READS)
    it.broker.revoke(request_id)
    it.broker.live(50)

    it.broker.revoke(request_id, OLGA, "CHG0031337")

    assert it.broker.status(request_id) == "closing"


def test_a_rule_that_is_seen_to_stand_is_never_closed_unseen(it):
    """It can be observed: it is there."""
    it.broker.sim.faults(LEAVES, {"match": {"method": "DELETE"}, "times": None, "answer": LOCKED})
    request_id = it.opened()
    it.broker.revoke(request_id)
    it.broker.live(180)

    it.broker.revoke(request_id, OLGA, "CHG0031337")

    assert it.broker.status(request_id) == "closing"


def test_rules_of_a_grant_closed_unseen_are_removed_once_they_can_be_read(it):
    """Its tombstone still knows its rules."""
    it.broker.sim.faults(LEAVES)
    request_id = it.opened()
    denied(it, READS)
    it.broker.live(180)
    it.broker.revoke(request_id, OLGA, "CHG0031337")
    it.broker.live(2)
    denied(it)

    passed(it)

    assert allows(it) == {}
    assert not it.broker.reachable(farm(1), source=HERE)


# ---- refusals by name ----------------------------------------------------------------------------

BY_POLICY = {"status": 403, "code": "RequestDisallowedByPolicy"}


def companions_of(it):
    return [name for name in it.broker.sim.rules(NSG_WEB) if name.startswith("jit-broker-")]


def test_a_locked_companion_is_named_with_its_lock(it):
    """Behind a firewall; the NAT rule is gone, and nothing waits for time to pass."""
    request_id = it.opened(WEB01, port=3389, minutes=8)
    (name,) = companions_of(it)
    delete = {"method": "DELETE", "path": f"/securityRules/{name}"}
    it.broker.sim.faults({"match": delete, "times": None, "answer": LOCKED})
    it.broker.revoke(request_id)
    it.broker.live(45)

    grant = it.broker.grant(request_id)
    assert grant.status == "closing"
    assert grant.note == (
        f"still there: {name}; Azure refused to remove {name} (ScopeLocked): "
        "a lock forbids it, which its owner must take away"
    )


def test_a_companion_that_an_azure_policy_forbids_is_named(it, caplog):
    """The deny rule of just-in-time access is not to blame: the companion would overrule it."""
    companion = {"method": "PUT", "path": "/securityRules/jit-broker-"}
    it.broker.sim.faults({"match": companion, "times": None, "answer": BY_POLICY})
    request_id = it.opened(WEB01, port=3389, minutes=8)
    during = it.broker.grant(request_id)

    it.broker.live(60)

    told_at_last = told(caplog, "grants.failed")[-1]["reasons"][0]
    for note in (during.note or "", told_at_last):
        assert "Azure refused to add the companion rule jit-broker-" in note
        assert "(RequestDisallowedByPolicy): an Azure Policy forbids it" in note


def test_a_firewall_that_may_not_be_changed_is_named(it):
    """Its NAT rule is still there after the grant was given back."""
    request_id = it.opened(WEB01, port=3389, minutes=8)
    write = {"method": "PUT", "path": "azureFirewalls", "principal": "broker"}
    it.broker.sim.faults({"match": write, "times": None, "answer": LOCKED})
    it.broker.revoke(request_id)
    it.broker.live(10)

    note = it.broker.grant(request_id).note or ""
    assert note.startswith("still there: ")
    assert "; Azure refused to change fw-prod (ScopeLocked): a lock forbids it" in note
