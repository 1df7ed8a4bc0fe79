"""Service tags of Azure as sets of addresses, as far as they are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from jit.domain.values.address_sets import (
    AddressSet,
    all_addresses,
    join_sets,
    prefix_addresses,
    read_addresses,
)
from jit.domain.values.prefixes import read_prefix

# ---- service tags ----------------------------------------------------------------------------

_PRIVATE = {
    4: read_addresses(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"), 4),
    6: read_addresses(("fc00::/7",), 6),
}
"""Addresses that no packet from the internet carries; whose they are is not known here."""

_HOST = read_addresses(("168.63.129.16/32",), 4)
"""The virtual address of the host, where health probes come from."""

_PUBLIC = {
    4: (
        _PRIVATE[4]
        | _HOST
        | read_addresses(("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"), 4)
        | read_addresses(("192.0.0.0/24", "198.18.0.0/15"), 4)
    ).complement(4),
    6: read_addresses(("2000::/3",), 6),
}
"""Addresses of the internet; the documentation networks of RFC 5737 and RFC 3849 count as such."""


@dataclass(frozen=True, slots=True)
class Reach:
    """
    The addresses that a part of a rule stands for, as far as can be known.

    Attributes:
        sure: It stands for these.
        possible: It stands for no others; a superset of ``sure``.
    """

    sure: AddressSet
    possible: AddressSet

    def __or__(self, other: Reach) -> Reach:
        """Return what both parts together stand for."""
        return Reach(self.sure | other.sure, self.possible | other.possible)


def unknown_reach(version: int) -> Reach:
    """Return the reach of what cannot be read: any address may be meant, or none."""
    return Reach(AddressSet(), all_addresses(version))


def resolve_reach(texts: Iterable[str], vnet: AddressSet, version: int) -> Reach:
    """
    Return the addresses that *texts* stand for.

    ``VirtualNetwork`` surely covers *vnet*. It also covers peered networks, on-premises ranges and
    the prefixes of user-defined routes, a default route included; those are not known here, so
    any private or special address may belong to it. A public address outside *vnet* is taken not
    to: who routes public prefixes, or ``0.0.0.0/0``, to an appliance must say so in *vnet*.

    ``Internet`` covers the public addresses outside *vnet*, and never a private one.

    ``AzureLoadBalancer`` is the host's address 168.63.129.16. Of every other service tag, and of
    everything that is no prefix, the addresses are not known.

    Args:
        texts: Prefixes, service tags in any case, or ``*``.
        vnet: The known part of the tag ``VirtualNetwork``.
        version: Of the addresses that are asked about, 4 or 6.

    Source:
        Learn, "Virtual network service tags"; for user-defined routes also
        https://journeyofthegeek.com/2022/06/22/virtualnetwork-service-tag-and-network-security-groups/
    """
    found = [_reach(text, vnet, version) for text in texts]
    if len(found) == 1:
        return found[0]
    return Reach(
        sure=join_sets(item.sure for item in found),
        possible=join_sets(item.possible for item in found),
    )


@lru_cache(maxsize=4096)
def _reach(text: str, vnet: AddressSet, version: int) -> Reach:
    match text.lower():
        case "*" | "any":
            return Reach(all_addresses(version), all_addresses(version))
        case "internet":
            return _internet(vnet, version)
        case "virtualnetwork":
            return Reach(vnet, vnet | _PUBLIC[version].complement(version))
        case "azureloadbalancer":
            return _load_balancer(version)
    prefix = read_prefix(text)
    if prefix is None:
        return unknown_reach(version)
    exact = prefix_addresses(prefix) if prefix.version == version else AddressSet()
    return Reach(exact, exact)


def _internet(vnet: AddressSet, version: int) -> Reach:
    """Return the reach of ``Internet``; a public address used inside *vnet* is a doubt."""
    outside = (_PUBLIC[version].complement(version) | vnet).complement(version)
    return Reach(outside, _PRIVATE[version].complement(version))


def _load_balancer(version: int) -> Reach:
    """Return the reach of ``AzureLoadBalancer``; its IPv6 address is link-local, not documented."""
    if version == 4:  # noqa: PLR2004 # IPv4
        return Reach(_HOST, _HOST)
    return Reach(AddressSet(), read_addresses(("fe80::/10",), 6))
