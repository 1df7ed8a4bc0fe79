"""
The shapes that the network provider deserializes: checked before anything is read from a body.

``local.azure.values.shapes`` says what a shape is. Null counts as absent.

Source:
    Microsoft.Network 2021-02-01, azureFirewall.json, networkSecurityGroup.json.
"""

from __future__ import annotations

from typing import Any

from local.azure.values.http import ArmError
from local.azure.values.shapes import REFERENCE, find_faults

REFERENCES = [REFERENCE]
_LEG = {
    "name!": str,
    "properties!": {
        "privateIPAddress": str,
        "subnet": REFERENCE,
        "publicIPAddress": REFERENCE,
    },
}
_RULE = {
    "name!": str,
    "sourceAddresses": [str],
    "sourceIpGroups": [str],
    "destinationAddresses": [str],
    "destinationPorts": [str],
}
_NAT_RULE = {
    **_RULE,
    "protocols": [str],
    "translatedAddress": str,
    "translatedFqdn": str,
    "translatedPort": str,
}


def _collection_shape(rule: object) -> object:
    action = {"type!": str}
    return {"name!": str, "properties!": {"priority": int, "action": action, "rules": [rule]}}


FIREWALL_PROPERTIES: dict[str, object] = {
    "ipConfigurations": [_LEG],
    "natRuleCollections": [_collection_shape(_NAT_RULE)],
    "networkRuleCollections": [_collection_shape({**_RULE, "protocols": [str]})],
    "applicationRuleCollections": [_collection_shape(_RULE)],
    "firewallPolicy": REFERENCE,
    "sku": {"name": str, "tier": str},
}
FIREWALL = {"location!": str, "tags": {}, "properties!": FIREWALL_PROPERTIES}
SECURITY_GROUP = {
    "location": str,
    "tags": {},
    "properties": {"securityRules": [{"name!": str, "properties!": {}}]},
}


def check(value: Any, shape: Any, place: str = "$") -> None:
    """
    Check that *value* has *shape*; *place* is its position in the body.

    Raises:
        ArmError: 400, naming the first place that has not.
    """
    for where, wanted in find_faults(value, shape, place):
        raise ArmError(
            400,
            "InvalidRequestFormat",
            "The request content was invalid and could not be deserialized: "
            f"'{where} is not {wanted}'.",
            details=[],
        )
