"""
IP prefixes: reading them, comparing them, and the rules for sources that callers name.

The special ranges are listed here. `ipaddress` has ``is_private`` and ``is_global``, but their
answers changed between patch releases of Python (CVE-2024-4032).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from jit.domain.errors import Malformed
from jit.domain.values.prefix_index import PrefixIndex, find_same_set

Prefix = IPv4Network | IPv6Network
"""An IP prefix without host bits."""

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
    (re.compile(r".*[\s\x00-\x1f\x7f].*", re.DOTALL), "a space, a line break or a tab is in it"),
    (re.compile(r".*[^\x00-\x7f].*", re.DOTALL), "a character that may be invisible is in it"),
    (re.compile(r"[^%]+%.*"), "an address with a zone is valid on one machine only"),
    (re.compile(r"[0-9.]+ *- *[0-9.]+"), "a range is not accepted: write a prefix"),
    (re.compile(r"[A-Za-z][A-Za-z0-9.]*"), "service tags and names are not accepted"),
    (re.compile(r".*"), "a source is one address or one prefix, such as 203.0.113.7"),
)

_USABLE_V6 = (IPv6Network("2000::/3"), IPv6Network("fc00::/7"))
"""Global unicast, unique local (RFC 4291, RFC 4193)."""

_RESERVED = tuple(
    (ip_network(prefix), reason)
    for prefix, reason in (
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
"""Never a source on any path. All IPv6 except global unicast and unique local is reserved too.

Source:
    IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 1112, RFC 4291, RFC 6890.
"""

NOT_PUBLIC = tuple(
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
"""Sources on private paths that never arrive from the internet.

The three documentation networks of RFC 5737 are missing on purpose. They count as public, so that
users can try the examples of every manual.
"""


# ---- one prefix ------------------------------------------------------------------------------


def parse_prefix(text: str) -> Prefix:
    """
    Read one address or prefix, written plainly: ``203.0.113.7``, ``10.0.0.0/8``, ``2001:db8::/64``.

    Masks, leading zeros (some programs read them as octal), single numbers and zones are refused.

    Raises:
        Malformed: ``source-malformed``, or ``source-host-bits``.
    """
    prefix = _clear_host_bits(text)
    if fault := _find_host_bits_fault(text, prefix):
        raise fault
    return prefix


@lru_cache(maxsize=4096)  # the same few texts are in thousands of rules
def read_prefix(text: str) -> Prefix | None:
    """Return the prefix in *text* with host bits cleared; None for ``*``, a tag or a range."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def read_address(text: str) -> Prefix | None:
    """Return the prefix of the single address in *text*, or None if *text* is anything else."""
    prefix = read_prefix(text)
    return prefix if prefix is not None and prefix.num_addresses == 1 else None


def is_inside(inner: Prefix, outer: Prefix) -> bool:
    """Return True if *outer* contains every address of *inner*."""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def is_inside_any(inner: Prefix, allowed: Iterable[Prefix]) -> bool:
    """Return True if one of *allowed* contains *inner*; several together do not count."""
    return any(is_inside(inner, outer) for outer in allowed)


# ---- prefixes in the JSON of Azure -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prefixes:
    """
    The prefixes of a rule, a JIT policy or a request in Defender, as Azure writes them.

    Some texts are no prefixes: ``*``, service tags, ranges, empty texts. There are two readings of
    a prefix with host bits, such as ``203.0.113.1/24``:

    * `covers`, `equals` and `has_ipv6` refuse it. They give permission, or call a path present,
      and a text in doubt must not do that.
    * `readable`, `unreadable`, `are_inside`, `are_among`, `may_overlap` and `may_share_address`
      clear the host bits. They find rules that may let traffic in, and must not miss one.

    Attributes:
        texts: One text for each prefix.
    """

    texts: tuple[str, ...]

    @property
    def readable(self) -> tuple[Prefix, ...]:
        """The prefixes, without the texts that are none."""
        return _read_texts(self.texts).readable

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The texts that are no prefix."""
        return tuple(text for text in self.texts if read_prefix(text) is None)

    @property
    def has_ipv6(self) -> bool:
        """True if one of them is an IPv6 prefix; ``*`` is none."""
        return any(isinstance(_read_strictly(text), IPv6Network) for text in self.texts)

    def covers(self, prefix: Prefix) -> bool:
        """Return True if ``*`` or a single one of the prefixes contains *prefix*."""
        return "*" in self.texts or _read_texts(self.texts).strict.covers(prefix)

    def covers_all(self, prefixes: Iterable[Prefix]) -> bool:
        """Return True if `covers` is true for each of *prefixes*."""
        return all(self.covers(prefix) for prefix in prefixes)

    def equals(self, prefixes: Iterable[Prefix]) -> bool:
        """
        Return True if these are exactly *prefixes*, in any order.

        ``203.0.113.7`` and ``203.0.113.7/32`` are equal. ``*`` and tags equal nothing.
        """
        return {_read_strictly(text) for text in self.texts} == set(prefixes)

    def are_inside(self, allowed: Iterable[Prefix]) -> bool:
        """Return True if every text is a prefix inside one of *allowed*; also if there is none."""
        return _are_inside(self.texts, find_same_set(frozenset(allowed)))

    def are_among(self, prefixes: Iterable[Prefix]) -> bool:
        """Return True if there is a text, and each is a prefix equal to one of *prefixes*."""
        return bool(self.texts) and _are_among(self.texts, find_same_set(frozenset(prefixes)))

    def may_overlap(self, prefix: Prefix) -> bool:
        """Return True if they may contain an address of *prefix*; see `may_share_address`."""
        return self._may_be_any or _read_texts(self.texts).index.overlaps(prefix)

    def may_share_address(self, other: Prefixes) -> bool:
        """
        Return True if both may contain one address.

        A text that is no prefix may mean any address. A rule without texts may mean any address
        too: its sources are in another member, for example in an IP group.
        """
        return self._may_be_any or other._may_be_any or any(map(self.may_overlap, other.readable))

    @property
    def _may_be_any(self) -> bool:
        return not self.texts or not _read_texts(self.texts).is_complete


@dataclass(frozen=True, slots=True)
class _Reading:
    readable: tuple[Prefix, ...]
    is_complete: bool
    index: PrefixIndex
    strict: PrefixIndex


@lru_cache(maxsize=1024)  # each grant of a VM port asks about the same rules
def _read_texts(texts: tuple[str, ...]) -> _Reading:
    found = tuple(prefix for prefix in map(read_prefix, texts) if prefix is not None)
    strict = PrefixIndex(prefix for prefix in map(_read_strictly, texts) if prefix is not None)
    return _Reading(found, len(found) == len(texts), PrefixIndex(found), strict)


@lru_cache(maxsize=256)
def _are_inside(texts: tuple[str, ...], allowed: frozenset[Prefix]) -> bool:
    reading = _read_texts(texts)
    return reading.is_complete and are_all_inside(reading.readable, allowed)


@lru_cache(maxsize=256)
def _are_among(texts: tuple[str, ...], prefixes: frozenset[Prefix]) -> bool:
    reading = _read_texts(texts)
    return reading.is_complete and prefixes.issuperset(reading.readable)


def are_all_inside(prefixes: Iterable[Prefix], allowed: Iterable[Prefix]) -> bool:
    """Return True if each of *prefixes* is inside one of *allowed*; there may be many of both."""
    return all(map(PrefixIndex(allowed).covers, prefixes))


def keep_prefixes(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the *texts* that are prefixes, as they are written."""
    return tuple(text for text in texts if read_prefix(text) is not None)


@lru_cache(maxsize=4096)  # the same few texts are in every rule, and each path reads them again
def _read_strictly(text: str) -> Prefix | None:
    try:
        return parse_prefix(text)
    except Malformed:
        return None


# ---- sources that a caller names -------------------------------------------------------------


def parse_source(
    text: str, *, widest_v4: int = 24, widest_v6: int = 64
) -> Prefix | tuple[Malformed, ...]:
    """
    Read a source that a caller asks for, or return every fault of it.

    IPv6 and private addresses are accepted here. The policy decides if a VM may be reached from
    them (`jit.domain.decision.jit_policy`).

    Args:
        text: One address or one prefix.
        widest_v4: Shortest prefix length that is accepted for IPv4.
        widest_v6: The same for IPv6.

    Returns:
        The prefix; or one to three faults of ``source-any``, ``source-malformed``,
        ``source-host-bits``, ``source-reserved``, ``source-too-wide``.
    """
    if _ANY.fullmatch(text):
        return (_find_any_fault(),)
    try:
        prefix = _clear_host_bits(text)
    except Malformed as fault:
        return (fault,)
    if prefix.prefixlen == 0:
        return (_find_any_fault(),)
    widest = widest_v6 if prefix.version == IPV6 else widest_v4
    found = (
        _find_host_bits_fault(text, prefix),
        _find_reserved_fault(prefix),
        _find_too_wide_fault(prefix, widest),
    )
    return tuple(fault for fault in found if fault is not None) or prefix


def parse_allowed(text: str) -> Prefix:
    """
    Read a prefix that a JIT policy shall allow. It may be wide, but not everything.

    Raises:
        Malformed: ``source-any``, ``source-malformed``, ``source-host-bits``, or
            ``source-reserved`` if all of it is reserved. A wide prefix may contain reserved parts.
    """
    if _ANY.fullmatch(text) or (prefix := parse_prefix(text)).prefixlen == 0:
        raise Malformed(ANY, "everything is written as * and stands alone")
    if is_inside_any(prefix, (special for special, _ in _RESERVED)):
        raise Malformed(RESERVED, f"{prefix} is no one's source")
    return prefix


def is_public(prefix: Prefix) -> bool:
    """Return True if packets from every address of *prefix* can arrive over the internet."""
    return not any(prefix.overlaps(private) for private in NOT_PUBLIC)


def _clear_host_bits(text: str) -> Prefix:
    """Read *text* and clear its host bits; Malformed if it is no address and no prefix."""
    version = IPv4Network if _V4.fullmatch(text) else IPv6Network if _V6.fullmatch(text) else None
    if version is None:
        hints = (hint for shape, hint in _HINTS if shape.fullmatch(text))
        raise Malformed(MALFORMED, next(hints))
    try:
        return version(text, strict=False)
    except ValueError as error:  # 256 in an octet, a leading zero, /33, :: twice
        raise Malformed(MALFORMED, "there is no such address or prefix") from error


def _find_any_fault() -> Malformed:
    return Malformed(ANY, "a source must be narrower than everything: see GET my-address")


def _find_host_bits_fault(text: str, prefix: Prefix) -> Malformed | None:
    if ip_address(text.partition("/")[0]) == prefix.network_address:
        return None
    return Malformed(HOST_BITS, f"host bits are set: the prefix would be {prefix}")


def _find_reserved_fault(prefix: Prefix) -> Malformed | None:
    reason = next((reason for special, reason in _RESERVED if prefix.overlaps(special)), None)
    if reason is None and prefix.version == IPV6 and not is_inside_any(prefix, _USABLE_V6):
        reason = "reserved"
    return Malformed(RESERVED, f"{prefix} is no one's source: {reason}") if reason else None


def _find_too_wide_fault(prefix: Prefix, widest: int) -> Malformed | None:
    if prefix.prefixlen >= widest:
        return None
    return Malformed(TOO_WIDE, f"{prefix} is too wide: /{widest} is the widest accepted")
