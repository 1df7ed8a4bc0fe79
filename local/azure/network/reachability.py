"""
Reachability: would a packet from a source reach a VM's port now?

It evaluates the effective properties, not the shown ones: the paths through firewalls and load
balancers, then security admin rules, then the NSGs of subnet and interface in order of priority.
It shares no code with the broker, so that it can check the broker.

Source:
    https://learn.microsoft.com/azure/virtual-network/network-security-group-how-it-works
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from local.azure.arm.store import Store
from local.azure.network.balancer_paths import list_balancer_paths
from local.azure.network.firewall_paths import list_firewall_paths
from local.azure.network.packets import Flow, Path, is_in_network, is_in_ports, is_in_range
from local.azure.network.route_tables import find_detour
from local.azure.network.topology import Interface, list_interfaces, list_members
from local.azure.values import ids
from local.azure.values.http import Json

_PROBE = ip_address("168.63.129.16")  # the platform's load balancer probes come from here

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


def _list_paths(store: Store, machine: Json, flow: Flow) -> Iterator[Path]:
    for interface in list_interfaces(store, machine):
        if ip_address(interface.address).version != ip_address(flow.source).version:
            continue
        inside = is_in_network(store, interface.network, flow.source)
        if inside:
            yield Path("private", interface.address, flow.port, (flow.source,), interface)
        elif interface.public is not None:
            yield _public_path(store, interface, flow)
        yield from list_balancer_paths(store, interface, flow, inside=inside)
        yield from list_firewall_paths(store, interface, flow)


def _public_path(store: Store, interface: Interface, flow: Flow) -> Path:
    obstacle = find_detour(store, interface, flow.source)
    if not (interface.group or interface.subnet_group):
        obstacle = "a standard public IP without an NSG is closed"
    address = interface.public or ""
    return Path("publicIp", address, flow.port, (flow.source,), interface, obstacle)


def _find_denial(store: Store, way: Path, flow: Flow, admin: AdminRules) -> str | None:
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
        and any(is_in_ports(ports, flow.port) for ports in rule["destinationPortRanges"])
    )


def _is_among(store: Store, items: list[Json], address: str, network: str) -> bool:
    """Return True if one of *items* holds *address*; a list without items holds every address."""
    return not items or any(
        _is_in_prefix(store, item["addressPrefix"], address, network)
        for item in items
        if item["addressPrefixType"] != "NetworkGroup"
    )


def _find_nsg_denial(store: Store, way: Path, source: str, flow: Flow) -> str | None:
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
        and any(is_in_ports(p, flow.port) for p in _list_values(rule, "destinationPortRange"))
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
    inside = is_in_network(store, network, address)
    tags = {
        "virtualnetwork": inside,
        "internet": not inside and ip_address(address) != _PROBE,
        "azureloadbalancer": ip_address(address) == _PROBE,
    }
    if prefix.lower() in tags:
        return tags[prefix.lower()]
    return is_in_range(prefix, address)
