"""Leftovers: removed under the lease of their policy, each after another look."""

from datetime import timedelta

import pytest

from jit.broker.reconcile.leftovers import MOST_REMOVED
from jit.storage.request_store import TOMBSTONE_KEPT
from jit.storage.table import Op, Verb
from tests.broker.inprocess import HERE, farm, policy_of, wish
from tests.broker.reconciling import FARM_POLICY, told
from tests.local.azure.sim import DB01, DEVELOPMENT, FW_PROD, NSG_DB, NSG_WEB, PRODUCTION, WEB01

WEB_ADDRESS = "10.1.1.4"
RULES = "Microsoft.Network/networkSecurityGroups/securityRules"
RDP, SSH = ("jit-rdp", WEB_ADDRESS, 3389), ("jit-ssh", WEB_ADDRESS, 22)
NEXT_RUN = 6  # minutes: the timer's five, and a firewall's update
GATHERED = 2


def test_a_rule_that_comes_back_after_its_grant_is_closed_is_removed(it):
    """A tombstone knows it: one call takes it out."""
    it.closed()
    name = it.leave()
    it.broker.sim.control("DELETE", "log")

    it.run()

    assert it.writes() == [("DELETE", name)]
    assert it.allow_rules() == []


def test_a_removal_is_written_to_the_trail_before_it_is_made(it):
    """The chain names each removed rule and its grant."""
    request_id = it.closed()
    name = it.leave()
    it.broker.sim.faults({"match": {"method": "DELETE"}, "drop": "before"})

    it.run()

    records = it.drainer.list_records(DEVELOPMENT)
    (event,) = [r.event for r in records if r.event["what"] == "rule.removal_began"]
    assert event["requestId"] == request_id
    assert event["facts"]["rule"] == name


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
    before = it.foreign_digest()
    it.leave_nat(RDP, SSH)
    it.broker.sim.control("DELETE", "log")

    it.run(PRODUCTION)
    it.broker.live(NEXT_RUN)

    assert it.writes() == [("PUT", "fw-prod")]
    assert it.broker.sim.nat() == []
    assert it.foreign_digest() == before


def test_a_firewalls_turn_comes_back_when_its_update_is_over(it):
    """Until then nobody else of the broker may change it."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.run(PRODUCTION)
    during = it.locks.firewalls.may_take(FW_PROD, policy_of(WEB01), it.broker.now)
    it.broker.live(NEXT_RUN)

    it.run(PRODUCTION)

    assert not during
    assert it.locks.firewalls.may_take(FW_PROD, policy_of(WEB01), it.broker.now)


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

    assert not it.locks.firewalls.may_take(FW_PROD, policy_of(WEB01), it.broker.now)


def test_removals_from_a_firewall_are_written_to_the_trail(it):
    """Each rule of the one update, with its grant."""
    grants = [it.closed(WEB01, port=3389), it.closed(WEB01, port=22)]
    it.leave_nat(RDP, SSH)

    it.run(PRODUCTION)

    records = it.drainer.list_records(PRODUCTION)
    events = [r.event for r in records if r.event["what"] == "rule.removal_began"]
    assert {event["requestId"] for event in events} == set(grants)
    assert {event["facts"]["rule"].rsplit("/", 1)[-1] for event in events} == {RDP[0], SSH[0]}


def test_a_comparison_that_does_not_get_the_claim_on_a_policy_comes_again(it):
    """A pass may have it each time that the timer runs."""
    it.closed()
    it.leave()
    it.locks.claim(FARM_POLICY)

    it.run()

    assert it.reconcile_messages() == [DEVELOPMENT]


def test_a_claim_is_given_back_as_it_was_found(it):
    """Azure asked the policy's worker to stay away: that still holds."""
    it.closed()
    it.leave()
    later = it.broker.now + timedelta(minutes=10)
    claim = it.locks.claim(FARM_POLICY)
    it.locks.release(claim, not_before=later, attempts=3)

    it.run()

    found = it.locks.claim(FARM_POLICY)
    assert (found.row.not_before, found.row.attempts) == (later, 3)


def test_a_firewall_whose_turn_is_taken_is_left_alone(it):
    """Another policy's update runs: the next run looks again."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.locks.firewalls.take(FW_PROD, FARM_POLICY, it.broker.now)
    it.broker.sim.control("DELETE", "log")

    it.run(PRODUCTION)

    assert it.writes() == []
    assert len(it.broker.sim.nat()) == 1


def test_a_comparison_that_does_not_get_the_turn_waits_in_line_and_comes_again(it):
    """The next turn is its own: nobody opens anything before."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.locks.firewalls.take(FW_PROD, FARM_POLICY, it.broker.now)

    it.run(PRODUCTION)

    it.locks.firewalls.return_turn(FW_PROD, FARM_POLICY)
    assert not it.locks.firewalls.may_take(FW_PROD, FARM_POLICY, it.broker.now)
    assert it.reconcile_messages() == [PRODUCTION]


@pytest.mark.parametrize("holder", [FARM_POLICY, None])
def test_a_comparison_waits_for_a_firewall_whose_update_runs(it, holder):
    """It comes again in a minute only if somebody has the turn: else the timer does."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.end_update(FW_PROD, "Updating")
    if holder is not None:
        it.locks.firewalls.take(FW_PROD, holder, it.broker.now)

    it.run(PRODUCTION)

    assert it.locks.firewalls.check(FW_PROD, FARM_POLICY, it.broker.now).closing_waits
    assert it.reconcile_messages() == ([PRODUCTION] if holder else [])


def test_a_firewall_that_azure_is_busy_with_is_given_back_at_once(it):
    """Nothing began, so nothing is waited for."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    busy = {"status": 409, "code": "AnotherOperationInProgress"}
    it.broker.sim.faults({"match": {"method": "PUT", "path": "fw-prod"}, "answer": busy})

    it.run(PRODUCTION)

    assert it.locks.firewalls.may_take(FW_PROD, policy_of(WEB01), it.broker.now)


def test_a_firewall_whose_answer_was_lost_is_kept_until_it_can_be_seen(it):
    """The update may be running."""
    it.closed(WEB01, port=3389)
    it.leave_nat(RDP)
    it.broker.sim.faults({"match": {"method": "PUT", "path": "fw-prod"}, "drop": "after"})

    it.run(PRODUCTION)

    assert not it.locks.firewalls.may_take(FW_PROD, policy_of(WEB01), it.broker.now)


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


@pytest.mark.parametrize(("status", "raised"), [(412, 0), (200, 1)])
def test_only_an_update_that_azure_took_is_compared_with_the_foreign_rules(
    it, caplog, status, raised
):
    """After a 412 it was somebody else who changed the firewall: no update of ours did."""
    request_id = it.opened(WEB01, port=3389, minutes=10)
    match = {"method": "PUT", "path": "fw-prod", "principal": "broker"}
    refusal = {"status": 412, "code": "PreconditionFailed"}
    if status == refusal["status"]:
        it.broker.sim.faults({"match": match, "times": 1, "answer": refusal})
    it.broker.revoke(request_id)
    it.broker.work(WEB01)
    firewall = it.broker.sim.get(FW_PROD)
    firewall["properties"]["networkRuleCollections"].pop()
    it.edit(**{FW_PROD: firewall})

    it.broker.live(20)

    assert (it.broker.status(request_id), it.broker.sim.nat()) == ("closed", [])
    assert len(told(caplog, "firewall.foreign_rules_changed")) == raised


def test_nothing_is_removed_while_a_worker_holds_the_policy(it):
    """One at a time acts for a policy."""
    it.closed()
    name = it.leave()
    it.locks.claim(FARM_POLICY)

    it.run()

    assert it.allow_rules() == [name]


def test_a_request_of_somebody_else_between_plan_and_removal_keeps_the_rule(it):
    """Rules, requests and grants are read again just before."""
    it.closed()
    name = it.leave()
    it.call_before("network.get_nsg", lambda: it.broker.occupy(farm(1), 22, HERE))

    it.run()

    assert name in it.allow_rules()


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
    it.call_before("network.get_nsg", lambda: _open_behind_the_claim(it))

    it.run()

    assert name in it.allow_rules()


def test_a_grant_stored_between_plan_and_removal_keeps_the_rule(it):
    """Its end is durable, its initiate not sent yet: only the tables know of it."""
    it.closed()
    name = it.leave()
    it.broker.sim.faults({"match": {"path": "initiate"}, "drop": "before"})
    it.call_before("network.get_nsg", lambda: _open_behind_the_claim(it))

    it.run()

    assert name in it.allow_rules()


def test_a_rule_that_vanished_between_plan_and_removal_is_not_asked_for(it):
    """Azure's own expiry was quicker."""
    it.closed()
    it.leave()
    it.broker.sim.control("DELETE", "log")
    it.call_before("network.get_nsg", it.wipe)

    it.run()

    assert it.writes() == []


def test_a_holder_that_cannot_be_read_again_is_left_alone(it):
    """An unread holder yields no action."""
    it.closed()
    name = it.leave()
    missing = {"match": {"method": "GET", "path": "nsg-farm-1"}, "times": None}
    it.broker.sim.faults(missing | {"answer": {"status": 403, "code": "AuthorizationFailed"}})

    it.run()

    it.broker.sim.control("DELETE", "faults")
    assert it.allow_rules() == [name]


def test_a_policy_that_cannot_be_read_again_postpones_its_removals(it, caplog):
    """Others may need the rule."""
    it.closed()
    name = it.leave()
    broken = {"match": {"method": "GET", "path": "jitNetworkAccessPolicies/default"}}
    it.broker.sim.faults(broken | {"answer": {"status": 500}, "times": None})

    it.run()

    assert len(told(caplog, "removal.postponed")) == 1
    assert it.allow_rules() == [name]


def test_a_removal_that_azure_forbids_is_an_alert_and_keeps_the_tombstone(it, caplog):
    """An operator must mend the role; the rule is not forgotten meanwhile."""
    it.closed()
    it.leave()
    it.broker.sim.control("PUT", "state", {"deniedActions": [f"{RULES}/delete"]})
    it.broker.advance(TOMBSTONE_KEPT + timedelta(days=1))

    it.run()

    assert len(told(caplog, "permission.lost")) == 1
    assert len(it.broker.state.rows("t|")) == 1


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

    assert len(it.allow_rules(NSG_WEB)) == 0
    assert len(it.allow_rules(NSG_DB)) == 1


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

    assert it.allow_rules() == []


def test_a_run_is_bounded(it):
    """A message asks for the next one."""
    it.closed(WEB01, port=3389)
    it.leave_nat(*((f"jit-{number}", WEB_ADDRESS, 3389) for number in range(MOST_REMOVED + 2)))

    it.run(PRODUCTION)
    it.broker.live(NEXT_RUN)

    assert set(it.reconcile_messages()) == {PRODUCTION}
    assert len(it.broker.sim.nat()) == 2


def test_orphans_go_where_the_operator_switched_that_on(strict):
    """Defender's own list separates it from others' rules."""
    strict.broker.occupy(farm(2), 22, HERE)
    strict.broker.live(GATHERED)
    strict.leave(sourceAddressPrefix="192.0.2.9")

    strict.run()

    assert len(strict.allow_rules()) == 1
    assert strict.broker.reachable(farm(2))


def test_an_orphan_of_a_vanished_vm_goes_without_a_claim(strict):
    """There is no policy that anybody could act for."""
    strict.leave(destinationAddressPrefix="10.99.0.1")

    strict.run()

    assert strict.allow_rules() == []


def test_a_companion_of_a_closed_grant_is_removed(it):
    """The one rule that could outlive a broker that died."""
    request_id = it.closed(WEB01, port=3389)
    it.leave_companion(f"{request_id}-0-3389", NSG_WEB, WEB_ADDRESS, 3389)

    it.run(PRODUCTION)
    it.broker.live(1)

    assert "jit-broker" not in " ".join(it.broker.sim.rules(NSG_WEB))


def test_a_removal_that_is_forbidden_is_one_alert_for_an_nsg(it, caplog):
    """A refusal of one of its rules holds for all."""
    it.closed()
    it.leave(1)
    it.leave(2)
    it.leave(3)
    it.broker.sim.control("PUT", "state", {"deniedActions": [f"{RULES}/delete"]})

    it.run()

    assert len(told(caplog, "permission.lost")) == 1
    assert it.broker.calls.count("network.delete_rule") == 1
