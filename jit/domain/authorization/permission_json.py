"""
JSON of Microsoft.Authorization: members that roles and deny assignments have in common.

An item that is read wrongly could grant something. So a member of another shape is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jit.domain.azure.arm_json import Resource

MOST_ITEMS = 20_000
"""
Items of a list. A subscription has 4,000 role assignments at most, and a tenant 5,000 custom roles.

Source: "Troubleshoot Azure RBAC limits"
(https://learn.microsoft.com/azure/role-based-access-control/troubleshoot-limits).
"""


class Unreadable(ValueError):
    """Azure lists something about rights that the broker does not understand."""


class Permission(NamedTuple):
    """
    One permission of a role definition or of a deny assignment.

    Attributes:
        actions: Patterns of actions of the control plane.
        not_actions: Patterns that are subtracted from them.
        is_conditional: True if a condition limits it.
    """

    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    is_conditional: bool


def read_properties(item: Resource) -> Resource:
    """Return the member ``properties``; Unreadable if it is no object."""
    return _require_object(item.get("properties"))


def read_permissions(properties: Resource) -> list[Permission]:
    """Return the permissions of a role or of a deny assignment; Unreadable for another shape."""
    return [
        Permission(
            actions=_read_texts(each, "actions"),
            not_actions=_read_texts(each, "notActions"),
            is_conditional=has_condition(each),
        )
        for each in list_objects(properties, "permissions")
    ]


def list_objects(holder: Resource, name: str) -> Iterator[Resource]:
    """Yield the objects of an array member; Unreadable for anything else."""
    value = holder.get(name)
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise Unreadable(f"{name} is no list")
    return map(_require_object, value)


def has_condition(holder: Resource) -> bool:
    """Return True if a condition stands there, in any form."""
    return holder.get("condition") not in (None, "")


def read_text(holder: Resource, name: str) -> str:
    """Return a text member that must be there; Unreadable if it is not."""
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{name} is no text")
    return value


def _read_texts(holder: Resource, name: str) -> tuple[str, ...]:
    """Return the texts of an array member; a missing one, or null, is empty."""
    value = holder.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unreadable(f"{name} is no list of texts")
    return tuple(value)


def _require_object(value: object) -> Resource:
    if isinstance(value, dict):
        return value
    raise Unreadable("not an object")
