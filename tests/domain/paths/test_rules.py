"""Rules of a port: whose they are, where they lead, which sources they let in."""

import pytest

from jit.domain.paths.rules import (
    find_packet_protocol,
    find_port_rules,
    is_limited_to,
    keep_rules_for,
    keep_rules_to,
    lets_all_in,
    list_addresses,
    may_let_in,
)
from tests.builders.firewalls import JIT_COLLECTION, a_firewall, a_nat
from tests.builders.grants import an_opening
from tests.builders.machines import a_configured_vm, a_nic, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_rule
from tests.builders.values import (
    ELSEWHERE,
    FIREWALL_ID,
    FRONT,
    HOME,
    OFFICE,
    OTHER_NSG_ID,
    VM,
    vm_id,
)


def test_the_rules_of_a_port_are_defenders_alone():
    """The broker ignores customers' rules."""
    customers = arm_rule(300, name="own", source="203.0.113.7", port="22", to=VM)
    view = behind(a_firewall(a_nat(), collection="own"), an_nsg(customers))

    assert find_port_rules(view, 22) == ()


def test_a_nat_rule_says_where_it_stands():
    """Azure gives it no id: collection and name identify it within its firewall."""
    (rule,) = find_port_rules(behind(a_firewall(a_nat())), 22)

    assert rule.id == f"{FIREWALL_ID}/natRuleCollections/{JIT_COLLECTION}/rules/MDC-JIT-web01-22"
    assert (rule.holder_id, rule.collection) == (FIREWALL_ID, JIT_COLLECTION)
    assert (rule.public_end, rule.exact) == ((FRONT, 10022), True)
    assert (rule.vm_id, rule.port) == (vm_id(), 22)


@pytest.mark.parametrize(
    ("rule", "exact"),
    [
        (an_allow(), True),
        (an_allow(to=f"{VM}/32"), True),
        (an_allow(port="20-25"), False),
        (an_allow(port="*"), False),
        (an_allow(port=["22", "3389"]), False),
        (an_allow(to=[VM, "10.1.1.9"]), False),
        (an_allow(priority="high"), False),
    ],
)
def test_a_rule_is_exact_when_it_opens_that_one_port_of_that_one_address(rule, exact):
    """Defender writes no rule that opens more for a grant."""
    (found,) = find_port_rules(a_view(an_nsg(rule)), 22)

    assert found.exact is exact


def test_a_nat_rule_that_lets_in_groups_is_not_exact():
    """Defender writes none; their members are not known here."""
    (rule,) = find_port_rules(behind(a_firewall(a_nat(sourceIpGroups=["group"]))), 22)

    assert rule.exact is False


def test_recorded_addresses_count_as_the_vms_own():
    """A rule for an address that the VM has lost is still its rule."""
    view = a_view(an_nsg(an_allow(to="10.1.1.9")))

    assert find_port_rules(view, 22) == ()
    assert len(find_port_rules(view, 22, ("10.1.1.9",))) == 1


def test_the_primary_address_comes_first():
    """The order of the list does not matter; an interface without an address is left out."""
    vm = a_configured_vm(
        interfaces=(
            a_nic(id="1", private_ip="10.1.1.5", primary=False),
            a_nic(id="2", private_ip="", primary=False),
            a_nic(id="3", private_ip="10.1.1.4", primary=True),
        )
    )

    assert list_addresses(vm) == ("10.1.1.4", "10.1.1.5")


@pytest.mark.parametrize(
    ("text", "lets_in"),
    [
        ("203.0.113.7", True),
        ("203.0.113.0/24", True),
        ("0.0.0.0/0", True),
        ("*", True),
        ("Internet", True),
        ("203.0.113.1-203.0.113.9", True),
        ("2001:db8::/64", False),
        ("198.51.100.0/24", False),
    ],
)
def test_a_rule_in_doubt_counts_as_letting_a_source_in(text, lets_in):
    """Tags, ranges and unreadable texts count as letting in, so that closing goes on."""
    rules = find_port_rules(a_view(an_nsg(an_allow(text))), 22)

    assert bool(keep_rules_for(rules, [HOME])) is lets_in


def test_a_rule_for_a_host_lets_in_a_part_of_a_prefix():
    """An address of the prefix is enough."""
    rules = find_port_rules(a_view(an_nsg(an_allow("198.51.100.7"))), 22)

    assert keep_rules_for(rules, [ELSEWHERE, OFFICE]) == rules


@pytest.mark.parametrize(
    "vm",
    [
        a_configured_vm(address="10.1.1.5"),
        a_configured_vm(nsgs=(OTHER_NSG_ID,)),
        a_configured_vm(nsgs=()),
    ],
    ids=["another address", "another NSG", "no NSG"],
)
def test_a_rule_leads_to_a_vm_only_by_its_address_and_on_its_paths(vm):
    """A rule for an address that the VM had, or in an NSG that it had, lets nobody in to it."""
    rules = find_port_rules(a_view(an_nsg(an_allow())), 22)

    assert keep_rules_to(rules, a_configured_vm()) == rules
    assert keep_rules_to(rules, vm) == ()


def test_rules_let_in_all_sources_only_if_each_is_inside_a_prefix():
    """Two rules may cover two sources; a part of a source is not enough."""
    rules = find_port_rules(a_view(an_nsg(an_allow(["203.0.113.7", "198.51.100.0/25"]))), 22)

    assert lets_all_in(rules, [HOME])
    assert not lets_all_in(rules, [HOME, OFFICE])
    assert not lets_all_in([], [HOME])


@pytest.mark.parametrize(
    ("texts", "only"),
    [
        (["203.0.113.7"], True),
        (["203.0.113.7", "198.51.100.9"], True),
        (["203.0.113.0/24"], False),
        (["203.0.113.7", "Internet"], False),
        (["*"], False),
    ],
)
def test_a_rule_opens_only_the_allowed_prefixes_if_all_its_sources_are_inside(texts, only):
    """A tag may mean any address."""
    (rule,) = find_port_rules(a_view(an_nsg(an_allow(*texts))), 22)

    assert is_limited_to(rule, [HOME, OFFICE]) is only


def test_a_rule_without_sources_may_let_in_everybody():
    """Its sources are in an IP group, which is not read."""
    nat = a_nat(sourceAddresses=[], sourceIpGroups=["group"])
    (rule,) = find_port_rules(behind(a_firewall(nat)), 22)

    assert may_let_in(rule, [ELSEWHERE])
    assert not is_limited_to(rule, [HOME])


def test_a_recorded_rule_counts_wherever_it_leads_now():
    """Somebody widened its destination: it still lets packets in, but is not exact."""
    view = a_view(an_nsg(an_allow(to="10.1.1.0/24")))
    ids = [rule.id for nsg in view.nsgs.values() for rule in nsg.allows]

    (found,) = find_port_rules(view, 22, known=ids)

    assert (found.exact, found.target) == (False, VM)
    assert find_port_rules(view, 22) == ()


@pytest.mark.parametrize(
    ("port", "protocol", "packets"),
    [(22, "*", "TCP"), (3389, "*", "TCP"), (5986, "*", "*"), (22, "UDP", "UDP")],
)
def test_only_ssh_and_rdp_under_any_protocol_are_tcp(port, protocol, packets):
    """People connect to them with TCP."""
    assert find_packet_protocol(an_opening(port=port, protocol=protocol)) == packets
