"""The addresses from which nothing gets in to a port of a VM, by any of its ways."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.nsg_effect import split_flow
from jit.domain.model.machine import Via
from jit.domain.obstacles.stopped_sources import (
    MOST_PREFIXES,
    Stop,
    expand_parts,
    find_stop_obstacles,
    summarize_addresses,
)
from jit.domain.values.address_sets import AddressSet, expand_prefix, join_sets, read_addresses
from tests.builders.machines import a_configured_vm, a_nic, a_rule
from tests.builders.nsgs import a_flow, arm_rule, rules_of

ranges = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=4)


@given(ranges, st.integers(0, 60))
def test_a_summary_holds_exactly_the_addresses(pairs, number):
    """So that nobody is refused whose packets would pass."""
    addresses = join_sets(AddressSet(((first, first + more),)) for first, more in pairs)
    prefixes = summarize_addresses(addresses, 4)

    assert any(ip_address(number) in prefix for prefix in prefixes) == (number in addresses)


def test_ipv6_addresses_are_summarized_as_ipv6():
    """Their numbers may be small."""
    addresses = expand_prefix(ip_network("::10/124"))

    assert summarize_addresses(addresses, 6) == [ip_network("::10/124")]


def test_the_parts_of_a_flow_are_all_of_it_for_each_protocol():
    """No address is in two parts, and none in no part."""
    flow = a_flow("203.0.113.0/24", protocol="*")
    rules = rules_of(arm_rule(300, source="203.0.113.64/26"), arm_rule(400, "Deny"))
    parts = [views[0] for views in split_flow([rules], flow, ())]
    pairs = list(expand_parts(parts, flow.source))

    for protocol in ("TCP", "UDP"):
        own = [addresses for addresses, part in pairs if part.protocol == protocol]
        assert sum(last - first + 1 for each in own for first, last in each.ranges) == 256
        assert join_sets(own) == expand_prefix(flow.source)


def obstacles(*texts, answer=None, **changes):
    """The obstacles if these prefixes are stopped, each for a reason of its own."""
    stops = [Stop(read_addresses([text], 4), f"why {text}") for text in texts]
    found = stops if answer is None else answer
    vm = a_configured_vm(**{"ports": (a_rule(22),), **changes})
    return list(find_stop_obstacles(vm, "x", lambda *_: found))


def test_each_reason_is_an_obstacle_with_its_own_sources():
    """A person learns the rule that stops him, and nothing else."""
    found = obstacles("198.51.100.0/24", "203.0.113.0/24")

    assert [(each.detail, str(each.sources[0])) for each in found] == [
        ("why 198.51.100.0/24", "198.51.100.0/24"),
        ("why 203.0.113.0/24", "203.0.113.0/24"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"interfaces": ()},
        {"interfaces": (a_nic(private_ip=""),)},
        {"interfaces": (a_nic(public_ip=None, public_ip_id=None),)},
        {"ports": ()},
        {"ports": (a_rule(22, allowed_sources=("not a prefix",)),)},
        {"ports": (a_rule(22, allowed_sources=("10.0.0.0/8",)),)},
    ],
)
def test_without_a_way_or_a_source_there_is_no_obstacle(changes):
    """Another rule refuses the request."""
    assert obstacles("0.0.0.0/0", **changes) == []


def test_a_private_path_may_be_stopped_for_private_sources():
    """They come to it."""
    (found,) = obstacles("10.0.0.0/8", via=Via.PRIVATE)

    assert found.sources == (ip_network("10.0.0.0/8"),)


def test_an_obstacle_names_the_widest_prefixes():
    """A row of a table holds it."""
    odd = [f"203.0.{number // 128}.{number % 128 * 2 + 1}/32" for number in range(300)]
    stops = [Stop(read_addresses(["198.51.100.0/24", *odd], 4), "why")]

    (found,) = obstacles(answer=stops)

    assert len(found.sources) == MOST_PREFIXES
    assert found.sources[0] == ip_network("198.51.100.0/24")
