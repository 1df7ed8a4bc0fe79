"""The plan: which rules go, which grants are mended, which rules are only reported."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.domain.grants.timing import OVERDUE, TIMES
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import Via
from jit.domain.paths.connection import build_connection
from jit.domain.reconcile.plan import plan_waiting_removals
from jit.domain.reconcile.plan_item import PlanAction, PlanClass
from jit.domain.values import arm_ids
from tests.builders.defender import an_entry
from tests.builders.firewalls import (
    JIT_COLLECTION,
    MAPPED,
    NAT_NAME,
    a_firewall,
    a_nat,
    arm_collection,
    nat_id,
)
from tests.builders.grants import an_ended, an_older, changed
from tests.builders.machines import a_configured_vm, an_observation
from tests.builders.nsgs import an_allow, arm_companion, arm_rule, jit_name, rule_id
from tests.builders.values import (
    FIREWALL_ID,
    FRONT,
    HERE,
    HOUR,
    MINE,
    MINUTE,
    NOW,
    NSG_ID,
    OTHER_VM_ID,
    POLICY_ID,
    THERE,
    VM_ID,
)
from tests.domain.reconcile.planning import BEHIND, NOTHING, planned, short

SECOND = timedelta(seconds=1)


def expired(number=1, grant="request1-0-22"):
    return [("remove-rule", "expired", jit_name(number=number), grant)]


def orphan(number=1):
    return [("report", "orphan", jit_name(number=number), None)]


def held(number=1, grant="request1-0-22"):
    return [("report", "held-by-other", jit_name(number=number), grant)]


# ---- expected rules ------------------------------------------------------------------------------


def test_a_rule_of_an_open_grant_is_expected():
    """As long as a grant lasts, its rule is no matter for anybody."""
    items = planned(
        an_observation(an_allow(number=1), entries=[an_entry(minutes=30)]), an_older(rules=[1])
    )

    assert short(items) == NOTHING


def test_a_rule_that_a_grant_has_not_recorded_yet_is_expected():
    """Rules appear before their grant has looked: its sources are enough."""
    fresh = an_older(status=Status.OPENING, seen=False)
    items = planned(an_observation(an_allow(number=1)), fresh)

    assert short(items) == NOTHING


def test_a_rule_that_shares_its_sources_with_a_closed_grant_is_expected_while_one_is_open():
    """A person who asks again is not cut off by the tombstone of the last time."""
    items = planned(
        an_observation(an_allow(number=1)), an_older(2, rules=[1]), tombstones=[an_ended(1)]
    )

    assert short(items) == NOTHING


def test_a_rule_that_serves_a_request_of_somebody_else_is_expected():
    """The portal's users are not the broker's business."""
    items = planned(
        an_observation(an_allow(number=1), entries=[an_entry(minutes=30, initiate_id=None)])
    )

    assert short(items) == NOTHING


def test_a_nat_rule_of_an_open_grant_is_expected():
    """The same behind a firewall, with the companion that it needs."""
    grant = an_older(rules=[], companions=(f"{NSG_ID}/securityRules/jit-broker-x",), **BEHIND)
    told = build_connection(grant, FRONT, MAPPED)
    items = planned(
        an_observation(an_allow(number=1), arm_companion(), nats=[a_nat()]),
        replace(grant, connection=told),
    )

    assert short(items) == NOTHING


def test_rules_of_customers_and_deny_rules_of_defender_are_never_mentioned():
    """Only names of Defender's allow rules and of companions are looked at."""
    deny = "MicrosoftDefenderForCloud-JITRule_1234_" + "A" * 32
    rules = [
        arm_rule(200, name="customer", source=HERE, port="22"),
        arm_rule(300, "Deny", name=deny),
    ]
    customers = arm_collection(a_nat(name="jit-1"), name="customer")
    observed = an_observation(*rules, firewall=a_firewall(others=[customers]))
    items = planned(observed, tombstones=[an_ended(**BEHIND)])

    assert short(items) == NOTHING


# ---- leftovers -----------------------------------------------------------------------------------


def test_a_recorded_rule_of_a_closed_grant_is_removed():
    """Recorded by resource id at first sight: proof enough."""
    items = planned(an_observation(an_allow(number=1)), tombstones=[an_ended(rules=[1])])

    assert short(items) == expired()


def test_a_rule_is_recognised_in_any_case_of_its_id():
    """ARM ids vary in case from one answer to the next."""
    grant = an_ended(sources=(THERE,), rules=[1])
    shouted = changed(grant, rules=(grant.footprint.rules[0].upper(),))
    items = planned(an_observation(an_allow(number=1)), tombstones=[shouted])

    assert short(items) == expired()


def test_an_unrecorded_rule_for_a_closed_grants_sources_is_removed():
    """A rule that reappears has a new name, and still is a leftover."""
    items = planned(an_observation(an_allow(number=7)), tombstones=[an_ended(rules=[1])])

    assert short(items) == expired(7)


def test_an_item_of_a_leftover_says_where_it_stands_and_since_when():
    """To act one needs the rule's id and the policy to claim."""
    (item,) = planned(an_observation(an_allow(number=1)), tombstones=[an_ended(rules=[1])])

    assert (item.resource, item.policy_id) == (NSG_ID, POLICY_ID)
    assert item.path is not None
    assert item.path.id == rule_id(1)
    assert item.since == NOW - 20 * MINUTE + TIMES[Via.PUBLIC_IP].grace


def test_the_newest_of_several_closed_grants_is_named():
    """One rule, one item."""
    stones = [an_ended(1, ago=3 * HOUR), an_ended(2, ago=2 * HOUR), an_ended(3, ago=4 * HOUR)]
    items = planned(an_observation(an_allow(number=1)), tombstones=stones)

    assert short(items) == expired(grant="request2-0-22")


def test_a_rule_that_holds_the_sources_of_two_closed_grants_is_removed():
    """Defender writes the union of the sources into one rule, or into several."""
    stones = [an_ended(1), an_ended(2, sources=(THERE,))]
    items = planned(an_observation(an_allow(HERE, THERE, number=1)), tombstones=stones)

    assert [item.action for item in items] == [PlanAction.REMOVE_RULE]


def test_a_grant_that_stands_in_both_lists_is_taken_as_closed():
    """It was closed between the two reads."""
    items = planned(
        an_observation(an_allow(number=1)), an_older(rules=[1]), tombstones=[an_ended(rules=[1])]
    )

    assert short(items) == expired()


def test_a_rule_of_an_old_address_of_the_vm_is_still_its_grants():
    """A VM that got another address since leaves its rule behind."""
    moved = an_observation(an_allow(number=1), vms=(a_configured_vm(address="10.1.1.99"),))
    items = planned(moved, tombstones=[an_ended()])

    assert short(items) == expired()


def test_a_rule_of_a_vm_that_was_deleted_is_still_its_grants():
    """The record says where the rules of a vanished VM stand."""
    items = planned(
        an_observation(an_allow(number=1), an_allow(number=2), vms=()),
        tombstones=[an_ended(rules=[1])],
    )

    assert short(items) == [*expired(1), *expired(2)]


@pytest.mark.parametrize("via", [Via.PUBLIC_IP, Via.PRIVATE])
@pytest.mark.parametrize(("ago", "found"), [(2 * MINUTE, 1), (2 * MINUTE - SECOND, 0)])
def test_azure_has_two_minutes_to_remove_an_expired_rule_of_an_nsg(via, ago, found):
    """Azure's own expiry goes first."""
    items = planned(an_observation(an_allow(number=1)), tombstones=[an_ended(ago=ago, via=via)])

    assert len(items) == found


@pytest.mark.parametrize(("ago", "found"), [(10 * MINUTE, 1), (10 * MINUTE - SECOND, 0)])
def test_azure_has_ten_minutes_to_remove_an_expired_rule_of_a_firewall(ago, found):
    """Its own update takes three to five."""
    items = planned(an_observation(nats=[a_nat()]), tombstones=[an_ended(ago=ago, **BEHIND)])

    assert len(items) == found


def test_a_revoked_grants_rule_is_not_waited_for():
    """Only the broker ends a grant early: Defender knows no revoke."""
    items = planned(
        an_observation(an_allow(number=1)),
        tombstones=[an_ended(ago=timedelta(0), reason=CloseReason.REVOKED)],
    )

    assert short(items) == expired()


def test_a_rule_shared_with_a_grant_still_in_its_grace_waits():
    """Cutting one cuts both: Azure has its chance at the later one too."""
    stones = [an_ended(1), an_ended(2, sources=(THERE,), ago=MINUTE)]
    items = planned(an_observation(an_allow(HERE, THERE, number=1)), tombstones=stones)

    assert short(items) == NOTHING


@pytest.mark.parametrize("status", [Status.OPEN, Status.CLOSING])
def test_an_unfinished_grant_past_its_end_leaves_leftovers_too(status):
    """The plan names it even if the worker has not come by."""
    late = an_ended(status=status, rules=[1])
    items = planned(an_observation(an_allow(number=1)), late)

    assert short(items) == expired()


def test_a_nat_rule_of_a_closed_grant_is_removed():
    """It is named with its collection: only both together are a name."""
    items = planned(an_observation(nats=[a_nat()]), tombstones=[an_ended(rules=[], **BEHIND)])

    assert short(items) == [
        ("remove-rule", "expired", f"{JIT_COLLECTION}/{NAT_NAME}", "request1-0-22")
    ]
    assert items[0].path is not None
    assert (items[0].path.id, items[0].resource) == (nat_id(), FIREWALL_ID)


def test_a_recorded_nat_rule_is_removed_if_it_still_leads_home():
    """Somebody widened it: still the grant's, by its name and by where it leads."""
    stone = changed(an_ended(**BEHIND), rules=(nat_id(),))
    items = planned(an_observation(nats=[a_nat("203.0.113.0/24")]), tombstones=[stone])

    assert [item.kind for item in items] == [PlanClass.EXPIRED]


def test_a_nat_rule_that_only_has_the_name_of_a_recorded_one_is_not_removed():
    """Defender may use a name again for somebody else: names of NAT rules prove nothing."""
    stone = changed(an_ended(**BEHIND), rules=(nat_id(),))
    items = planned(an_observation(nats=[a_nat(THERE)]), tombstones=[stone])

    assert [item.kind for item in items] == [PlanClass.ORPHAN]


def test_a_grant_that_never_asked_azure_for_anything_owns_no_rule():
    """Denied at the last moment: a rule that looks like its own is somebody else's."""
    never = an_ended(initiates=(), rules=[], initiated_at=None, reason=CloseReason.DENIED)
    items = planned(an_observation(an_allow(number=1)), tombstones=[never])

    assert short(items) == orphan()


def test_a_scheduled_grant_neither_keeps_nor_dooms_a_rule():
    """It has no path yet, and takes nobody else's."""
    later = an_older(2, status=Status.SCHEDULED, initiates=(), expires_at=None, seen=False)
    items = planned(an_observation(an_allow(number=1)), later, tombstones=[an_ended(rules=[1])])

    assert short(items) == expired()


# ---- held by others ------------------------------------------------------------------------------


def test_a_leftover_inside_a_strangers_request_is_reported_and_stays():
    """Doubt keeps others' access untouched."""
    observed = an_observation(an_allow(number=1), entries=[an_entry(minutes=30, initiate_id=None)])
    items = planned(observed, tombstones=[an_ended(rules=[1])])

    assert short(items) == held()


@pytest.mark.parametrize("source", ["203.0.113.0/24", "*", "VirtualNetwork"])
def test_a_strangers_wider_request_holds_a_leftover_too(source):
    """Overlap is enough, and a source that cannot be read overlaps everything."""
    observed = an_observation(
        an_allow(number=1), entries=[an_entry(source, minutes=30, initiate_id=None)]
    )
    items = planned(observed, tombstones=[an_ended(rules=[1])])

    assert short(items) == held()


def test_a_strangers_request_without_sources_holds_everything():
    """An entry that cannot be read never frees a rule."""
    observed = an_observation(
        an_allow(number=1), entries=[an_entry(minutes=30, initiate_id=None, sources=())]
    )
    items = planned(observed, tombstones=[an_ended(rules=[1])])

    assert short(items) == held()


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 3389},
        {"vm_id": OTHER_VM_ID},
        {"sources": (THERE,)},
        {"sources": ("2001:db8::/64",)},
        {"active": False, "reason": "NewerRequestInitiated"},
        {"minutes": -10},
        {"initiate_id": MINE},
    ],
)
def test_a_request_for_something_else_holds_nothing(changes):
    """Another port, VM, source; one that was replaced, ended long ago, or is our own."""
    other = an_entry(**({"initiate_id": None, "minutes": 30} | changes))
    items = planned(
        an_observation(an_allow(number=1), entries=[other]), tombstones=[an_ended(rules=[1])]
    )

    assert short(items) == expired()


def test_a_strangers_request_counts_for_ten_minutes_after_its_end():
    """Azure tidies up its own first."""
    late = an_entry(initiate_id=None, minutes=-9, active=False, reason="Expired")
    items = planned(
        an_observation(an_allow(number=1), entries=[late]), tombstones=[an_ended(rules=[1])]
    )

    assert short(items) == held()


def test_an_id_that_only_looks_like_ours_is_a_strangers():
    """A mark in a justification is ours if, and only if, we stored it before the call."""
    forged = an_entry(minutes=30, initiate_id="z" * 26)
    items = planned(
        an_observation(an_allow(number=1), entries=[forged]), tombstones=[an_ended(rules=[1])]
    )

    assert short(items) == held()


def test_a_strangers_request_on_a_vm_that_got_the_address_since_holds_the_rule():
    """The tombstone's VM is gone; the rule now stands before another one."""
    taken = an_observation(
        an_allow(number=1),
        vms=(a_configured_vm("web02"),),
        entries=[an_entry(minutes=30, initiate_id=None, vm_id=OTHER_VM_ID)],
    )
    items = planned(taken, tombstones=[an_ended(rules=[1])])

    assert short(items) == held()


def test_a_leftover_that_an_open_grant_still_needs_is_reported_and_stays():
    """The union shrinks by a new initiate, never by cutting the one who stays."""
    both = an_observation(an_allow(HERE, THERE, number=1))
    items = planned(both, an_older(2, sources=(THERE,)), tombstones=[an_ended(1)])

    assert short(items) == held()
    assert items[0].since is not None


@pytest.mark.parametrize(
    ("source", "is_overdue"),
    [("203.0.113.0/24", False), (THERE, True), ("*", False), ("VirtualNetwork", True)],
)
def test_a_rule_that_another_person_holds_is_late_if_it_lets_in_somebody_without_a_right(
    source, is_overdue
):
    """Only sources that somebody is entitled to may stay after the end."""
    held_by = an_entry(minutes=30, initiate_id=None, sources=(source,))
    (item,) = planned(
        an_observation(an_allow(HERE, THERE, number=1), entries=[held_by]),
        tombstones=[an_ended(rules=[1])],
    )

    assert item.kind is PlanClass.HELD_BY_OTHER
    assert (item.since is not None) == is_overdue


# ---- orphans -------------------------------------------------------------------------------------


def test_a_rule_without_grant_or_request_is_reported():
    """An old tenant is full of them; nobody here knows whose they are."""
    items = planned(an_observation(an_allow(number=1)))

    assert short(items) == orphan()


def test_an_orphan_is_removed_only_if_the_operator_switched_that_on():
    """The item names the policy to claim."""
    items = planned(an_observation(an_allow(number=1)), remove_orphans=True)

    assert short(items) == [("remove-rule", "orphan", jit_name(number=1), None)]
    assert items[0].policy_id == POLICY_ID


def test_an_orphan_that_serves_a_request_is_none_even_then():
    """The switch is no licence to cut off the portal's users."""
    observed = an_observation(an_allow(number=1), entries=[an_entry(minutes=30, initiate_id=None)])

    assert short(planned(observed, remove_orphans=True)) == NOTHING


def test_an_orphan_that_an_open_grant_passes_through_is_only_reported():
    """The grant may live by it."""
    items = planned(
        an_observation(an_allow("203.0.113.0/24", number=1)), an_older(), remove_orphans=True
    )

    assert short(items) == orphan()


@pytest.mark.parametrize(
    "changes",
    [
        {"port": ["22", "3389"]},
        {"port": "22-25"},
        {"to": ["10.1.1.4", "10.1.1.5"]},
        {"to": "10.1.1.0/24"},
        {"to": "*"},
        {"sourceApplicationSecurityGroups": [{"id": "/asg"}]},
    ],
)
def test_an_orphan_that_is_not_written_as_defender_writes_is_only_reported(changes):
    """Somebody made it their own: removing it is theirs to do."""
    items = planned(an_observation(an_allow(number=1, **changes)), remove_orphans=True)

    assert short(items) == orphan()


@pytest.mark.parametrize("changes", [{"sourceIpGroups": ["/g"]}, {"translatedAddress": ""}])
def test_an_orphan_nat_rule_that_is_not_written_as_defender_writes_is_only_reported(changes):
    """The same in a firewall."""
    items = planned(an_observation(nats=[a_nat(**changes)]), remove_orphans=True)

    assert [item.action for item in items] == [PlanAction.REPORT]


def test_an_orphan_in_an_nsg_that_guards_nobody_is_held_by_any_request_for_its_address():
    """An NSG can be taken off and put back on; others' requests outlive that."""
    detached = an_observation(
        an_allow(number=1),
        vms=(a_configured_vm(nsgs=()),),
        entries=[an_entry(minutes=30, initiate_id=None)],
    )

    assert short(planned(detached, remove_orphans=True)) == NOTHING


def test_an_orphan_of_a_vanished_vm_has_no_policy():
    """There is nothing to claim, and nobody who could need it."""
    (item,) = planned(an_observation(an_allow(number=1), vms=()), remove_orphans=True)

    assert (item.action, item.policy_id) == (PlanAction.REMOVE_RULE, None)


def test_an_orphan_for_the_address_of_a_grant_whose_vm_is_unknown_is_only_reported():
    """The VM that has the address now may live by it."""
    items = planned(
        an_observation(an_allow(number=1), vms=()), an_older(rules=[]), remove_orphans=True
    )

    assert short(items)[:1] == orphan()


# ---- altered -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "changes"),
    [
        (["203.0.113.0/24"], {}),
        (["*"], {}),
        (["Internet"], {}),
        ([HERE, THERE], {}),
        ([HERE], {"port": "22-23"}),
        ([HERE], {"port": "*"}),
        ([HERE], {"port": "3389"}),
        ([HERE], {"to": "*"}),
        ([HERE], {"to": "10.1.1.0/24"}),
        ([HERE], {"sourceApplicationSecurityGroups": [{"id": "/asg"}]}),
    ],
)
def test_a_recorded_rule_that_opens_more_than_was_asked_for_closes_its_grant(sources, changes):
    """The grant is no longer the one that was decided."""
    items = planned(an_observation(an_allow(*sources, number=1, **changes)), an_older(rules=[1]))

    assert short(items) == [("close", "altered", jit_name(number=1), "request1-0-22")]


@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_rule_of_a_vm_in_doubt_is_judged_by_the_worker(in_doubt):
    """A short list of policies lacks the request of somebody else who asked for these sources."""
    vm = replace(a_configured_vm(), is_in_doubt=in_doubt)
    observed = an_observation(an_allow(HERE, THERE, number=1), vms=(vm,))
    (item,) = planned(observed, an_older(rules=[1]))

    assert (item.kind, item.is_decided_later) == (PlanClass.ALTERED, in_doubt)


@pytest.mark.parametrize(
    "changes", [{"sourceAddresses": ["203.0.113.0/24"]}, {"sourceIpGroups": ["/g"]}]
)
def test_a_recorded_nat_rule_that_opens_more_closes_its_grant(changes):
    """The same in a firewall."""
    grant = changed(an_older(**BEHIND), rules=(nat_id(),))
    items = planned(
        an_observation(an_allow(number=1), arm_companion(), nats=[a_nat(**changes)]), grant
    )

    assert [(item.action, item.kind) for item in items] == [(PlanAction.CLOSE, PlanClass.ALTERED)]


def test_sources_that_others_on_the_port_asked_for_do_not_alter_a_rule():
    """The union of a shared port, closed grants included, was all asked for."""
    both = an_observation(
        an_allow(HERE, THERE, "192.0.2.9", number=1),
        entries=[an_entry("192.0.2.9", minutes=30, initiate_id=None)],
    )
    stones = [an_ended(2, sources=(THERE,), ago=MINUTE)]
    items = planned(both, an_older(rules=[1]), tombstones=stones)

    assert PlanClass.ALTERED not in {item.kind for item in items}


def test_a_rule_that_lets_in_less_is_missing_and_not_altered():
    """Narrower is no danger; the path is incomplete."""
    wide = an_older(rules=[1], sources=("203.0.113.0/24",))
    items = planned(an_observation(an_allow(number=1)), wide)

    assert [(item.action, item.kind) for item in items] == [(PlanAction.REOPEN, PlanClass.MISSING)]


def test_a_grant_that_is_over_is_not_closed_for_being_altered():
    """Its rule simply goes."""
    items = planned(an_observation(an_allow("*", number=1)), tombstones=[an_ended(rules=[1])])

    assert short(items) == expired()


def test_a_nat_rule_that_leads_elsewhere_by_now_does_not_alter_a_grant():
    """Its name may have been given to another VM port: the grant's own rule is missing."""
    grant = changed(an_older(**BEHIND), rules=(nat_id(),))
    moved = an_observation(nats=[a_nat(translatedPort="3389")])
    items = planned(moved, grant)

    assert PlanClass.ALTERED not in {item.kind for item in items}


# ---- missing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.OPEN, Status.OPENING])
def test_a_grant_whose_rules_were_seen_and_are_gone_is_opened_again(status):
    """Somebody wiped them: infrastructure as code often does."""
    items = planned(an_observation(), an_older(status=status, rules=[1]))

    assert short(items) == [("reopen", "missing", None, "request1-0-22")]
    assert items[0].resource == VM_ID


def test_an_open_grant_whose_newest_rule_never_came_is_looked_at():
    """The rule that it was seen by has gone before its own newer rule came."""
    items = planned(an_observation(), an_older(status=Status.OPEN, seen=False, rules=[1]))

    assert short(items) == [("reopen", "missing", None, "request1-0-22")]


def test_an_open_grant_that_a_rule_of_somebody_else_blocks_is_looked_at():
    """Open means effective: a deny above the allow ends that."""
    deny = arm_rule(100, "Deny", name="customer", source="*", port="22")
    items = planned(an_observation(deny, an_allow(number=1)), an_older(rules=[1]))

    assert [item.action for item in items] == [PlanAction.REOPEN]
    assert "rule customer blocks it" in items[0].reason


@pytest.mark.parametrize(("nats", "woken"), [([], True), ([a_nat()], False)])
def test_a_path_that_goes_while_its_firewall_is_updated_is_looked_at(nats, woken):
    """Somebody's newer request took its place: five minutes of update are no reason to wait."""
    grant = an_older(rules=[1], **BEHIND)
    items = planned(
        an_observation(an_allow(number=1), firewall=a_firewall(*nats, settled=False)), grant
    )

    assert (PlanClass.MISSING in {item.kind for item in items}) is woken


def test_a_grant_that_is_opening_may_show_a_part_of_its_path():
    """Behind a firewall the NSG's rule comes minutes before the NAT rule."""
    grant = an_older(status=Status.OPENING, rules=[1], **BEHIND)
    items = planned(an_observation(an_allow(number=1), nats=[a_nat(translatedPort="443")]), grant)

    assert PlanClass.MISSING not in {item.kind for item in items}


def test_a_grant_whose_vm_is_gone_is_to_be_closed():
    """A list of all VMs does not have it: the next VM with its address would inherit the rule."""
    items = planned(an_observation(), an_older(vm_id=OTHER_VM_ID))

    assert short(items) == [("close", "missing", None, "request1-0-22")]


def test_a_grant_that_waits_for_its_start_is_not_closed_with_its_vm():
    """It is decided again when it is due."""
    items = planned(
        an_observation(), an_older(vm_id=OTHER_VM_ID, status=Status.SCHEDULED, expires_at=None)
    )

    assert short(items) == NOTHING


@pytest.mark.parametrize(
    "changes",
    [
        {"seen": False, "status": Status.OPENING},
        {"status": Status.PENDING, "expires_at": None},
        {"status": Status.CLOSING, "close_reason": CloseReason.EXPIRED},
        {"expires_at": NOW},
    ],
)
def test_only_a_grant_that_had_its_path_and_should_have_it_misses_it(changes):
    """Not before it was seen, not after its end."""
    items = planned(an_observation(), an_older(**changes))

    assert short(items) == NOTHING


def test_a_grant_that_is_to_be_closed_is_not_opened_again():
    """One action a grant."""
    moved = an_observation(an_allow(number=1, port="3389"))
    items = planned(moved, an_older(rules=[1]))

    assert [item.action for item in items] == [PlanAction.CLOSE]


# ---- holders that are not settled ----------------------------------------------------------------


def test_nothing_is_done_in_an_nsg_that_is_being_updated():
    """Its list may not be in force."""
    observed = an_observation(
        an_allow(number=1), an_allow(THERE, number=2), arm_companion(), settled=False
    )
    stones = [an_ended(rules=[1])]
    items = planned(observed, an_older(3, rules=[9]), tombstones=stones, remove_orphans=True)

    assert short(items) == NOTHING


def test_nothing_is_done_to_a_rule_that_is_being_written():
    """The rule's own state counts as well as its NSG's."""
    items = planned(
        an_observation(an_allow(number=1, provisioningState="Updating")), tombstones=[an_ended()]
    )

    assert short(items) == NOTHING


@pytest.mark.parametrize("state", [{"settled": False}, {"settled": False, "failed": True}])
def test_nothing_is_done_in_a_firewall_that_is_not_settled(state):
    """Updating means ask later; Failed means neither open nor closed."""
    observed = an_observation(firewall=a_firewall(a_nat(), **state))
    items = planned(observed, tombstones=[an_ended(**BEHIND)], remove_orphans=True)

    assert short(items) == NOTHING


@pytest.mark.parametrize(("failed", "found"), [(False, [NAT_NAME]), (True, [])])
def test_a_leftover_in_a_firewall_that_is_being_updated_waits_for_its_turn(failed, found):
    """Nobody knows when a failed update is repeated, so nobody waits for it."""
    firewall = a_firewall(a_nat(), settled=False, failed=failed)
    grant = an_ended(**BEHIND)

    items = plan_waiting_removals(
        an_observation(firewall=firewall), [], [grant], now=grant.expires_at + HOUR
    )

    assert [item.path.name for item in items if item.path is not None] == found


def test_an_unsettled_leftover_is_reported_once_it_is_long_overdue():
    """After its end a path is observed gone, or somebody hears which rule is still there."""
    ago = TIMES[Via.FIREWALL].grace + OVERDUE
    observed = an_observation(firewall=a_firewall(a_nat(), settled=False))
    items = planned(observed, tombstones=[an_ended(ago=ago, **BEHIND)])

    assert [(item.action, item.kind) for item in items] == [(PlanAction.REPORT, PlanClass.EXPIRED)]


# ---- shape ---------------------------------------------------------------------------------------


def test_a_vm_behind_another_nsg_with_the_same_address_is_another_vm():
    """Private addresses repeat between networks."""
    twin = a_configured_vm("web02", nsgs=(f"{NSG_ID}-2",))
    stone = an_ended(vm_id=OTHER_VM_ID, rules=[])
    items = planned(
        an_observation(an_allow(number=1), vms=(a_configured_vm(), twin)), tombstones=[stone]
    )

    assert short(items) == orphan()


def test_ipv6_sources_are_compared_among_themselves():
    """A prefix of one family is never inside one of the other."""
    six = ip_network("2001:db8::/64")
    grant = replace(an_older(rules=[1]), sources=(six, ip_network(f"{HERE}/32")))
    items = planned(an_observation(an_allow("2001:db8::/64", HERE, number=1)), grant)

    assert PlanClass.ALTERED not in {item.kind for item in items}


def test_keys_of_an_observation_are_lower_case():
    """The builders of this file keep the promise of the observer."""
    observed = an_observation(an_allow(number=1))

    assert set(observed.nsgs) == {arm_ids.key(NSG_ID)}
