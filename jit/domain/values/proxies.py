"""
Proxies in front of the broker, and the address of the caller behind them.

Each hop appends the address that it was called from to a list in a header. The hops on the left may
be made up by the caller. So the list is read from its end, as far as the hops are trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network

from jit.domain.values.prefixes import Prefix, is_inside_any

HEADER = "X-Forwarded-For"
"""The header to which the platform appends the address that called it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """
    The proxies that are trusted, besides the platform's own.

    Attributes:
        header: The header in which the first of them names the caller.
        count: Number of them, if they are known by number.
        prefixes: Their addresses, if they are known by address.
        unknown: True if there is a gateway that no setting describes.
    """

    header: str = HEADER
    count: int = 0
    prefixes: tuple[Prefix, ...] = ()
    unknown: bool = False

    @property
    def has_gateway(self) -> bool:
        """True if the hop that called the platform may be a gateway."""
        return self.unknown or self.count > 0 or bool(self.prefixes)


def find_caller(hops: Sequence[str], proxies: Proxies) -> str | None:
    """
    Return the address of the caller, or None if the hops do not tell it.

    Args:
        hops: From left to right; the last one called the platform. Each is an address, or an
            address and a port.
        proxies: The hops to go back over. Known by address, they are skipped as long as they are
            among the addresses; a caller who comes around them is found too.
    """
    if proxies.unknown:
        return None
    if not proxies.prefixes:
        place = len(hops) - 1 - proxies.count
        return read_hop(hops[place]) if place >= 0 else None
    for hop in reversed(hops):
        address = read_hop(hop)
        if address is None or not is_inside_any(ip_network(address), proxies.prefixes):
            return address
    return None


def read_hop(text: str) -> str | None:
    """Return the address in one hop without its port, or None if it cannot be read."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].split("]", 1)[0]
    elif text.count(":") == 1:
        text = text.split(":", 1)[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    if address.scope_id is not None:  # a zone of somebody's machine, in any words
        return None
    return str(address.ipv4_mapped or address)
