"""
Role definitions: the needed actions that each role grants.

Source:
    "Role Definitions - List" 2022-04-01
    (https://learn.microsoft.com/rest/api/authorization/role-definitions/list).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jit.domain.authorization.needed_actions import find_granted
from jit.domain.authorization.permission_json import (
    Permission,
    Unreadable,
    read_permissions,
    read_properties,
    read_text,
)
from jit.domain.azure.arm_json import Resource
from jit.domain.values import arm_ids


class GrantedActions(NamedTuple):
    """
    The needed actions of one role, as bits.

    Attributes:
        granted: Without any condition.
        conditional: Only by a permission with a condition, which the broker does not judge.
    """

    granted: int
    conditional: int


Roles = Mapping[str, GrantedActions | None]
"""Key of a role -> its actions; None if its definition cannot be read."""


def read_roles(items: Sequence[Resource]) -> Roles:
    """Return the roles of a list; one that is listed twice, in two forms, cannot be read."""
    found: dict[str, GrantedActions | None] = {}
    for item in items:
        try:
            key = make_role_key(read_text(item, "id"))
        except Unreadable:
            continue  # a role that nobody can name is assigned to nobody
        actions = _read_actions(item)
        found[key] = actions if found.get(key, actions) == actions else None
    return found


def make_role_key(role_id: str) -> str:
    """
    Return the key of a role: its GUID, in lower case.

    An assignment may name the role with or without the subscription.
    """
    return arm_ids.key(role_id).rstrip("/").rpartition("/")[2]


def _read_actions(item: Resource) -> GrantedActions | None:
    try:
        permissions = read_permissions(read_properties(item))
    except Unreadable:
        return None
    return GrantedActions(
        granted=_join(each for each in permissions if not each.is_conditional),
        conditional=_join(each for each in permissions if each.is_conditional),
    )


def _join(permissions: Iterable[Permission]) -> int:
    found = 0
    for each in permissions:
        found |= find_granted(each.actions, each.not_actions)
    return found
