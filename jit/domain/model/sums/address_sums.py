"""Sums of addresses: how many the sources of one person cover together."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from jit.domain.values.prefixes import Prefix

TOO_MANY_ADDRESSES = "sources-too-many-addresses"


def find_exceeded_sum(sources: Sequence[Prefix], *, widest_v4: int, widest_v6: int) -> int | None:
    """
    Return the most addresses that *sources* may cover, if they cover more; else None.

    They may cover as many as one prefix of the widest length. An address counts once, however many
    of them have it. Each IP version counts by itself.

    Args:
        sources: Each is as wide as the widest prefix at most.
        widest_v4: Length of the widest IPv4 prefix.
        widest_v6: The same for IPv6.
    """
    if len(sources) <= 1:
        return None
    v4 = collapse_addresses(each for each in sources if isinstance(each, IPv4Network))
    if sum(each.num_addresses for each in v4) > (most := 1 << (32 - widest_v4)):
        return most
    v6 = collapse_addresses(each for each in sources if isinstance(each, IPv6Network))
    if sum(each.num_addresses for each in v6) > (most := 1 << (128 - widest_v6)):
        return most
    return None
