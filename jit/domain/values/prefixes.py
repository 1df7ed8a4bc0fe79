"""
Source prefixes: where traffic may come from.

The special ranges are written out here instead of asked from `ipaddress`, whose ``is_private`` and
``is_global`` changed their minds between patch releases of Python (CVE-2024-4032).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from jit.domain.errors import Malformed

MALFORMED = "source-malformed"
ANY = "source-any"
HOST_BITS = "source-host-bits"
RESERVED = "source-reserved"
TOO_WIDE = "source-too-wide"
IPV6 = 6

_V4 = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?:/(?:0|[1-9][0-9]?))?")
_V6 = re.compile(r"[0-9A-Fa-f:]{2,39}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?:/(?:0|[1-9][0-9]{0,2}))?")
_ANY = re.compile(r"\*|any|internet|all", re.ASCII | re.IGNORECASE)
_HINTS = (
    (re.compile(r"[^%]+%.*"), "an address with a zone is valid on one machine only"),
    (re.compile(r"[0-9.]+ *- *[0-9.]+"), "a range is not accepted: write a prefix"),
    (re.compile(r"[A-Za-z][A-Za-z0-9.]*"), "service tags and names are not accepted"),
)

_USABLE_V6 = (IPv6Network("2000::/3"), IPv6Network("fc00::/7"))
"""Global unicast, unique local (RFC 4291, RFC 4193)."""

_RESERVED = tuple(
    (ip_network(prefix), what)
    for prefix, what in (
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, broadcast included"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4-mapped address: write it as IPv4"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "Teredo or another protocol assignment"),
        ("2002::/16", "6to4"),
    )
)
"""Never a source on any path. IPv6 beyond global unicast and unique local is reserved too.

Source:
    IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 1112, RFC 4291, RFC 6890.
"""

_NOT_PUBLIC = tuple(
    ip_network(prefix)
    for prefix in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # RFC 6598, carrier-grade NAT
        "192.0.0.0/24",  # RFC 6890, protocol assignments
        "198.18.0.0/15",  # RFC 2544, benchmarks
        "fc00::/7",  # RFC 4193, unique local
        "2001:db8::/32",  # RFC 3849, documentation
        "3fff::/20",  # RFC 9637, documentation
    )
)
"""Real on a private path, never seen from the internet.

The three documentation networks of RFC 5737 are missing on purpose: they count as public, so that
the examples of every manual can be tried.
"""


def parse_prefix(text: str) -> Prefix:
    """
    Read one address or prefix, written plainly: ``203.0.113.7``, ``10.0.0.0/8``, ``2001:db8::/64``.

    No masks, no leading zeros (some programs read them as octal), no one-number form, no zone.

    Raises:
        Malformed: ``source-malformed``, or ``source-host-bits``.
    """
    network = _network(text)
    if fault := _host_bits(text, network):
        raise fault
    return network


def parse_source(
    text: str, *, widest_v4: int = 24, widest_v6: int = 64
) -> Prefix | tuple[Malformed, ...]:
    """
    Read a source that a caller wants to come from, or say all that speaks against it.

    IPv6 and private addresses pass here: whether a VM may be reached from them is the policy's
    to say (`jit.domain.decision.jit_policy`).

    Args:
        text: One address or one prefix.
        widest_v4: Shortest prefix length accepted for IPv4.
        widest_v6: The same for IPv6.

    Returns:
        The network; or one to three faults of ``source-any``, ``source-malformed``,
        ``source-host-bits``, ``source-reserved``, ``source-too-wide``.
    """
    if _ANY.fullmatch(text):
        return (_any(),)
    try:
        network = _network(text)
    except Malformed as fault:
        return (fault,)
    if network.prefixlen == 0:
        return (_any(),)
    widest = widest_v6 if network.version == IPV6 else widest_v4
    found = (_host_bits(text, network), _reserved(network), _too_wide(network, widest))
    return tuple(fault for fault in found if fault is not None) or network


def parse_allowed(text: str) -> Prefix:
    """
    Read a prefix that a JIT policy shall allow: of any width short of everything.

    Raises:
        Malformed: ``source-any``, ``source-malformed``, ``source-host-bits``, or
            ``source-reserved`` where all of it is reserved: a wide prefix may well hold some.
    """
    if _ANY.fullmatch(text) or (network := parse_prefix(text)).prefixlen == 0:
        raise Malformed(ANY, "everything is written as * and stands alone")
    if any(_inside(network, special) for special, _ in _RESERVED):
        raise Malformed(RESERVED, f"{network} is no one's source")
    return network


def reserved(network: Prefix) -> str | None:
    """Return why *network* can be no one's source on any path, or None."""
    for special, what in _RESERVED:
        if network.overlaps(special):
            return what
    if network.version == IPV6 and not any(_inside(network, usable) for usable in _USABLE_V6):
        return "reserved"
    return None


def public(network: Prefix) -> bool:
    """Tell whether packets from the whole of *network* can arrive over the internet."""
    return not any(network.overlaps(private) for private in _NOT_PUBLIC)


def within(source: Prefix, allowed: tuple[str, ...]) -> bool:
    """
    Tell whether *source* lies wholly in one of *allowed*.

    Args:
        source: What a caller wants.
        allowed: ``*`` or prefixes, as Defender returns them. What cannot be read never allows.
    """
    return "*" in allowed or any(
        _inside(source, network) for network in map(_readable, allowed) if network is not None
    )


def names_ipv6(allowed: tuple[str, ...]) -> bool:
    """Tell whether *allowed* holds an IPv6 prefix; ``*`` names none."""
    return any(isinstance(_readable(text), IPv6Network) for text in allowed)


def same(sources: tuple[Prefix, ...], texts: tuple[str, ...]) -> bool:
    """Tell whether *texts*, as Defender returns them, are exactly *sources*, in any order."""
    return {_readable(text) for text in texts} == set(sources)


@lru_cache(maxsize=4096)  # the same few texts stand in every rule and in every look at it
def _readable(text: str) -> Prefix | None:
    try:
        return parse_prefix(text)
    except Malformed:
        return None


def _network(text: str) -> Prefix:
    """Read *text* and drop its host bits; Malformed if it is no address and no prefix."""
    version = IPv4Network if _V4.fullmatch(text) else IPv6Network if _V6.fullmatch(text) else None
    if version is None:
        raise Malformed(MALFORMED, _hint(text))
    try:
        return version(text, strict=False)
    except ValueError as error:  # 256 in an octet, a leading zero, /33, :: twice
        raise Malformed(MALFORMED, "there is no such address or prefix") from error


def _hint(text: str) -> str:
    hints = (hint for shape, hint in _HINTS if shape.fullmatch(text))
    return next(hints, "a source is one address or one prefix, such as 203.0.113.7")


def _any() -> Malformed:
    return Malformed(ANY, "a source must be narrower than everything")


def _host_bits(text: str, network: Prefix) -> Malformed | None:
    address = text.partition("/")[0]
    if ip_address(address) == network.network_address:
        return None
    return Malformed(HOST_BITS, f"host bits are set: the prefix would be {network}")


def _reserved(network: Prefix) -> Malformed | None:
    what = reserved(network)
    return Malformed(RESERVED, f"{network} is no one's source: {what}") if what else None


def _too_wide(network: Prefix, widest: int) -> Malformed | None:
    if network.prefixlen >= widest:
        return None
    return Malformed(TOO_WIDE, f"{network} is too wide: /{widest} is the widest accepted")


def _inside(inner: Prefix, outer: Prefix) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


@lru_cache(maxsize=4096)  # the same few texts stand in thousands of rules
def network(text: str) -> Prefix | None:
    """Return the prefix that *text* writes, host bits cleared, or None."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


Prefix = IPv4Network | IPv6Network
"""A source prefix; host bits are never set."""


def same_sources(texts: Sequence[str], sources: frozenset[Prefix]) -> bool:
    """Compare prefixes as Azure writes them with ours; a lone address equals its /32."""
    return same(tuple(sources), tuple(texts))


def covered(source: Prefix, texts: Iterable[str]) -> bool:
    """Tell whether prefixes as Azure writes them contain *source*."""
    return within(source, tuple(texts))
