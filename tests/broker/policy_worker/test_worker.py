"""The worker of a JIT policy: one pass for all due work, with or without messages."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jit import messages
from jit.domain.errors import Unavailable
from jit.storage.keys import write_stamp
from jit.storage.table import Op, Verb
from tests.broker.inprocess import (
    ALICE,
    BOB,
    DAVE,
    ELSEWHERE,
    HERE,
    THERE,
    InProcess,
    farm,
    policy_of,
    wish,
)
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import DB01, DEVELOPMENT, FW_PROD, NSG_WEB, WEB01

OPENED = 1.0  # minutes in which an NSG opens
FIREWALLED = 6.0  # minutes in which a firewall has had its update
BROKERS_OWN = "51.105.66.10"  # the address that Azure sees the broker call from
INITIATE = {"method": "POST", "path": "/initiate"}


def _rules(broker: InProcess) -> dict[str, Any]:
    """Every rule of web01's firewall and NSG."""
    firewall = broker.sim.get(FW_PROD)["properties"]
    kinds = ("natRuleCollections", "networkRuleCollections", "applicationRuleCollections")
    collections = [item for kind in kinds for item in firewall[kind]]
    found = {item["name"]: item["properties"]["rules"] for item in collections}
    return found | broker.sim.rules(NSG_WEB)


# ---- the main job --------------------------------------------------------------------------------


def test_a_path_through_an_nsg_opens_for_its_source_alone(broker):
    """An `open` path lets packets in from that source, and from no other."""
    request_id = broker.ask(wish(farm(1)))

    broker.live(OPENED)

    assert broker.status(request_id) == "open"
    assert broker.reachable(farm(1), 22, HERE)
    assert not broker.reachable(farm(1), 22, THERE)


def test_a_path_is_closed_after_its_end(broker):
    """Closed means observed gone: nobody gets in any more."""
    request_id = broker.ask(wish(farm(1)))

    broker.live(60 + 5)

    assert broker.status(request_id) == "closed"
    assert broker.grant(request_id).close_reason == "expired"
    assert not broker.reachable(farm(1))


def test_the_command_of_a_firewall_vm_names_the_firewalls_address_and_mapped_port(broker):
    """The address and port come from the NAT rule that Defender wrote."""
    request_id = broker.ask(wish(WEB01, 3389))

    broker.live(FIREWALLED)

    assert broker.grant(request_id).connection.command == "mstsc /v:52.137.62.53:13389"
    assert broker.reachable(WEB01, 3389)


def test_a_firewall_vm_is_not_open_before_the_firewall_is_updated(broker):
    """Rules that a firewall does not use yet let nobody in."""
    request_id = broker.ask(wish(WEB01, 3389))

    broker.live(3)

    assert broker.status(request_id) == "opening"


def test_a_scheduled_request_asks_nothing_of_azure_before_its_start(broker):
    """A start that lies ahead is waited for by the timer alone."""
    start = broker.now + timedelta(hours=2)
    request_id = broker.ask(wish(farm(1), startTime=start.isoformat()))
    broker.queues.lose()

    broker.live(119)

    assert broker.status(request_id) == "scheduled"
    assert broker.initiates() == []


def test_a_scheduled_request_opens_at_its_start(broker):
    """Its duration runs from then on."""
    start = broker.now + timedelta(hours=2)
    request_id = broker.ask(wish(farm(1), startTime=start.isoformat()))

    broker.live(122)

    assert broker.status(request_id) == "open"
    assert broker.grant(request_id).expires_at - start < timedelta(minutes=62)


def test_both_interfaces_of_a_vm_are_closed_at_the_end(broker):
    """A VM with two interfaces has a rule in each one's NSG; all of them go."""
    vm = DB01.replace("db01", "app01")
    request_id = broker.ask(wish(vm, 3389))
    broker.live(OPENED)
    opened = len(broker.grant(request_id).footprint.rules)

    broker.live(65)

    assert opened == 2
    assert broker.status(request_id) == "closed"
    assert not broker.reachable(vm, 3389)


# ---- messages are hints --------------------------------------------------------------------------


def test_a_request_whose_messages_are_all_lost_opens_by_the_timer_alone(broker):
    """The tables are the truth; each minute the timer finds due work."""
    request_id = broker.ask(wish(farm(1)))
    broker.queues.lose()

    broker.live(5)

    assert broker.status(request_id) == "open"


def test_a_message_brings_the_worker_back_without_the_timer(broker):
    """A delayed message never arrives before its work is due."""
    request_id = broker.ask(wish(farm(1)))

    broker.live(OPENED, ticks=False)

    assert broker.status(request_id) == "open"


def test_a_message_that_comes_twice_initiates_once(broker):
    """Messages carry no state: a second one finds nothing to do."""
    broker.ask(wish(farm(1)))
    broker.work(farm(1))

    broker.work(farm(1))

    assert len(broker.initiates()) == 1


def test_a_message_for_a_policy_without_work_reads_and_ends(broker):
    """Nothing due costs one query, no claim, no call to Azure."""
    broker.work(farm(1))

    assert broker.calls.names == ["state.query"]


def test_a_message_about_an_unknown_policy_changes_nothing(broker):
    """A message that makes no sense ends."""
    broker.worker.work(policy_of(farm(1)) + "-of-nobody", now=broker.now)

    assert broker.state.rows() == ()


# ---- one call for many ---------------------------------------------------------------------------


def test_requests_that_wait_together_are_initiated_together(broker):
    """Many requests for one policy are one call, also of several people."""
    asked = [broker.ask(wish(farm(n)), who) for n, who in ((1, ALICE), (2, DAVE), (3, BOB))]

    broker.deliver()

    assert len(broker.initiates()) == 1
    assert [broker.status(request_id) for request_id in asked] == ["opening"] * 3


def test_a_burst_while_the_policy_is_busy_is_gathered(broker):
    """A request just after an initiate waits a moment for others."""
    broker.ask(wish(farm(1)))
    broker.deliver()
    asked = [broker.ask(wish(farm(n))) for n in range(2, 10)]

    broker.live(OPENED)

    assert len(broker.initiates()) <= 3
    assert [broker.status(request_id) for request_id in asked] == ["open"] * 8


def test_a_request_for_fifty_vms_of_five_policies_opens_with_a_call_a_policy(broker_of_fifty):
    """However many VMs a request names, a policy is asked once."""
    request_id = broker_of_fifty.ask(wish(tuple(farm(n) for n in range(1, 51))))

    broker_of_fifty.live(3)

    assert broker_of_fifty.status(request_id) == "open"
    assert len(broker_of_fifty.initiates()) == 5


def test_a_person_who_leaves_a_shared_path_is_out_although_azure_refuses_the_change(broker):
    """The VM was taken out of its policy in the portal, say: the promised end comes first."""
    staying = broker.ask(wish(farm(1)))
    leaving = broker.ask(wish(farm(1), source=THERE), DAVE)
    broker.live(OPENED)
    refusal = {"status": 400, "code": "InvalidInitiateInput"}
    broker.sim.faults({"match": INITIATE, "times": None, "answer": refusal})
    broker.revoke(leaving, DAVE)

    broker.live(30)

    assert not broker.reachable(farm(1), 22, THERE)
    assert broker.grant(leaving).close_reason == "revoked"
    assert (broker.status(leaving), broker.grant(staying).close_reason) == ("closed", "failed")


# ---- Azure refuses -------------------------------------------------------------------------------


def test_a_prefix_list_that_azure_drops_opens_nothing_for_long(broker):
    """Defender then lets in the caller of the API, the broker itself: closed at once, alerted."""
    broker.sim.options(ignorePrefixLists=True)
    first = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    second = broker.ask(wish(farm(1), source=THERE), DAVE)

    broker.live(4)

    assert not broker.reachable(farm(1), 22, BROKERS_OWN)
    assert [broker.grant(request_id).close_reason for request_id in (first, second)] == [
        "failed",
        "failed",
    ]
    assert "more than was asked for" in str(broker.grant(second).note)


def test_a_prefix_list_that_azure_does_not_repeat_is_asked_for_once(broker):
    """The sent list is stored; only packets show that it works."""
    broker.sim.options(echoPrefixLists=False)
    first = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    second = broker.ask(wish(farm(1), source=THERE), DAVE)

    broker.live(20)

    assert [broker.status(first), broker.status(second)] == ["open", "open"]
    assert len(broker.initiates()) == 2


def test_a_path_that_never_appears_is_given_up_by_its_deadline(broker):
    """Azure said 202 and nothing came of it: failed, not open."""
    broker.sim.faults({"match": INITIATE, "times": None, "neverRule": True})
    request_id = broker.ask(wish(farm(1)))

    broker.live(45)

    assert broker.grant(request_id).close_reason == "failed"
    assert broker.grant(request_id).opened_at is None


# ---- Azure down ----------------------------------------------------------------------------------


def test_a_request_accepted_while_azure_is_down_opens_when_it_is_back(broker):
    """Accepting needs the inventory alone; opening waits."""
    broker.accept(wish(farm(2)), DAVE)  # the inventory has been read once
    down = {"status": 503, "code": "ServerUnavailable"}
    broker.sim.faults({"match": {"path": "/"}, "times": 40, "answer": down})
    request_id = broker.ask(wish(farm(1)))

    broker.live(10)

    assert broker.status(request_id) == "open"


def test_a_pass_that_cannot_read_the_policy_says_so_to_the_host(broker):
    """The host brings the message back; nothing was decided."""
    broker.ask(wish(farm(1)))
    down = {"status": 503, "code": "ServerUnavailable"}
    broker.sim.faults(
        {"match": {"path": "jitNetworkAccessPolicies"}, "times": None, "answer": down}
    )

    with pytest.raises(Unavailable):
        broker.work(farm(1))


# ---- several people, one port --------------------------------------------------------------------


def test_a_second_person_joins_without_hurting_the_first(broker):
    """Both get in; the union of their sources is one request in Defender."""
    first = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    second = broker.ask(wish(farm(1), source=THERE), DAVE)

    broker.live(2)

    assert (broker.status(first), broker.status(second)) == ("open", "open")
    assert broker.reachable(farm(1), 22, HERE)
    assert broker.reachable(farm(1), 22, THERE)
    assert not broker.reachable(farm(1), 22, ELSEWHERE)


def test_a_second_person_leaves_without_hurting_the_first(broker):
    """Revoking takes away the leaver's source and nothing else."""
    first = broker.ask(wish(farm(1)))
    second = broker.ask(wish(farm(1), source=THERE), DAVE)
    broker.live(2)
    broker.revoke(second, DAVE)

    broker.live(5)

    assert (broker.status(first), broker.status(second)) == ("open", "closed")
    assert broker.reachable(farm(1), 22, HERE)
    assert not broker.reachable(farm(1), 22, THERE)


def test_the_last_to_leave_closes_the_port(broker):
    """When both have ended, nobody gets in."""
    first = broker.ask(wish(farm(1)))
    second = broker.ask(wish(farm(1), source=THERE, duration="PT30M"), DAVE)

    broker.live(75)

    assert (broker.status(first), broker.status(second)) == ("closed", "closed")
    assert not broker.reachable(farm(1), 22, HERE)
    assert not broker.reachable(farm(1), 22, THERE)


def test_a_request_that_somebody_elses_newer_one_replaced_is_closed_as_superseded(broker):
    """The comparison finds the path gone; the broker takes no path back from a portal user."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    broker.occupy(farm(1), 22, ELSEWHERE)
    broker.live(5)
    Reconciling(broker).run(DEVELOPMENT)

    broker.live(5)

    assert broker.grant(request_id).close_reason == "superseded"
    assert len(broker.initiates()) == 1
    assert broker.reachable(farm(1), 22, ELSEWHERE)


def test_a_strangers_path_stays_when_ours_is_revoked(broker):
    """Same sources, same rule: it is the stranger's as well."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    broker.occupy(farm(1), 22, HERE)
    broker.live(1)
    broker.revoke(request_id)

    broker.live(20)

    assert broker.reachable(farm(1), 22, HERE)


# ---- closing -------------------------------------------------------------------------------------


def test_a_revoked_path_is_gone_within_a_minute(broker):
    """The broker removes the rule itself: the API has no revoke."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    broker.revoke(request_id)

    broker.live(1)

    assert broker.status(request_id) == "closed"
    assert not broker.reachable(farm(1))


def test_a_revoked_path_through_a_firewall_is_gone_after_its_update(broker):
    """NAT rule, NSG rules and companion all go; the customer's rules stay."""
    before = _rules(broker)
    request_id = broker.ask(wish(WEB01, 3389))
    broker.live(FIREWALLED)
    broker.revoke(request_id)

    broker.live(15)

    assert broker.status(request_id) == "closed"
    assert _rules(broker) == before


def test_a_rule_that_azure_forgot_is_removed(broker):
    """A rule that outlives its end is a leftover: found, removed."""
    broker.sim.faults({"match": {"path": "farm01"}, "times": None, "leaveRules": True})
    broker.sim.faults({"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True})
    request_id = broker.ask(wish(farm(1)))
    broker.live(59)
    inside = broker.reachable(farm(1))

    broker.live(10)

    assert inside
    assert broker.status(request_id) == "closed"
    assert not broker.reachable(farm(1))


def test_a_finished_request_is_history_with_a_tombstone_for_its_rules(broker):
    """A rule that comes back later is still known."""
    request_id = broker.ask(wish(farm(1)))

    broker.live(70)

    assert broker.state.rows("r|") == broker.state.rows("g|") == ()
    assert len(broker.state.rows("t|")) == 1
    assert broker.whole(request_id).request.requester.id == ALICE.id


def test_a_policy_deleted_under_an_open_path_closes_it(broker):
    """Without the policy there is no request of others: the rules are still removed."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    broker.sim.call("DELETE", policy_of(farm(1)), as_="petra")

    broker.live(70)

    assert broker.status(request_id) == "closed"
    assert not broker.reachable(farm(1))


# ---- claims --------------------------------------------------------------------------------------


def test_a_pass_does_nothing_while_another_instance_holds_the_policy(broker):
    """One worker at a time acts for a policy."""
    broker.ask(wish(farm(1)))
    broker.locks.claim(policy_of(farm(1)))

    broker.work(farm(1))

    assert broker.initiates() == []


def test_the_claim_of_a_dead_instance_runs_out(broker):
    """A lease is aged by the storage service's clock."""
    request_id = broker.ask(wish(farm(1)))
    broker.locks.claim(policy_of(farm(1)))

    broker.live(4)

    assert broker.status(request_id) == "open"


def test_a_row_full_of_notes_keeps_no_pass_from_giving_the_policy_back(broker):
    """An earlier version left as many as a property takes; the pass adds one, and goes on."""
    request_id = broker.ask(wish(farm(1), duration="PT3H"))
    broker.live(OPENED)
    policy_id = policy_of(farm(1))
    row = broker.locks.read_policy(policy_id)
    notes = " ".join(f"{n:026d}={write_stamp(broker.now)}" for n in range(595))
    full = replace(row.version, values={**row.version.values, "Missing": notes})
    broker.state.write([Op(Verb.REPLACE, full)])
    policy = broker.sim.get(policy_id)
    policy["properties"]["virtualMachines"] = []
    broker.sim.control("PUT", "state", {"resources": {policy_id: policy}})
    Reconciling(broker).run()

    broker.live(6)

    assert broker.status(request_id) == "closed"
    assert not broker.reachable(farm(1))
    assert broker.locks.claim(policy_id) is not None


def test_messages_end_when_there_is_nothing_left_to_wait_for(broker):
    """A finished policy is quiet: no message goes round for ever."""
    broker.ask(wish(farm(1)))

    broker.live(75)

    assert broker.queues.waiting(messages.POLICY) == ()


def test_two_firewall_vms_ports_take_turns(broker):
    """One firewall, one update at a time: both open in the end, the customer's rules unchanged."""
    first = broker.ask(wish(WEB01, 3389))
    second = broker.ask(wish(WEB01, 22, THERE), DAVE)

    broker.live(20)

    assert (broker.status(first), broker.status(second)) == ("open", "open")
    assert (broker.reachable(WEB01, 3389), broker.reachable(WEB01, 22, THERE)) == (True, True)
