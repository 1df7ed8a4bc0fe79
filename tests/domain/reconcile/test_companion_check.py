"""Companion rules against the grants that they name."""

from datetime import timedelta

import pytest

from jit.domain.model.grant import Status
from jit.domain.paths.companion_owners import find_shared_owner
from jit.domain.reconcile.companion_check import find_unknown_companions, list_companion_owners
from jit.domain.reconcile.plan_item import PlanAction
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.grants import an_ended, an_older
from tests.builders.machines import a_configured_vm, an_observation
from tests.builders.nsgs import an_allow, arm_companion
from tests.builders.values import HERE, NOW, NSG_ID, THERE
from tests.domain.reconcile.planning import BEHIND, NOTHING, planned, short

COMPANION = "jit-broker-request1-0-22"


def test_the_companion_of_a_closed_grant_is_removed_at_once():
    """Closing removes it first: no grace."""
    stone = an_ended(ago=timedelta(0), companions=(), **BEHIND)
    items = planned(an_observation(arm_companion(), firewall=a_firewall()), tombstones=[stone])

    assert short(items) == [("remove-rule", "companion", COMPANION, "request1-0-22")]


def test_the_companion_of_a_grant_past_its_end_is_removed_at_once():
    """Even while the grant's worker has not come by."""
    late = an_older(expires_at=NOW, **BEHIND)
    items = planned(an_observation(arm_companion(), firewall=a_firewall()), late)

    assert short(items) == [("remove-rule", "companion", COMPANION, "request1-0-22")]


def test_a_recorded_companion_belongs_to_its_grant_in_any_form():
    """Its id was stored before it was created."""
    stone = an_ended(companions=(f"{NSG_ID}/securityRules/{COMPANION}",), **BEHIND)
    edited = arm_companion(access="Deny", destinationPortRange="*")
    items = planned(an_observation(edited, firewall=a_firewall()), tombstones=[stone])

    assert [item.action for item in items] == [PlanAction.REMOVE_RULE]


def test_a_companion_that_names_no_known_grant_is_reported():
    """A prefix alone is not proof, switch or no switch."""
    items = planned(an_observation(arm_companion("nobody-0-22")), remove_orphans=True)

    assert short(items) == [("report", "orphan", "jit-broker-nobody-0-22", "nobody-0-22")]


@pytest.mark.parametrize(
    "changes",
    [
        {"access": "Deny"},
        {"direction": "Outbound"},
        {"destinationPortRange": "3389"},
        {"destinationAddressPrefix": "10.9.9.9"},
        {
            "destinationAddressPrefix": None,
            "destinationApplicationSecurityGroups": [{"id": "/asg"}],
        },
    ],
)
def test_a_companion_in_another_form_than_the_brokers_is_reported(changes):
    """A copy, a clone, a joke: the store knows the grant, but not this rule."""
    items = planned(
        an_observation(arm_companion(**changes), nats=[a_nat()]), tombstones=[an_ended(**BEHIND)]
    )

    assert ("report", "orphan", COMPANION, "request1-0-22") in short(items)


def test_a_companion_in_an_nsg_far_from_its_grant_is_reported():
    """Networks are copied with their rules."""
    elsewhere = an_observation(arm_companion(), vms=(a_configured_vm(nsgs=()),))
    items = planned(elsewhere, tombstones=[an_ended(rules=[])])

    assert short(items) == [("report", "orphan", COMPANION, "request1-0-22")]


def test_a_companion_of_a_grant_that_never_asked_azure_is_reported():
    """The broker adds none before it has asked for the path."""
    never = an_ended(initiates=(), rules=[], initiated_at=None, **BEHIND)
    items = planned(an_observation(arm_companion(), firewall=a_firewall()), tombstones=[never])

    assert short(items) == [("report", "orphan", COMPANION, "request1-0-22")]


@pytest.mark.parametrize(
    "changes",
    [
        {"sourceAddressPrefix": "*"},
        {"sourceAddressPrefix": "10.1.0.0/16"},
        {"sourceApplicationSecurityGroups": [{"id": "/asg"}]},
        {"destinationPortRange": "*"},
        {"destinationAddressPrefix": "*"},
    ],
)
def test_a_companion_that_opens_more_closes_its_grant(changes):
    """It is the broker's rule: nobody else may let themselves in by it."""
    grant = an_older(companions=(f"{NSG_ID}/securityRules/{COMPANION}",), **BEHIND)
    items = planned(
        an_observation(an_allow(number=1), arm_companion(**changes), nats=[a_nat()]), grant
    )

    assert ("close", "altered", COMPANION, "request1-0-22") in short(items)


def test_a_companion_whose_firewall_cannot_be_read_is_left_alone():
    """The right sources are unknown."""
    grant = an_older(companions=(f"{NSG_ID}/securityRules/{COMPANION}",))
    items = planned(
        an_observation(an_allow(number=1), arm_companion(sourceAddressPrefix="*"), vms=None), grant
    )

    assert short(items) == NOTHING


JUMP = a_customers(a_nat("*", name="ssh"))
RECORDED = {"companions": (f"{NSG_ID}/securityRules/{COMPANION}",), **BEHIND}


@pytest.mark.parametrize("settled", [True, False])
def test_a_companion_by_which_others_would_come_in_goes(settled):
    """One item names it and the reason. The path needs no other."""
    front = a_firewall(a_nat(), others=[JUMP], settled=settled)
    observed = an_observation(an_allow(number=1), arm_companion(), firewall=front, settled=settled)

    items = planned(observed, an_older(**RECORDED))

    assert short(items) == [("remove-rule", "companion", COMPANION, "request1-0-22")]
    assert "NAT rule jump/ssh" in items[0].reason


def test_a_companion_of_a_grant_that_closes_is_not_named_twice():
    """It opens more than the broker wrote: its grant closes, and takes it away."""
    front = a_firewall(a_nat(), others=[JUMP])
    observed = an_observation(
        an_allow(number=1), arm_companion(sourceAddressPrefix="*"), firewall=front
    )

    items = planned(observed, an_older(**RECORDED))

    assert short(items) == [("close", "altered", COMPANION, "request1-0-22")]


def test_a_rule_that_others_on_the_port_asked_for_is_no_reason_to_remove_a_companion():
    """Two grants of one VM port share Defender's NAT rule."""
    shared = a_firewall(a_nat(HERE, THERE))
    observed = an_observation(an_allow(HERE, THERE, number=1), arm_companion(), firewall=shared)
    both = an_older(**RECORDED), an_older(2, sources=(THERE,), **BEHIND)

    assert "companion" not in {item.kind.value for item in planned(observed, *both)}
    assert "companion" in {item.kind.value for item in planned(observed, both[0])}


def test_a_companion_of_a_vm_that_no_classic_firewall_guards_any_more_goes():
    """Its firewall follows a firewall policy by now."""
    bare = an_observation(an_allow(number=1), arm_companion())

    assert short(planned(bare, an_older(**RECORDED))) == [
        ("remove-rule", "companion", COMPANION, "request1-0-22")
    ]


def test_companions_of_unknown_grants_are_found_by_name():
    """So that history can be asked about them."""
    observed = an_observation(arm_companion(), arm_companion("b-0-22"), arm_companion("c-0-22"))

    assert find_unknown_companions(observed, [an_older()]) == ("b-0-22", "c-0-22")


# ---- shared by the grants of a VM port -----------------------------------------------------------

SHARED = find_shared_owner(an_older(**BEHIND))
SHARED_NAME = f"jit-broker-{SHARED}"
SHARED_ID = f"{NSG_ID}/securityRules/{SHARED_NAME}"


def shared_items(*grants, tombstones=(), **changes):
    """The items about a shared companion; only *grants* come through the firewall."""
    texts = [str(source) for grant in grants for source in grant.sources]
    observed = an_observation(
        an_allow(HERE, THERE, number=1),
        arm_companion(SHARED, **changes),
        firewall=a_firewall(a_nat(*texts)),
    )
    found = planned(observed, *grants, tombstones=tombstones)
    return [item for item in short(found) if item[2] == SHARED_NAME]


def test_a_shared_companion_stands_as_long_as_one_grant_wants_it():
    """Though others on the VM port are over."""
    over = an_ended(2, ago=timedelta(0), **BEHIND)

    assert shared_items(an_older(**BEHIND), tombstones=[over]) == []


def test_a_shared_companion_of_grants_that_are_over_is_removed():
    """Under the name of the newest, whose tombstone proves it."""
    first = an_ended(ago=timedelta(hours=1), **BEHIND)
    last = an_ended(2, ago=timedelta(0), **BEHIND)

    assert shared_items(tombstones=[last, first]) == [
        ("remove-rule", "companion", SHARED_NAME, last.id)
    ]


def test_a_shared_companion_of_a_grant_that_closes_is_left_to_its_worker():
    """The item names the grant that lives."""
    closing = an_older(status=Status.CLOSING, closing_at=NOW, **BEHIND)
    stone = an_ended(2, ago=timedelta(0), **BEHIND)

    assert shared_items(closing, tombstones=[stone]) == [
        ("remove-rule", "companion", SHARED_NAME, closing.id)
    ]


def test_a_shared_companion_without_any_grant_is_reported():
    """Another broker builds the same name."""
    assert shared_items() == [("report", "orphan", SHARED_NAME, None)]


def test_a_shared_companion_that_opens_more_closes_every_grant_on_its_port():
    """Each of them might be the way in."""
    both = [
        an_older(companions=(SHARED_ID,), **BEHIND),
        an_older(2, sources=(THERE,), companions=(SHARED_ID,), **BEHIND),
    ]

    assert shared_items(*both, sourceAddressPrefix="*") == [
        ("close", "altered", SHARED_NAME, grant.id) for grant in both
    ]


def test_a_shared_companion_goes_once_if_others_would_come_in():
    """One item is enough; no other grant on the port is told to be missing its path."""
    both = [
        an_older(companions=(SHARED_ID,), **BEHIND),
        an_older(2, sources=(THERE,), companions=(SHARED_ID,), **BEHIND),
    ]
    observed = an_observation(
        an_allow(HERE, THERE, number=1),
        arm_companion(SHARED),
        firewall=a_firewall(a_nat(HERE, THERE), others=[JUMP]),
    )

    assert short(planned(observed, *both)) == [
        ("remove-rule", "companion", SHARED_NAME, both[0].id)
    ]


def test_history_is_not_asked_about_a_vm_port():
    """It finds requests by their ids."""
    observed = an_observation(arm_companion(SHARED))

    assert find_unknown_companions(observed, []) == ()
    assert list_companion_owners(observed) == {SHARED}


@pytest.mark.parametrize("is_over", [False, True])
def test_a_shared_companion_for_a_former_address_closes_nobody(is_over):
    """The first grant knew that address of the VM; the second one came later."""
    known = {"companions": (SHARED_ID,), "private_ips": ("10.1.1.9",), **BEHIND}
    later = an_older(2, sources=(THERE,), companions=(SHARED_ID,), **BEHIND)
    first = an_ended(ago=timedelta(0), **known) if is_over else an_older(**known)
    grants = [later] if is_over else [first, later]
    stones = [first] if is_over else []

    def found(address):
        return shared_items(*grants, tombstones=stones, destinationAddressPrefix=address)

    assert found("10.1.1.9") == []
    assert {item[:2] for item in found("10.1.1.8")} == {("close", "altered")}
