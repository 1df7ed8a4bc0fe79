"""The rules of NSGs and firewalls, read from ARM's JSON and shown as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def resources_of_type(resources: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the resources of one kind, for example ``azureFirewalls``, without their children."""
    mark = f"/{kind}/".lower()
    return [item for key, item in resources.items() if _is_of_type(key.lower(), mark)]


def _is_of_type(key: str, mark: str) -> bool:
    return mark in key and "/" not in key.split(mark, 1)[1]


def jit_nat_rules(firewall: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the DNAT rules that Defender wrote."""
    collections = firewall["properties"].get("natRuleCollections") or []
    return [
        rule
        for collection in collections
        if collection["name"].startswith("MDC-JIT")
        for rule in collection["properties"]["rules"]
    ]


def rules_for_port(nsg: Mapping[str, Any], port: int) -> list[dict[str, Any]]:
    """Return the rules of an NSG that name *port*."""
    rules = nsg["properties"].get("securityRules") or []
    return [rule for rule in rules if str(port) in list_ports(rule["properties"])]


def list_ports(properties: Mapping[str, Any]) -> list[str]:
    """Return the destination ports of an NSG rule."""
    many = properties.get("destinationPortRanges") or []
    return [*many, str(properties.get("destinationPortRange") or "")]


def list_sources(rules: list[dict[str, Any]]) -> list[list[str]]:
    """Return the sources of each DNAT rule, single addresses without ``/32``."""
    return [[source.removesuffix("/32") for source in rule["sourceAddresses"]] for rule in rules]


def describe_nat_rule(rule: Mapping[str, Any]) -> str:
    """Return a DNAT rule as one line."""
    front = f"{rule['destinationAddresses'][0]}:{rule['destinationPorts'][0]}"
    back = f"{rule['translatedAddress']}:{rule['translatedPort']}"
    return f"{', '.join(rule['sourceAddresses'])} -> {front} -> {back}"


def describe_nsg_rule(rule: Mapping[str, Any]) -> str:
    """Return an NSG rule as one line."""
    body = rule["properties"]
    sources = body.get("sourceAddressPrefixes") or [body.get("sourceAddressPrefix")]
    where = body.get("destinationAddressPrefix") or "*"
    return (
        f"{body['priority']:4} {body['access']:5} {', '.join(sources)} -> {where}"
        f":{'/'.join(filter(None, list_ports(body)))}  {rule['name'][:44]}"
    )
