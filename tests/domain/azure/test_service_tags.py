"""The addresses that prefixes and service tags of a rule mean."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.service_tags import build_unknown_reach, resolve_reach
from jit.domain.values.address_sets import AddressSet, build_all_addresses, read_addresses

NOTHING = AddressSet()
VNET = read_addresses(["10.1.0.0/16"], 4)
YES, MAYBE, NO = (True, True), (False, True), (False, False)


def standing(text, address, vnet=VNET):
    """Return two flags: *text* certainly means *address*; it possibly does."""
    number, version = int(ip_address(address)), ip_address(address).version
    meant = resolve_reach([text], vnet, version)
    return number in meant.sure, number in meant.possible


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
def test_a_text_means_the_addresses_that_azure_documents(text, address, expected):
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
    """The caller passes it in *vnet*; then public sources belong to both tags."""
    vnet = read_addresses(["10.1.0.0/16", "0.0.0.0/0"], 4)

    standing_for = standing("VirtualNetwork", "203.0.113.7", vnet)

    assert standing_for == YES
    assert standing("Internet", "203.0.113.7", vnet) == MAYBE


def test_several_texts_mean_the_addresses_of_each():
    """A list adds up."""
    meant = resolve_reach(["203.0.113.7", "AzureCloud", "10.1.0.0/16"], VNET, 4)

    assert meant.sure == read_addresses(["203.0.113.7", "10.1.0.0/16"], 4)
    assert meant.possible == build_all_addresses(4)


def test_no_text_means_no_address():
    """An empty list matches no address."""
    meant = resolve_reach([], VNET, 4)

    assert (meant.sure, meant.possible) == (NOTHING, NOTHING)


def test_the_unknown_adds_doubt_and_takes_away_no_certainty():
    """Certain addresses stay certain beside a group with unknown members."""
    meant = resolve_reach(["203.0.113.7"], VNET, 4) | build_unknown_reach(4)

    assert meant.sure == read_addresses(["203.0.113.7"], 4)
    assert meant.possible == build_all_addresses(4)


@given(
    st.sampled_from(["*", "Internet", "VirtualNetwork", "AzureLoadBalancer", "Sql", "10.0.0.0/7"]),
    st.sampled_from([4, 6]),
    st.integers(0, 2**32 - 1),
)
def test_a_sure_address_is_possible(text, version, number):
    """Certainty implies possibility."""
    meant = resolve_reach([text], VNET if version == 4 else NOTHING, version)

    assert (number in meant.possible) >= (number in meant.sure)
