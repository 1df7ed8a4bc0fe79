"""
User-defined routes: where the answers of a VM with a public address go.

Source:
    https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview (the longest
    prefix decides); https://learn.microsoft.com/azure/firewall/integrate-lb (asymmetric routing)
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from local.azure.arm.store import Store
from local.azure.network.topology import Interface, find_subnet
from local.azure.values.http import Json

_DETOURS = {"VirtualAppliance", "VirtualNetworkGateway", "None"}


def find_detour(store: Store, interface: Interface, source: str) -> str | None:
    """Return why the answers to a public *source* do not arrive; None if they do."""
    subnet = find_subnet(store, interface.subnet) or {"properties": {}}
    reference = subnet["properties"].get("routeTable")
    table = store.get(reference["id"]) if reference else None
    routes = [each["properties"] for each in table["properties"].get("routes", ())] if table else []
    matching = [each for each in routes if _holds(each, source)]
    best = max(matching, key=lambda each: ip_network(each["addressPrefix"]).prefixlen, default=None)
    if best is None or best["nextHopType"] not in _DETOURS:
        return None
    return f"the answer goes to {best['nextHopType']}, not to the internet"


def _holds(route: Json, source: str) -> bool:
    """Return True if *source* is in the prefix of *route*; a service tag holds nothing here."""
    text = route["addressPrefix"]
    return text[0].isdigit() and ip_address(source) in ip_network(text)
