"""The rules of an NSG by the address they are aimed at: nothing that counts is left out."""

from hypothesis import example, given
from hypothesis import strategies as st

from jit.domain.advice.nsg import find_jit_warnings
from jit.domain.azure.nsg_effect import evaluate
from jit.domain.azure.nsg_index import RulesByAddress
from jit.domain.azure.nsg_rules import parse_rules
from jit.domain.model.machine import PortRule
from jit.domain.values.times import parse_duration
from tests.builders.nsgs import a_flow, arm_nsg, arm_rule, rules_of
from tests.domain.azure.test_nsg_model import V4, Case, arm_rules, cases

VNET, VM_ADDRESS = V4.vnets[0], V4.vm

DENIES = [
    arm_rule(
        4000 + number,
        "Deny",
        name=f"MicrosoftDefenderForCloud-JITRule_{number}_{number:032X}",
        port=["22", "3389"],
        to=f"10.0.0.{number}",
    )
    for number in range(2, 6)
]
PORT = PortRule(
    number=22, protocol="*", allowed_sources=("*",), max_duration=parse_duration("PT3H")
)


def names(rules):
    return [rule.name for rule in rules]


def warned(rules):
    return find_jit_warnings([rules], private_ip=VM_ADDRESS, ports=[PORT], vnet_prefixes=VNET)


def test_rules_for_another_single_address_are_left_out():
    """The hundred deny rules of the other VMs cost nothing."""
    rules = rules_of(arm_rule(100, to="10.1.1.4"), arm_rule(101, to=["10.1.1.5", "10.1.1.6/32"]))

    assert "rule-101" not in names(RulesByAddress(rules).find_rules_at("10.1.1.4"))


def test_rules_keep_their_order():
    """The first to decide stays first, wherever it was found."""
    rules = rules_of(
        arm_rule(100, to="*"), arm_rule(101, to="10.1.1.4/32"), arm_rule(102, to="10.1.0.0/16")
    )

    assert names(RulesByAddress(rules).find_rules_at("10.1.1.4"))[:3] == [
        "rule-100",
        "rule-101",
        "rule-102",
    ]


def test_a_rule_that_cannot_be_read_is_never_left_out():
    """It may apply to any flow."""
    rules = rules_of(arm_rule(100, to="10.1.1.5", destinationPortRange="70000"))

    assert "rule-100" in names(RulesByAddress(rules).find_rules_at("10.1.1.4"))


@given(case=cases(most=1))
@example(case=Case(V4, VNET, ([arm_rule(100, to=VM_ADDRESS)],), a_flow(to=VM_ADDRESS)))
def test_rules_that_are_left_out_decide_nothing(case):
    """Any NSG says the same about any flow by the rules that are aimed at its destination."""
    (rules,) = case.nsgs
    parsed = parse_rules(arm_nsg(*rules, defaults=[]))

    aimed = RulesByAddress(parsed).find_rules_at(str(case.flow.destination))

    assert evaluate(aimed, case.flow, case.vnet) == evaluate(parsed, case.flow, case.vnet)


@given(rules=arm_rules(V4), denies=st.lists(st.sampled_from(DENIES), unique_by=str))
def test_rules_that_are_left_out_cause_no_warning(rules, denies):
    """A VM's warnings are the same by the rules that are aimed at it."""
    parsed = parse_rules(arm_nsg(*rules, *denies))

    aimed = RulesByAddress(parsed).find_rules_at(VM_ADDRESS)

    assert warned(aimed) == warned(parsed)
