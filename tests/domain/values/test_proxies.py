"""The address of the caller behind proxies."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.values.proxies import Proxies, find_caller, read_hop

HOME, EDGE, GATEWAY, MADE_UP = "203.0.113.7", "198.51.100.1", "10.0.0.4", "192.0.2.66"
BY_PREFIX = Proxies(prefixes=(ip_network("198.51.100.0/24"), ip_network("10.0.0.0/8")))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7:50123 ", "203.0.113.7"),
        ("[2001:db8::1]:50123", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:10.0.0.4", "10.0.0.4"),
        ("[::ffff:203.0.113.7]:50123", "203.0.113.7"),
        ("fe80::1%<b>", None),
        ("", None),
        ("unknown", None),
        ("203.0.113.7:1:2", None),
        ("[", None),
        ("[x]:1", None),
        ("<b>", None),
    ],
)
def test_a_hop_is_an_address_with_or_without_a_port(text, address):
    assert read_hop(text) == address


@pytest.mark.parametrize(
    ("hops", "proxies", "address"),
    [
        ([MADE_UP, HOME], Proxies(), HOME),
        ([], Proxies(), None),
        ([MADE_UP, HOME, GATEWAY], Proxies(count=1), HOME),
        ([MADE_UP, HOME, EDGE, GATEWAY], Proxies(count=2), HOME),
        ([HOME], Proxies(count=1), None),
        ([MADE_UP, "unknown", GATEWAY], Proxies(count=1), None),
        ([MADE_UP, HOME, EDGE, GATEWAY], BY_PREFIX, HOME),
        ([MADE_UP, HOME], BY_PREFIX, HOME),
        ([HOME, f"::ffff:{GATEWAY}"], BY_PREFIX, HOME),
        ([MADE_UP, "unknown", GATEWAY], BY_PREFIX, None),
        ([EDGE, GATEWAY], BY_PREFIX, None),
        ([], BY_PREFIX, None),
        ([HOME], Proxies(unknown=True), None),
    ],
)
def test_the_caller_is_the_last_hop_that_is_no_trusted_proxy(hops, proxies, address):
    """The caller can make up the values further to the left."""
    assert find_caller(hops, proxies) == address


@given(st.lists(st.text(max_size=20) | st.ip_addresses().map(str), max_size=6))
def test_a_caller_cannot_move_the_address_by_hops_of_their_own(made_up):
    """They come before the ones that the proxies append."""
    known = [HOME, EDGE, GATEWAY]

    assert find_caller([*made_up, *known], Proxies(count=2)) == HOME
    assert find_caller([*made_up, *known], BY_PREFIX) == HOME
    assert find_caller([*made_up, HOME], Proxies()) == HOME
