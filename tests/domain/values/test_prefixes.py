"""Prefixes: reading, comparing, and the rules for sources that callers name."""

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.errors import Malformed
from jit.domain.values import prefixes
from jit.domain.values.prefixes import Prefixes

v4 = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
v6 = st.builds(
    lambda address, length: IPv6Network((address, length), strict=False),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)
networks = v4 | v6
HOME = ip_network("203.0.113.7/32")


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.7/32", "203.0.113.7/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("198.51.100.0/31", "198.51.100.0/31"),
        ("192.0.2.255", "192.0.2.255/32"),
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("100.64.0.1", "100.64.0.1/32"),
        ("2a02:8070::1", "2a02:8070::1/128"),
        ("2A02:8070:0:0::/64", "2a02:8070::/64"),
        ("fd00:1:2:3::/64", "fd00:1:2:3::/64"),
    ],
)
def test_an_address_or_a_prefix_is_a_source(text, network):
    """A single address is the prefix of itself."""
    assert prefixes.parse_source(text) == ip_network(network)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("*", ["any"]),
        ("Any", ["any"]),
        ("Internet", ["any"]),
        ("0.0.0.0/0", ["any"]),
        ("203.0.113.7/0", ["any"]),
        ("::/0", ["any"]),
        ("", ["malformed"]),
        ("VirtualNetwork", ["malformed"]),
        ("AzureCloud.WestEurope", ["malformed"]),
        ("vpn.example.com", ["malformed"]),
        ("203.0.113.1-203.0.113.9", ["malformed"]),
        ("203.0.113.1,203.0.113.2", ["malformed"]),
        ("203.0.113.7/255.255.255.0", ["malformed"]),
        ("203.0.113.7/0.0.0.255", ["malformed"]),
        ("203.0.113.7/33", ["malformed"]),
        ("203.0.113.7/032", ["malformed"]),
        ("203.0.113.7/", ["malformed"]),
        ("203.0.113.7/24/24", ["malformed"]),
        ("203.0.113.256", ["malformed"]),
        ("203.0.113", ["malformed"]),
        ("203.0.113.07", ["malformed"]),
        ("0313.0.0161.7", ["malformed"]),
        ("0xCB.0.0x71.7", ["malformed"]),
        ("3405803783", ["malformed"]),
        (" 203.0.113.7", ["malformed"]),
        ("203.0.113.7\n", ["malformed"]),
        ("203.0.113.7:3389", ["malformed"]),
        ("\uff1203.0.113.7", ["malformed"]),
        ("fe80::1%eth0", ["malformed"]),
        ("2a02::1%25eth0", ["malformed"]),
        ("[2a02::1]", ["malformed"]),
        ("2a02::1::2", ["malformed"]),
        ("2a02::1/129", ["malformed"]),
        ("203.0.113.7/24", ["host-bits"]),
        ("2a02::1/64", ["host-bits"]),
        ("203.0.112.0/23", ["too-wide"]),
        ("10.0.0.0/8", ["too-wide"]),
        ("2a02::/63", ["too-wide"]),
        ("203.0.113.7/16", ["host-bits", "too-wide"]),
        ("224.0.0.1/4", ["host-bits", "reserved", "too-wide"]),
        ("0.0.0.0", ["reserved"]),
        ("0.1.2.3", ["reserved"]),
        ("127.0.0.1", ["reserved"]),
        ("169.254.169.254", ["reserved"]),
        ("224.0.0.251", ["reserved"]),
        ("240.0.0.1", ["reserved"]),
        ("255.255.255.255", ["reserved"]),
        ("::", ["reserved"]),
        ("::1", ["reserved"]),
        ("::203.0.113.7", ["reserved"]),
        ("::ffff:203.0.113.7", ["reserved"]),
        ("64:ff9b::203.0.113.7", ["reserved"]),
        ("fe80::1", ["reserved"]),
        ("fec0::1", ["reserved"]),
        ("ff02::1", ["reserved"]),
        ("2001::1", ["reserved"]),
        ("2002:cb00:7107::1", ["reserved"]),
        ("4000::1", ["reserved"]),
    ],
)
def test_any_other_source_is_refused_with_every_fault(text, codes):
    """Everything, names and unclear texts are refused."""
    found = prefixes.parse_source(text)

    assert isinstance(found, tuple)
    assert [fault.code for fault in found] == [f"source-{code}" for code in codes]


@pytest.mark.parametrize(
    "text",
    ["203.0.113.7\n", " 203.0.113.7", "203.0.\t113.7", "203.0.113.7\r\n203.0.113.8", "2a02::1\x00"],
)
def test_a_sign_that_nobody_sees_is_named(text):
    """The text looks right on a screen."""
    found = prefixes.parse_source(text)

    assert isinstance(found, tuple)
    assert [str(fault) for fault in found] == ["a space, a line break or a tab is in it"]


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.7\u200b",
        "\ufeff203.0.113.7",
        "203.0.113.7\u202e",
        "203.0.113.\uff17",
        "2a02::1\u2060",
    ],
)
def test_a_sign_beyond_ascii_is_named(text):
    """A zero-width space, a byte order mark, a mark of direction; copied from a web page."""
    found = prefixes.parse_source(text)

    assert isinstance(found, tuple)
    assert [str(fault) for fault in found] == ["a character that may be invisible is in it"]


@given(st.text() | st.text("0123456789abcdef.:/%*", max_size=45))
def test_any_text_is_a_source_or_has_faults(text):
    """No hostile source ends in an error, and no accepted source is wider than the limits."""
    found = prefixes.parse_source(text)

    assert (
        found[0].code.startswith("source-")
        if isinstance(found, tuple)
        else found.prefixlen >= {4: 24, 6: 64}[found.version]
    )


@given(networks)
def test_a_network_is_read_from_its_own_spelling(network):
    """The broker reads its own spelling."""
    assert prefixes.parse_prefix(str(network)) == network


@given(networks, st.integers(0, 32), st.integers(0, 128))
def test_a_source_is_never_wider_than_the_limit(network, widest_v4, widest_v6):
    """The limit holds for every value of `JIT_WIDEST_SOURCE`."""
    found = prefixes.parse_source(str(network), widest_v4=widest_v4, widest_v6=widest_v6)

    assert isinstance(found, tuple) or found.prefixlen >= max(
        1, widest_v6 if found.version == 6 else widest_v4
    )


@pytest.mark.parametrize(
    "prefix",
    [
        *("10.0.0.1/32", "172.16.0.0/24", "172.31.255.255/32", "192.168.1.0/24"),
        *("100.64.0.0/32", "100.127.255.255/32", "198.18.0.1/32", "192.0.0.1/32"),
        *("fd00::/64", "2001:db8::1/128", "3fff::1/128"),
        *("10.0.0.0/7", "192.168.0.0/15"),
    ],
)
def test_a_private_prefix_is_not_public(prefix):
    """Nobody arrives from there over the internet, not even from a part of it."""
    assert not prefixes.is_public(ip_network(prefix))


@pytest.mark.parametrize(
    "prefix",
    [
        *("192.0.2.0/24", "198.51.100.7/32", "203.0.113.0/24", "20.71.10.11/32"),
        *("172.15.255.255/32", "172.32.0.0/24", "100.63.0.0/24", "100.128.0.0/24"),
        *("2a02:8070::1/128", "9.255.255.255/32", "11.0.0.0/24"),
    ],
)
def test_a_public_prefix_is_public(prefix):
    """The documentation networks of RFC 5737 included, so that examples work."""
    assert prefixes.is_public(ip_network(prefix))


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ("203.0.113.7/32", ("*",)),
        ("203.0.113.7/32", ("203.0.113.0/24",)),
        ("203.0.113.0/24", ("203.0.113.0/24",)),
        ("203.0.113.7/32", ("203.0.113.7",)),
        ("203.0.113.7/32", ("198.51.100.0/24", "203.0.113.0/24")),
        ("203.0.113.7/32", ("nonsense", "203.0.113.0/24")),
        ("203.0.113.7/32", ("0.0.0.0/0",)),
        ("2a02::1/128", ("10.0.0.0/8", "2a02::/32")),
    ],
)
def test_an_allowed_prefix_covers_a_source_inside(source, allowed):
    """A single address inside an allowed prefix works."""
    assert Prefixes(allowed).covers(ip_network(source))


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ("203.0.113.7/32", ()),
        ("203.0.113.7/32", ("198.51.100.0/24",)),
        ("203.0.113.0/24", ("203.0.113.0/25", "203.0.113.128/25")),
        ("203.0.113.0/24", ("203.0.113.7",)),
        ("203.0.113.7/32", ("",)),
        ("203.0.113.7/32", ("Internet",)),
        ("203.0.113.7/32", ("any",)),
        ("203.0.113.7/32", (" *",)),
        ("203.0.113.7/32", ("203.0.113.1/24",)),
        ("203.0.113.7/32", ("203.0.113.0/24 ",)),
        ("203.0.113.7/32", ("::/0",)),
        ("2a02::1/128", ("0.0.0.0/0",)),
    ],
)
def test_garbage_in_a_policy_never_allows(source, allowed):
    """An unreadable text gives no permission. A prefix beside or inside gives none either."""
    assert not Prefixes(allowed).covers(ip_network(source))


@given(networks, st.lists(st.text(max_size=20).filter(lambda text: text != "*")).map(tuple))
def test_only_readable_prefixes_cover_a_source(source, allowed):
    """No list of texts lets more in than its readable prefixes do."""
    readable = tuple(text for text in allowed if reads(text))

    assert Prefixes(allowed).covers(source) == Prefixes(readable).covers(source)


@given(v4, st.integers(0, 32))
def test_a_wider_prefix_allows_every_part_of_itself(network, shorter):
    """A prefix contains every part of itself."""
    wide = network.supernet(new_prefix=min(shorter, network.prefixlen))

    assert Prefixes((str(wide),)).covers(network)


@pytest.mark.parametrize(
    ("allowed", "answer"),
    [
        (("*",), False),
        (("10.0.0.0/8",), False),
        (("garbage::",), False),
        (("10.0.0.0/8", "2a02::/32"), True),
    ],
)
def test_only_an_ipv6_prefix_names_ipv6(allowed, answer):
    """``*`` was written with IPv4 in mind."""
    assert Prefixes(allowed).has_ipv6 is answer


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (("203.0.113.7", "198.51.100.0/24"), True),
        (("198.51.100.0/24", "203.0.113.7/32"), True),
        (("203.0.113.7",), False),
        (("203.0.113.7", "198.51.100.0/24", "192.0.2.1"), False),
        (("203.0.113.7", "198.51.100.0/24", "*"), False),
        ((), False),
    ],
)
def test_sources_are_the_same_in_any_order_and_spelling(texts, answer):
    """Two people share a path only if nothing about it would change."""
    ours = (IPv4Network("203.0.113.7/32"), IPv4Network("198.51.100.0/24"))

    assert Prefixes(texts).equals(ours) is answer


@pytest.mark.parametrize("text", ["10.0.0.0/8", "0.0.0.0/0", "127.0.0.1", "::/0"])
def test_a_prefix_of_any_width_can_be_read(text):
    """Azure may return a prefix of any width."""
    assert prefixes.parse_prefix(text) == ip_network(text)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "128.0.0.0/2", "2a02::/16", "203.0.113.7"])
def test_a_policy_may_allow_a_wide_prefix(text):
    """A policy limits the sources of callers; it opens nothing by itself."""
    assert prefixes.parse_allowed(text) == ip_network(text)


@pytest.mark.parametrize("text", ["*", "0.0.0.0/0", "10.0.0.1/8", "127.0.0.1", "AzureCloud"])
def test_a_policy_may_not_allow_nonsense(text):
    """The same faults as in a caller's source, width apart."""
    with pytest.raises(Malformed):
        prefixes.parse_allowed(text)


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
def test_only_prefixes_are_read_and_without_host_bits(text, expected):
    """Tags, ranges and wildcards are no prefixes."""
    found = prefixes.read_prefix(text)

    assert found == expected


@pytest.mark.parametrize("text", ["*", "Internet", "", "203.0.113.1-203.0.113.9", "203.0.113.256"])
def test_a_text_that_is_no_prefix_reads_as_none(text):
    """Tags and ranges have no single prefix."""
    found = Prefixes((text, "203.0.113.7"))

    assert prefixes.read_prefix(text) is None
    assert (found.readable, found.unreadable) == ((HOME,), (text,))
    assert prefixes.keep_prefixes(found.texts) == ("203.0.113.7",)


@pytest.mark.parametrize(
    ("text", "address"),
    [("203.0.113.7", HOME), ("203.0.113.7/32", HOME), ("203.0.113.6/31", None), ("*", None)],
)
def test_only_one_address_is_read_as_an_address(text, address):
    """A range of two addresses is no address."""
    assert prefixes.read_address(text) == address


def test_host_bits_find_a_rule_but_never_give_permission():
    """The two readings of one text."""
    found = Prefixes(("203.0.113.1/24",))

    assert found.may_overlap(HOME)
    assert not found.covers(HOME)
    assert not found.equals([ip_network("203.0.113.0/24")])


@given(networks, networks)
def test_a_prefix_is_inside_another_if_no_address_is_outside(inner, outer):
    """The comparison by first and last address, and by family."""
    first, last = int(inner.network_address), int(inner.broadcast_address)
    contained = int(outer.network_address) <= first and last <= int(outer.broadcast_address)

    assert prefixes.is_inside(inner, outer) == (inner.version == outer.version and contained)


@given(st.lists(networks, max_size=3), st.lists(networks, max_size=3), st.booleans())
def test_all_are_inside_if_each_is_inside_a_single_one(parts, allowed, equal):
    """Two allowed prefixes side by side do not contain their union."""
    found = [*allowed, *parts] if equal else parts
    expected = all(any(prefixes.is_inside(part, outer) for outer in allowed) for part in found)

    assert prefixes.are_all_inside(found, allowed) == expected
    assert Prefixes(tuple(map(str, found))).are_inside(allowed) == expected


@pytest.mark.parametrize("text", ["*", "Internet", ""])
def test_an_unreadable_text_is_inside_nothing(text):
    """It may mean any address."""
    assert not Prefixes(("203.0.113.7", text)).are_inside([ip_network("0.0.0.0/0")])


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (("203.0.113.0/24",), True),
        (("198.51.100.0/24", "203.0.113.7"), True),
        (("198.51.100.0/24",), False),
        (("2001:db8::/32",), False),
        (("198.51.100.0/24", "Internet"), True),
        (("*",), True),
        ((), True),
    ],
)
def test_a_rule_may_overlap_a_source_unless_its_prefixes_exclude_it(texts, answer):
    """A tag may mean any address. A rule with an IP group may mean any address too."""
    mine, home = Prefixes(texts), Prefixes(("203.0.113.7",))

    assert mine.may_overlap(HOME) is answer
    assert (mine.may_share_address(home), home.may_share_address(mine)) == (answer, answer)


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (("203.0.113.0/24",), True),
        (("*",), True),
        (("198.51.100.0/24",), False),
        (("203.0.113.0/25", "Internet"), True),
        (("203.0.113.7", "Internet"), False),
    ],
)
def test_texts_cover_all_sources_if_they_cover_each(texts, answer):
    """A tag covers nothing."""
    assert Prefixes(texts).covers_all([HOME, ip_network("203.0.113.64/26")]) is answer


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("203.0.113.7",), {"203.0.113.7/32"}),
        (("203.0.113.7/32",), {"203.0.113.7/32"}),
        (("198.51.100.0/24", "203.0.113.7"), {"203.0.113.7/32", "198.51.100.0/24"}),
        (("2001:DB8::/64",), {"2001:db8::/64"}),
        (("2001:db8:0:0::1",), {"2001:db8::1/128"}),
    ],
)
def test_sources_are_compared_as_prefixes(texts, expected):
    """Azure writes a single address with or without its length, and IPv6 as it likes."""
    assert Prefixes(texts).equals(map(ip_network, expected))


@pytest.mark.parametrize("texts", [("*",), ("Internet",), ("203.0.113.0/24",), (), ("", "x")])
def test_tags_and_wider_prefixes_are_not_the_same(texts):
    """An unreadable text equals nothing."""
    assert not Prefixes(texts).equals([HOME])


@pytest.mark.parametrize(
    ("texts", "inside"),
    [(("203.0.113.0/24",), True), (("*",), True), (("198.51.100.0/24",), False), (("x",), False)],
)
def test_a_source_is_covered_by_a_prefix_that_holds_it(texts, inside):
    """Unreadable texts cover nothing."""
    assert Prefixes(texts).covers(HOME) is inside


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (("203.0.113.7",), True),
        (("203.0.113.7/32", "198.51.100.0/24"), True),
        (("203.0.113.7", "*"), False),
        (("198.51.100.0/25",), False),
        ((), False),
    ],
)
def test_prefixes_are_among_others_only_if_each_equals_one(texts, answer):
    """A smaller prefix inside another one is not the same."""
    assert Prefixes(texts).are_among([HOME, ip_network("198.51.100.0/24")]) is answer


def reads(text):
    """Return True if *text* is a prefix."""
    try:
        prefixes.parse_prefix(text)
    except Malformed:
        return False
    return True


odd = st.sampled_from(["*", "Internet", "", "203.0.113.1/24", "10.0.0.1-10.0.0.9"])


@given(st.lists(networks.map(str) | odd, max_size=5), networks, st.lists(networks, max_size=4))
def test_prefixes_answer_as_comparing_each_with_each_does(texts, prefix, others):
    """An index answers for them; this is the plain reading."""
    found = Prefixes(tuple(texts))
    loose = [prefixes.read_prefix(text) for text in texts]
    strict = [ip_network(text) for text in texts if reads(text)]
    clear = [each for each in loose if each is not None]
    is_clear = len(clear) == len(loose)

    assert found.covers(prefix) is (
        "*" in texts or any(prefixes.is_inside(prefix, each) for each in strict)
    )
    assert found.may_overlap(prefix) is (
        not texts or any(each is None or each.overlaps(prefix) for each in loose)
    )
    assert found.are_inside(others) is (
        is_clear and all(prefixes.is_inside_any(each, others) for each in clear)
    )
    assert found.are_among(others) is (
        bool(texts) and is_clear and all(each in others for each in loose)
    )
