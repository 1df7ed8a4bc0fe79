"""The evidence about a rule of a subscription: its owners, its users, foreign requests."""

from dataclasses import replace

import pytest

from jit.domain.model.grant import Status
from jit.domain.reconcile.observation import list_jit_rules
from jit.domain.reconcile.rule_owners import RuleOwners
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_firewall, a_nat, nat_id
from tests.builders.grants import an_ended, an_older, changed
from tests.builders.machines import a_configured_vm, an_observation
from tests.builders.nsgs import an_allow
from tests.builders.values import FIREWALL_ID, NOW, NSG_ID, OTHER_VM_ID, POLICY_ID, THERE
from tests.domain.reconcile.planning import BEHIND


def judged(observed, *grants, tombstones=()):
    """The owners and users of the one rule of Defender's."""
    (rule,) = list_jit_rules(observed)
    return RuleOwners(observed, grants, tombstones, now=NOW).judge(rule)


def ids(grants):
    return [grant.id for grant in grants]


def test_owners_are_found_by_their_record_and_by_the_form_of_the_rule():
    """The closed grant recorded it; the open one asked for the same source."""
    found = judged(
        an_observation(an_allow(number=1)), an_older(2), tombstones=[an_ended(1, rules=[1])]
    )

    assert ids(found.owners) == ["request1-0-22", "request2-0-22"]


def test_the_same_address_behind_another_nsg_is_another_vm():
    """Private addresses repeat between networks."""
    twin = a_configured_vm("web02", nsgs=(f"{NSG_ID}-2",))
    observed = an_observation(an_allow(number=1), vms=(a_configured_vm(), twin))
    other = an_older(vm_id=OTHER_VM_ID)

    found = judged(observed, other)

    assert (found.owners, found.grants) == ((), ())


def test_two_vms_with_one_address_behind_one_nsg_both_use_the_rule():
    """The NSG guards two networks: the rule lets both in."""
    observed = an_observation(an_allow(number=1), vms=(a_configured_vm(), a_configured_vm("web02")))
    users = [an_older(1), an_older(2, vm_id=OTHER_VM_ID)]

    assert ids(judged(observed, *users).grants) == ["request1-0-22", "request2-0-22"]


def test_a_grant_that_joined_a_stranger_uses_the_rule_and_does_not_own_it():
    """Azure was never asked for it, and still it comes in by this rule."""
    joined = an_older(initiates=(), initiated_at=None)

    found = judged(an_observation(an_allow(number=1)), joined)

    assert (found.owners, ids(found.grants)) == ((), ["request1-0-22"])


def test_a_grant_for_the_address_uses_a_rule_in_an_nsg_that_guards_nobody():
    """An NSG can be taken off, and put back on."""
    detached = an_observation(an_allow(number=1), vms=(a_configured_vm(nsgs=()),))

    assert ids(judged(detached, an_older()).grants) == ["request1-0-22"]


@pytest.mark.parametrize(
    ("status", "uses"),
    [
        (Status.OPENING, True),
        (Status.OPEN, True),
        (Status.PENDING, False),
        (Status.CLOSING, False),
    ],
)
def test_only_grants_that_want_a_path_use_a_rule(status, uses):
    """A closing grant must get out."""
    assert bool(judged(an_observation(an_allow(number=1)), an_older(status=status)).grants) is uses


def test_a_recorded_nat_rule_that_leads_elsewhere_belongs_to_nobody():
    """Defender may have given its name to another VM port."""
    stone = changed(an_ended(**BEHIND), rules=(nat_id(),))
    moved = an_observation(firewall=a_firewall(a_nat(translatedPort="3389")))

    assert judged(moved, tombstones=[stone]).owners == ()


def test_foreign_requests_count_for_the_vm_that_has_the_address_now():
    """The closed grant's VM is gone; the rule stands before another one."""
    observed = an_observation(
        an_allow(number=1),
        vms=(a_configured_vm("web02"),),
        entries=[an_entry(minutes=30, initiate_id=None, vm_id=OTHER_VM_ID)],
    )

    assert len(judged(observed, tombstones=[an_ended(rules=[1])]).requests) == 1


def test_the_policy_of_a_rule_is_that_of_a_vm_that_it_leads_to():
    """That policy is claimed before a removal; it is unknown without such a VM."""
    here, gone = an_observation(an_allow(number=1)), an_observation(an_allow(number=1), vms=())
    policies = [
        RuleOwners(observed, (), (), now=NOW).policy_of(rule)
        for observed in (here, gone)
        for rule in list_jit_rules(observed)
    ]

    assert policies == [POLICY_ID, None]


@pytest.mark.parametrize(
    ("source", "wider"),
    [("203.0.113.7", False), (THERE, False), ("192.0.2.9", True), ("*", True)],
)
def test_a_recorded_rule_is_widened_if_nobody_asked_for_its_source(source, wider):
    """Closed grants and strangers of the VM port count as well."""
    observed = an_observation(an_allow(source, number=1))
    (rule,) = list_jit_rules(observed)
    grant, stone = an_older(1, rules=[1]), an_ended(2, sources=(THERE,))
    owners = RuleOwners(observed, [grant], [stone], now=NOW)

    assert owners.is_widened(rule, grant) is wider


def test_a_grant_may_have_rules_in_the_holders_of_its_vm_and_of_its_record():
    """The firewall of its VM, the NSG in the id of a rule that it recorded."""
    observed = an_observation(vms=(a_configured_vm(nsgs=()),))
    owners = RuleOwners(observed, (), (), now=NOW)
    grant = replace(an_older(rules=[1]), **BEHIND)

    there = [owners.may_stand_in(grant, holder) for holder in (NSG_ID, FIREWALL_ID, f"{NSG_ID}-2")]
    assert there == [True, True, False]
