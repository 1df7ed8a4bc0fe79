"""Companions on a path: they count, and stand, only while nobody else comes through them."""

import pytest

from jit.domain.model.grant import Status
from jit.domain.paths import companion_paths
from jit.domain.paths.companion_owners import find_shared_owner
from jit.domain.paths.effective import PathState
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.grants import an_open, changed, through_firewall
from tests.builders.machines import a_nic, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_companion, arm_rule
from tests.builders.values import BEHIND, HOME, NSG_ID, OTHER_NSG_ID

COMPANION = "jit-broker-g1"
COMPANION_ID = f"{NSG_ID}/securityRules/{COMPANION}"
GRANT = through_firewall(an_open(companions=(COMPANION_ID,)))
SHARED = find_shared_owner(GRANT)
JUMP = a_customers(a_nat("*", name="ssh"))
ACCOMPANIED = (an_allow(), arm_companion("g1"))


def view_of(*rules, others=(), settled=True, nsg=True, **changes):
    firewall = a_firewall(a_nat(), others=others, settled=settled)
    return behind(firewall, an_nsg(*rules, settled=nsg), **changes)


def observed(view, grant=GRANT):
    return companion_paths.observe_path(grant, view, (HOME,))


def withdrawn(view, *grants):
    found = companion_paths.find_withdrawals(grants or (GRANT,), view, (HOME,))
    return [(item.grant_id, item.companions, item.way.rule) for item in found]


# ---- the path ------------------------------------------------------------------------------------


def test_a_companion_counts_while_only_the_grants_come_through_it():
    """It is there for them."""
    assert observed(view_of(*ACCOMPANIED)).state is PathState.OPEN


@pytest.mark.parametrize("settled", [True, False])
def test_a_companion_does_not_count_while_others_would_come_through_it(settled):
    """The path is not open, may get no companion, and names the rule, even during an update."""
    path = observed(view_of(*ACCOMPANIED, others=[JUMP], settled=settled))

    assert path.state is (PathState.BLOCKED if settled else PathState.UNCLEAR)
    assert (path.blocked_by, path.leaving) == ({}, not settled)
    assert "NAT rule jump/ssh" in path.why


@pytest.mark.parametrize("settled", [True, False])
def test_a_path_that_needs_no_companion_is_not_touched_by_others(settled):
    """A customer's own rule lets the firewall in: that was so before the grant."""
    own = arm_rule(300, name="from-firewall", source=BEHIND, port="22")
    view = view_of(*ACCOMPANIED, own, others=[JUMP], settled=settled)

    path = observed(view)

    assert (path.state is PathState.OPEN, path.leaving) == (settled, False)
    assert "jump" not in path.why


def test_what_holds_a_path_back_is_named_before_its_rules_are_there():
    """The NAT rule of the grant is on its way, but would not open the path."""
    firewall = a_firewall(a_nat(port=80), others=[JUMP])
    path = observed(behind(firewall, an_nsg(an_allow())))

    assert path.state is PathState.PARTIAL
    assert "NAT rule jump/ssh" in path.why


def test_a_companion_in_an_nsg_that_was_not_read_is_no_proof_of_an_open_path():
    """It may stand there, or not."""
    nic = a_nic(public_ip=None, public_ip_id=None, nsg_ids=(NSG_ID, OTHER_NSG_ID))
    unread = changed(GRANT, companions=(f"{OTHER_NSG_ID}/securityRules/{COMPANION}",))
    view = view_of(an_allow(), others=[JUMP], interfaces=(nic,))

    path = observed(view, unread)

    assert (path.state, path.leaving) == (PathState.UNCLEAR, True)
    assert withdrawn(view, unread) == [("g1", unread.footprint.companions, "jump/ssh")]


# ---- withdrawals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("nsg", [True, False])
def test_a_companion_goes_at_once_whatever_is_being_updated(settled, nsg):
    """A firewall shows its new rules before they let anybody in."""
    view = view_of(*ACCOMPANIED, others=[JUMP], settled=settled, nsg=nsg)

    assert withdrawn(view) == [("g1", (COMPANION_ID,), "jump/ssh")]


def test_all_companions_of_a_port_go():
    """Each of them lets in the same packets."""
    view = view_of(*ACCOMPANIED, arm_companion("g2", priority=101), others=[JUMP])
    other = through_firewall(an_open("g2", status=Status.OPENING))

    assert [item[0] for item in withdrawn(view, GRANT, other)] == ["g1", "g2"]


def test_there_is_nothing_to_withdraw_without_a_companion_or_without_others():
    """Every other rule is somebody else's."""
    assert withdrawn(view_of(an_allow(), others=[JUMP])) == []
    assert withdrawn(view_of(*ACCOMPANIED)) == []


def test_the_companion_of_a_closing_grant_goes_by_its_closing():
    """It goes first there, whatever others do."""
    closing = changed(GRANT, status=Status.CLOSING)

    assert withdrawn(view_of(*ACCOMPANIED, others=[JUMP]), closing) == []


# ---- the form of a companion ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"sourceAddressPrefix": "*"},
        {"sourceAddressPrefix": "10.1.0.0/16"},
        {"sourceApplicationSecurityGroups": [{"id": "/asg"}]},
        {"destinationPortRange": "*"},
        {"destinationAddressPrefix": "*"},
        {"destinationAddressPrefix": None, "destinationApplicationSecurityGroups": [{"id": "/a"}]},
        {"protocol": "*"},
        {"protocol": "Udp"},
    ],
)
def test_a_companion_that_opens_more_than_the_broker_wrote_is_found(changes):
    """Somebody changed it, to let others in."""
    view = view_of(an_allow(), arm_companion("g1", **changes))

    assert companion_paths.find_altered(GRANT, view, {}) == COMPANION_ID


@pytest.mark.parametrize(
    "changes", [{}, {"access": "Deny"}, {"direction": "Outbound"}, {"priority": 4000}]
)
def test_a_companion_that_opens_no_more_is_not_altered(changes):
    """A rule that lets nobody in is no danger; the path will show it."""
    view = view_of(an_allow(), arm_companion("g1", **changes))

    assert companion_paths.find_altered(GRANT, view, {}) is None


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ({SHARED: ["10.1.1.9"]}, None),
        ({SHARED: ["10.1.1.8"]}, f"{NSG_ID}/securityRules/jit-broker-{SHARED}"),
        ({"g1": ["10.1.1.9"]}, f"{NSG_ID}/securityRules/jit-broker-{SHARED}"),
    ],
)
def test_a_companion_may_lead_where_a_grant_that_shares_it_led(known, found):
    """The VM had that address when the broker wrote the rule, for a grant before this one."""
    view = view_of(an_allow(), arm_companion(SHARED, destinationAddressPrefix="10.1.1.9"))

    assert companion_paths.find_altered(GRANT, view, known) == found


def test_a_companion_for_any_protocol_fits_a_grant_for_any():
    """It was written so."""
    grant = changed(GRANT, port=8443, protocol="*")
    rule = arm_companion("g1", protocol="*", destinationPortRange="8443")

    assert companion_paths.find_altered(grant, view_of(rule), {}) is None


def test_without_the_firewalls_subnet_nothing_is_said_about_a_companions_form():
    """The right sources are unknown."""
    view = view_of(arm_companion("g1", sourceAddressPrefix="*"), firewall_sources=())

    assert companion_paths.find_altered(GRANT, view, {}) is None


def test_standing_companions_are_those_of_the_grant_alone():
    """By the name, which holds the grant's id."""
    view = view_of(*ACCOMPANIED, arm_companion("g2", priority=101))

    assert companion_paths.list_standing(GRANT, view) == (COMPANION_ID,)
