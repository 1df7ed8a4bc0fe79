"""The ARM form of a firewall that the landscape names in short."""

from __future__ import annotations

from collections.abc import Callable

from local.azure.landscape.arm_forms import Place, link
from local.azure.values import ids
from local.azure.values.http import Json


def firewall(place: Place, short: Json, address: str) -> Json:
    """Return the firewall whose public IP is *address*; with ``policy``, without classic rules."""
    leg = {
        "name": "azureFirewallIpConfiguration",
        "properties": {
            "privateIPAddress": short["privateIp"],
            "subnet": {"id": place.subnet(short["subnet"])},
            "publicIPAddress": {"id": place.id(ids.ADDRESSES, short["publicIp"])},
        },
    }
    properties: Json = {
        "sku": {"name": "AZFW_VNet", "tier": "Standard"},
        "threatIntelMode": "Alert",
        "additionalProperties": {},
        "ipConfigurations": [leg],
        "natRuleCollections": [
            _nat_collection(each, address) for each in short.get("natRules", ())
        ],
        "networkRuleCollections": [
            _collection(each, _network_rule) for each in short.get("networkRules", ())
        ],
        "applicationRuleCollections": [
            _collection(each, _application_rule) for each in short.get("applicationRules", ())
        ],
        **link("firewallPolicy", place, "Microsoft.Network/firewallPolicies", short.get("policy")),
    }
    return place.resource(ids.FIREWALLS, short["name"], properties)


def _nat_collection(short: Json, address: str) -> Json:
    rules = [_nat_rule(rule, address) for rule in short["rules"]]
    properties = {"priority": short["priority"], "action": {"type": "Dnat"}, "rules": rules}
    return {"name": short["collection"], "properties": properties}


def _nat_rule(short: Json, address: str) -> Json:
    target, port = short["to"].rsplit(":", 1)
    return {
        "name": short["name"],
        "protocols": short["protocols"],
        "sourceAddresses": short["sources"],
        "destinationAddresses": [address],
        "destinationPorts": [short["port"]],
        "sourceIpGroups": [],
        "translatedAddress": target,
        "translatedPort": port,
    }


def _collection(short: Json, rule: Callable[[Json], Json]) -> Json:
    return {
        "name": short["collection"],
        "properties": {
            "priority": short["priority"],
            "action": {"type": short["action"]},
            "rules": [rule(each) for each in short["rules"]],
        },
    }


def _network_rule(short: Json) -> Json:
    return {
        "name": short["name"],
        "protocols": short["protocols"],
        "sourceAddresses": short["sources"],
        "destinationAddresses": short["destinations"],
        "destinationPorts": short["ports"],
        "sourceIpGroups": [],
        "destinationIpGroups": [],
        "destinationFqdns": [],
    }


def _application_rule(short: Json) -> Json:
    return {
        "name": short["name"],
        "protocols": [{"protocolType": "Https", "port": 443}],
        "targetFqdns": short["fqdns"],
        "fqdnTags": [],
        "sourceAddresses": short["sources"],
        "sourceIpGroups": [],
    }
