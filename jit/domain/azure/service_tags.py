"""Service tags of Azure as sets of addresses, as far as they are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from jit.domain.values.address_sets import (
    AddressSet,
    build_all_addresses,
    expand_prefix,
    join_sets,
    read_addresses,
)
from jit.domain.values.prefixes import read_prefix

_PRIVATE = {
    4: read_addresses(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"), 4),
    6: read_addresses(("fc00::/7",), 6),
}
"""Private addresses: packets from the internet do not have them; their owners are unknown here."""

_HOST = read_addresses(("168.63.129.16/32",), 4)
"""The virtual address of the host, where health probes come from."""

_PUBLIC = {
    4: (
        _PRIVATE[4]
        | _HOST
        | read_addresses(("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"), 4)
        | read_addresses(("192.0.0.0/24", "198.18.0.0/15"), 4)
    ).invert(4),
    6: read_addresses(("2000::/3",), 6),
}
"""Addresses of the internet; the documentation networks of RFC 5737 and RFC 3849 count as such."""


@dataclass(frozen=True, slots=True)
class Reach:
    """
    The addresses that a part of a rule means, as far as they are known.

    Attributes:
        sure: It certainly means these addresses.
        possible: It means no other addresses; a superset of ``sure``.
    """

    sure: AddressSet
    possible: AddressSet

    def __or__(self, other: Reach) -> Reach:
        """Return the addresses that both parts mean together."""
        return Reach(self.sure | other.sure, self.possible | other.possible)


def build_unknown_reach(version: int) -> Reach:
    """Return the reach of an unreadable text: it may mean any address, or no address."""
    return Reach(AddressSet(), build_all_addresses(version))


def resolve_reach(texts: Iterable[str], vnet: AddressSet, version: int) -> Reach:
    """
    Return the addresses that *texts* mean.

    ``VirtualNetwork`` certainly covers *vnet*. It also covers peered networks, on-premises ranges
    and the prefixes of user-defined routes, also a default route. They are not known here, so any
    private or special address may belong to it. A public address outside *vnet* does not belong to
    it: if public prefixes or ``0.0.0.0/0`` are routed to an appliance, *vnet* must contain them.

    ``Internet`` covers the public addresses outside *vnet*, and never a private one.

    ``AzureLoadBalancer`` is the host's address 168.63.129.16. The addresses of every other service
    tag, and of every other text that is no prefix, are not known.

    Args:
        texts: Prefixes, service tags in any case, or ``*``.
        vnet: The known part of the tag ``VirtualNetwork``.
        version: IP version of the addresses to return, 4 or 6.

    Source:
        Learn, "Virtual network service tags"; for user-defined routes also
        https://journeyofthegeek.com/2022/06/22/virtualnetwork-service-tag-and-network-security-groups/
    """
    return _resolve_all(tuple(texts), vnet, version)


@lru_cache(maxsize=256)  # each grant of a VM port is judged by the same rules
def _resolve_all(texts: tuple[str, ...], vnet: AddressSet, version: int) -> Reach:
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
            return Reach(build_all_addresses(version), build_all_addresses(version))
        case "internet":
            return _internet(vnet, version)
        case "virtualnetwork":
            return Reach(vnet, vnet | _PUBLIC[version].invert(version))
        case "azureloadbalancer":
            return _load_balancer(version)
    prefix = read_prefix(text)
    if prefix is None:
        return build_unknown_reach(version)
    exact = expand_prefix(prefix) if prefix.version == version else AddressSet()
    return Reach(exact, exact)


def _internet(vnet: AddressSet, version: int) -> Reach:
    """Return the reach of ``Internet``; a public address used inside *vnet* is a doubt."""
    outside = (_PUBLIC[version].invert(version) | vnet).invert(version)
    return Reach(outside, _PRIVATE[version].invert(version))


def _load_balancer(version: int) -> Reach:
    """Return the reach of ``AzureLoadBalancer``; its IPv6 address is link-local, not documented."""
    if version == 4:  # noqa: PLR2004 # IPv4
        return Reach(_HOST, _HOST)
    return Reach(AddressSet(), read_addresses(("fe80::/10",), 6))
