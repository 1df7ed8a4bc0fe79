"""Sets of addresses: union, complement, membership and edges."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.values.address_sets import (
    AddressSet,
    build_all_addresses,
    expand_prefix,
    read_addresses,
)

NOTHING = AddressSet()
PREFIXES = [f"0.0.0.{first}/{length}" for first in (0, 4, 8, 16, 31) for length in (27, 29, 31, 32)]
prefix_lists = st.lists(st.sampled_from(PREFIXES), max_size=5)


@given(prefix_lists, st.integers(0, 40))
def test_a_union_contains_the_addresses_of_its_prefixes(texts, number):
    """Membership in the set is membership in a prefix."""
    held = number in read_addresses(texts, 4)

    assert held == any(ip_address(number) in ip_network(text, strict=False) for text in texts)


@given(prefix_lists, prefix_lists)
def test_joining_sets_is_joining_their_prefixes(one, other):
    """Union of sets and union of lists agree, range for range."""
    either = read_addresses(one, 4) | read_addresses(other, 4)

    assert either == read_addresses(one + other, 4)


@given(prefix_lists, prefix_lists)
def test_an_intersection_is_what_no_complement_holds(one, other):
    """De Morgan: range for range."""
    some, others = read_addresses(one, 4), read_addresses(other, 4)

    assert some & others == (some.invert(4) | others.invert(4)).invert(4)


@given(prefix_lists, st.integers(0, 40))
def test_a_complement_holds_exactly_the_rest(texts, number):
    """No address is in both, and none in neither."""
    addresses = read_addresses(texts, 4)

    assert (number in addresses) != (number in addresses.invert(4))


@given(prefix_lists)
def test_the_complement_of_a_complement_is_the_set(texts):
    """Nothing is lost on the way there and back."""
    addresses = read_addresses(texts, 4)

    assert addresses.invert(4).invert(4) == addresses


@given(prefix_lists, st.integers(1, 40))
def test_membership_changes_at_edges_and_nowhere_else(texts, number):
    """Two neighbours differ exactly where the set has an edge."""
    addresses = read_addresses(texts, 4)

    assert (number in set(addresses.list_edges(0, 40))) == (
        (number in addresses) != (number - 1 in addresses)
    )


@given(prefix_lists, st.integers(0, 40), st.integers(0, 40))
def test_edges_are_those_behind_the_first_address_up_to_the_last(texts, first, last):
    """One flow among the sources of a thousand people meets few of their edges."""
    addresses = read_addresses(texts, 4)
    every = list(addresses.list_edges(-1, 2**32))

    found = list(addresses.list_edges(first, last))

    assert found == [edge for edge in every if first < edge <= last]


@pytest.mark.parametrize("version", [4, 6])
def test_everything_and_nothing_are_complements(version):
    """The whole family has no rest."""
    rest = build_all_addresses(version).invert(version)

    assert rest == NOTHING
    assert NOTHING.invert(version) == build_all_addresses(version)


def test_a_union_leaves_out_the_other_family():
    """Prefixes of IPv6 are not IPv4 addresses."""
    addresses = read_addresses(["2001:db8::/32", "10.0.0.0/8"], 4)

    assert addresses == expand_prefix(ip_network("10.0.0.0/8"))


def test_a_union_of_nonsense_is_an_error():
    """The VNet's own prefixes must be prefixes."""
    with pytest.raises(ValueError, match="nonsense"):
        read_addresses(["nonsense"], 4)
