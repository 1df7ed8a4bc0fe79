"""Rules that stop packets on a path: at one address of the VM, for every source."""

from jit.domain.paths.blocks import find_block, read_version
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
