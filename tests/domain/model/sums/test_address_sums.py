"""Sums of addresses: each address once, each IP version by itself."""

from ipaddress import ip_network

import pytest

from jit.domain.model.sums.address_sums import find_exceeded_sum

V4, V6 = 256, 2**64


@pytest.mark.parametrize(
    ("sources", "exceeded"),
    [
        ([], None),
        (["198.51.100.0/24"], None),
        (["198.51.100.0/25", "198.51.100.128/25"], None),
        (["198.51.100.0/25", "203.0.113.0/25"], None),
        (["198.51.100.0/24", "198.51.100.7/32"], None),
        (["198.51.100.0/24", "203.0.113.7/32"], V4),
        (["198.51.100.0/24", "2a01:111:f100::/64"], None),
        (["2a01:111:f100::/64", "2a01:111:f101::1/128"], V6),
    ],
)
def test_all_sources_together_are_as_many_addresses_as_one_prefix_may_cover(sources, exceeded):
    """An address counts once; each IP version by itself."""
    prefixes = [ip_network(each) for each in sources]

    assert find_exceeded_sum(prefixes, widest_v4=24, widest_v6=64) == exceeded
