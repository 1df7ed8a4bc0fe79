"""Sources that a security admin rule denies before every NSG."""

from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.domain.obstacles.admin_obstacles import COUNTS_FOR, find_admin_obstacles
from tests.builders.admin_rules import ALLOW, DENY, GROUP, OTHER_MANAGER, admin_rules, arm_admin
from tests.builders.machines import a_configured_vm, a_nic, a_rule
from tests.builders.values import BEHIND, NOW

OFFICE, HALF = "198.51.100.0/24", "198.51.100.128/25"
VM = a_configured_vm(ports=(a_rule(22, allowed_sources=(OFFICE, "203.0.113.0/24")),))
WALLED = a_configured_vm(firewall=True, ports=(a_rule(22),))


def stopped(*items, vm=VM, **changes):
    rules = admin_rules(*items, **{"read_at": NOW, **changes})
    return [[str(source) for source in each.sources] for each in find_admin_obstacles(vm, rules)]


@pytest.mark.parametrize(
    ("items", "sources"),
    [
        ([arm_admin(DENY, OFFICE)], [[OFFICE]]),
        ([arm_admin(DENY, OFFICE), arm_admin(ALLOW, "198.51.100.0/25", number=5)], [[HALF]]),
        ([arm_admin(DENY, OFFICE, port="3389")], []),
        ([arm_admin(ALLOW, OFFICE)], []),
        ([arm_admin(DENY, "192.0.2.0/24")], []),
    ],
)
def test_what_is_denied_for_certain_is_stopped(items, sources):
    """For the sources that the JIT policy allows."""
    assert stopped(*items) == sources


@pytest.mark.parametrize(
    "items",
    [
        [arm_admin(DENY, GROUP)],
        [arm_admin(DENY, OFFICE), arm_admin(ALLOW, OFFICE, manager=OTHER_MANAGER)],
    ],
)
def test_a_doubt_is_no_obstacle(items):
    """The members of a group are not read, and the order of two managers is not known."""
    assert stopped(*items) == []


def test_rules_that_were_not_read_are_no_obstacle():
    """A doubt refuses nobody."""
    assert stopped(arm_admin(DENY), read_at=None) == []


def test_a_reading_counts_for_half_an_hour():
    """Twice as long as the time between two readings."""
    rules = admin_rules(arm_admin(DENY, OFFICE), read_at=NOW)

    (obstacle,) = find_admin_obstacles(VM, rules)

    assert (COUNTS_FOR, obstacle.until) == (timedelta(minutes=30), NOW + timedelta(minutes=30))
    assert obstacle.is_in_force(22, NOW + timedelta(minutes=29))
    assert not obstacle.is_in_force(22, NOW + COUNTS_FOR)
    assert "security admin rule deny-10 of network manager nm-hub denies" in obstacle.detail
    assert "ask the owner of the network manager" in obstacle.detail


def test_behind_a_firewall_only_a_rule_against_its_addresses_counts():
    """The VM sees no other."""
    assert stopped(arm_admin(DENY, "Internet"), vm=WALLED) == []
    assert stopped(arm_admin(DENY, BEHIND), vm=WALLED) == [[]]


def test_a_source_of_the_other_ip_version_is_another_matter():
    """Each version has its own addresses of the VM."""
    v6 = a_nic("v6", private_ip="fd00::4", primary=False)
    both = a_configured_vm(
        interfaces=(a_nic(), v6), ports=(a_rule(22, allowed_sources=("2a02::/32", OFFICE)),)
    )

    assert stopped(arm_admin(DENY, "2a02::/32"), vm=both) == [[str(ip_network("2a02::/32"))]]
