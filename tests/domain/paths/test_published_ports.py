"""JIT ports that a customer's NAT rule leads others to."""

import pytest

from jit.domain.paths.published_ports import find_obstacles, find_published_ports
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.machines import a_nic, a_rule, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_companion, arm_rule, the_deny
from tests.builders.values import BEHIND, NSG_ID, OTHER_NSG_ID, VM

LET_IN = arm_rule(300, name="from-firewall", source=BEHIND, port="22")


def published(*nsgs, rule=None, **changes):
    front = a_firewall(a_nat(), others=[a_customers(rule or a_nat("*", name="ssh"))])
    found = find_published_ports(behind(front, *nsgs, **changes))
    return [(item.port, item.way.rule, item.is_blocked) for item in found]


def test_a_published_port_that_an_nsg_blocks_can_never_be_opened():
    """A grant needs a companion there, and may have none."""
    assert published() == [(22, "jump/ssh", True)]


def test_a_published_port_that_the_nsgs_let_the_firewall_reach_is_open_to_others():
    """No companion is needed, and no grant."""
    assert published(an_nsg(LET_IN)) == [(22, "jump/ssh", False)]


@pytest.mark.parametrize("temporary", [arm_companion("g1"), an_allow(BEHIND)])
def test_rules_of_grants_do_not_count(temporary):
    """They are gone when the next grant comes."""
    assert published(an_nsg(temporary)) == [(22, "jump/ssh", True)]


NIC2 = a_nic("second", private_ip="10.1.0.5", nsg_ids=(OTHER_NSG_ID,), primary=False)
LET_SECOND = an_nsg(LET_IN, nsg_id=OTHER_NSG_ID)
SHUT_SECOND = an_nsg(the_deny("22", to="10.1.0.5"), nsg_id=OTHER_NSG_ID, deny=False)


@pytest.mark.parametrize(
    ("first", "second", "target", "is_blocked", "is_open"),
    [
        (an_nsg(LET_IN), SHUT_SECOND, "10.1.0.5", False, False),
        (an_nsg(), LET_SECOND, "10.1.0.5", True, True),
        (an_nsg(LET_IN), SHUT_SECOND, VM, False, True),
        (an_nsg(), LET_SECOND, VM, True, False),
    ],
)
def test_what_blocks_a_grant_is_the_nsg_on_its_own_way(first, second, target, is_blocked, is_open):
    """Defender leads it to the first address; others may come by the second."""
    rule = a_nat("*", name="ssh", to=target)
    front = a_firewall(a_nat(), others=[a_customers(rule)])
    vm = {"interfaces": (a_nic(public_ip=None, public_ip_id=None), NIC2)}

    (found,) = find_published_ports(behind(front, first, second, **vm))

    assert (found.is_blocked, found.is_open) == (is_blocked, is_open)


def test_a_name_publishes_its_port_of_every_vm():
    """It cannot be resolved."""
    by_name = a_nat("*", name="ssh", translatedAddress="", translatedFqdn="jump.corp.example")

    assert published(rule=by_name) == [(22, "jump/ssh", True)]


def test_only_ports_of_the_policy_are_published():
    """Nobody may ask for others."""
    assert published(rule=a_nat("*", name="web", port=443)) == []
    assert published(ports=(a_rule(3389),)) == []


def test_a_policy_for_any_protocol_means_tcp_for_remote_desktops():
    """The companion is for TCP then."""
    udp = a_nat("*", name="ssh", protocols=["UDP"])

    assert published(rule=udp, ports=(a_rule(protocol="*"),)) == []
    assert published(rule=udp, ports=(a_rule(protocol="UDP"),)) == [(22, "jump/ssh", True)]


def test_defenders_rules_publish_nothing():
    """Not even a leftover: it will be removed."""
    assert list(find_published_ports(behind(a_firewall(a_nat("*"))))) == []


def test_a_vm_without_a_firewall_has_no_published_port():
    """NAT rules are a firewall's."""
    assert list(find_published_ports(a_view())) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"firewall_sources": ()},
        {"interfaces": (a_nic(nsg_ids=(NSG_ID, OTHER_NSG_ID)),)},
        {"interfaces": (a_nic(private_ip=""),)},
        {"interfaces": ()},
    ],
)
def test_without_everything_on_the_path_there_is_no_answer(changes):
    """A guess would refuse people for nothing, or warn of nothing."""
    assert published(**changes) == []


def test_an_obstacle_says_what_to_do():
    """To the person who is refused."""
    front = a_firewall(a_nat(), others=[a_customers(a_nat("*", name="ssh"))])

    (obstacle,) = find_obstacles(behind(front))

    assert (obstacle.port, obstacle.code) == (22, "nat-rule-blocks")
    assert "NAT rule jump/ssh of firewall fw-prod" in obstacle.detail
    assert "ask the owner of the firewall" in obstacle.detail
    assert find_obstacles(behind(front, an_nsg(LET_IN))) == ()
