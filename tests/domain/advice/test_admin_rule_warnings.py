"""Warnings about security admin rules."""

import pytest

from jit.domain.advice.admin_rule_warnings import find_admin_rule_warnings
from tests.builders.admin_rules import ALLOW, ALWAYS, DENY, GROUP, admin_rules, arm_admin
from tests.builders.machines import a_configured_vm, a_nic, a_rule

VM = a_configured_vm(ports=(a_rule(22),))
WALLED = a_configured_vm(firewall=True, ports=(a_rule(22),))


def told(*items, vm=VM):
    """The warnings about a VM under these rules."""
    return list(find_admin_rule_warnings(vm, admin_rules(*items)))


def codes(*items, vm=VM):
    return [warning.code for warning in told(*items, vm=vm)]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], []),
        ([arm_admin(ALLOW)], []),
        ([arm_admin(DENY)], ["admin-rule-blocks"]),
        ([arm_admin(ALWAYS)], ["admin-rule-bypasses-jit"]),
        ([arm_admin(DENY, port="3389")], []),
        ([arm_admin(ALLOW, number=1), arm_admin(DENY, number=2)], []),
    ],
)
def test_a_rule_that_defeats_jit_gives_a_warning(items, expected):
    """Deny and AlwaysAllow end the evaluation before the JIT rules."""
    assert codes(*items) == expected


def test_a_warning_names_port_rule_and_sources():
    """The owner of the network manager needs them."""
    (warning,) = told(arm_admin(ALWAYS, "198.51.100.0/24"))

    assert warning.detail == (
        "port 22: before every NSG, security admin rule alwaysallow-10 of network manager nm-hub "
        "lets traffic from 198.51.100.0/24 in at any time; ask the owner of the network manager "
        "for Allow instead of AlwaysAllow"
    )


def test_many_prefixes_are_counted():
    """The text stays readable."""
    (warning,) = told(arm_admin(DENY, "Internet"))

    assert " more prefixes, so no path opens from there" in warning.detail


def test_a_rule_that_may_apply_is_told_as_a_doubt():
    """A network group cannot be resolved."""
    details = [warning.detail for warning in told(arm_admin(DENY, GROUP), arm_admin(ALWAYS, GROUP))]

    assert ["may block" in details[0], "may let" in details[1]] == [True, True]


def test_only_sources_that_the_policy_allows_can_be_blocked():
    """A Deny for anybody else is what JIT wants."""
    office = a_configured_vm(ports=(a_rule(22, allowed_sources=("198.51.100.0/24",)),))

    assert codes(arm_admin(DENY, "203.0.113.0/24"), vm=office) == []
    assert codes(arm_admin(DENY, "198.51.100.0/28"), vm=office) == ["admin-rule-blocks"]


def test_behind_a_firewall_a_deny_for_the_internet_blocks_nothing():
    """The VM sees the firewall's own addresses."""
    assert codes(arm_admin(DENY, "Internet"), vm=WALLED) == []
    assert codes(arm_admin(DENY, "10.1.0.0/16"), vm=WALLED) == ["admin-rule-blocks"]


def test_an_interface_without_an_address_gives_no_warning():
    """It is being changed."""
    bare = a_configured_vm(interfaces=(a_nic(private_ip=""),))

    assert codes(arm_admin(DENY), vm=bare) == []
