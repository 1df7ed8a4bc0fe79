"""Reconcile over simulated Azure: what goes, what is mended, what is only told, and to whom."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.broker.reconcile.leftovers import REMOVALS
from jit.broker.reconcile.run import DROPPED
from jit.domain.audit import chain
from jit.domain.azure.firewall import foreign_digest
from jit.domain.errors import AccessDenied, Unavailable
from jit.storage.request_store import TOMBSTONE_KEPT
from jit.storage.table import Op, Verb
from tests.broker.inprocess import DAVE, HERE, THERE, farm, policy_of, wish
from tests.broker.reconciling import FARM_POLICY, NSG_FARM, Reconciling, told
from tests.local.azure.sim import DB01, DEVELOPMENT, FW_PROD, NSG_DB, NSG_WEB, PRODUCTION, WEB01

WEB_ADDRESS = "10.1.1.4"
RULES = "Microsoft.Network/networkSecurityGroups/securityRules"
RDP, SSH = ("jit-rdp", WEB_ADDRESS, 3389), ("jit-ssh", WEB_ADDRESS, 22)
NEXT_RUN = 6  # minutes: the timer's five, and a firewall's update
GATHERED = 2


@pytest.fixture
def it(broker):
    return Reconciling(broker)


@pytest.fixture
def strict(broker):
    """The same where the operator has switched the removal of orphans on."""
    return Reconciling(broker, remove_orphans=True)


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def allows(it, nsg=NSG_FARM):
    it.broker.live(1)  # a deletion takes Azure a moment
    return [name for name in it.broker.sim.rules(nsg) if "JITRule-" in name]


def customers(it):
    """What of the firewall is not Defender's."""
    return foreign_digest(it.broker.sim.get(FW_PROD))


def once(it, name, act, *, number=1):
    """Do *act* just before the call *name* is made for the nth time."""
    left = [number]

    def before(called, _):
        if called == name and left and left[0] == 1:
            left.clear()
            act()
        elif called == name and left:
            left[0] -= 1

    it.broker.calls.before = before


# ---- leftovers -----------------------------------------------------------------------------------


def test_a_rule_that_comes_back_after_its_grant_is_closed_is_removed(it):
    """A tombstone knows it: one call takes it out."""
    it.closed()
    name = it.leave()
    it.broker.sim.control("DELETE", "log")

    it.run()

    assert it.writes() == [("DELETE", name)]
    assert allows(it) == []


def test_a_removal_is_written_to_the_trail_before_it_is_made(it):
    """What is removed from Azure, for which grant, can be read from the chain."""
    request_id = it.closed()
    name = it.leave()
    it.broker.sim.faults({"match": {"method": "DELETE"}, "drop": "before"})

    it.run()

    records = it.reconciler.drainer.records(DEVELOPMENT)
    (event,) = [r.event for r in records if r.event["what"] == "rule.removal_began"]
    assert event["requestId"] == request_id
    assert event["facts"]["rule"] == name


def test_what_the_worker_removes_is_on_the_trail_before_it_is_made(it):
    """A path that is revoked goes at once, by the pass of its policy."""
    request_id = it.opened()
    (name,) = allows(it)
    it.broker.sim.faults({"match": {"method": "DELETE"}, "drop": "before"})

    it.broker.revoke(request_id)
    it.broker.live(0.1)
    it.run()

    records = it.reconciler.drainer.records(DEVELOPMENT)
    removals = [r.event for r in records if r.event["what"] == "rule.removal_began"]
    assert {event["requestId"] for event in removals} == {request_id}
    assert {event["facts"]["rule"] for event in removals} == {name}


def test_rules_are_removed_once(it):
    """The next run finds nothing to do."""
    it.closed()
    it.leave()
    it.run()
    it.broker.live(1)

    assert it.planned() == []


def test_the_policy_is_woken_after_its_claim_was_taken(it):
    """A message that came meanwhile found the policy claimed, and ended."""
    it.closed()
    it.leave()

    it.run()

    assert it.policy_messages() == [FARM_POLICY]


def test_rules_of_a_firewall_go_in_one_update_and_nothing_else_of_it_changes(it):
    """A firewall is put as a whole: everything foreign comes back as it was."""
    it.closed(WEB01, port=3389)
    it.closed(WEB01, port=22)
    before = customers(it)
    it.leave_nat(RDP, SSH)
    it.broker.sim.control("DELETE", "log")

    it.run(PRODUCTION)
    it.broker.live(NEXT_RUN)

    assert it.writes() == [("PUT", "fw-prod")]
    assert it.broker.sim.nat() == []
    assert customers(it) == before


def test_a_firewalls_turn_comes_back_when_its_update_is_over(it):
    """Until then nobody else of the broker may change it."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.run(PRODUCTION)
    during = it.turns.may_take_firewall(FW_PROD, policy_of(WEB01), it.broker.now)
    it.broker.live(NEXT_RUN)

    it.run(PRODUCTION)

    assert not during
    assert it.turns.may_take_firewall(FW_PROD, policy_of(WEB01), it.broker.now)


def test_a_run_after_an_update_is_asked_for(it):
    """The turn is wanted back soon; without the message the timer would do."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)

    it.run(PRODUCTION)

    assert it.reconcile_messages() == [PRODUCTION]


def test_a_firewalls_turn_is_kept_while_its_update_runs(it):
    """It is given back by the run that sees the update finished."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.run(PRODUCTION)

    it.run(PRODUCTION)

    assert not it.turns.may_take_firewall(FW_PROD, policy_of(WEB01), it.broker.now)


def test_removals_from_a_firewall_are_written_to_the_trail(it):
    """Each rule of the one update, with its grant."""
    grants = [it.closed(WEB01, port=3389), it.closed(WEB01, port=22)]
    it.leave_nat(RDP, SSH)

    it.run(PRODUCTION)

    records = it.reconciler.drainer.records(PRODUCTION)
    events = [r.event for r in records if r.event["what"] == "rule.removal_began"]
    assert {event["requestId"] for event in events} == set(grants)
    assert {event["facts"]["rule"].rsplit("/", 1)[-1] for event in events} == {RDP[0], SSH[0]}


def test_a_claim_is_given_back_as_it_was_found(it):
    """Azure asked the policy's worker to stay away: that still holds."""
    it.closed()
    it.leave()
    later = it.broker.now + timedelta(minutes=10)
    claim = it.turns.claim(FARM_POLICY)
    it.turns.release(claim, not_before=later, attempts=3)

    it.run()

    found = it.turns.claim(FARM_POLICY)
    assert (found.row.not_before, found.row.attempts) == (later, 3)


def test_a_firewall_whose_turn_is_taken_is_left_alone(it):
    """Another policy's update runs: the next run looks again."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.turns.take_firewall(FW_PROD, FARM_POLICY, it.broker.now)
    it.broker.sim.control("DELETE", "log")

    it.run(PRODUCTION)

    assert it.writes() == []
    assert len(it.broker.sim.nat()) == 1


def test_a_firewall_that_azure_is_busy_with_is_given_back_at_once(it):
    """Nothing began, so nothing is waited for."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    busy = {"status": 409, "code": "AnotherOperationInProgress"}
    it.broker.sim.faults({"match": {"method": "PUT", "path": "fw-prod"}, "answer": busy})

    it.run(PRODUCTION)

    assert it.turns.may_take_firewall(FW_PROD, policy_of(WEB01), it.broker.now)


def test_a_firewall_whose_answer_was_lost_is_kept_until_it_can_be_seen(it):
    """The update may be running."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.broker.sim.faults({"match": {"method": "PUT", "path": "fw-prod"}, "drop": "after"})

    it.run(PRODUCTION)

    assert not it.turns.may_take_firewall(FW_PROD, policy_of(WEB01), it.broker.now)


def test_a_foreign_rule_that_changed_during_our_update_is_an_alert(it, caplog):
    """Everything foreign is compared with the copy that was taken before."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.run(PRODUCTION)
    it.broker.live(NEXT_RUN)
    firewall = it.broker.sim.get(FW_PROD)
    firewall["properties"]["networkRuleCollections"].pop()
    it.edit(**{FW_PROD: firewall})

    it.run(PRODUCTION)

    assert len(told(caplog, "firewall.foreign_rules_changed")) == 1


def test_nothing_is_removed_while_a_worker_holds_the_policy(it):
    """One at a time acts for a policy."""
    it.closed()
    name = it.leave()
    it.turns.claim(FARM_POLICY)

    it.run()

    assert allows(it) == [name]


def test_a_request_of_somebody_else_between_plan_and_removal_keeps_the_rule(it):
    """Rules, requests and grants are read again just before."""
    it.closed()
    name = it.leave()
    once(it, "network.nsg", lambda: it.broker.occupy(farm(1), 22, HERE))

    it.run()

    assert name in allows(it)


def _open_behind_the_claim(it):
    """Ask once more, and let a worker act as if the reconciler's lease had run out."""
    it.broker.ask(wish(farm(1)))
    (claimed,) = it.broker.state.rows("p|")
    it.broker.state.write([Op(Verb.DELETE, claimed)])
    it.broker.work(farm(1))


def test_a_grant_opened_between_plan_and_removal_keeps_the_rule(it):
    """The same person asked again, just now."""
    it.closed()
    name = it.leave()
    once(it, "network.nsg", lambda: _open_behind_the_claim(it))

    it.run()

    assert name in allows(it)


def test_a_grant_stored_between_plan_and_removal_keeps_the_rule(it):
    """Its end is durable, its initiate not sent yet: only the tables know of it."""
    it.closed()
    name = it.leave()
    it.broker.sim.faults({"match": {"path": "initiate"}, "drop": "before"})
    once(it, "network.nsg", lambda: _open_behind_the_claim(it))

    it.run()

    assert name in allows(it)


def test_a_rule_that_vanished_between_plan_and_removal_is_not_asked_for(it):
    """Azure's own expiry was quicker."""
    it.closed()
    it.leave()
    it.broker.sim.control("DELETE", "log")
    once(it, "network.nsg", it.wipe)

    it.run()

    assert it.writes() == []


def test_a_holder_that_cannot_be_read_again_is_left_alone(it):
    """What could not be read yields no action."""
    it.closed()
    name = it.leave()
    missing = {"match": {"method": "GET", "path": "nsg-farm-1"}, "times": None}
    it.broker.sim.faults(missing | {"answer": {"status": 403, "code": "AuthorizationFailed"}})

    it.run()

    it.broker.sim.control("DELETE", "faults")
    assert allows(it) == [name]


def test_a_policy_that_cannot_be_read_again_postpones_its_removals(it, caplog):
    """Whether others need the rule is unknown."""
    it.closed()
    name = it.leave()
    broken = {"match": {"method": "GET", "path": "jitNetworkAccessPolicies/default"}}
    it.broker.sim.faults(broken | {"answer": {"status": 500}, "times": None})

    it.run()

    assert len(told(caplog, "removal.postponed")) == 1
    assert allows(it) == [name]


def test_a_removal_that_azure_forbids_is_an_alert_and_keeps_the_tombstone(it, caplog):
    """An operator must mend the role; the rule is not forgotten meanwhile."""
    it.closed()
    it.leave()
    it.broker.sim.control("PUT", "state", {"deniedActions": [f"{RULES}/delete"]})
    it.broker.advance(TOMBSTONE_KEPT + timedelta(days=1))

    it.run()

    assert len(told(caplog, "permission.lost")) == 1
    assert len(it.broker.state.rows("t|")) == 1


def test_a_leftover_that_stays_is_an_alert_that_names_it(it, caplog):
    """After its end a path is observed gone, or somebody hears which rule is still there."""
    it.closed()
    name = it.leave()
    it.broker.advance(timedelta(hours=1))

    it.run()

    assert [event["rule"] for event in told(caplog, "rule.overdue")] == [name]


def test_an_nsg_that_is_busy_is_not_pressed(it):
    """Azure changes one rule of an NSG at a time: the rest waits for a run that comes soon."""
    it.closed()
    it.leave(1)
    it.leave(2)
    it.leave(3)

    it.run()

    assert it.reconcile_messages() == [DEVELOPMENT]
    assert it.broker.calls.count("network.delete_rule") == 2


def test_a_busy_nsg_does_not_hold_up_another(it):
    """Each is busy by itself."""
    it.closed(WEB01, port=3389)
    it.closed(DB01, port=22)
    it.leave(1, nsg=NSG_WEB, destinationAddressPrefix=WEB_ADDRESS, destinationPortRange="3389")
    it.leave(2, nsg=NSG_DB, destinationAddressPrefix=it.address(DB01))
    busy = {"status": 429, "code": "RetryableErrorDueToAnotherOperation"}
    it.broker.sim.faults({"match": {"method": "DELETE", "path": "nsg-db"}, "answer": busy})

    it.run(PRODUCTION)

    assert len(allows(it, NSG_WEB)) == 0
    assert len(allows(it, NSG_DB)) == 1


def test_leftovers_of_an_nsg_are_all_gone_after_some_runs(it):
    """Slowly, but surely."""
    it.closed()
    it.leave(1)
    it.leave(2)
    it.leave(3)

    it.run()
    it.broker.live(1)
    it.run()
    it.broker.live(1)
    it.run()

    assert allows(it) == []


def test_a_run_is_bounded(it):
    """A message asks for the next one."""
    it.closed(WEB01, port=3389)
    it.leave_nat(*((f"jit-{number}", WEB_ADDRESS, 3389) for number in range(REMOVALS + 2)))

    it.run(PRODUCTION)
    it.broker.live(NEXT_RUN)

    assert set(it.reconcile_messages()) == {PRODUCTION}
    assert len(it.broker.sim.nat()) == 2


# ---- others --------------------------------------------------------------------------------------


def test_a_rule_of_somebody_elses_request_stays(it, caplog):
    """Same VM, same port, same source: still theirs, as long as Defender says so."""
    it.closed()
    it.broker.occupy(farm(1), 22, HERE)
    it.broker.live(GATHERED)

    it.run()

    assert it.broker.reachable(farm(1))
    assert told(caplog, "leftovers.held")[0]["count"] == 1


def test_somebody_elses_rule_in_force_is_no_news(it):
    """The portal's users are not the broker's business."""
    it.broker.occupy(farm(1), 22, HERE)
    it.broker.live(GATHERED)

    assert it.planned() == []


def test_orphans_are_told_in_one_event_and_stay(it, caplog):
    """The first run on an old tenant is no alarm."""
    names = [it.leave(number, sourceAddressPrefix="192.0.2.9") for number in range(1, 9)]

    it.run()

    assert [event["count"] for event in told(caplog, "orphans.found")] == [len(names)]
    assert len(allows(it)) == len(names)


def test_orphans_go_where_the_operator_switched_that_on(strict):
    """Told from others' rules by Defender's own list."""
    strict.broker.occupy(farm(2), 22, HERE)
    strict.broker.live(GATHERED)
    strict.leave(sourceAddressPrefix="192.0.2.9")

    strict.run()

    assert len(allows(strict)) == 1
    assert strict.broker.reachable(farm(2))


def test_an_orphan_of_a_vanished_vm_goes_without_a_claim(strict):
    """There is no policy that anybody could act for."""
    strict.leave(destinationAddressPrefix="10.99.0.1")

    strict.run()

    assert allows(strict) == []


def test_a_strangers_leftover_that_is_wider_neither_becomes_a_grants_nor_ends_it(it):
    """What a grant recorded as its own was asked for; all else it only passes through."""
    name = it.leave(sourceAddressPrefix="203.0.113.0/24")
    request_id = it.opened()

    it.run()
    it.broker.live(70)

    assert it.broker.grant(request_id).close_reason == "expired"
    assert allows(it) == [name]


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
    (name,) = allows(it)
    it.put_rule(name, sourceAddressPrefix="*")

    it.run()
    it.broker.live(GATHERED)

    assert [event["rule"] for event in told(caplog, "rule.altered")] == [name]
    assert it.broker.grant(request_id).close_reason == "failed"
    assert allows(it) == []


def test_a_grant_that_its_worker_changes_meanwhile_is_left_to_it(it):
    """Its version is not the one that was compared: the next run looks again."""
    request_id = it.opened()
    it.wipe()

    def meanwhile():
        held = it.broker.requests.list_grants(DEVELOPMENT, "g")[0]
        noted = tuple(replace(grant, note="at work") for grant in held.grants)
        it.broker.requests.save([(held, noted)], [])

    once(it, "state.write", meanwhile)

    it.run()

    assert it.broker.grant(request_id).note == "at work"


def test_an_expired_grant_that_nobody_looked_after_is_closed(it):
    """Deleting every message and every tick changes no outcome."""
    it.broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    it.opened()
    it.broker.queues.lose()
    it.broker.live(90, ticks=False)
    left = allows(it)

    it.run()
    it.broker.live(GATHERED)

    assert len(left) == 1
    assert allows(it) == []


def test_the_leftovers_of_an_unfinished_grant_are_left_to_its_worker(it):
    """One at a time acts for a grant: the run tells, and neither claims nor looks again."""
    it.broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    it.opened()
    it.broker.queues.lose()
    it.broker.live(90, ticks=False)
    looked = it.broker.calls.count("network")

    it.run()

    assert it.broker.calls.count("network") == looked
    assert it.policy_messages() == [FARM_POLICY]


# ---- the broker's own rules ----------------------------------------------------------------------


def test_a_companion_of_a_closed_grant_is_removed(it):
    """The one rule that could outlive a broker that died."""
    request_id = it.closed(WEB01, port=3389)
    it.leave_companion(f"{request_id}-0-3389", NSG_WEB, WEB_ADDRESS, 3389)

    it.run(PRODUCTION)
    it.broker.live(1)

    assert "jit-broker" not in " ".join(it.broker.sim.rules(NSG_WEB))


def test_a_companion_is_known_even_after_its_tombstone_is_gone(it):
    """History still knows the grant that it names."""
    request_id = it.closed(WEB01, port=3389)
    it.broker.state.write([Op(Verb.DELETE, row) for row in it.broker.state.rows("t|")])
    it.leave_companion(f"{request_id}-0-3389", NSG_WEB, WEB_ADDRESS, 3389)

    it.run(PRODUCTION)
    it.broker.live(1)

    assert "jit-broker" not in " ".join(it.broker.sim.rules(NSG_WEB))


@pytest.mark.parametrize("grant_id", ["nobody-0-3389", "n" * 52 + "-0-3389"])
def test_a_companion_that_names_nobody_stays(it, grant_id):
    """A prefix alone is not proof."""
    name = it.leave_companion(grant_id, NSG_WEB, WEB_ADDRESS, 3389)

    it.run(PRODUCTION)
    it.broker.live(1)

    assert name in it.broker.sim.rules(NSG_WEB)


# ---- what could not be read ----------------------------------------------------------------------


def test_a_subscription_that_may_not_be_read_is_an_alert_and_time_goes_on(it, caplog):
    """Nothing is removed, nothing forgotten; workers are woken all the same."""
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

    items = it.reconciler.dry_run(now=it.broker.now, subscriptions=[PRODUCTION, DEVELOPMENT])

    assert [item.resource for item in items] == [
        f"/subscriptions/{PRODUCTION}",
        f"/subscriptions/{DEVELOPMENT}",
    ]
    assert "may not read" in items[0].reason


def test_azure_being_down_ends_the_run_and_not_the_trail(it):
    """The message comes back; what happened is recorded meanwhile."""
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


def test_a_plan_covers_all_subscriptions_unless_told(it):
    """The operator asks once."""
    it.leave()
    it.leave(nsg=NSG_WEB, destinationAddressPrefix=WEB_ADDRESS)

    items = it.reconciler.dry_run(now=it.broker.now)

    assert {item.resource for item in items} == {NSG_FARM, NSG_WEB}


@pytest.mark.parametrize("paths", [1, 9])
def test_a_run_takes_nine_calls_however_many_grants_there_are(it, paths):
    """Constant: eight lists and the plan of the subscription, and nothing for each grant."""
    it.broker.ask(wish(tuple(farm(number) for number in range(1, paths + 1))))
    it.broker.live(5)
    before = it.broker.calls.count("arm"), it.broker.calls.count("network")

    it.run()

    assert it.broker.calls.count("arm") - before[0] == 9
    assert it.broker.calls.count("network") == before[1]
    assert it.broker.calls.names[-1] != "policies.get"


# ---- housekeeping --------------------------------------------------------------------------------


def test_the_inventory_is_brought_up_to_date(it):
    """A VM that is gone from Azure is gone from the inventory, a new one is in it."""
    it.run()
    vm = it.broker.sim.get(farm(1))
    it.edit(**{farm(1): None, farm(2) + "-new": {**vm, "name": "farm02-new"}})

    it.run()

    names = {found.name for found in it.broker.inventory.list_machines(DEVELOPMENT)}
    assert "farm01" not in names
    assert "farm02-new" in names


@pytest.mark.parametrize("prefixes", [2_000, 40_000])
def test_a_vm_whose_policy_is_large_does_not_stop_the_comparison(it, prefixes):
    """A rule that should be gone goes, whatever somebody else's VM is allowed."""
    it.closed()
    it.leave()
    policy = it.broker.sim.get(policy_of(farm(11)))
    (port, *_) = policy["properties"]["virtualMachines"][0]["ports"]
    port.pop("allowedSourceAddressPrefix", None)
    port["allowedSourceAddressPrefixes"] = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(prefixes)]
    it.edit(**{policy_of(farm(11)): policy})

    it.run()

    assert allows(it) == []


def test_the_inventory_holds_warnings(it):
    """A customer's standing rule defeats the deny rule: the VM's status says so."""
    it.put_rule("customer", 1, sourceAddressPrefix="192.0.2.0/24", priority=150)

    it.run()

    vm = it.broker.inventory.find_machine(farm(1))
    assert {warning.code for warning in vm.warnings} == {"jit-bypassed"}


def test_the_trail_is_one_unbroken_chain(it):
    """Every run appends what happened since."""
    it.opened()
    it.run()
    it.broker.live(70)
    it.run()

    records = list(it.reconciler.drainer.records(DEVELOPMENT))
    end = it.reconciler.drainer.head(DEVELOPMENT)
    assert chain.verify(records, start=chain.Head(chain=DEVELOPMENT), end=end) is None
    assert [record.event["what"] for record in records] == [
        "request.accepted",
        "grant.opening_began",
        "grant.opened",
        "grant.closing_began",
        "grant.closed",
    ]


def refused(it, *numbers):
    """Ask for VMs of subscriptions that a caller made up; return the requests' ids."""
    ids = []
    for number in numbers:
        made_up = f"99999999-0000-4000-8000-{number:012d}"
        with pytest.raises(AccessDenied) as caught:
            it.broker.accept(wish(farm(1).replace(DEVELOPMENT, made_up)), DAVE)
        ids.append(caught.value.request_id)
    return ids


def test_denials_about_other_subscriptions_stand_in_the_chain_of_the_first_named_one(it):
    """The id that the caller was given is found in the trail."""
    ids = refused(it, 1, 2)

    it.run(PRODUCTION)

    records = list(it.reconciler.drainer.records(PRODUCTION))
    end = it.reconciler.drainer.head(PRODUCTION)
    assert chain.verify(records, start=chain.Head(chain=PRODUCTION), end=end) is None
    assert [record.event["requestId"] for record in records] == ids


def test_no_caller_makes_a_chain_or_an_outbox_of_its_own(it):
    """However many subscriptions are made up."""
    refused(it, *range(9))

    outboxes = {row.partition for row in it.broker.state.rows("a|")}
    it.run(PRODUCTION)

    assert outboxes == {PRODUCTION}
    assert it.broker.state.rows("a|") == ()
    assert {row.partition for row in it.audit.rows("h")} == {PRODUCTION}


def test_a_denial_where_the_broker_looks_stands_in_the_chain_of_its_subscription(it):
    """Before the first comparison too: the denial was checked against Azure."""
    with pytest.raises(AccessDenied):
        it.broker.accept(wish(farm(1), 443))

    it.run()

    (record,) = it.reconciler.drainer.records(DEVELOPMENT)
    assert record.event["what"] == "request.denied"


def test_what_waited_when_a_subscription_was_given_up_still_reaches_its_chain(it, broker):
    """The trail is complete though no comparison stands for it: without a call about it."""
    with pytest.raises(AccessDenied):
        broker.accept(wish(farm(1), 443))
    broker.name(PRODUCTION)
    after = Reconciling(broker)
    broker.sim.control("DELETE", "log")

    after.run(PRODUCTION)

    (record,) = after.reconciler.drainer.records(DEVELOPMENT)
    assert record.event["what"] == "request.denied"
    assert [e for e in broker.sim.control("GET", "log") if DEVELOPMENT in e["path"]] == []


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
    copies = [replace(stone, key=f"{stone.key}-{n}", etag="") for n in range(DROPPED + 9)]
    for start in range(0, len(copies), 100):
        chunk = copies[start : start + 100]
        it.broker.state.write([Op(Verb.INSERT, row) for row in chunk])
    it.broker.advance(TOMBSTONE_KEPT)

    it.run()

    assert len(it.broker.state.rows("t|")) == len(copies) + 1 - DROPPED


def test_keys_of_callers_that_have_run_out_are_swept(it):
    """Those without a header last ten minutes, the others a week."""
    it.broker.accept(wish(farm(1)))
    it.broker.accept(wish(farm(2)), DAVE, key="kept")
    it.broker.advance(timedelta(minutes=11))

    it.run(PRODUCTION)

    assert [row.partition for row in it.broker.keys.rows()] == [DAVE.id]


def test_keys_of_callers_are_swept_with_one_subscription_only(it):
    """They belong to no subscription, so each run would do the same work."""
    it.broker.accept(wish(farm(1)))
    it.broker.advance(timedelta(minutes=11))

    it.run(DEVELOPMENT)

    assert len(it.broker.keys.rows()) == 1


# ---- timers --------------------------------------------------------------------------------------


def test_the_timer_asks_for_every_subscription_that_is_looked_after(it):
    """A subscription without live grants can still hold leftovers."""
    it.reconciler.enqueue_all()

    assert it.reconcile_messages() == [PRODUCTION, DEVELOPMENT]


def test_a_tick_wakes_each_policy_with_something_due_once(it):
    """A burst for one policy is one message."""
    it.broker.accept(wish((farm(1), farm(2))))
    it.broker.accept(wish(farm(3)), DAVE)
    it.broker.accept(wish(farm(11), source=THERE))

    it.reconciler.tick(now=it.broker.now)

    assert sorted(it.policy_messages()) == [FARM_POLICY, policy_of(farm(11))]


def test_a_tick_wakes_nobody_before_the_time(it):
    """A scheduled request is due at its start."""
    start = it.broker.now + timedelta(hours=1)
    it.broker.accept(wish(farm(1), startTime=start.isoformat()))

    it.reconciler.tick(now=it.broker.now)

    assert it.policy_messages() == []


def test_a_run_wakes_what_is_due_like_a_tick(it):
    """Even where every message and every tick was lost."""
    it.broker.accept(wish(farm(1)))

    it.run()

    assert it.policy_messages() == [FARM_POLICY]
