"""An index of prefixes answers as comparing with each of them does."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from jit.domain.values.prefix_index import PrefixIndex, drop_covered
from jit.domain.values.prefixes import are_all_inside, is_inside

FEW_BITS = 4
networks = st.builds(
    lambda network, address, length: network((address, length), strict=False),
    st.just(IPv4Network),
    st.integers(0, 15).map(lambda head: head << 28),
    st.integers(0, FEW_BITS),
) | st.builds(
    lambda address, length: IPv6Network((address, length), strict=False),
    st.integers(0, 15).map(lambda head: head << 124),
    st.integers(0, FEW_BITS),
)


@given(st.lists(networks, max_size=6), networks)
def test_a_prefix_is_contained_if_one_prefix_contains_it(found, prefix):
    """Several together do not count."""
    assert PrefixIndex(found).covers(prefix) is any(is_inside(prefix, each) for each in found)


@given(st.lists(networks, max_size=6), networks)
def test_a_prefix_overlaps_if_one_prefix_shares_an_address_with_it(found, prefix):
    """Either of the two may be the wider one."""
    assert PrefixIndex(found).overlaps(prefix) is any(each.overlaps(prefix) for each in found)


@given(st.lists(networks, max_size=6))
def test_without_covered_prefixes_the_same_addresses_are_left_and_none_twice(found):
    """Azure takes no rule whose prefixes overlap."""
    left = drop_covered(found)

    assert left <= set(found)
    assert are_all_inside(found, left)
    assert not any(one.overlaps(other) for one, other in combinations(left, 2))


def test_prefixes_that_only_touch_each_other_stay():
    """A JIT policy may allow both halves and not the whole."""
    halves = frozenset(map(ip_network, ("203.0.113.0/25", "203.0.113.128/25")))

    assert drop_covered(halves) == halves
