"""Paths of grants, and the security admin rules that stand before their NSGs."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from jit.domain.model.grant import Status
from jit.domain.paths.admin_check import explain_bypass, explain_unread, find_bypass
from jit.domain.paths.effective import PathState, observe_path
from tests.builders.admin_rules import ALLOW, ALWAYS, DENY, GROUP, admin_rules, arm_admin
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import an_open, an_opening, through_firewall
from tests.builders.machines import a_configured_vm, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_rule
from tests.builders.values import BEHIND, HOME

GRANT = an_opening()
OPENED = an_nsg(an_allow())
SHUT = an_nsg(an_allow(), arm_rule(99, "Deny", name="never-ssh", port="22"))
NAME = "of network manager nm-hub"


def seen(*items, nsg=OPENED, grant=GRANT, **changes):
    """The path of a grant under these rules."""
    return observe_path(grant, a_view(nsg, admin=admin_rules(*items, **changes)))


# ---- before the end ------------------------------------------------------------------------------


def test_a_deny_blocks_a_path_that_every_nsg_lets_through():
    """P4: open means effective."""
    found = seen(arm_admin(DENY, "Internet"))

    assert found.state is PathState.BLOCKED
    assert found.why == f"security admin rule deny-10 {NAME} blocks it before every NSG"


def test_a_deny_that_may_apply_blocks_it_as_well():
    """A network group that cannot be resolved is a doubt."""
    found = seen(arm_admin(DENY, GROUP))

    assert found.state is PathState.BLOCKED
    assert found.why.startswith("cannot tell whether security admin rule deny-10")


@pytest.mark.parametrize(("nsg", "state"), [(OPENED, PathState.OPEN), (SHUT, PathState.BLOCKED)])
def test_an_allow_goes_on_to_the_nsg(nsg, state):
    """The NSG decides."""
    assert seen(arm_admin(ALLOW), nsg=nsg).state is state


def test_what_is_always_allowed_passes_whatever_the_nsg_says():
    """No NSG is asked."""
    assert seen(arm_admin(ALWAYS), nsg=SHUT).state is PathState.OPEN


def test_what_is_always_allowed_in_part_needs_the_nsg_for_the_rest():
    """Every address of the source must pass."""
    grant = an_opening(sources=(ip_network("203.0.113.6/31"),))
    nsg = an_nsg(an_allow("203.0.113.6/31"), arm_rule(99, "Deny", source="203.0.113.6", port="22"))

    assert seen(arm_admin(ALWAYS, "203.0.113.6"), nsg=nsg, grant=grant).state is PathState.OPEN
    assert seen(arm_admin(ALWAYS, "203.0.113.7"), nsg=nsg, grant=grant).state is PathState.BLOCKED


def test_behind_a_firewall_the_firewalls_own_addresses_count():
    """A Deny for the internet does not meet them."""
    grant = through_firewall(an_opening())
    let_in = an_nsg(arm_rule(300, source=BEHIND, port="22"))
    view = behind(a_firewall(a_nat()), let_in)
    denied = [arm_admin(DENY, "Internet")], [arm_admin(DENY, "10.1.0.0/24")]
    states = [
        observe_path(grant, replace(view, admin=admin_rules(*items))).state for items in denied
    ]

    assert states == [PathState.OPEN, PathState.BLOCKED]


def test_a_denied_path_gets_no_companion():
    """A rule of an NSG cannot help."""
    grant = through_firewall(an_opening())
    view = behind(a_firewall(a_nat()), an_nsg())

    found = observe_path(grant, replace(view, admin=admin_rules(arm_admin(DENY))))

    assert found.blocked_by == {}


def test_rules_of_an_earlier_look_hold_back_no_path_that_opens():
    """The look that would call it open reads them anew."""
    assert seen(arm_admin(DENY), fresh=False).state is PathState.OPEN


def test_rules_of_an_earlier_look_show_that_an_open_path_is_blocked():
    """A comparison reads them every quarter of an hour."""
    assert seen(arm_admin(DENY), grant=an_open(), fresh=False).state is PathState.BLOCKED


def test_rules_that_could_not_be_read_hold_back_a_path_that_opens():
    """Cannot tell, so not open. An open path stays."""
    unread = a_view(OPENED, admin=admin_rules(unread="no permission"))

    assert explain_unread(GRANT, unread) == "no permission"
    assert explain_unread(an_open(), unread) == ""
    assert explain_unread(GRANT, a_view(OPENED)) == ""


# ---- after the end -------------------------------------------------------------------------------

OVER = an_open(status=Status.CLOSING)


def left(*items, grant=OVER, vm=None, **changes):
    """What is left open after the end of a grant."""
    view = a_view(an_nsg(), admin=admin_rules(*items, **changes))
    return find_bypass(grant, view if vm is None else replace(view, vm=vm))


def test_what_is_always_allowed_stays_open_after_the_end():
    """It names the rule and the sources, because the broker cannot remove it."""
    assert left(arm_admin(ALWAYS)) == (
        f"security admin rule alwaysallow-10 {NAME} lets {HOME} in at any time, before every NSG"
    )


def test_what_may_be_always_allowed_may_stay_open():
    """A doubt is said as a doubt."""
    assert "may let 203.0.113.7/32 in" in left(arm_admin(ALWAYS, GROUP))


@pytest.mark.parametrize(
    "items", [[], [arm_admin(DENY)], [arm_admin(ALLOW)], [arm_admin(ALWAYS, port="443")]]
)
def test_nothing_else_stays_open(items):
    """The NSGs decide, or nobody gets in."""
    assert left(*items) == ""


def test_behind_a_firewall_only_private_sources_come_past_it():
    """A public source needs the NAT rule, and that goes with the grant."""
    hidden = a_configured_vm(firewall=True)
    inside = through_firewall(an_open(sources=(ip_network("10.1.5.0/28"),)))

    assert left(arm_admin(ALWAYS), grant=through_firewall(OVER), vm=hidden) == ""
    assert "10.1.5.0/28" in left(arm_admin(ALWAYS), grant=inside, vm=hidden)
    assert str(HOME) in left(arm_admin(ALWAYS), grant=through_firewall(OVER))


def test_rules_that_are_not_known_are_said_to_be_unknown():
    """Unread is not none."""
    view = a_view(an_nsg(), admin=admin_rules(unread="no permission"))

    assert explain_bypass(OVER, view) == (
        "cannot tell whether a security admin rule lets it in: no permission"
    )
    assert find_bypass(OVER, view) == ""
    assert explain_bypass(OVER, a_view(an_nsg())) == ""


def test_a_vm_that_is_gone_has_no_network():
    """Nobody gets in there."""
    view = a_view(an_nsg(), admin=admin_rules(unread="no permission"))

    assert explain_bypass(OVER, replace(view, vm=replace(view.vm, interfaces=()))) == ""
