"""Paths that open more than was asked for are closed."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.grants import widened
from jit.domain.grants.policy_view import PolicyView
from jit.domain.grants.step import run_step
from jit.domain.limits import LIMITS
from jit.domain.model.grant import CloseReason, Status
from jit.domain.paths.rules import find_port_rules, is_limited_to
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefixes
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import a_grant, an_open, an_opening, changed, through_firewall
from tests.builders.machines import a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_companion, jit_name
from tests.builders.values import HOME, HOUR, MINE, MINUTE, NEXT, NOW, NSG_ID, OFFICE, vm_id

RULE_ID = f"{NSG_ID}/securityRules/{jit_name('-', 1)}"
WIDE = ("*", "0.0.0.0/0", "Internet", "203.0.113.0/24", "51.105.66.10", "not an address")


def asked(grant):
    """The grant, with the sources and end of its newest initiate."""
    return changed(grant, asked=grant.sources, asked_until=grant.expires_at)


def stepped(grant, view, *seen, others=()):
    """One step over the grant, and *others* of its VM port."""
    world = PolicyView(
        found=True,
        requests=seen,
        machines={arm_ids.key(vm_id()): view},
        known_initiates=frozenset({MINE, NEXT}),
    )
    return run_step([grant, *others], world, now=NOW + MINUTE, initiate_id="c" * 26, limits=LIMITS)


@pytest.mark.parametrize("text", WIDE)
def test_an_entry_that_lists_more_than_was_asked_closes_the_grant(text):
    """Azure has taken our initiate for something else."""
    done = stepped(asked(an_opening()), a_view(), an_entry(text))

    (grant,) = done.grants
    assert (grant.status, grant.close_reason) == (Status.CLOSING, CloseReason.FAILED)
    assert [item.grant_id for item in done.widenings] == [grant.id]


@pytest.mark.parametrize("text", WIDE[:-1])
def test_the_rule_of_a_widened_entry_is_removed(text):
    """It is proved ours by the initiate that Defender lists with it, though it lets others in."""
    view = a_view(an_nsg(an_allow(text)))

    done = stepped(asked(an_opening()), view, an_entry(text))

    assert [rule.id for rule in done.removals] == [RULE_ID]


def test_an_entry_without_sources_says_nothing():
    """An answer may leave out fields that the contract lacks."""
    done = stepped(asked(an_opening()), a_view(), replace(an_entry(), sources=()))

    assert done.widenings == ()


def test_an_entry_of_somebody_else_is_their_own_affair():
    """However wide."""
    found = widened.find_widening(
        asked(an_open()), frozenset({HOME}), [an_entry("*", initiate_id=NEXT)], ()
    )

    assert found is None


@pytest.mark.parametrize("text", ["*", "Internet", "203.0.113.0/24"])
def test_a_recorded_rule_that_somebody_widened_closes_its_grant_at_once(text):
    """Found by the next look, without waiting for a comparison."""
    view = a_view(an_nsg(an_allow(text)))

    done = stepped(asked(an_open(rules=(RULE_ID.upper(),))), view, an_entry())

    (grant,) = done.grants
    assert (grant.status, grant.note) == (
        Status.CLOSING,
        f"somebody widened rule {jit_name('-', 1)}; closing: still there: {jit_name('-', 1)}",
    )
    assert [rule.id for rule in done.removals] == [RULE_ID]


@pytest.mark.parametrize("text", ["*", "10.1.1.0/24"])
def test_a_recorded_rule_that_was_made_to_lead_elsewhere_closes_its_grant_at_once(text):
    """The person may reach a whole network although one VM was asked for."""
    view = a_view(an_nsg(an_allow(to=text)))

    done = stepped(asked(an_open(rules=(RULE_ID,))), view, an_entry())

    assert done.grants[0].status is Status.CLOSING
    assert [rule.id for rule in done.removals] == [RULE_ID]


@pytest.mark.parametrize("status", [Status.AWAITING_APPROVAL, Status.SCHEDULED])
def test_a_grant_that_starts_later_does_not_justify_a_widened_rule(status):
    """Tomorrow it will be asked of Azure; today it is nobody's."""
    view = a_view(an_nsg(an_allow("203.0.113.0/24")))
    tomorrow = NOW + timedelta(days=1)
    later = a_grant(
        "later",
        sources=(ip_network("203.0.113.0/24"),),
        status=status,
        starts_at=tomorrow,
        latest_end=tomorrow + HOUR,
    )

    done = stepped(asked(an_open(rules=(RULE_ID,))), view, an_entry(), others=[later])

    assert [item.grant_id for item in done.widenings] == ["g1"]
    assert [rule.id for rule in done.removals] == [RULE_ID]


def test_no_rule_is_recorded_for_a_grant_that_starts_later():
    """It may be the leftover of a person who asks for it each day."""
    view = a_view(an_nsg(an_allow(), an_allow("198.51.100.0/24", number=2)))
    later = a_grant(
        "later", sources=(OFFICE,), status=Status.SCHEDULED, starts_at=NOW + timedelta(days=1)
    )
    wide = replace(asked(an_opening()), sources=(HOME, ip_network("198.51.100.7/32")))

    done = stepped(wide, view, an_entry(), others=[later])

    assert done.grants[0].footprint.rules == (RULE_ID,)


def test_a_rule_for_all_grants_of_a_shared_port_is_not_too_wide():
    """Each of them asked for it."""
    both = frozenset({HOME, OFFICE})
    view = a_view(an_nsg(an_allow("203.0.113.7", "198.51.100.0/24")))
    rules = find_port_rules(view, 22)

    assert (
        widened.find_widening(asked(an_open(rules=(RULE_ID,))), both, [an_entry()], rules) is None
    )


@pytest.mark.parametrize("text", ["*", "203.0.113.0/24"])
def test_no_grant_is_open_by_a_rule_that_is_wider_than_asked(text):
    """It is not ours: it may go at any moment, or be somebody's mistake."""
    done = stepped(asked(an_opening()), a_view(an_nsg(an_allow(text))), an_entry())

    (grant,) = done.grants
    assert (grant.status, grant.footprint.rules) == (Status.OPENING, ())


@given(st.lists(st.sampled_from([*WIDE, "203.0.113.7", "198.51.100.0/24"]), max_size=4))
def test_a_rule_opens_allowed_sources_only_or_is_too_wide(texts):
    """A source that cannot be read lets in anybody."""
    view = a_view(an_nsg(an_allow(*(texts or ["203.0.113.7"]))))
    (rule,) = find_port_rules(view, 22)
    allowed = (HOME, OFFICE)

    inside = [prefix in allowed for prefix in Prefixes(rule.sources).readable]
    expected = len(inside) == len(rule.sources) and all(inside)
    assert is_limited_to(rule, allowed) is expected


def test_a_companion_that_somebody_widened_closes_its_grant_at_the_next_look():
    """Others would come in by the broker's own rule."""
    widened_rule = arm_companion("g1", sourceAddressPrefix="*")
    view = behind(a_firewall(a_nat()), an_nsg(an_allow(), widened_rule))

    done = stepped(through_firewall(an_open()), view, an_entry())

    (grant,) = done.grants
    assert (grant.status, grant.close_reason) == (Status.CLOSING, CloseReason.FAILED)
    assert grant.note is not None
    assert grant.note.startswith("somebody widened rule jit-broker-g1")
    assert [item.resource for item in done.widenings] == list(done.companion_removals)
