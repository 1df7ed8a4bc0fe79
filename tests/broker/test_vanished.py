"""Grants whose VM, NSG or firewall is deleted under them: each still ends, observed gone."""

from datetime import timedelta

import pytest

from jit.domain.errors import Unavailable
from tests.broker.inprocess import BOB, HERE, THERE, farm, wish
from tests.broker.reconciling import NSG_FARM
from tests.broker.test_several_addresses import with_second_nic
from tests.local.azure.sim import DEVELOPMENT, FW_PROD, PRODUCTION, WEB01

HOURS = 90  # minutes: an hour's access, its grace, some passes


def rules(it):
    return [name for name in it.broker.sim.rules(NSG_FARM) if "JITRule-" in name]


def test_a_grant_of_a_deleted_vm_closes_at_its_end(it):
    """The rules that it recorded say where to look."""
    request_id = it.opened()
    it.edit(**{farm(1): None})
    it.run_twice()

    it.broker.live(HOURS)

    assert it.broker.status(request_id) == "closed"
    assert rules(it) == []


def test_a_list_without_items_does_not_say_that_a_vm_is_gone(it):
    """A 200 that is no list of VMs proves nothing: nobody loses a path by it."""
    request_id = it.opened()
    odd = {"status": 200, "body": {"status": "ok"}}
    it.broker.sim.faults({"match": {"path": "virtualMachines"}, "times": None, "answer": odd})
    with pytest.raises(Unavailable):
        it.run()

    it.broker.live(3)

    assert it.broker.status(request_id) == "open"
    assert it.broker.inventory.find_machine(farm(1)) is not None


def test_a_rule_that_outlives_its_vm_is_removed(it):
    """The next VM with that address would inherit the open path."""
    it.broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    request_id = it.opened()
    it.edit(**{farm(1): None})
    it.run_twice()

    it.broker.live(HOURS)

    assert it.broker.status(request_id) == "closed"
    assert rules(it) == []


def test_a_revoked_grant_of_a_deleted_vm_closes_at_once(it):
    """No VM is needed to take a rule out."""
    request_id = it.opened()
    it.edit(**{farm(1): None})
    it.run_twice()
    it.broker.revoke(request_id)

    it.broker.live(2)

    assert it.broker.status(request_id) == "closed"
    assert rules(it) == []


@pytest.mark.parametrize(
    ("days", "waits"), [(0, "pending"), (5, "scheduled")], ids=["due", "scheduled"]
)
@pytest.mark.parametrize("compared", [True, False], ids=["compared", "not compared"])
def test_a_new_request_keeps_no_rule_of_a_deleted_vm(it, days, waits, compared):
    """The places of others' rules stay known while a grant waits for a VM that is gone."""
    it.broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    request_id = it.opened()
    start = it.broker.now + timedelta(days=days, minutes=1)
    other = it.broker.ask(wish(farm(1), source=THERE, startTime=start.isoformat()), BOB)
    it.edit(**{farm(1): None})
    it.broker.live(2)
    if compared:
        it.run_twice()
    it.broker.revoke(request_id)

    it.broker.live(3)

    assert it.broker.status(request_id) == "closed"
    assert rules(it) == []
    assert it.broker.status(other) == waits


def test_nothing_new_opens_on_a_vm_that_is_only_remembered(it, monkeypatch):
    """The records of grants name the places of their rules. They allow nothing."""
    it.opened()
    other = it.broker.accept(wish(farm(1), source=THERE), BOB).request.id
    monkeypatch.setattr(it.broker.observer, "read_machines", lambda *_, **__: ())
    it.broker.inventory.write_machines(DEVELOPMENT, (), complete=True)

    it.broker.live(5)

    grant = it.broker.grant(other)
    assert (grant.status, grant.note) == ("pending", "the VM was not found")
    assert not it.broker.reachable(farm(1), source=THERE)


def test_a_grant_that_was_not_seen_yet_on_a_deleted_vm_is_given_up(it):
    """Nothing appeared, and nothing can appear any more."""
    request_id = it.opened(minutes=0)
    it.broker.work(farm(1))
    it.edit(**{farm(1): None, NSG_FARM: None})
    it.run_twice()

    it.broker.live(HOURS)

    assert it.broker.status(request_id) == "closed"


def test_a_pending_grant_of_a_deleted_vm_is_given_up(it):
    """Nobody decides about half a VM, but nobody waits for ever either."""
    start = it.broker.now + timedelta(minutes=10)
    request_id = it.broker.ask(wish(farm(1), startTime=start.isoformat()))
    it.edit(**{farm(1): None})
    it.run_twice()

    it.broker.live(HOURS)

    assert it.broker.grant(request_id).close_reason == "failed"


def test_a_grant_whose_nsg_is_deleted_too_closes(it):
    """A rule in an NSG that is gone is gone: 404 is an answer."""
    request_id = it.opened()
    it.edit(**{farm(1): None, NSG_FARM: None})
    it.run_twice()

    it.broker.live(HOURS)

    assert it.broker.status(request_id) == "closed"


def test_a_grant_whose_firewall_is_deleted_closes(it):
    """The same for a NAT rule."""
    request_id = it.opened(WEB01, 20, port=3389)
    opened = it.broker.status(request_id)
    it.edit(**{FW_PROD: None})
    it.run_twice(PRODUCTION)

    it.broker.live(HOURS)

    assert opened == "open"
    assert it.broker.status(request_id) == "closed"


def test_a_grant_whose_nsg_may_not_be_read_does_not_close(it):
    """403 is no answer: unknown is neither open nor closed."""
    request_id = it.opened()
    action = "Microsoft.Network/networkSecurityGroups/read"
    it.broker.sim.control("PUT", "state", {"deniedActions": [action]})

    it.broker.live(HOURS)

    assert it.broker.status(request_id) == "closing"


# ---- short lists -----------------------------------------------------------------------------


def short_twice(it, kind, *, without=""):
    """Let the list of a kind of resources be without some of them, or empty, twice."""
    path = f"/subscriptions/{DEVELOPMENT}/providers/Microsoft.Network/{kind}"
    found = it.broker.sim.call("GET", path).json()["value"]
    left = [each for each in found if without and not each["id"].endswith(without)]
    answer = {"status": 200, "body": {"value": left}}
    match = {"method": "GET", "path": path, "principal": "broker"}
    forget = {"match": {"path": "/networkSecurityGroups/"}, "times": None, "leaveRules": True}
    it.broker.sim.faults(forget, {"match": match, "times": 2, "answer": answer})


def test_a_forgotten_interface_does_not_make_its_path_closed(it):
    """Two lists lacked it: the inventory names its NSG no more, and the rule there is open."""
    nsg = NSG_FARM.replace("nsg-farm-1", "nsg-second")
    with_second_nic(it, farm(1), nsg, public=True)
    request_id = it.opened()
    short_twice(it, "networkInterfaces", without="-b")
    it.run_twice()

    it.broker.revoke(request_id)
    it.broker.live(5)

    assert not it.broker.reachable(farm(1))
    assert it.broker.status(request_id) == "closed"


def test_a_forgotten_subnet_does_not_make_its_path_closed(it):
    """The NSG stands on the subnet, and the list of networks was empty twice."""
    request_id = it.opened(farm(41), port=3389)
    short_twice(it, "virtualNetworks")
    it.run_twice()

    it.broker.revoke(request_id)
    it.broker.live(5)

    assert not it.broker.reachable(farm(41), port=3389)
    assert it.broker.status(request_id) == "closed"


def test_a_forgotten_firewall_does_not_make_its_path_closed(it):
    """The list of firewalls was empty twice, and its NAT rule is removed."""
    request_id = it.opened(WEB01, port=3389, minutes=10)
    path = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Network/azureFirewalls"
    answer = {"status": 200, "body": {"value": []}}
    forget = {"match": {"path": "initiate"}, "times": None, "leaveRules": True}
    match = {"method": "GET", "path": path, "principal": "broker"}
    it.broker.sim.faults(forget, {"match": match, "times": 2, "answer": answer})
    it.run_twice(PRODUCTION)
    it.broker.revoke(request_id)

    it.broker.live(20)

    assert it.broker.sim.nat() == []
    assert it.broker.status(request_id) == "closed"


# ---- 404 is not "gone" at once -------------------------------------------------------------------

GROUP_GONE = {"status": 404, "code": "ResourceGroupNotFound"}


def not_found(it, nsg=NSG_FARM, times=None):
    """Let Azure answer 404 when the broker reads that NSG."""
    match = {"method": "GET", "path": nsg, "principal": "broker"}
    it.broker.sim.faults({"match": match, "times": times, "answer": GROUP_GONE})


def test_one_answer_of_404_does_not_prove_that_a_path_is_closed(it):
    """The NSG is there, and packets still get in."""
    it.broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    request_id = it.opened()
    not_found(it, times=1)
    it.broker.revoke(request_id)
    it.broker.work(farm(1))

    assert it.broker.status(request_id) == "closing"
    it.broker.live(5)

    assert (it.broker.status(request_id), rules(it)) == ("closed", [])
    assert not it.broker.reachable(farm(1))


def test_an_nsg_that_a_list_still_has_is_not_gone_however_often_it_is_not_found(it):
    """A fault of one route of Azure's lasts for an hour."""
    request_id = it.opened()
    not_found(it)

    it.broker.revoke(request_id)
    it.broker.live(30)

    assert it.broker.status(request_id) == "closing"
    assert "could not be read" in it.broker.grant(request_id).note


def test_an_nsg_that_is_neither_found_nor_listed_for_a_minute_is_gone(it):
    """Its rules went with it: nothing is left to remove."""
    request_id = it.opened()
    it.edit(**{NSG_FARM: None})

    it.broker.revoke(request_id)
    it.broker.live(0.5)
    assert it.broker.status(request_id) == "closing"
    it.broker.live(4)

    assert it.broker.status(request_id) == "closed"


def test_an_nsg_that_comes_back_between_two_answers_of_404_is_missed_anew(it):
    """The minute begins again: the two answers are two faults."""
    it.broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    request_id = it.opened()
    it.broker.work(farm(1))
    policy = it.broker.locks.read_policy(it.broker.grant(request_id).policy_id)
    assert policy.missing == {}
    not_found(it, times=1)
    it.broker.revoke(request_id)
    it.broker.work(farm(1))
    (since,) = it.broker.locks.read_policy(policy.policy_id).missing.values()
    assert since == it.broker.now

    it.broker.live(0.2)

    assert it.broker.locks.read_policy(policy.policy_id).missing == {}


def test_a_policy_that_is_listed_and_not_found_once_takes_nothing_from_a_portal_user(it):
    """Without the policy's requests, her rule would look like nobody's."""
    it.broker.sim.initiate(farm(1), 22, HERE, 120, as_="petra")
    it.broker.sim.advance("PT1M")
    request_id = it.opened()
    policy = it.broker.grant(request_id).policy_id
    match = {"method": "GET", "path": policy, "principal": "broker"}
    gone = {"status": 404, "code": "ResourceNotFound"}
    it.broker.sim.faults({"match": match, "times": 2, "answer": gone})

    it.broker.revoke(request_id)
    it.broker.live(10)

    assert it.broker.status(request_id) == "closed"
    assert it.broker.reachable(farm(1), source=HERE)
