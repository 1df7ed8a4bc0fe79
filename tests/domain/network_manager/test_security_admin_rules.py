"""Security admin rules, read from ARM's JSON."""

from dataclasses import replace

import pytest

from jit.domain.azure.nsg_rules import FIRST_OF_ALL, RuleProtocol
from jit.domain.model.admin_reading import AdminReading
from jit.domain.network_manager.security_admin_rules import (
    NO_MANAGER,
    NONE,
    NOTHING_KNOWN,
    AdminAccess,
    keep_inbound,
    parse_admin_rules,
)
from tests.builders.admin_rules import ALWAYS, GROUP, MANAGER, arm_admin
from tests.builders.values import NOW

VNET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/vnet"


def parsed(*items):
    """The rules of a list."""
    return parse_admin_rules(items)


def test_a_rule_is_read_with_all_its_parts():
    """Name and manager come from the id."""
    (rule,) = parsed(arm_admin(ALWAYS, "203.0.113.0/24", "Internet", protocol="Tcp", number=7))

    assert (rule.access, rule.manager) == (AdminAccess.ALWAYS_ALLOW, MANAGER)
    assert rule.title == "security admin rule alwaysallow-7 of network manager nm-hub"
    assert (rule.flows.priority, rule.flows.protocol) == (7, RuleProtocol.TCP)
    assert rule.flows.sources == ("203.0.113.0/24", "Internet")
    assert rule.flows.faults == ()


def test_the_smallest_number_comes_first_and_outbound_rules_are_left_out():
    """Only inbound flows are of interest."""
    found = parsed(
        arm_admin(number=20), arm_admin(number=5), arm_admin(number=1, direction="Outbound")
    )

    assert [rule.flows.priority for rule in found] == [5, 20]


@pytest.mark.parametrize(
    "changes",
    [
        {"access": "Perhaps"},
        {"priority": "first"},
        {"direction": None},
        {"protocol": "Gre"},
        {"destinationPortRanges": ["ssh"]},
        {"destinationPortRanges": []},
        {"sourcePortRanges": None},
    ],
)
def test_a_rule_that_cannot_be_read_is_kept_with_its_faults(changes):
    """It may apply to any flow."""
    (rule,) = parsed(arm_admin(**changes))

    assert rule.flows.faults


@pytest.mark.parametrize("item", [None, 7, {}, {"id": 3}, {"properties": []}])
def test_an_item_that_is_no_rule_is_a_fault(item):
    """It is not dropped: it may be a rule of a newer version of the API."""
    (rule,) = parsed(item)

    assert rule.flows.faults
    assert (rule.flows.priority, rule.access) == (FIRST_OF_ALL, None)


@pytest.mark.parametrize(
    "sources",
    [
        [],
        None,
        "10.0.0.0/8",
        [7],
        [{"addressPrefix": GROUP, "addressPrefixType": "NetworkGroup"}],
        [{"addressPrefix": "10.0.0.300", "addressPrefixType": "IPPrefix"}],
        [{"addressPrefix": "", "addressPrefixType": "ServiceTag"}],
        [{"addressPrefix": "10.0.0.0/8", "addressPrefixType": "Moon"}],
    ],
)
def test_an_address_that_is_not_known_stays_unknown(sources):
    """A network group among them: its members are not known here."""
    (rule,) = parsed(arm_admin(sources=sources))

    assert (rule.flows.sources, rule.flows.faults) == (("?",), ())


def test_kept_rules_read_as_the_listed_ones():
    """The stored form loses nothing that decides."""
    items = [arm_admin(), arm_admin(ALWAYS, GROUP), arm_admin(direction="Outbound")]
    kept = keep_inbound(items)

    assert len(kept) == 2
    assert parse_admin_rules(kept) == parsed(*items)
    assert "configurationDescription" not in kept[0]


def test_an_item_that_is_no_rule_is_kept_too():
    """It may be a rule of a newer version of the API, and is read as a fault."""
    (rule,) = parse_admin_rules(keep_inbound([{}]))

    assert rule.flows.faults


# ---- known rules ---------------------------------------------------------------------------------


def a_reading(**changes):
    return AdminReading(**{"network_id": VNET, "read_at": NOW, "items": (arm_admin(),), **changes})


def test_rules_are_found_by_their_network_in_any_case():
    """ARM writes ids in any case."""
    known = NOTHING_KNOWN.add([a_reading()], fresh=False)

    assert len(known.find(VNET.upper()).rules) == 1


def test_a_network_that_was_not_read_is_not_a_network_without_rules():
    """Unread means: cannot tell."""
    assert NOTHING_KNOWN.find(VNET).unread
    assert not NOTHING_KNOWN.find(VNET).fresh


def test_older_rules_do_not_count_where_fresh_ones_are_wanted():
    """A path becomes open on a reading of now, or not at all."""
    known = NOTHING_KNOWN.add([a_reading(items=())], fresh=False)

    assert (known.find(VNET).unread, known.find(VNET).fresh) == ("", False)
    wanted = known.find(VNET, fresh=True)
    assert (bool(wanted.unread), wanted.fresh) == (True, True)
    fresh = a_reading(items=())
    read_now = replace(NONE, read_at=fresh.read_at)
    assert known.add([fresh], fresh=True).find(VNET, fresh=True) == read_now


def test_where_no_manager_is_in_use_every_network_is_without_rules():
    """The operator says so."""
    assert NO_MANAGER.find(VNET, fresh=True) == NONE
