"""How an NSG's rules are read from ARM's JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.nsg_rules import (
    EVERY_PORT,
    FIRST_OF_ALL,
    Access,
    Direction,
    PortRange,
    RuleProtocol,
    SecurityRule,
    parse_rules,
)
from tests.builders.nsgs import DEFAULTS, arm_nsg, arm_rule
from tests.builders.values import NSG_ID

GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/applicationSecurityGroups/w"


def the_rule(**changes):
    (rule,) = parse_rules(arm_nsg(arm_rule(300, **changes), defaults=[]))
    return rule


def test_a_rule_is_read_field_by_field():
    """Every field of a plain rule arrives, in the broker's spelling."""
    rule = the_rule(source="10.0.0.0/8", port="22", to="10.1.1.4", protocol="Tcp")

    assert rule == SecurityRule(
        id=f"{NSG_ID}/securityRules/rule-300",
        name="rule-300",
        priority=300,
        direction=Direction.INBOUND,
        access=Access.ALLOW,
        protocol=RuleProtocol.TCP,
        sources=("10.0.0.0/8",),
        source_groups=(),
        source_ports=(EVERY_PORT,),
        destinations=("10.1.1.4",),
        destination_groups=(),
        destination_ports=(PortRange(22, 22),),
    )


def test_plural_fields_mean_the_same_as_singular_ones():
    """Lists of prefixes and ranges are read like the single value, and joined with it."""
    rule = the_rule(
        source=["10.0.0.0/8", "Internet"],
        port=["22", "3389-3390"],
        to=["10.1.1.4"],
        destinationPortRange="5985",
        sourceAddressPrefix="",
    )

    assert rule.sources == ("10.0.0.0/8", "Internet")
    assert rule.destination_ports == (
        PortRange(5985, 5985),
        PortRange(22, 22),
        PortRange(3389, 3390),
    )
    assert not rule.faults


def test_application_security_groups_are_kept_by_id():
    """A rule may name groups in the place of prefixes."""
    rule = the_rule(
        sourceAddressPrefix=None,
        destinationAddressPrefix=None,
        sourceApplicationSecurityGroups=[{"id": GROUP}],
        destinationApplicationSecurityGroups=[{"id": GROUP}],
    )

    assert (rule.source_groups, rule.destination_groups) == ((GROUP,), (GROUP,))
    assert not rule.faults


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
def test_the_case_of_words_does_not_matter(case):
    """ARM returns Allow, Inbound and Tcp in the case of the author."""
    rule = the_rule(access=case("deny"), direction=case("outbound"), protocol=case("udp"))

    assert (rule.access, rule.direction, rule.protocol) == (
        Access.DENY,
        Direction.OUTBOUND,
        RuleProtocol.UDP,
    )


def test_a_rule_that_is_being_changed_is_not_in_force():
    """Only an applied rule is as it reads."""
    rule = the_rule(provisioningState="Updating")

    assert rule.state == "Updating"
    assert not rule.in_force


def test_a_rule_without_a_state_is_taken_as_applied():
    """The field is read-only and may be absent from copies."""
    rule = the_rule(provisioningState=None)

    assert rule.in_force


def test_rules_come_back_in_the_order_in_which_they_decide():
    """The smallest priority number first, default rules last, wherever they were listed."""
    rules = parse_rules(arm_nsg(arm_rule(400), arm_rule(200), arm_rule(300)))

    assert [rule.priority for rule in rules] == [200, 300, 400, 65000, 65001, 65500]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"priority": "100"}, "priority is not a positive number"),
        ({"priority": True}, "priority is not a positive number"),
        ({"priority": 0}, "priority is not a positive number"),
        ({"priority": None}, "priority is not a positive number"),
        ({"direction": "Sideways"}, "direction is unknown"),
        ({"direction": None}, "direction is unknown"),
        ({"access": "Perhaps"}, "access is unknown"),
        ({"protocol": "Gre"}, "protocol is unknown"),
        ({"protocol": 6}, "protocol is not a string"),
        ({"sourceAddressPrefix": None}, "no source"),
        ({"sourceAddressPrefix": 7}, "sourceAddressPrefix is not a string"),
        ({"sourceAddressPrefixes": "10.0.0.0/8"}, "sourceAddressPrefixes is not a list"),
        (
            {"sourceAddressPrefixes": ["10.0.0.0/8", 7]},
            "sourceAddressPrefixes holds something that is not a string",
        ),
        (
            {"sourceAddressPrefixes": [""]},
            "sourceAddressPrefixes holds something that is not a string",
        ),
        ({"destinationAddressPrefix": None}, "no destination"),
        (
            {"sourceApplicationSecurityGroups": [{}]},
            "sourceApplicationSecurityGroups holds something without an id",
        ),
        (
            {"destinationApplicationSecurityGroups": ["web"]},
            "destinationApplicationSecurityGroups holds something without an id",
        ),
        ({"sourcePortRange": None}, "no source port"),
        ({"destinationPortRange": None}, "no destination port"),
        ({"destinationPortRange": "ssh"}, "destinationPortRange is not a port range"),
        ({"destinationPortRange": "22-"}, "destinationPortRange is not a port range"),
        ({"destinationPortRange": "25-22"}, "destinationPortRange is not a port range"),
        ({"destinationPortRange": "0-65536"}, "destinationPortRange is not a port range"),
        ({"destinationPortRange": "22\n"}, "destinationPortRange is not a port range"),
        ({"destinationPortRange": "٢٢"}, "destinationPortRange is not a port range"),
        ({"provisioningState": 1}, "provisioningState is not a string"),
    ],
)
def test_an_unreadable_rule_is_kept_and_names_its_fault(change, fault):
    """An unreadable part is a doubt; it does not count as missing."""
    rule = the_rule(**change)

    assert fault in rule.faults


@pytest.mark.parametrize("priority", ["100", None, -1, 1.5])
def test_a_rule_without_a_readable_priority_may_decide_first(priority):
    """If its place is unknown, the worst place is assumed."""
    rules = parse_rules(arm_nsg(arm_rule(100), arm_rule(200, priority=priority)))

    assert (rules[0].priority, rules[0].name) == (FIRST_OF_ALL, "rule-200")


def test_rules_that_share_a_priority_are_in_doubt():
    """Azure stores no two such rules; if it did, their order would be a guess."""
    rules = parse_rules(arm_nsg(arm_rule(300, name="one"), arm_rule(300, name="two"), defaults=[]))

    assert [rule.faults for rule in rules] == [("priority 300 is not unique",)] * 2


def test_inbound_and_outbound_rules_may_share_a_priority():
    """Uniqueness holds for each direction on its own."""
    rules = parse_rules(
        arm_nsg(arm_rule(300), arm_rule(300, name="out", direction="Outbound"), defaults=[])
    )

    assert [rule.faults for rule in rules] == [(), ()]


def test_a_faulty_rule_keeps_its_own_fault_when_it_also_shares_a_priority():
    """The first doubt is the telling one."""
    rules = parse_rules(
        arm_nsg(arm_rule(300, access="Perhaps"), arm_rule(300, name="two"), defaults=[])
    )

    assert rules[0].faults == ("access is unknown",)


@pytest.mark.parametrize(
    "nsg",
    [
        {},
        {"properties": None},
        {"properties": {"securityRules": None, "defaultSecurityRules": "none"}},
        {"properties": {"securityRules": [None], "defaultSecurityRules": ["rule"]}},
    ],
)
def test_a_missing_list_counts_as_a_rule_that_cannot_be_read(nsg):
    """An unknown NSG is not an NSG without rules."""
    rules = parse_rules(nsg)

    assert len(rules) == 2
    assert all("not an object" in rule.faults for rule in rules)


def test_a_rule_without_properties_is_kept():
    """Its name survives for the message."""
    rules = parse_rules(
        {"properties": {"securityRules": [{"name": "odd"}], "defaultSecurityRules": []}}
    )

    assert rules[0].name == "odd"
    assert "not an object" in rules[0].faults


def test_ports_are_written_as_azure_writes_them():
    """One port is a number, several are a range."""
    texts = [str(ports) for ports in (PortRange(22, 22), PortRange(22, 25))]

    assert texts == ["22", "22-25"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*arm_rule(1)["properties"], "name"]), JSON))
def test_a_rule_with_any_content_is_read_and_kept(fields):
    """No content of a rule makes reading fail, or the rule disappear."""
    rules = parse_rules(arm_nsg({"name": "odd", "properties": fields}))

    assert len(rules) == 1 + len(DEFAULTS)
