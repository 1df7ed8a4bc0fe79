"""One step of a JIT policy: its grants apart, unread VMs, and everything that it does at once."""

import sys
from dataclasses import replace
from ipaddress import ip_network

import pytest

from jit.domain.azure.companion_rule import build_companion_name
from jit.domain.grants import admission
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.named_sources import mark_sources
from jit.domain.values import arm_ids
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import a_grant, an_open, an_opening, through_firewall
from tests.builders.machines import a_view, behind
from tests.builders.nsgs import an_allow, an_nsg
from tests.builders.values import ELSEWHERE, HOME, HOUR, MINUTE, NOW, NSG_ID, OFFICE, vm_id
from tests.domain.steps import (
    LATER,
    LET_IN,
    OURS,
    RULE_ID,
    SECOND,
    STRANGER,
    a_leaver,
    a_world,
    alone,
    stepped,
)


@pytest.mark.parametrize("status", [Status.PENDING, Status.OPENING, Status.OPEN])
def test_grants_of_an_unread_vm_wait_and_say_why(status):
    """The VM could not be read: the grant says so, and is looked at again in a minute."""
    grant = an_open(status=status, admitted_at=NOW)
    world = a_world(machines={}, unreadable={arm_ids.key(vm_id()): "web01 could not be read"})

    done = stepped(grant, world=world)

    assert done.grants == (
        replace(grant, note="web01 could not be read", next_check_at=NOW + MINUTE),
    )
    assert (done.asks, done.removals) == ((), ())


def test_grants_of_a_vm_without_any_look_have_a_note_too():
    """Even if the look does not say why."""
    after = alone(an_open(), a_world(machines={}))

    assert after.note == "the VM could not be read"


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.CLOSED])
def test_grants_that_need_no_look_stay_as_they_are_without_one(status):
    """Not due, or over."""
    grant = a_grant(status=status, starts_at=NOW + HOUR)

    assert alone(grant, a_world(machines={})) == grant


def test_even_unseen_a_grant_ends():
    """Time needs no look."""
    after = alone(an_open(expires_at=NOW), a_world(machines={}))

    assert after.status is Status.CLOSING


def test_the_end_of_a_stranger_who_is_gone_is_no_hand_over_to_come():
    """Ours takes its place at once; the announcement is taken back."""
    over = an_entry(initiate_id=STRANGER, ends_at=NOW + HOUR, active=False)
    joined = an_open(initiates=(), initiated_at=None, handover_at=NOW + HOUR)

    after = stepped(joined, world=a_world(OURS, over), now=NOW + MINUTE)

    assert (len(after.asks), after.grants[0].handover_at) == (1, None)


def test_closing_goes_on_while_azure_wants_no_calls():
    """Doubt keeps closing."""
    done = stepped(a_leaver(), world=a_world(OURS, an_entry(), asks_from=LATER))

    assert [rule.id for rule in done.removals] == [RULE_ID]


def test_a_value_that_cannot_be_read_on_one_vm_stops_no_other_vm():
    """Its grants wait and say why; those of the others close."""
    over = an_open(expires_at=NOW)
    strange = replace(OURS, vm=replace(OURS.vm, id=vm_id(2), vnet_prefixes=("everywhere",)))
    machines = {arm_ids.key(vm_id()): OURS, arm_ids.key(vm_id(2)): strange}
    opening = an_opening("g2", vm_id=vm_id(2), sources=(HOME,))

    done = stepped(over, opening, world=a_world(None, an_entry(), machines=machines))

    by_id = {grant.id: grant for grant in done.grants}
    assert by_id["g1"].status is Status.CLOSING
    assert (by_id["g2"].status, done.unreadable) == (Status.OPENING, (arm_ids.key(vm_id(2)),))
    assert by_id["g2"].note == "what Azure says of it cannot be read"


def test_grants_on_other_ports_and_machines_are_asked_for_apart():
    """A VM port is VM and number."""
    done = stepped(a_grant(), a_grant("g2", port=3389))

    assert {ask.port for ask in done.asks} == {22, 3389}


def test_a_vms_id_in_another_case_is_the_same_vm():
    """ARM ids are case-insensitive."""
    done = stepped(a_grant(), a_grant("g2", vm_id=vm_id().upper(), sources=(OFFICE,)))

    assert [set(ask.sources) for ask in done.asks] == [{HOME, OFFICE}]


def test_companions_of_one_step_take_different_priorities():
    """Those of another port or VM write to the same NSG."""
    world = a_world(
        behind(a_firewall(a_nat(), a_nat(port=3389, mapped=13389)), an_nsg(an_allow())),
        an_entry(),
        an_entry(port=3389),
    )
    grants = [through_firewall(an_opening()), through_firewall(an_opening("g2", port=3389))]

    done = stepped(*grants, world=world)

    assert [wish.priority for wish in done.companions] == [4095, 4094]


def test_a_revoked_grants_rules_are_removed():
    """In the same step."""
    done = stepped(a_leaver(), world=a_world(OURS, an_entry()))

    assert [rule.id for rule in done.removals] == [RULE_ID]


def test_a_rule_of_two_leavers_is_removed_once():
    """Both recorded it."""
    done = stepped(a_leaver(), a_leaver(id="g2"), world=a_world(OURS, an_entry()))

    assert len(done.removals) == 1


def test_a_rule_is_not_removed_while_a_strangers_request_holds_it():
    """In force, from the same place."""
    world = a_world(OURS, an_entry(), an_entry(initiate_id=STRANGER, started_at=NOW + SECOND))

    done = stepped(a_leaver(), world=world)

    assert done.removals == ()


def test_a_nat_rule_is_removed_only_when_the_firewall_is_ours_to_change():
    """Removals and initiates take turns."""
    leaver = through_firewall(a_leaver())
    world = a_world(behind(a_firewall(a_nat())), an_entry())

    ours = stepped(leaver, world=world)
    others = stepped(leaver, world=replace(world, free_firewalls=frozenset()))

    assert [rule.name for rule in ours.removals] == ["MDC-JIT-web01-22"]
    assert (others.removals, others.grants[0].status) == ((), Status.CLOSING)


def test_a_companion_is_removed_while_another_policy_has_the_firewall():
    """It stands in an NSG."""
    world = a_world(behind(a_firewall(a_nat()), LET_IN), an_entry(), free_firewalls=frozenset())

    done = stepped(through_firewall(a_leaver()), world=world)

    assert done.companion_removals == (f"{NSG_ID}/securityRules/{build_companion_name('g1')}",)


def test_a_leaver_and_a_newcomer_are_settled_in_one_step():
    """The rule of the one goes by the initiate for the other, which lets in the same port."""
    newcomer = a_grant("g2", sources=(ELSEWHERE,))

    done = stepped(a_leaver(), newcomer, world=a_world(OURS, an_entry()))

    assert [set(ask.sources) for ask in done.asks] == [{ELSEWHERE}]
    assert [rule.id for rule in done.removals] == [RULE_ID]


def test_an_empty_policy_has_nothing_to_do():
    """No grants, no calls."""
    assert stepped().grants == ()


def test_a_defect_of_the_broker_is_not_reported_as_azures_fault(monkeypatch):
    """The grants of the VM wait, and those of the others close."""

    def fail(*_, **__):
        raise ValueError("a defect")

    over = an_open(expires_at=NOW)
    opening = an_opening("g2", vm_id=vm_id(2), status=Status.PENDING)
    machines = {
        arm_ids.key(vm_id()): OURS,
        arm_ids.key(vm_id(2)): replace(OURS, vm=replace(OURS.vm, id=vm_id(2))),
    }
    monkeypatch.setattr(admission, "decide", fail)

    done = stepped(over, opening, world=a_world(None, an_entry(), machines=machines))

    by_id = {grant.id: grant for grant in done.grants}
    assert by_id["g1"].status is Status.CLOSING
    assert by_id["g2"].note == "the broker failed to decide about it"
    assert (done.unreadable, done.defects) == (
        (),
        {arm_ids.key(vm_id(2)): "ValueError('a defect')"},
    )


# ---- a crowd -------------------------------------------------------------------------------------

CROWD, TWICE = 40, 80
GROWTH = 2.4  # times as many calls for twice as many grants; a square of them is four times


def _people(count):
    """The addresses of so many people."""
    return [f"198.51.{number // 100}.{number % 100 * 2 + 1}" for number in range(count)]


def _crowd(count, build, **fields):
    """A grant for each of so many people on one VM port, carried by one initiate."""
    named = tuple(map(ip_network, _people(count)))
    asked = (
        {} if build is a_grant else {"asked": named, "asked_mark": mark_sources(frozenset(named))}
    )
    return [
        build(f"g{number:03d}", sources=(source,), **{**asked, "next_check_at": NOW, **fields})
        for number, source in enumerate(named)
    ]


def _count_calls(grants, world, now):
    """The number of calls of functions in one step."""
    calls = []
    sys.setprofile(lambda _frame, event, _: calls.append(1) if event == "call" else None)
    try:
        stepped(*grants, world=world, now=now)
    finally:
        sys.setprofile(None)
    return len(calls)


def _make_crowds(count):
    """A crowd in each phase, with Azure as it looks then, and the time of the step."""
    texts = _people(count)
    rule = an_nsg(an_allow(*texts))
    seen, known = [an_entry(*texts)], {"rules": (RULE_ID,)}
    ended = {"status": Status.CLOSING, "close_reason": CloseReason.REVOKED, "closing_at": NOW}
    half = _crowd(count, an_open, **known)
    half[::2] = _crowd(count, an_open, **known, **ended)[::2]
    return {
        "new": (_crowd(count, a_grant), a_world(), NOW),
        "opening": (_crowd(count, an_opening, before=()), a_world(a_view(rule), *seen), LATER),
        "open": (_crowd(count, an_open, **known), a_world(a_view(rule), *seen), LATER),
        "shrinking": (half, a_world(a_view(rule), *seen), NOW + HOUR),
        "gone": (_crowd(count, an_open, **known, **ended), a_world(a_view(an_nsg())), LATER),
    }


@pytest.mark.parametrize("phase", ["new", "opening", "open", "shrinking", "gone"])
def test_a_step_over_twice_as_many_grants_of_one_port_costs_twice_as_much(phase):
    """A thousand people on one port must not keep another one from being closed in time."""
    stepped(*_make_crowds(3)[phase][0], world=_make_crowds(3)[phase][1], now=NOW)  # warm

    few = _count_calls(*_make_crowds(CROWD)[phase])
    many = _count_calls(*_make_crowds(TWICE)[phase])

    assert many < GROWTH * few
