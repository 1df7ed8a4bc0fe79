"""
The members of a firewall's ARM body that only Azure writes.

A PUT replaces the whole firewall. Azure shows these members in each answer, and its description
marks them read-only, so a request must not have them. Everything else in the body is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jit.domain.azure.arm_json import Resource

_Shape = Mapping[str, "_Shape | None"]

_LEG: _Shape = {
    "etag": None,
    "type": None,
    "properties": {"privateIPAddress": None, "provisioningState": None},
}
_COLLECTION: _Shape = {"etag": None, "properties": {"provisioningState": None}}
READ_ONLY: _Shape = {
    "etag": None,
    "name": None,
    "type": None,
    "properties": {
        "afcConfiguration": None,
        "applicationRuleCollections": _COLLECTION,
        "ipConfigurations": _LEG,
        "ipGroups": None,
        "managementIpConfiguration": _LEG,
        "natRuleCollections": _COLLECTION,
        "networkRuleCollections": _COLLECTION,
        "provisioningState": None,
    },
}
"""
The read-only members by their place; None marks one. A shape holds for each item of an array.

Source:
    Microsoft.Network 2026-03-01, ``AzureFirewall`` and the definitions below it, ``readOnly``:
    those of every earlier version, and ``afcConfiguration``. azure-mgmt-network 33.1.0 has the same
    as ``visibility=["read"]``; a test compares the two.
"""


def drop_read_only(firewall: Resource) -> dict[str, Any]:
    """
    Return a copy of *firewall* without the members that only Azure writes, for a PUT.

    All other members keep their values and their order, also those that this code does not know.
    """
    kept: dict[str, Any] = _drop(firewall, READ_ONLY)
    return kept


def _drop(value: Any, shape: _Shape) -> Any:
    if isinstance(value, list):
        return [_drop(item, shape) for item in value]
    if not isinstance(value, Mapping):
        return value
    kept = {}
    for name, member in value.items():
        below = shape.get(name, {})
        if below is not None:
            kept[name] = _drop(member, below)
    return kept
