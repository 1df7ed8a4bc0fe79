"""A list of Azure that lacks resources once: nobody loses a path, and nothing is forgotten."""

import logging

import pytest

from jit.domain.errors import AccessDenied
from jit.domain.model.absence import ABSENT_AFTER
from jit.domain.values import arm_ids
from jit.storage.request_store import TOMBSTONE_KEPT
from tests.broker.inprocess import farm, wish
from tests.broker.reconciling import NSG_FARM, told
from tests.local.azure.sim import DEVELOPMENT, FW_PROD, NSG_WEB, PRODUCTION, WEB01

COMPUTE, NETWORK = "Microsoft.Compute", "Microsoft.Network"
JIT = "Microsoft.Security/jitNetworkAccessPolicies"
LISTS = (
    f"{COMPUTE}/virtualMachines",
    f"{NETWORK}/networkInterfaces",
    f"{NETWORK}/virtualNetworks",
    f"{NETWORK}/networkSecurityGroups",
    f"{NETWORK}/azureFirewalls",
    f"{NETWORK}/publicIPAddresses",
    JIT,
)
OPENED = 20  # minutes, behind the firewall


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def shorten(it, kind, subscription=DEVELOPMENT, *, omit="", times=1):
    """Let a list of the subscription be without some resources, or empty."""
    path = f"/subscriptions/{subscription}/providers/{kind}"
    match = {"method": "GET", "path": path, "principal": "broker"}
    it.broker.sim.faults({"match": match, "omit": [omit], "times": times})


def state(it, request_id, vm, port):
    """The grant, and what the inventory knows about its VM, without the absences."""
    known = it.broker.inventory.find_machine(vm)
    return it.broker.status(request_id), known and (
        known.firewall_id,
        known.ports,
        known.interfaces,
    )


@pytest.mark.parametrize("kind", LISTS)
def test_one_empty_list_takes_no_path_away(it, kind):
    """Of a VM behind a firewall: grant, companion and inventory stay."""
    request_id = it.opened(WEB01, OPENED, port=3389)
    it.run(PRODUCTION)
    before, rules = state(it, request_id, WEB01, 3389), it.broker.sim.rules(NSG_WEB)
    asked = len(it.broker.initiates())
    shorten(it, kind, PRODUCTION)

    it.run(PRODUCTION)
    it.broker.live(3)

    assert before[0] == "open"
    assert state(it, request_id, WEB01, 3389) == before
    assert it.broker.sim.rules(NSG_WEB) == rules
    assert len(it.broker.initiates()) == asked


def test_one_short_list_of_vms_closes_no_grant(it):
    """The list lacked one VM, and the VM is there."""
    request_id = it.opened()
    shorten(it, LISTS[0], omit="/farm01")

    it.run()
    it.broker.live(3)

    assert it.broker.status(request_id) == "open"
    assert it.broker.reachable(farm(1))


def test_a_vm_that_two_comparisons_lack_is_gone(it):
    """Its grant closes, and its row goes."""
    request_id = it.opened()
    it.edit(**{farm(1): None})

    it.run_twice()
    it.broker.live(3)

    assert it.broker.status(request_id) == "closed"
    assert it.broker.grant(request_id).close_reason == "failed"
    assert it.broker.inventory.find_machine(farm(1)) is None


def test_a_vm_that_is_listed_in_between_is_missed_anew(it):
    """Two faults are not one absence."""
    request_id = it.opened()
    for _ in range(2):
        shorten(it, LISTS[0], omit="/farm01")
        it.run_twice()
        it.broker.advance(ABSENT_AFTER)

    assert it.broker.status(request_id) == "open"


def test_a_revoked_grant_of_a_vm_in_doubt_closes(it):
    """Doubt keeps closing: no list of VMs is needed to take a rule out."""
    request_id = it.opened()
    shorten(it, LISTS[0], omit="/farm01", times=None)
    it.run()
    it.broker.revoke(request_id)

    it.broker.live(3)

    assert it.broker.status(request_id) == "closed"
    assert not it.broker.reachable(farm(1))


def test_a_new_request_for_a_vm_in_doubt_is_decided_by_a_new_list(it):
    """The list has the VM again: the request is accepted."""
    it.run()
    shorten(it, LISTS[0], omit="/farm01")
    it.run()

    assert it.broker.accept(wish(farm(1))).status.value == "pending"
    assert it.broker.inventory.find_machine(farm(1)).absences == ()


def test_a_new_request_for_a_vm_that_two_lists_lack_is_denied(it):
    """Doubt denies, although the row of the VM is still there."""
    it.run()
    shorten(it, LISTS[0], omit="/farm01", times=2)
    it.run()

    with pytest.raises(AccessDenied) as denied:
        it.broker.accept(wish(farm(1)))

    assert [each.code for each in denied.value.violations] == ["vm-not-found"]
    assert it.broker.inventory.find_machine(farm(1)) is not None


def test_two_empty_lists_of_firewalls_withdraw_the_companion(it):
    """The firewall is believed to be gone, as if its rules were not known any more."""
    it.opened(WEB01, OPENED, port=3389)
    it.edit(**{FW_PROD: None})

    it.run_twice(PRODUCTION)
    it.broker.live(3)

    assert it.broker.inventory.find_machine(WEB01).firewall_id is None
    assert not [name for name in it.broker.sim.rules(NSG_WEB) if "jit-broker" in name]


def test_a_dry_run_after_a_short_list_plans_as_the_run(it):
    """It writes nothing: the inventory has the first absence from the run before it."""
    it.opened()
    shorten(it, LISTS[0], omit="/farm01", times=2)
    first = it.planned()
    assert it.broker.inventory.find_machine(farm(1)).absences == ()
    it.run()
    it.broker.advance(ABSENT_AFTER)
    it.edit(**{farm(1): None})

    assert (first, it.planned()) == ([], [("close", "missing")])


def test_a_short_list_of_nsgs_deletes_no_tombstone(it):
    """A rule may stand in the NSG that was not listed, and without its tombstone be nobody's."""
    it.closed(minutes=61)
    (stone,) = it.broker.state.rows("t|")
    it.broker.advance(TOMBSTONE_KEPT - (it.broker.now - stone.written_at))
    shorten(it, f"{NETWORK}/networkSecurityGroups")

    it.run()
    kept = len(it.broker.state.rows("t|"))
    it.run()

    assert (kept, len(it.broker.state.rows("t|"))) == (1, 0)


# ---- told ----------------------------------------------------------------------------------------


def test_a_vm_that_is_gone_with_a_live_grant_is_one_alert(it, caplog):
    """It names the VM and its grants; a VM without grants is no news."""
    request_id = it.opened()
    it.edit(**{farm(1): None, farm(2): None})

    it.run()
    assert told(caplog, "vm.vanished") == []
    it.broker.advance(ABSENT_AFTER)
    it.run()
    it.broker.advance(ABSENT_AFTER)
    it.run()

    (event,) = told(caplog, "vm.vanished")
    assert (arm_ids.key(event["resource_id"]), event["count"]) == (arm_ids.key(farm(1)), 1)
    assert event["grants"] == [it.broker.grant(request_id).id]


def test_a_grant_whose_vm_is_missed_is_compared_again_after_a_minute(it):
    """The next VM with that address must not wait for the timer."""
    it.opened()
    it.run()
    assert it.reconcile_messages() == []
    it.edit(**{farm(1): None, NSG_FARM: None})

    it.run()

    assert it.reconcile_messages() == [DEVELOPMENT]
    (sent,) = it.broker.queues.waiting("jit-reconcile")
    assert sent.visible_at >= it.broker.now + ABSENT_AFTER


def test_a_vm_in_doubt_without_a_grant_waits_for_the_timer(it):
    """Nothing depends on it."""
    it.run()
    it.edit(**{farm(2): None})

    it.run()

    assert it.reconcile_messages() == []
