"""
Reachability: would a packet from a source reach a VM's port now?

It evaluates the effective properties, not the shown ones: firewall DNAT with its
source translation, then security admin rules, then the NSGs of subnet and interface
in order of priority.
It shares no code with the broker, so that it can check the broker.

Source:
    https://learn.microsoft.com/azure/virtual-network/network-security-group-how-it-works;
    https://learn.microsoft.com/azure/firewall/rule-processing;
    https://learn.microsoft.com/azure/firewall/tutorial-private-ip-dnat;
    https://learn.microsoft.com/azure/firewall/ip-groups;
    https://learn.microsoft.com/azure/dns/private-dns-autoregistration (a VM's name in its zone)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network

from local.azure.arm.store import Store
from local.azure.network.firewall_checks import list_private_addresses
from local.azure.network.topology import (
    Interface,
    find_firewalls,
    find_subnet,
    list_interfaces,
    list_legs,
    list_members,
    list_prefixes,
)
from local.azure.values import ids
from local.azure.values.http import Json

_IPV4 = 4
_PROBE = ip_address("168.63.129.16")  # the platform's load balancer probes come from here


@dataclass(frozen=True, slots=True)
class Flow:
    """
    A connection that somebody tries to open.

    Attributes:
        source: Address it comes from.
        machine: Id of the VM.
        port: On the VM.
        protocol: ``Tcp`` or ``Udp``.
    """

    source: str
    machine: str
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class _Path:
    """One path to the VM: *sources* are the addresses that its NSGs see."""

    kind: str
    address: str
    port: int
    sources: tuple[str, ...]
    interface: Interface
    obstacle: str | None = None

    def shown(self) -> Json:
        return {"kind": self.kind, "address": self.address, "port": self.port}


AdminRules = Mapping[str, list[Json]]
"""The effective security admin rules of virtual networks, by the network's key."""


def evaluate_flow(store: Store, flow: Flow, admin_rules: AdminRules | None = None) -> Json:
    """
    Return ``{"reachable", "via": [{"kind", "address", "port"}], "because"}``.

    Raises:
        ValueError: There is no such VM, or the source is no address.
    """
    machine = store.get(flow.machine)
    if machine is None:
        raise ValueError(f"there is no VM {flow.machine}")
    ip_address(flow.source)
    open_ways, reasons = [], []
    for way in _list_paths(store, machine, flow):
        reason = way.obstacle or _find_denial(store, way, flow, admin_rules or {})
        if reason is None:
            open_ways.append(way)
        else:
            reasons.append(f"{way.kind} {way.address}:{way.port}: {reason}")
    return {
        "reachable": bool(open_ways),
        "via": [way.shown() for way in open_ways],
        "because": "; ".join(reasons) or ("open" if open_ways else "no way leads to the VM"),
    }


def _list_paths(store: Store, machine: Json, flow: Flow) -> Iterator[_Path]:
    for interface in list_interfaces(store, machine):
        if ip_address(interface.address).version != ip_address(flow.source).version:
            continue
        if _is_in_network(store, interface.network, flow.source):
            yield _Path("private", interface.address, flow.port, (flow.source,), interface)
        elif interface.public is not None:
            yield _public_path(interface, flow)
        for firewall in find_firewalls(store, interface.network):
            yield from _list_firewall_paths(store, firewall, interface, flow)


def _public_path(interface: Interface, flow: Flow) -> _Path:
    guarded = interface.group or interface.subnet_group
    obstacle = None if guarded else "a standard public IP without an NSG is closed"
    address = interface.public or ""
    return _Path("publicIp", address, flow.port, (flow.source,), interface, obstacle)


def _list_firewall_paths(
    store: Store, firewall: Json, interface: Interface, flow: Flow
) -> Iterator[_Path]:
    effective = store.effective(firewall["id"])
    seen = _find_translated_sources(store, effective)
    for collection in effective.get("natRuleCollections", ()):
        for rule in collection["properties"]["rules"]:
            if _translates(store, rule, interface.address, flow):
                obstacle = _find_private_end(store, effective, rule, interface, flow)
                obstacle = obstacle or _find_firewall_denial(effective, interface.address, flow)
                address = rule["destinationAddresses"][0]
                port = int(rule["destinationPorts"][0])
                yield _Path("firewall", address, port, seen, interface, obstacle)


def _find_private_end(
    store: Store, firewall: Json, rule: Json, interface: Interface, flow: Flow
) -> str | None:
    """Return why a source cannot reach a NAT rule on a private address; None if it can."""
    private = list_private_addresses(firewall)
    is_inside = _is_in_network(store, interface.network, flow.source)
    if is_inside or not set(rule["destinationAddresses"]) <= set(private):
        return None
    return "the firewall's address is private"


def _find_translated_sources(store: Store, firewall: Json) -> tuple[str, ...]:
    """Return the lowest with the highest address that DNAT traffic can come from."""
    for subnet_id in list_legs({"properties": firewall}):
        subnet = find_subnet(store, subnet_id)
        if subnet is not None:
            networks = map(ip_network, list_prefixes(subnet))
            network = next(each for each in networks if each.version == _IPV4)
            return str(network[4]), str(network[-2])
    return ()


def _translates(store: Store, rule: Json, address: str, flow: Flow) -> bool:
    name = str(rule.get("translatedFqdn") or "").partition(".")[0]
    is_named = bool(name) and name.lower() == flow.machine.rsplit("/", 1)[-1].lower()
    return (
        (rule.get("translatedAddress") == address or is_named)
        and int(rule.get("translatedPort", 0)) == flow.port
        and flow.protocol.upper() in [each.upper() for each in rule["protocols"]]
        and any(_is_in_range(each, flow.source) for each in _list_sources(store, rule))
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
        and any(_is_in_range(each, flow.source) for each in rule.get("sourceAddresses") or ())
        and any(_is_in_range(each, address) for each in rule.get("destinationAddresses") or ())
        and any(_is_in_ports(each, flow.port) for each in rule.get("destinationPorts") or ())
    )


def _find_denial(store: Store, way: _Path, flow: Flow, admin: AdminRules) -> str | None:
    """Return the reason why a source of this path does not get in; None if all of them do."""
    for source in way.sources:
        rule = _find_admin_rule(store, admin, source, way.interface, flow)
        access = "Allow" if rule is None else rule["properties"]["access"]
        if access == "Deny":
            return f"security admin rule {(rule or {})['id'].rsplit('/', 1)[1]} denies {source}"
        if access == "Allow" and (reason := _find_nsg_denial(store, way, source, flow)):
            return reason
    return None


def _find_admin_rule(
    store: Store, admin: AdminRules, source: str, interface: Interface, flow: Flow
) -> Json | None:
    """Return the security admin rule that takes the flow: of the manager that is listed first."""
    managers: dict[str, list[Json]] = {}
    for rule in admin.get(ids.key(interface.network), ()):
        if rule["properties"]["direction"] == "Inbound":
            manager = ids.key(rule["id"]).partition("/securityadminconfigurations/")[0]
            managers.setdefault(manager, []).append(rule)
    for rules in managers.values():
        for rule in sorted(rules, key=lambda each: int(each["properties"]["priority"])):
            if _admin_rule_matches(store, rule["properties"], source, interface, flow):
                return rule
    return None


def _admin_rule_matches(
    store: Store, rule: Json, source: str, interface: Interface, flow: Flow
) -> bool:
    return (
        rule["protocol"].lower() in {"any", flow.protocol.lower()}
        and _is_among(store, rule["sources"], source, interface.network)
        and _is_among(store, rule["destinations"], interface.address, interface.network)
        and any(_is_in_ports(ports, flow.port) for ports in rule["destinationPortRanges"])
    )


def _is_among(store: Store, items: list[Json], address: str, network: str) -> bool:
    """Return True if one of *items* holds *address*; a list without items holds every address."""
    return not items or any(
        _is_in_prefix(store, item["addressPrefix"], address, network)
        for item in items
        if item["addressPrefixType"] != "NetworkGroup"
    )


def _find_nsg_denial(store: Store, way: _Path, source: str, flow: Flow) -> str | None:
    """Return the reason of an NSG that stops the flow on this path; None if all let it in."""
    for group_id in filter(None, (way.interface.subnet_group, way.interface.group)):
        rule = _find_deciding_rule(store, group_id, source, way.interface, flow)
        if rule is None or rule["properties"]["access"] != "Allow":
            name = "no rule" if rule is None else f"rule {rule['name']}"
            return f"{name} of {group_id.rsplit('/', 1)[1]} denies {source}"
    return None


def _find_deciding_rule(
    store: Store, group_id: str, source: str, interface: Interface, flow: Flow
) -> Json | None:
    properties = store.effective(group_id)
    rules = [*properties.get("securityRules", ()), *properties.get("defaultSecurityRules", ())]
    inbound = [each for each in rules if each["properties"]["direction"] == "Inbound"]
    for rule in sorted(inbound, key=lambda each: int(each["properties"]["priority"])):
        if _matches(store, rule["properties"], source, interface, flow):
            found: Json = rule
            return found
    return None


def _matches(store: Store, rule: Json, source: str, interface: Interface, flow: Flow) -> bool:
    network = interface.network
    return (
        rule["protocol"].lower() in {"*", flow.protocol.lower()}
        and _is_at_end(store, rule, "source", source, network)
        and _is_at_end(store, rule, "destination", interface.address, network)
        and any(_is_in_ports(p, flow.port) for p in _list_values(rule, "destinationPortRange"))
    )


def _is_at_end(store: Store, rule: Json, end: str, address: str, network: str) -> bool:
    """
    Return True if *address* is one of the source or destination addresses of *rule*.

    A rule with an application security group that has no member applies to nothing:
    https://github.com/MicrosoftDocs/azure-docs/issues/77328.
    """
    groups = rule.get(f"{end}ApplicationSecurityGroups") or ()
    members = [set(list_members(store, ids.key(each["id"]), network)) for each in groups]
    if members:
        return all(members) and any(address in addresses for addresses in members)
    texts = _list_values(rule, f"{end}AddressPrefix")
    return any(_is_in_prefix(store, text, address, network) for text in texts)


def _list_values(rule: Json, name: str) -> list[str]:
    plural = rule.get(name + "es") or rule.get(name + "s") or []
    one = rule.get(name)
    return [*([one] if one else []), *plural]


def _is_in_prefix(store: Store, prefix: str, address: str, network: str) -> bool:
    if prefix == "*":
        return True
    inside = _is_in_network(store, network, address)
    tags = {
        "virtualnetwork": inside,
        "internet": not inside and ip_address(address) != _PROBE,
        "azureloadbalancer": ip_address(address) == _PROBE,
    }
    if prefix.lower() in tags:
        return tags[prefix.lower()]
    return _is_in_range(prefix, address)


def _is_in_range(prefix: str, address: str) -> bool:
    """Return True if *address* lies in a prefix, a range ``a-b``, or ``*``; a tag holds nothing."""
    if prefix == "*":
        return True
    try:
        low, dash, high = prefix.partition("-")
        if dash:
            return IPv4Address(low) <= IPv4Address(address) <= IPv4Address(high)
        return ip_address(address) in ip_network(prefix, strict=False)
    except ValueError:
        return False


def _is_in_ports(text: str, port: int) -> bool:
    low, _, high = text.partition("-")
    return text == "*" or int(low) <= port <= int(high or low)


def _is_in_network(store: Store, network_id: str, address: str) -> bool:
    """Return True if *address* belongs to the virtual network or to a peered one."""
    network = store.get(network_id)
    if network is None:
        return False
    peers = [
        store.get(peering["properties"]["remoteVirtualNetwork"]["id"])
        for peering in network["properties"].get("virtualNetworkPeerings", ())
    ]
    spaces = [
        ip_network(prefix)
        for each in (network, *peers)
        if each is not None and ids.key(each["type"]) == ids.key(ids.NETWORKS)
        for prefix in each["properties"]["addressSpace"]["addressPrefixes"]
    ]
    return any(ip_address(address) in space for space in spaces)
