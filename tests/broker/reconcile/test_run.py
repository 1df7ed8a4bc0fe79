"""A run over simulated Azure: grants without rules, unreadable Azure, plans, the inventory."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.broker.locks import LEASE
from jit.broker.reconcile.run import MOST_DELETED
from jit.domain.errors import Unavailable
from jit.storage.request_store import TOMBSTONE_KEPT
from jit.storage.table import Op, Verb
from tests.broker.inprocess import farm, policy_of, wish
from tests.broker.reconciling import FARM_POLICY, NSG_FARM, told
from tests.local.azure.sim import DEVELOPMENT, NSG_WEB, PRODUCTION

WEB_ADDRESS = "10.1.1.4"
RULES = "Microsoft.Network/networkSecurityGroups/securityRules"
RDP, SSH = ("jit-rdp", WEB_ADDRESS, 3389), ("jit-ssh", WEB_ADDRESS, 22)
NEXT_RUN = 6  # minutes: the timer's five, and a firewall's update
GATHERED = 2


# ---- grants without their rules ------------------------------------------------------------------


def test_a_path_that_somebody_wiped_is_opened_again(it):
    """The run makes the grant due, its worker asks Defender once more."""
    request_id = it.opened()
    it.wipe()

    it.run()
    it.broker.live(GATHERED)

    assert it.broker.status(request_id) == "open"
    assert it.broker.reachable(farm(1))


def test_a_rule_that_somebody_widened_closes_its_grant(it, caplog):
    """An alert names it; the worker takes it out."""
    request_id = it.opened()
    (name,) = it.allow_rules()
    it.put_rule(name, sourceAddressPrefix="*")

    it.run()
    it.broker.live(GATHERED)

    assert [event["rule"] for event in told(caplog, "rule.altered")] == [name]
    assert it.broker.grant(request_id).close_reason == "failed"
    assert it.allow_rules() == []


def test_a_grant_that_its_worker_changes_meanwhile_is_left_to_it(it):
    """Its version is not the one that was compared: the next run looks again."""
    request_id = it.opened()
    it.wipe()

    def meanwhile():
        held = it.broker.requests.list_grants(DEVELOPMENT, "g")[0]
        noted = tuple(replace(grant, note="at work") for grant in held.grants)
        it.broker.requests.save([(held, noted)], [])

    it.call_before("state.write", meanwhile)

    it.run()

    assert it.broker.grant(request_id).note == "at work"


def test_an_expired_grant_that_nobody_looked_after_is_closed(it):
    """Deleting every message and every tick changes no outcome."""
    it.broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    it.opened()
    it.broker.queues.lose()
    it.broker.live(90, ticks=False)
    left = it.allow_rules()

    it.run()
    it.broker.live(GATHERED)

    assert len(left) == 1
    assert it.allow_rules() == []


# ---- unreadable Azure ----------------------------------------------------------------------------


def test_a_subscription_that_may_not_be_read_is_an_alert_and_time_goes_on(it, caplog):
    """Nothing is removed, nothing is forgotten, and workers are still woken."""
    it.opened()
    it.broker.queues.lose()
    it.broker.advance(timedelta(hours=2))
    action = "Microsoft.Network/networkSecurityGroups/read"
    it.broker.sim.control("PUT", "state", {"deniedActions": [action]})

    it.run()

    assert len(told(caplog, "permission.lost")) == 1
    assert it.policy_messages() == [FARM_POLICY]


def test_a_subscription_that_may_not_be_read_says_so_in_a_plan(it):
    """An empty plan would be a lie."""
    action = "Microsoft.Network/networkSecurityGroups/read"
    it.broker.sim.control("PUT", "state", {"deniedActions": [action]})

    items = it.reconciler.make_dry_run(now=it.broker.now, subscriptions=[PRODUCTION, DEVELOPMENT])

    assert [item.resource for item in items] == [
        f"/subscriptions/{PRODUCTION}",
        f"/subscriptions/{DEVELOPMENT}",
    ]
    assert "may not read" in items[0].reason


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "AuthorizationFailed", "the broker may not read it"),
        (404, "SubscriptionNotFound", "Azure refused to show it"),
        (503, "ServerUnavailable", "no answer"),
    ],
)
def test_a_plan_says_why_a_subscription_could_not_be_read(it, status, code, reason):
    """A role, the subscription itself, an outage: each needs another action."""
    answer = {"status": status, "code": code}
    it.broker.sim.faults({"match": {"path": "/"}, "times": None, "answer": answer})

    (item,) = it.reconciler.make_dry_run(now=it.broker.now, subscriptions=[DEVELOPMENT])

    assert f"({reason})" in item.reason


def test_azure_being_down_ends_the_run_and_not_the_trail(it):
    """The message comes back; the events until then are recorded meanwhile."""
    it.opened()
    down = {"match": {"path": "networkSecurityGroups"}, "times": None}
    it.broker.sim.faults(down | {"answer": {"status": 503}})

    with pytest.raises(Unavailable):
        it.run()

    assert it.broker.state.rows("a|") == ()


def test_a_subscription_that_is_not_looked_after_is_not_touched(it, caplog):
    """Messages decide nothing, least of all where to look."""
    it.run("5c0ffee0-0000-4000-8000-00000000000f")

    assert len(told(caplog, "reconcile.skipped")) == 1
    assert it.broker.calls.count("arm") == 0


# ---- a plan --------------------------------------------------------------------------------------


def test_a_plan_changes_nothing(it):
    """Looking is free."""
    it.closed()
    it.leave()
    before = it.broker.state.rows()
    it.broker.sim.control("DELETE", "log")

    planned = it.planned()

    assert planned == [("remove-rule", "expired")]
    assert it.broker.state.rows() == before
    assert it.writes() == []


def test_a_plan_covers_all_subscriptions_unless_some_are_named(it):
    """The operator asks once."""
    it.leave()
    it.leave(nsg=NSG_WEB, destinationAddressPrefix=WEB_ADDRESS)

    items = it.reconciler.make_dry_run(now=it.broker.now)

    assert {item.resource for item in items} == {NSG_FARM, NSG_WEB}


@pytest.mark.parametrize("paths", [1, 9])
def test_a_run_takes_the_same_calls_however_many_grants_there_are(it, paths):
    """Nine lists, the plan, and the admin rules of a third of the five networks."""
    it.broker.ask(wish(tuple(farm(number) for number in range(1, paths + 1))))
    it.broker.live(5)
    before = it.broker.calls.count("arm"), it.broker.calls.count("network")

    it.run()

    assert it.broker.calls.count("arm") - before[0] == 10
    assert it.broker.calls.count("network") - before[1] == 2
    assert it.broker.calls.names[-1] != "policies.get"


# ---- housekeeping --------------------------------------------------------------------------------


def test_the_inventory_is_brought_up_to_date(it):
    """A VM that is gone from Azure is gone from the inventory, a new one is in it."""
    it.run()
    vm = it.broker.sim.get(farm(1))
    new = f"{farm(2)}-new"
    it.edit(**{farm(1): None, new: {**vm, "id": new, "name": "farm02-new"}})

    it.run_twice()

    names = {found.name for found in it.broker.inventory.list_machines(DEVELOPMENT)}
    assert "farm01" not in names
    assert "farm02-new" in names


@pytest.mark.parametrize("prefixes", [2_000, pytest.param(40_000, marks=pytest.mark.long)])
def test_a_vm_whose_policy_is_large_does_not_stop_the_comparison(it, prefixes):
    """A leftover goes, although the policy of another VM is very large."""
    it.closed()
    it.leave()
    policy = it.broker.sim.get(policy_of(farm(11)))
    (port, *_) = policy["properties"]["virtualMachines"][0]["ports"]
    port.pop("allowedSourceAddressPrefix", None)
    port["allowedSourceAddressPrefixes"] = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(prefixes)]
    it.edit(**{policy_of(farm(11)): policy})

    it.run()

    assert it.allow_rules() == []


def test_the_inventory_holds_warnings(it):
    """A customer's standing rule defeats the deny rule: the VM's status says so."""
    it.put_rule("customer", 1, sourceAddressPrefix="192.0.2.0/24", priority=150)

    it.run()

    vm = it.broker.inventory.find_machine(farm(1))
    assert {warning.code for warning in vm.warnings} == {"jit-bypassed"}


@pytest.mark.parametrize(("spare", "kept"), [(timedelta(minutes=5), 1), (-timedelta(minutes=5), 0)])
def test_tombstones_are_kept_for_seven_days(it, spare, kept):
    """Longer, a rule that comes back is a stranger."""
    it.closed(minutes=61)
    (stone,) = it.broker.state.rows("t|")
    it.broker.advance(TOMBSTONE_KEPT - (it.broker.now - stone.written_at) - spare)

    it.run()

    assert len(it.broker.state.rows("t|")) == kept


def test_tombstones_are_dropped_in_bounded_batches(it):
    """An idle month does not make one endless run."""
    it.closed()
    (stone,) = it.broker.state.rows("t|")
    copies = [replace(stone, key=f"{stone.key}-{n}", etag="") for n in range(MOST_DELETED + 9)]
    for start in range(0, len(copies), 100):
        chunk = copies[start : start + 100]
        it.broker.state.write([Op(Verb.INSERT, row) for row in chunk])
    it.broker.advance(TOMBSTONE_KEPT)

    it.run()

    assert len(it.broker.state.rows("t|")) == len(copies) + 1 - MOST_DELETED


# ---- timers --------------------------------------------------------------------------------------


def test_a_run_wakes_due_policies_like_a_tick(it):
    """Even if every message and every tick was lost."""
    it.broker.accept(wish(farm(1)))

    it.run()

    assert it.policy_messages() == [FARM_POLICY]


def test_a_comparison_does_no_work_while_another_one_runs(it, caplog):
    """Two timers at once: the second ends before it asks Azure for anything."""
    it.locks.claim_comparison(DEVELOPMENT)
    asked = it.broker.calls.count("arm")

    it.run()

    assert it.broker.calls.count("arm") == asked
    assert len(told(caplog, "reconcile.overlapped")) == 1


def test_a_comparison_that_died_is_waited_for_a_minute(it, caplog):
    """By the storage service's clock."""
    it.locks.claim_comparison(DEVELOPMENT)
    it.broker.advance(LEASE + timedelta(seconds=1))

    it.run()

    assert len(told(caplog, "reconcile.finished")) == 1


def test_a_comparison_that_failed_makes_room_at_once(it, caplog):
    """The message comes back, and finds nobody at work."""
    it.broker.sim.faults({"match": {"path": "networkInterfaces"}, "answer": {"status": 503}})
    with pytest.raises(Unavailable):
        it.run()

    it.run()

    assert len(told(caplog, "reconcile.finished")) == 1


def test_a_comparison_that_was_overtaken_does_not_take_its_row_back(it):
    """The row belongs to its last writer."""
    slow = it.locks.claim_comparison(DEVELOPMENT)
    assert slow is not None
    it.broker.advance(LEASE + timedelta(seconds=1))
    it.locks.claim_comparison(DEVELOPMENT)

    it.locks.release_comparison(slow)

    assert it.locks.claim_comparison(DEVELOPMENT) is None


def test_a_comparison_that_goes_on_is_not_overtaken(it):
    """It says so when it has read Azure."""
    begun = it.locks.claim_comparison(DEVELOPMENT)
    assert begun is not None
    it.broker.advance(LEASE - timedelta(seconds=1))
    it.locks.renew_comparison(begun)
    it.broker.advance(LEASE - timedelta(seconds=1))

    assert it.locks.claim_comparison(DEVELOPMENT) is None
