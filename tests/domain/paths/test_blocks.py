"""Rules that stop packets on a path: at one address of the VM, for every source."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from jit.domain.paths.blocks import find_block, is_certainly_stopped, read_version
from tests.builders.admin_rules import ALLOW, ALWAYS, DENY, GROUP, admin_rules, arm_admin
from tests.builders.firewalls import a_firewall
from tests.builders.grants import an_opening, through_firewall
from tests.builders.machines import a_nic, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_rule
from tests.builders.values import BEHIND, HOME, NSG_ID, OFFICE, VM

GRANT = an_opening(sources=(HOME, OFFICE))
SIX = "fd00:db8::/64"


def test_nothing_stops_packets_that_each_nsg_lets_in():
    """Both sources have their rule."""
    nsg = an_nsg(an_allow(), an_allow("198.51.100.0/24", number=2))

    assert find_block(GRANT, a_view(nsg), a_nic()) is None


def test_the_rule_with_the_smallest_priority_that_stops_a_source_is_named():
    """A companion must stand before it."""
    early = arm_rule(90, "Deny", name="first", source="198.51.100.0/24", port="22")
    late = arm_rule(95, "Deny", name="second", port="22")

    block = find_block(GRANT, a_view(an_nsg(an_allow(), early, late)), a_nic())

    assert block is not None
    assert block.by == {NSG_ID: 90}


def test_the_address_of_an_interface_decides_which_rules_stop_its_packets():
    """Another address of the VM has rules of its own."""
    deny = arm_rule(90, "Deny", name="never", port="22", to="10.1.1.5")
    nsg = an_nsg(an_allow(), an_allow("198.51.100.0/24", number=2), deny)

    assert find_block(GRANT, a_view(nsg), a_nic()) is None
    assert find_block(GRANT, a_view(nsg), a_nic(private_ip="10.1.1.5")) is not None


def test_a_firewall_with_a_subnet_of_both_ip_versions_comes_from_that_of_the_address():
    """No NAT rule mixes the versions."""
    let_in = arm_rule(300, name="companion", source=BEHIND, port="22", to=VM)
    view = behind(a_firewall(), an_nsg(let_in), firewall_sources=(SIX, BEHIND))

    assert find_block(through_firewall(an_opening()), view, a_nic()) is None


def test_an_interface_without_an_address_counts_as_ipv4():
    """It is being changed; it will have one again."""
    assert (read_version(a_nic(private_ip="")), read_version(a_nic(private_ip="fd00::5"))) == (4, 6)


# ---- what certainly stops packets ----------------------------------------------------------------

ALONE = an_opening()


def in_state(state, *rules):
    """The VM with an NSG in that state, which each of its rules has too, as Azure lists them."""
    nsg = an_nsg(*rules)
    written = tuple(replace(rule, state=state) for rule in nsg.rules)
    return a_view(replace(nsg, rules=written, settled=False, failed=state == "Failed"))


@pytest.mark.parametrize("state", ["Failed", "Updating"])
@pytest.mark.parametrize(
    ("rules", "stopped"),
    [
        ((an_allow(),), False),
        ((), True),
        ((an_allow(), arm_rule(90, "Deny", port="22")), True),
        ((an_allow(), arm_rule(90, "Deny", port="22", source="AzureCloud")), False),
    ],
    ids=["allowed", "gone", "denied", "doubtful"],
)
def test_the_rules_of_an_nsg_in_doubt_stop_packets_as_they_read(rules, stopped, state):
    """Packets may already meet the listed rules. A service tag is a doubt, and stops nothing."""
    assert is_certainly_stopped(ALONE, in_state(state, *rules), a_nic()) is stopped


def test_a_rule_that_is_being_deleted_lets_nobody_in_and_stops_nobody():
    """It goes with the update."""
    going = {"provisioningState": "Deleting"}
    allow = a_view(an_nsg(an_allow(**going), settled=False))
    deny = a_view(an_nsg(an_allow(), arm_rule(90, "Deny", port="22", **going), settled=False))

    assert is_certainly_stopped(ALONE, allow, a_nic())
    assert not is_certainly_stopped(ALONE, deny, a_nic())


@pytest.mark.parametrize(
    ("access", "source", "rules", "stopped"),
    [
        (DENY, "*", (an_allow(),), True),
        (DENY, GROUP, (an_allow(),), False),
        (DENY, GROUP, (), True),
        (ALLOW, "*", (), True),
        (ALWAYS, "*", (), False),
        (ALWAYS, GROUP, (), False),
    ],
)
def test_a_security_admin_rule_stops_packets_only_if_it_certainly_denies_them(
    access, source, rules, stopped
):
    """If it may let them pass, the NSG that stops them may not be asked."""
    view = a_view(an_nsg(*rules), admin=admin_rules(arm_admin(access, source)))

    assert is_certainly_stopped(ALONE, view, a_nic()) is stopped


def test_an_unknown_address_stops_nothing_for_certain():
    """That of the interface, or those of the firewall."""
    walled = through_firewall(ALONE)

    assert not is_certainly_stopped(ALONE, a_view(an_nsg()), a_nic(private_ip=""))
    assert not is_certainly_stopped(walled, behind(a_firewall(), firewall_sources=()), a_nic())
    assert is_certainly_stopped(walled, behind(a_firewall()), a_nic())


def test_another_ip_version_certainly_stops_packets():
    """No rule changes that."""
    grant = an_opening(sources=(ip_network("2001:db8::/64"),))

    assert is_certainly_stopped(grant, a_view(an_nsg(an_allow("2001:db8::/64"))), a_nic())
