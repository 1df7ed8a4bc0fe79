"""Which rules prove that an initiate was carried out, and how long one may still be."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.grants import rule_evidence, timing
from jit.domain.model.grant import Status
from jit.domain.paths.rules import find_port_rules
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import an_opening, changed, through_firewall
from tests.builders.machines import a_nic, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg
from tests.builders.values import HOME, HOUR, MINUTE, NOW, NSG_ID, OFFICE, OTHER_NSG_ID
from tests.domain.steps import a_world, alone, stepped


def guarded(*numbers, sources=()):
    """The VM with Defender's allow rules of those numbers."""
    allows = (an_allow(*sources, number=number, priority=100 + number) for number in numbers)
    return a_view(an_nsg(*allows))


def asked(view, **changes):
    """An opening grant whose initiate was stored while Azure looked like *view*."""
    grant = an_opening(written=False, seen=False, **changes)
    before = rule_evidence.list_marks([changed(grant, initiated_at=None)], view, NOW)
    return changed(grant, before=before)


def after(grant, view):
    """True if Defender counts as done after a look."""
    rules = find_port_rules(view, grant.port, grant.footprint.private_ips)
    return rule_evidence.note_written(grant, rules, view).initiate.written


def test_a_rule_that_was_there_before_says_nothing_of_the_initiate():
    """A leftover lets the person in; the rule that was asked for is still to come."""
    leftover = guarded(1)

    assert not after(asked(leftover), leftover)
    assert after(asked(leftover), guarded(1, 2))


@pytest.mark.parametrize("there", [(1,), (1, 2)])
def test_only_a_rule_that_came_after_the_initiate_says_that_azure_took_it(there):
    """The answer may be lost. One rule of several is enough."""
    leftover, now_there = guarded(1), guarded(*there)
    grant = asked(leftover)
    rules = find_port_rules(now_there, grant.port, grant.footprint.private_ips)

    taken = rule_evidence.note_taken(grant, rules).initiate.taken

    assert taken == (there != (1,))
    assert not rule_evidence.note_taken(changed(grant, before=None), rules).initiate.taken


def test_while_the_firewall_was_not_read_not_all_is_written():
    """Its NAT rule may still come, also for people who need none."""
    unread = behind(None, an_nsg(an_allow()))

    assert not after(asked(a_view()), unread)


def test_a_new_rule_says_that_all_is_written():
    """No rule was there before: it can only be the rule of the initiate."""
    assert after(asked(a_view()), guarded(1))


def test_a_rule_whose_sources_changed_is_a_new_one():
    """Defender's NAT rules keep their names while their sources change."""
    both = ("203.0.113.7", "198.51.100.0/24")
    grant = asked(guarded(1), sources=(HOME, OFFICE))

    assert not after(grant, guarded(1))
    assert after(grant, guarded(1, sources=both))


def test_every_source_waits_for_a_rule_of_its_own():
    """One of two prefixes is served by a leftover; its new rule is on its way."""
    grant = asked(guarded(1, sources=("198.51.100.0/24",)), sources=(HOME, OFFICE))
    one = a_view(
        an_nsg(
            an_allow("198.51.100.0/24", number=1, priority=101),
            an_allow("203.0.113.7", number=2, priority=102),
        )
    )

    assert not after(grant, one)


@pytest.mark.parametrize(
    ("nats", "allows", "done"),
    [(1, 0, False), (0, 1, False), (1, 1, True)],
    ids=["NAT rule alone", "NSG rule alone", "both"],
)
def test_behind_a_firewall_both_its_rules_are_waited_for(nats, allows, done):
    """Defender may write either of them first."""
    view = behind(a_firewall(*[a_nat()][:nats]), an_nsg(*[an_allow()][:allows]))
    grant = through_firewall(asked(behind(a_firewall(), an_nsg())))

    assert after(grant, view) is done


def test_every_nsg_of_the_interface_is_waited_for():
    """A rule that comes late into the subnet's NSG would outlast the grant."""
    nics = (a_nic(nsg_ids=(NSG_ID, OTHER_NSG_ID)),)
    first, second = an_nsg(an_allow()), an_nsg(an_allow(), nsg_id=OTHER_NSG_ID)
    grant = asked(a_view())

    assert not after(grant, a_view(first, an_nsg(nsg_id=OTHER_NSG_ID), interfaces=nics))
    assert after(grant, a_view(first, second, interfaces=nics))


def test_both_interfaces_are_waited_for():
    """Defender opens a port on every interface of a VM, each with an NSG of its own maybe."""
    second = a_nic(
        id=f"{a_nic().id}-2", nsg_ids=(OTHER_NSG_ID,), private_ip="10.1.1.9", primary=False
    )
    nics, first = (a_nic(), second), an_nsg(an_allow())
    late = an_nsg(an_allow(to="10.1.1.9", number=2), nsg_id=OTHER_NSG_ID)
    grant = asked(a_view())

    assert not after(grant, a_view(first, an_nsg(nsg_id=OTHER_NSG_ID), interfaces=nics))
    assert after(grant, a_view(first, late, interfaces=nics))


def test_rules_of_two_initiates_in_a_row_look_alike():
    """The rule that appears may be the first one's; the second one's may follow."""
    grant = an_opening(written=False)

    assert rule_evidence.list_marks([grant], a_view(), NOW + MINUTE) is None
    assert rule_evidence.list_marks([grant], a_view(), NOW + timing.APPEARS_WITHIN) == ()
    assert not after(changed(grant, before=None), guarded(1))


def test_more_rules_than_are_kept_prove_nothing():
    """Hundreds of leftovers on one port: time alone decides."""
    many = a_view(an_nsg(*(an_allow(number=number, priority=100 + number) for number in range(25))))

    assert asked(many).initiate.before is None


@pytest.mark.parametrize(
    ("changes", "later", "may"),
    [
        ({}, timedelta(minutes=14), True),
        ({}, timedelta(minutes=15), False),
        ({"written": True}, timedelta(0), False),
        ({"initiated_at": None}, timedelta(0), False),
    ],
)
def test_rules_may_appear_for_a_quarter_of_an_hour(changes, later, may):
    """Unless nothing was asked."""
    grant = an_opening(**{"written": False, **changes})

    assert rule_evidence.may_appear(grant, NOW + later) is may


def test_a_step_stores_the_older_rules_before_it_asks():
    """The marks are durable before the call, as the end is."""
    grant = an_opening(
        status=Status.PENDING, initiates=(), initiated_at=None, expires_at=None, admitted_at=None
    )
    done = stepped(grant, world=a_world(guarded(1)))

    assert len(done.asks) == 1
    assert done.grants[0].initiate.before == rule_evidence.list_marks([grant], guarded(1), NOW)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"written": True}, False),
        ({"written": True, "rules": (f"{OTHER_NSG_ID}/securityRules/jit-1",)}, True),
        ({"written": False}, True),
        ({"written": False, "initiates": ()}, False),
    ],
    ids=["elsewhere", "recorded", "unseen", "never asked"],
)
def test_a_former_nsg_may_have_a_rule_that_was_recorded_there_or_that_nobody_saw(changes, kept):
    """Defender may have written the unseen one before the VM got its new NSG."""
    view = replace(a_view(), former={OTHER_NSG_ID.lower(): an_nsg(nsg_id=OTHER_NSG_ID)})

    found = rule_evidence.keep_holders(an_opening(**changes), view.add_former())

    assert bool(found.former) is kept


def test_a_grant_that_is_revoked_over_a_leftover_closes_when_its_own_rule_is_gone():
    """Removing the leftover is not the end: the rule of the initiate comes after it."""
    leftover = asked(guarded(1), expires_at=NOW + HOUR)
    revoked = changed(leftover, status=Status.CLOSING, closing_at=NOW, private_ips=("10.1.1.4",))
    there = [an_entry()]

    waiting = alone(revoked, a_world(a_view(), *there), now=NOW + MINUTE)
    came = alone(waiting, a_world(guarded(2), *there), now=NOW + 2 * MINUTE)
    gone = alone(came, a_world(a_view(), *there), now=NOW + 3 * MINUTE)

    assert [waiting.status, came.status, gone.status] == [
        Status.CLOSING,
        Status.CLOSING,
        Status.CLOSED,
    ]
