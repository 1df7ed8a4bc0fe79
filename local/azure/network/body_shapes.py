"""
The shapes that the network provider deserializes: checked before anything is read from a body.

A shape is a type, a list of one shape, or an object of named shapes; a name that
ends with ``!`` must be there. Null counts as absent. Fields that a shape does
not name are fine: no check here looks at them.

Source:
    Microsoft.Network 2021-02-01, azureFirewall.json, networkSecurityGroup.json.
"""

from __future__ import annotations

from typing import Any

from local.azure.values.http import ArmError

_REFERENCE = {"id!": str}
REFERENCES = [_REFERENCE]
_LEG = {"name!": str, "properties!": {"subnet": _REFERENCE, "publicIPAddress": _REFERENCE}}
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


FIREWALL = {
    "location!": str,
    "tags": {},
    "properties!": {
        "ipConfigurations": [_LEG],
        "natRuleCollections": [_collection_shape(_NAT_RULE)],
        "networkRuleCollections": [_collection_shape({**_RULE, "protocols": [str]})],
        "applicationRuleCollections": [_collection_shape(_RULE)],
        "firewallPolicy": _REFERENCE,
    },
}
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
    if isinstance(shape, dict):
        _check_object(value, shape, place)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _shape_error(place, "a list")
        for index, each in enumerate(value):
            check(each, shape[0], f"{place}[{index}]")
    elif not isinstance(value, shape) or isinstance(value, bool):
        raise _shape_error(place, f"of type {shape.__name__}")


def _check_object(value: Any, shape: dict[str, Any], place: str) -> None:
    if not isinstance(value, dict):
        raise _shape_error(place, "an object")
    for name, inner in shape.items():
        field = name.rstrip("!")
        if value.get(field) is not None:
            check(value[field], inner, f"{place}.{field}")
        elif name != field:
            raise _shape_error(f"{place}.{field}", "there")


def _shape_error(place: str, wanted: str) -> ArmError:
    return ArmError(
        400,
        "InvalidRequestFormat",
        "The request content was invalid and could not be deserialized: "
        f"'{place} is not {wanted}'.",
        details=[],
    )
