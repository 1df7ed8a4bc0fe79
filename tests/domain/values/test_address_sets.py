"""Sets of addresses, and what prefixes and service tags stand for."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.service_tags import resolve_reach, unknown_reach
from jit.domain.values.address_sets import (
    AddressSet,
    all_addresses,
    prefix_addresses,
    read_addresses,
)
from jit.domain.values.prefixes import read_prefix

NOTHING = AddressSet()
VNET = read_addresses(["10.1.0.0/16"], 4)
PREFIXES = [f"0.0.0.{first}/{length}" for first in (0, 4, 8, 16, 31) for length in (27, 29, 31, 32)]
prefix_lists = st.lists(st.sampled_from(PREFIXES), max_size=5)


def standing(text, address, vnet=VNET):
    """Whether *text* stands for *address*: surely, possibly."""
    number, version = int(ip_address(address)), ip_address(address).version
    meant = resolve_reach([text], vnet, version)
    return number in meant.sure, number in meant.possible


YES, MAYBE, NO = (True, True), (False, True), (False, False)


@given(prefix_lists, st.integers(0, 40))
def test_a_union_holds_exactly_what_one_of_its_prefixes_holds(texts, number):
    """Membership in the set is membership in a prefix."""
    held = number in read_addresses(texts, 4)

    assert held == any(ip_address(number) in ip_network(text, strict=False) for text in texts)


@given(prefix_lists, prefix_lists)
def test_joining_sets_is_joining_their_prefixes(one, other):
    """Union of sets and union of lists agree, range for range."""
    either = read_addresses(one, 4) | read_addresses(other, 4)

    assert either == read_addresses(one + other, 4)


@given(prefix_lists, st.integers(0, 40))
def test_a_complement_holds_exactly_the_rest(texts, number):
    """No address is in both, and none in neither."""
    addresses = read_addresses(texts, 4)

    assert (number in addresses) != (number in addresses.complement(4))


@given(prefix_lists)
def test_the_complement_of_a_complement_is_the_set(texts):
    """Nothing is lost on the way there and back."""
    addresses = read_addresses(texts, 4)

    assert addresses.complement(4).complement(4) == addresses


@given(prefix_lists, st.integers(1, 40))
def test_membership_changes_at_edges_and_nowhere_else(texts, number):
    """Two neighbours differ exactly where the set has an edge."""
    addresses = read_addresses(texts, 4)

    assert (number in set(addresses.edges())) == (
        (number in addresses) != (number - 1 in addresses)
    )


@pytest.mark.parametrize("version", [4, 6])
def test_everything_and_nothing_are_complements(version):
    """The whole family has no rest."""
    rest = all_addresses(version).complement(version)

    assert rest == NOTHING
    assert NOTHING.complement(version) == all_addresses(version)


def test_a_union_leaves_out_the_other_family():
    """Prefixes of IPv6 are not IPv4 addresses."""
    addresses = read_addresses(["2001:db8::/32", "10.0.0.0/8"], 4)

    assert addresses == prefix_addresses(ip_network("10.0.0.0/8"))


def test_a_union_of_nonsense_is_an_error():
    """The VNet's own prefixes must be prefixes."""
    with pytest.raises(ValueError, match="nonsense"):
        read_addresses(["nonsense"], 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", ip_network("203.0.113.7/32")),
        ("203.0.113.7/24", ip_network("203.0.113.0/24")),
        ("2001:db8::1", ip_network("2001:db8::1/128")),
        ("*", None),
        ("Internet", None),
        ("10.0.0.300", None),
        ("10.0.0.1-10.0.0.9", None),
        ("", None),
    ],
)
def test_only_prefixes_are_networks(text, expected):
    """Tags, ranges and wildcards are not."""
    found = read_prefix(text)

    assert found == expected


@pytest.mark.parametrize(
    ("text", "address", "expected"),
    [
        ("*", "203.0.113.7", YES),
        ("*", "2001:db8::1", YES),
        ("Any", "203.0.113.7", YES),
        ("0.0.0.0/0", "203.0.113.7", YES),
        ("0.0.0.0/0", "2001:db8::1", NO),
        ("203.0.113.0/24", "203.0.113.7", YES),
        ("203.0.113.99/24", "203.0.113.7", YES),
        ("203.0.113.0/24", "203.0.114.7", NO),
        ("2001:db8::/32", "2001:db8::1", YES),
        ("::/0", "203.0.113.7", NO),
        ("Internet", "203.0.113.7", YES),
        ("INTERNET", "8.8.8.8", YES),
        ("Internet", "10.1.0.4", NO),
        ("Internet", "10.9.0.4", NO),
        ("Internet", "192.168.1.1", NO),
        ("Internet", "172.31.0.1", NO),
        ("Internet", "100.64.0.1", NO),
        ("Internet", "168.63.129.16", MAYBE),
        ("Internet", "127.0.0.1", MAYBE),
        ("Internet", "169.254.169.254", MAYBE),
        ("Internet", "2001:db8::1", YES),
        ("Internet", "fd00::1", NO),
        ("Internet", "fe80::1", MAYBE),
        ("VirtualNetwork", "10.1.255.255", YES),
        ("virtualnetwork", "10.1.0.0", YES),
        ("VirtualNetwork", "10.2.0.0", MAYBE),
        ("VirtualNetwork", "192.168.1.1", MAYBE),
        ("VirtualNetwork", "168.63.129.16", MAYBE),
        ("VirtualNetwork", "203.0.113.7", NO),
        ("VirtualNetwork", "fd00::1", MAYBE),
        ("VirtualNetwork", "2001:db8::1", NO),
        ("AzureLoadBalancer", "168.63.129.16", YES),
        ("AzureLoadBalancer", "168.63.129.17", NO),
        ("AzureLoadBalancer", "fe80::1234", MAYBE),
        ("AzureLoadBalancer", "2001:db8::1", NO),
        ("AzureCloud.westeurope", "203.0.113.7", MAYBE),
        ("Storage", "10.1.0.4", MAYBE),
        ("10.0.0.1-10.0.0.9", "203.0.113.7", MAYBE),
        ("", "203.0.113.7", MAYBE),
    ],
)
def test_a_text_stands_for_what_azure_says(text, address, expected):
    """Prefixes are exact, the three basic tags known in part, all else is in doubt."""
    vnet = VNET if ip_address(address).version == 4 else NOTHING

    assert standing(text, address, vnet) == expected


def test_a_public_address_used_inside_the_vnet_may_or_may_not_be_internet():
    """The VNet's own prefix wins for its tag; for Internet it is a doubt."""
    vnet = read_addresses(["198.51.100.0/24"], 4)

    inside = standing("VirtualNetwork", "198.51.100.1", vnet)

    assert inside == YES
    assert standing("Internet", "198.51.100.1", vnet) == MAYBE


def test_a_default_route_makes_every_address_part_of_the_virtual_network():
    """A caller that knows of one says so, and public sources are no longer told apart."""
    vnet = read_addresses(["10.1.0.0/16", "0.0.0.0/0"], 4)

    standing_for = standing("VirtualNetwork", "203.0.113.7", vnet)

    assert standing_for == YES
    assert standing("Internet", "203.0.113.7", vnet) == MAYBE


def test_several_texts_stand_for_what_one_of_them_stands_for():
    """A list adds up."""
    meant = resolve_reach(["203.0.113.7", "AzureCloud", "10.1.0.0/16"], VNET, 4)

    assert meant.sure == read_addresses(["203.0.113.7", "10.1.0.0/16"], 4)
    assert meant.possible == all_addresses(4)


def test_no_text_stands_for_nothing():
    """An empty list matches no address."""
    meant = resolve_reach([], VNET, 4)

    assert (meant.sure, meant.possible) == (NOTHING, NOTHING)


def test_the_unknown_adds_doubt_and_takes_away_no_certainty():
    """What surely was meant stays so beside a group of unknown members."""
    meant = resolve_reach(["203.0.113.7"], VNET, 4) | unknown_reach(4)

    assert meant.sure == read_addresses(["203.0.113.7"], 4)
    assert meant.possible == all_addresses(4)


@given(
    st.sampled_from(["*", "Internet", "VirtualNetwork", "AzureLoadBalancer", "Sql", "10.0.0.0/7"]),
    st.sampled_from([4, 6]),
    st.integers(0, 2**32 - 1),
)
def test_what_is_sure_is_possible(text, version, number):
    """Certainty implies possibility."""
    meant = resolve_reach([text], VNET if version == 4 else NOTHING, version)

    assert (number in meant.possible) >= (number in meant.sure)
