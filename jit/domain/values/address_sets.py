"""Sets of IP addresses of one family."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from jit.domain.values.prefixes import Prefix


@dataclass(frozen=True, slots=True)
class AddressSet:
    """
    Addresses of one family, as numbers.

    Attributes:
        ranges: Pairs of first and last address; ascending, not overlapping, not adjacent.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    def __contains__(self, address: int) -> bool:
        """Return True if *address* is in the set."""
        place = bisect_right(self.ranges, address, key=lambda pair: pair[0])
        return place > 0 and address <= self.ranges[place - 1][1]

    def __or__(self, other: AddressSet) -> AddressSet:
        """Return the addresses of either set."""
        return join_sets((self, other))

    def __and__(self, other: AddressSet) -> AddressSet:
        """Return the addresses of both sets."""
        return AddressSet(tuple(_intersect_ranges(self.ranges, other.ranges)))

    def list_edges(self, first: int, last: int) -> Iterator[int]:
        """Yield each address after *first*, up to *last*, at which membership changes."""
        place = bisect_right(self.ranges, first, key=lambda pair: pair[0])
        for number in range(max(place - 1, 0), len(self.ranges)):
            begin, end = self.ranges[number]
            if begin > last:
                return
            yield from (edge for edge in (begin, end + 1) if first < edge <= last)

    def invert(self, version: int) -> AddressSet:
        """Return every other address of IP *version* 4 or 6."""
        starts = (0, *(last + 1 for _, last in self.ranges))
        ends = (*(first - 1 for first, _ in self.ranges), build_all_addresses(version).ranges[0][1])
        gaps = zip(starts, ends, strict=True)
        return AddressSet(tuple((first, last) for first, last in gaps if first <= last))


def _merge_ranges(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield *ranges* in order; ranges that overlap or touch become one."""
    held: tuple[int, int] | None = None
    for first, last in sorted(ranges):
        if held is None:
            held = (first, last)
        elif first <= held[1] + 1:
            held = (held[0], max(held[1], last))
        else:
            yield held
            held = (first, last)
    if held is not None:
        yield held


def _intersect_ranges(
    some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Yield what two lists of ranges have in common; both are ascending and do not overlap."""
    mine = theirs = 0
    while mine < len(some) and theirs < len(others):
        first = max(some[mine][0], others[theirs][0])
        last = min(some[mine][1], others[theirs][1])
        if first <= last:
            yield first, last
        if some[mine][1] < others[theirs][1]:
            mine += 1
        else:
            theirs += 1


def expand_prefix(prefix: Prefix) -> AddressSet:
    """Return the addresses of *prefix*."""
    return AddressSet(((int(prefix.network_address), int(prefix.broadcast_address)),))


def build_all_addresses(version: int) -> AddressSet:
    """Return all addresses of IP *version* 4 or 6."""
    return AddressSet(((0, 2 ** (32 if version == 4 else 128) - 1),))  # noqa: PLR2004 # IPv4


def read_addresses(prefixes: Iterable[str], version: int) -> AddressSet:
    """
    Return the addresses of the *prefixes* of IP *version*.

    Raises:
        ValueError: One of *prefixes* is no prefix.
    """
    networks = (ip_network(text, strict=False) for text in prefixes)
    return join_sets(expand_prefix(item) for item in networks if item.version == version)


def join_sets(sets: Iterable[AddressSet]) -> AddressSet:
    """Return the addresses of any of *sets*, which may be thousands."""
    return AddressSet(tuple(_merge_ranges(pair for item in sets for pair in item.ranges)))
