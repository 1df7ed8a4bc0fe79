"""
An index of prefixes, for the question which others they contain or overlap.

If hundreds of people share a port, each of them has such questions about hundreds of prefixes. The
index answers each in the time of the distinct lengths of its prefixes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

_Prefix = IPv4Network | IPv6Network


class PrefixIndex:
    """Prefixes of both IP versions; it never changes."""

    __slots__ = ("_heads", "_starts")

    def __init__(self, prefixes: Iterable[_Prefix]) -> None:
        """Sort *prefixes* by their lengths and by their first addresses."""
        self._heads: dict[tuple[int, int], set[int]] = {}
        starts: dict[int, list[int]] = {}
        for each in prefixes:
            heads = self._heads.setdefault((each.version, each.prefixlen), set())
            heads.add(_read_head(each, each.prefixlen))
            starts.setdefault(each.version, []).append(int(each.network_address))
        self._starts = {version: sorted(found) for version, found in starts.items()}

    def covers(self, prefix: _Prefix) -> bool:
        """Return True if a single one of the prefixes contains *prefix*."""
        return any(
            version == prefix.version
            and length <= prefix.prefixlen
            and _read_head(prefix, length) in heads
            for (version, length), heads in self._heads.items()
        )

    def overlaps(self, prefix: _Prefix) -> bool:
        """Return True if one of the prefixes has an address of *prefix*."""
        starts = self._starts.get(prefix.version, [])
        place = bisect_left(starts, int(prefix.network_address))
        inside = place < len(starts) and starts[place] <= int(prefix.broadcast_address)
        return inside or self.covers(prefix)


def _read_head(prefix: _Prefix, length: int) -> int:
    """Return the first *length* bits of the addresses of *prefix*."""
    return int(prefix.network_address) >> (prefix.max_prefixlen - length)


@lru_cache(maxsize=64)
def find_same_set(prefixes: frozenset[_Prefix]) -> frozenset[_Prefix]:
    """Return *prefixes*; for equal ones the same object, because comparing it is quick."""
    return prefixes


def drop_covered(prefixes: Iterable[_Prefix]) -> frozenset[_Prefix]:
    """
    Return *prefixes*, each only if no other one contains it.

    Azure refuses a security rule whose prefixes overlap
    (https://github.com/kubernetes-sigs/cloud-provider-azure/issues/6775). Prefixes that only touch
    each other stay as they are.
    """
    kept: list[_Prefix] = []
    for prefix in sorted(set(prefixes), key=lambda p: (p.version, int(p[0]), p.prefixlen)):
        if not kept or not PrefixIndex(kept[-1:]).covers(prefix):
            kept.append(prefix)
    return frozenset(kept)
