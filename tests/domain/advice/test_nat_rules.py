"""Warnings about NAT rules that lead others to JIT ports."""

import pytest

from jit.domain.advice.nat_rules import NAT_CODES, find_nat_warnings
from jit.domain.paths.foreign_nat import ForeignWay
from jit.domain.paths.published_ports import PublishedPort
from tests.builders.values import FIREWALL_ID

WAY = ForeignWay(firewall_id=FIREWALL_ID, rule="jump/ssh", title="NAT rule jump/ssh of firewall fw")


def a_port(*, is_blocked, is_open):
    return PublishedPort(port=22, way=WAY, is_blocked=is_blocked, is_open=is_open)


@pytest.mark.parametrize(
    ("is_blocked", "code", "action"),
    [
        (True, "nat-rule-blocks", "take the port out of the JIT policy"),
        (False, "nat-rule-bypasses-jit", "the NSG rule that lets the firewall in"),
    ],
)
def test_a_published_port_gives_a_warning_with_the_rule_and_the_action(is_blocked, code, action):
    """Blocked: no grant can open it. Not blocked: nobody needs one."""
    (warning,) = find_nat_warnings([a_port(is_blocked=is_blocked, is_open=not is_blocked)])

    assert (warning.code, warning.code in NAT_CODES) == (code, True)
    assert warning.detail.startswith("port 22: NAT rule jump/ssh of firewall fw")
    assert action in warning.detail


def test_a_port_may_be_blocked_for_grants_and_open_to_others():
    """They come by different addresses of the VM."""
    found = find_nat_warnings([a_port(is_blocked=True, is_open=True)])

    assert {warning.code for warning in found} == NAT_CODES
    assert list(find_nat_warnings([a_port(is_blocked=False, is_open=False)])) == []


def test_without_published_ports_there_is_no_warning():
    """Nothing to say."""
    assert list(find_nat_warnings([])) == []
