"""User-defined routes, read from the JSON of subnets and route tables."""

from ipaddress import ip_network

import pytest

from jit.domain.azure.route_tables import NextHop, group_routes
from jit.domain.values import arm_ids
from tests.builders.routes import SUBNET, TABLE, arm_routed_network, arm_table, arm_udr


def routes_of(table, network=None):
    found = group_routes([network or arm_routed_network()], [table])
    return found[arm_ids.key(SUBNET)]


def test_a_subnet_has_the_routes_of_its_table():
    """In any case of ids and next hops."""
    table = arm_table(arm_udr("0.0.0.0/0", "virtualAppliance", "10.9.0.4", name="out"))
    (route,) = routes_of({**table, "id": TABLE.upper()})

    assert (route.name, route.table, route.address) == ("out", "rt", "10.9.0.4")
    assert (route.prefix, route.next_hop) == (ip_network("0.0.0.0/0"), NextHop.APPLIANCE)


@pytest.mark.parametrize(("prefix", "hop"), [("AzureCloud", "Internet"), ("10.0.0.0/8", "Moon")])
def test_a_part_that_cannot_be_read_is_none(prefix, hop):
    """A service tag, or a next hop that is not known."""
    (route,) = routes_of(arm_table(arm_udr(prefix, hop)))

    assert None in {route.prefix, route.next_hop}


@pytest.mark.parametrize(
    "table",
    [
        arm_table(arm_udr("0.0.0.0/0", "None"), state="Updating"),
        arm_table(arm_udr("0.0.0.0/0", "None", state="Failed")),
    ],
)
def test_a_table_that_is_not_settled_says_nothing(table):
    """Its routes may not be in force."""
    assert routes_of(table) is None


def test_a_table_that_was_not_read_says_nothing_and_no_table_has_no_entry():
    """The difference between unknown and none."""
    key = arm_ids.key(SUBNET)

    assert group_routes([arm_routed_network()], None) == {key: None}
    assert group_routes([arm_routed_network(table=None)], []) == {}
