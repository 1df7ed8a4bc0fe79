"""
The paths through firewalls: those in the VM's virtual network, and those in connected ones.

The rules of a firewall policy are not simulated.

Source:
    https://learn.microsoft.com/azure/firewall/rule-processing;
    https://learn.microsoft.com/azure/firewall/tutorial-private-ip-dnat;
    https://learn.microsoft.com/azure/firewall/ip-groups;
    https://learn.microsoft.com/azure/firewall/firewall-faq (a translated packet comes from an
    address of AzureFirewallSubnet, in a hub too);
    https://learn.microsoft.com/azure/dns/private-dns-autoregistration (a VM's name in its zone)
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from local.azure.arm.store import Store
from local.azure.network.firewall_checks import list_private_addresses
from local.azure.network.packets import (
    Flow,
    Path,
    is_in_network,
    is_in_ports,
    is_in_range,
    list_peers,
)
from local.azure.network.topology import (
    Interface,
    find_firewalls,
    find_subnet,
    list_legs,
    list_prefixes,
)
from local.azure.values import ids
from local.azure.values.http import Json

_IPV4 = 4


def list_firewall_paths(store: Store, interface: Interface, flow: Flow) -> Iterator[Path]:
    """Yield the paths of *flow* to *interface* by NAT rules, also those that are obstructed."""
    if ip_address(interface.address).version != _IPV4:
        return
    network = store.get(interface.network)
    peers = () if network is None else list_peers(store, network)
    for network_id in (interface.network, *(each["id"] for each in peers)):
        for firewall in find_firewalls(store, network_id):
            yield from _list_paths(store, firewall, interface, flow)


def _list_paths(store: Store, firewall: Json, interface: Interface, flow: Flow) -> Iterator[Path]:
    effective = store.effective(firewall["id"])
    seen = _find_translated_sources(store, effective)
    for collection in effective.get("natRuleCollections", ()):
        for rule in collection["properties"]["rules"]:
            if _translates(store, rule, interface.address, flow):
                obstacle = _find_private_end(store, effective, rule, flow)
                obstacle = obstacle or _find_firewall_denial(effective, interface.address, flow)
                address = rule["destinationAddresses"][0]
                port = int(rule["destinationPorts"][0])
                yield Path("firewall", address, port, seen, interface, obstacle)


def _find_private_end(store: Store, firewall: Json, rule: Json, flow: Flow) -> str | None:
    """Return why a source cannot reach a NAT rule on a private address; None if it can."""
    private = list_private_addresses(firewall)
    networks = map(ids.parent, list_legs({"properties": firewall}))
    is_inside = any(is_in_network(store, each, flow.source) for each in networks)
    if is_inside or not set(rule["destinationAddresses"]) <= set(private):
        return None
    return "the firewall's address is private"


def _find_translated_sources(store: Store, firewall: Json) -> tuple[str, ...]:
    """Return the lowest with the highest address that DNAT traffic can come from."""
    for subnet_id in list_legs({"properties": firewall}):
        subnet = find_subnet(store, subnet_id)
        prefixes = [] if subnet is None else list_prefixes(subnet)
        for network in map(ip_network, prefixes):
            if network.version == _IPV4:
                return str(network[4]), str(network[-2])
    return ()


def _translates(store: Store, rule: Json, address: str, flow: Flow) -> bool:
    name = str(rule.get("translatedFqdn") or "").partition(".")[0]
    is_named = bool(name) and name.lower() == flow.machine.rsplit("/", 1)[-1].lower()
    return (
        (rule.get("translatedAddress") == address or is_named)
        and int(rule.get("translatedPort", 0)) == flow.port
        and flow.protocol.upper() in [each.upper() for each in rule["protocols"]]
        and any(is_in_range(each, flow.source) for each in _list_sources(store, rule))
    )


def _list_sources(store: Store, rule: Json) -> Iterator[str]:
    """Yield the sources of a NAT rule, those of its IP groups too; an unknown group has none."""
    yield from rule.get("sourceAddresses") or ()
    for group_id in rule.get("sourceIpGroups") or ():
        group = store.get(group_id)
        yield from group["properties"].get("ipAddresses", ()) if group else ()


def _find_firewall_denial(firewall: Json, address: str, flow: Flow) -> str | None:
    """Return the network rule that denies a flow that DNAT would let in; None if there is none."""
    collections = firewall.get("networkRuleCollections", ())
    for collection in sorted(collections, key=lambda each: int(each["properties"]["priority"])):
        for rule in collection["properties"]["rules"]:
            if _network_rule_matches(rule, address, flow):
                denies = collection["properties"].get("action") == {"type": "Deny"}
                return f"firewall rule {rule['name']} denies" if denies else None
    return None


def _network_rule_matches(rule: Json, address: str, flow: Flow) -> bool:
    protocols = [each.upper() for each in rule.get("protocols") or ()]
    return (
        (flow.protocol.upper() in protocols or "ANY" in protocols)
        and any(is_in_range(each, flow.source) for each in rule.get("sourceAddresses") or ())
        and any(is_in_range(each, address) for each in rule.get("destinationAddresses") or ())
        and any(is_in_ports(each, flow.port) for each in rule.get("destinationPorts") or ())
    )
