"""The view of one step: foreign requests, rules that are used elsewhere."""

import pytest

from jit.domain.azure import defender_requests
from jit.domain.grants.policy_view import find_rule_users, has_unreadable_value, is_used_elsewhere
from jit.domain.model.grant import CloseReason
from tests.builders.defender import an_entry
from tests.builders.grants import a_grant, an_open
from tests.builders.machines import a_configured_vm, a_nic
from tests.builders.values import vm_id
from tests.domain.steps import RULE_ID, a_world, alone


def test_a_mark_that_the_broker_does_not_know_is_a_strangers():
    """Anybody can write a justification that looks like ours."""
    forged = defender_requests.mark_reason("z" * 26, "trust me")
    entry = an_entry("192.0.2.1", initiate_id=defender_requests.parse_mark(forged))

    after = alone(a_grant(), a_world(None, entry))

    assert after.close_reason is CloseReason.DENIED


@pytest.mark.parametrize(
    ("rule", "users", "elsewhere"),
    [
        (RULE_ID, [an_open("g2", vm_id=vm_id("web02"), rules=(RULE_ID,))], True),
        (RULE_ID.upper(), [an_open("g2", vm_id=vm_id("web02"), rules=(RULE_ID,))], True),
        (RULE_ID, [an_open("g2", port=3389, rules=(RULE_ID,))], True),
        (RULE_ID, [an_open("g2", rules=(RULE_ID,))], False),
        (RULE_ID, [an_open("g2", vm_id=vm_id("web02"), rules=("another",))], False),
        (RULE_ID, [a_grant("g2", vm_id=vm_id("web02"), rules=(RULE_ID,))], False),
    ],
)
def test_a_rule_is_used_elsewhere_if_another_vm_port_rests_on_it(rule, users, elsewhere):
    """One NSG may guard two networks with the same addresses."""
    found = is_used_elsewhere(rule, an_open(), find_rule_users(users))

    assert found is elsewhere


def test_a_rule_that_a_grant_recorded_is_never_used_elsewhere_only():
    """The record was made when the rule led to its own VM."""
    other = an_open("g2", vm_id=vm_id("web02"), rules=(RULE_ID,))

    assert not is_used_elsewhere(RULE_ID, an_open(rules=(RULE_ID,)), find_rule_users([other]))


@pytest.mark.parametrize(
    ("changes", "unreadable"),
    [
        ({}, False),
        ({"interfaces": (a_nic(private_ip=""),)}, False),
        ({"vnet_prefixes": ("10.1.0.1/16",)}, False),
        ({"interfaces": (a_nic(private_ip="10.1.1.400"),)}, True),
        ({"vnet_prefixes": ("everywhere",)}, True),
        ({"firewall_sources": ("10.1.0.1/26",)}, True),
    ],
)
def test_addresses_that_are_none_are_found_before_a_step_decides(changes, unreadable):
    """A NIC that is being changed may name no address for a moment."""
    assert has_unreadable_value(a_configured_vm(**changes)) is unreadable
