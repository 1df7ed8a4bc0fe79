"""
The checks of the network provider on a firewall with classic rules.

Source:
    Microsoft.Network 2021-02-01, azureFirewall.json;
    https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-firewall-limits;
    https://learn.microsoft.com/azure/firewall/tutorial-private-ip-dnat
    The error codes of the checks are assumptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.azure.values.http import ArmError, Json

KINDS = ("natRuleCollections", "networkRuleCollections", "applicationRuleCollections")
MOST_DESTINATIONS = 250
_LOWEST, _HIGHEST = 100, 65000
_TOP_NAT_PORT = 63999
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,78}[A-Za-z0-9_])?", re.ASCII)
_PORTS = re.compile(r"\*|\d{1,5}(?:-\d{1,5})?", re.ASCII)
_NAT_FIELDS = ("destinationAddresses", "destinationPorts", "protocols")


def check(properties: Json, addresses: list[str]) -> None:
    """
    Check a firewall's *properties*, which have their shape; *addresses* are its public IPs.

    A NAT rule may also have a private address of the firewall as its destination, except in the
    tier Basic.

    Raises:
        ArmError: 400 for the first fault.
    """
    if properties.get("firewallPolicy") and any(properties.get(kind) for kind in KINDS):
        raise _firewall_error(
            "AzureFirewallPolicyAndRuleCollectionsConflict",
            "A firewall with a firewall policy cannot have rule collections of its own.",
        )
    for kind in KINDS:
        collections = properties.get(kind) or []
        _check_unique(kind, collections)
        for collection in collections:
            _check_collection(collection)
    for collection in properties.get("networkRuleCollections") or []:
        _check_ports(collection)
    if properties.get("ipConfigurations"):  # a deallocated one keeps rules for its old addresses
        _check_nat(
            properties.get("natRuleCollections") or [],
            addresses,
            list_private_addresses(properties),
        )


def list_private_addresses(properties: Json) -> list[str]:
    """Return the private addresses of a firewall that a NAT rule may have as its destination."""
    if (properties.get("sku") or {}).get("tier") == "Basic":
        return []
    legs = properties.get("ipConfigurations") or ()
    return [leg["properties"].get("privateIPAddress", "") for leg in legs]


def _check_unique(kind: str, collections: list[Json]) -> None:
    names = [each["name"].lower() for each in collections]
    priorities = [each["properties"].get("priority") for each in collections]
    for what, values in (("name", names), ("priority", priorities)):
        if len(set(values)) != len(values):
            raise _firewall_error(
                "AzureFirewallRuleCollectionConflict",
                f"Two of the {kind} have the same {what}: {sorted(values, key=str)}.",
            )


def _check_collection(collection: Json) -> None:
    name, properties = collection["name"], collection["properties"]
    priority, rules = properties.get("priority"), properties.get("rules")
    if not _NAME.fullmatch(name):
        raise _firewall_error("InvalidResourceName", f"Resource name {name} is invalid.")
    if priority is None:
        raise _firewall_error("InvalidRequestFormat", f"Rule collection {name} has no priority.")
    if not _LOWEST <= priority <= _HIGHEST:
        raise _firewall_error(
            "AzureFirewallRuleCollectionInvalidPriority",
            f"Rule collection {name} has priority {priority}; allowed is {_LOWEST}-{_HIGHEST}.",
        )
    if not rules:
        raise _firewall_error(
            "AzureFirewallRuleCollectionEmpty", f"Rule collection {name} has no rules."
        )
    names = [rule["name"].lower() for rule in rules]
    if len(set(names)) != len(names):
        raise _firewall_error("AzureFirewallRuleConflict", f"Rules of {name} have the same name.")


def _check_ports(collection: Json) -> None:
    for rule in collection["properties"]["rules"]:
        for port in rule.get("destinationPorts") or ():
            if not _PORTS.fullmatch(port):
                message = f"Network rule {rule['name']} has port {port}."
                raise _firewall_error("AzureFirewallRuleInvalidPort", message)


def _check_nat(collections: list[Json], addresses: list[str], private: list[str]) -> None:
    for collection in collections:
        for rule in collection["properties"]["rules"]:
            _check_nat_rule(rule, [*addresses, *private])
    unique = set(_list_destinations(collections))
    if len(addresses) + len(unique) > MOST_DESTINATIONS:
        raise _firewall_error(
            "AzureFirewallDnatLimitExceeded",
            f"A firewall takes {MOST_DESTINATIONS} unique DNAT destinations with its public IPs; "
            f"these are {len(addresses) + len(unique)}.",
        )


def _list_destinations(collections: list[Json]) -> Iterator[tuple[str, str, str]]:
    for collection in collections:
        for rule in collection["properties"]["rules"]:
            for address in rule["destinationAddresses"]:
                for port in rule["destinationPorts"]:
                    for protocol in rule["protocols"]:
                        yield address, port, protocol.upper()


def _check_nat_rule(rule: Json, addresses: list[str]) -> None:
    name = rule["name"]
    if not all(rule.get(field) for field in _NAT_FIELDS):
        raise _firewall_error(
            "InvalidRequestFormat", f"NAT rule {name} lacks {', '.join(_NAT_FIELDS)}."
        )
    if bool(rule.get("sourceAddresses")) == bool(rule.get("sourceIpGroups")):
        message = f"NAT rule {name} needs sourceAddresses or sourceIpGroups, not both."
        raise _firewall_error("AzureFirewallRuleInvalidSource", message)
    if bool(rule.get("translatedAddress")) == bool(rule.get("translatedFqdn")):
        message = f"NAT rule {name} needs translatedAddress or translatedFqdn, not both."
        raise _firewall_error("AzureFirewallRuleInvalidTranslation", message)
    if not set(rule["destinationAddresses"]) <= set(addresses):
        message = f"NAT rule {name} has a destination that is no address of the firewall."
        raise _firewall_error("AzureFirewallRuleInvalidDestination", message)
    if not {each.upper() for each in rule["protocols"]} <= {"TCP", "UDP"}:
        raise _firewall_error("AzureFirewallRuleInvalidProtocol", f"NAT rule {name}: TCP or UDP.")
    for port in (*rule["destinationPorts"], rule.get("translatedPort")):
        if not str(port).isdecimal() or not 1 <= int(port) <= _TOP_NAT_PORT:
            message = f"NAT rule {name} has port {port}; allowed is 1-{_TOP_NAT_PORT}."
            raise _firewall_error("AzureFirewallRuleInvalidPort", message)


def _firewall_error(code: str, message: str) -> ArmError:
    return ArmError(400, code, message, details=[])
