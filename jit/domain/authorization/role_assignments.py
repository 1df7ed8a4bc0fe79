"""
Role assignments of one person, those of the person's groups included.

Source:
    "List Azure role assignments using the REST API"
    (https://learn.microsoft.com/azure/role-based-access-control/role-assignments-list-rest): the
    filter ``assignedTo`` is transitive for groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jit.domain.authorization.permission_json import (
    MOST_ITEMS,
    Unreadable,
    has_condition,
    read_properties,
    read_text,
)
from jit.domain.authorization.role_definitions import make_role_key
from jit.domain.authorization.scopes import ROOT_SCOPE, read_scope
from jit.domain.azure.arm_json import Resource, properties, text
from jit.domain.values import arm_ids

_GROUPS = frozenset({"group", "foreigngroup", "directoryobjectorgroup", "everyone"})


class RoleAssignment(NamedTuple):
    """
    A role that a person has at a scope.

    Attributes:
        scope: Its key.
        role: The key of the role; None if the assignment cannot be read.
        is_conditional: True if a condition limits it. The broker does not judge conditions.
    """

    scope: str
    role: str | None
    is_conditional: bool = False


def read_assignments(items: Sequence[Resource], person_id: str) -> tuple[RoleAssignment, ...]:
    """
    Return the assignments of a person.

    Args:
        items: A list with the filter ``assignedTo`` of this person.
        person_id: Lower-case object id.

    Raises:
        Unreadable: The list holds an assignment of somebody else, so the filter did not count, or
            it is longer than a subscription allows.
    """
    if len(items) > MOST_ITEMS:
        raise Unreadable(f"more than {MOST_ITEMS} role assignments")
    if not all(_is_of(item, person_id) for item in items):
        raise Unreadable("the list holds a role assignment of somebody else")
    return tuple(map(_read_assignment, items))


def _is_of(item: Resource, person_id: str) -> bool:
    """Return True if the principal of an assignment is the person, or some group."""
    there = properties(item)
    is_person = arm_ids.lower_ascii(text(there, "principalId")) == person_id
    return is_person or text(there, "principalType").lower() in _GROUPS


def _read_assignment(item: Resource) -> RoleAssignment:
    scope = ROOT_SCOPE
    try:
        there = read_properties(item)
        scope = read_scope(there.get("scope"))
        role = make_role_key(read_text(there, "roleDefinitionId"))
    except Unreadable:
        return RoleAssignment(scope, None)
    return RoleAssignment(scope, role, has_condition(there))
