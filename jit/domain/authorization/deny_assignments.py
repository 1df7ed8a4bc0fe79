"""
Deny assignments: they take actions away, also from those to whom a role grants them.

Source:
    "Understand Azure deny assignments" (https://learn.microsoft.com/azure/role-based-access-control/deny-assignments)
    and "Deny Assignments - List" 2022-04-01
    (https://learn.microsoft.com/rest/api/authorization/deny-assignments/list).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jit.domain.authorization.needed_actions import ALL, find_denied
from jit.domain.authorization.permission_json import (
    MOST_ITEMS,
    Unreadable,
    list_objects,
    read_permissions,
    read_properties,
    read_text,
)
from jit.domain.authorization.scopes import ROOT_SCOPE, read_scope
from jit.domain.azure.arm_json import Resource, text
from jit.domain.values import arm_ids

EVERYBODY = "00000000-0000-0000-0000-000000000000"
"""The id that stands for all principals."""

_NO_GROUPS = frozenset({"user", "serviceprincipal"})


class Principal(NamedTuple):
    """
    A principal of a deny assignment.

    Attributes:
        id: Lower-case object id.
        may_be_group: False for people and applications.
    """

    id: str
    may_be_group: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyAssignment:
    """
    A deny assignment, as far as it can be read.

    Attributes:
        scope: Its key.
        denied: The needed actions that it takes away, as bits.
        is_exact: True if it does not apply to the scopes below its own.
        principals: Those to whom it applies.
        excluded: Those to whom it does not apply although they are among *principals*.
        is_readable: False if a part is not understood: nobody can tell to whom it applies.
    """

    scope: str = ROOT_SCOPE
    denied: int = ALL
    is_exact: bool = False
    principals: tuple[Principal, ...] = ()
    excluded: tuple[Principal, ...] = ()
    is_readable: bool = True

    def judge_person(self, person_id: str, groups: frozenset[str] | None) -> bool | None:
        """
        Return True if it applies to a person; None if nobody can tell.

        Args:
            person_id: Lower-case object id.
            groups: Lower-case object ids of the person's groups; None if they are not known.
        """
        if not self.is_readable:
            return None
        own = {person_id, *(groups or ())}
        if any(each.id in own for each in self.excluded):
            return False
        named = _find_any(self.principals, own | {EVERYBODY}, groups)
        excluded = _find_any(self.excluded, own, groups)
        return named if excluded is False or named is False else None


def read_deny_assignments(items: Sequence[Resource]) -> tuple[DenyAssignment, ...]:
    """
    Return the deny assignments of a list that take a needed action away, or may do so.

    Raises:
        Unreadable: The list is too long.
    """
    if len(items) > MOST_ITEMS:
        raise Unreadable(f"more than {MOST_ITEMS} deny assignments")
    return tuple(each for each in map(_read_deny, items) if each.denied)


def _read_deny(item: Resource) -> DenyAssignment:
    """Return one deny assignment; a condition is not judged, so it limits nothing."""
    scope, denied = ROOT_SCOPE, ALL
    try:
        there = read_properties(item)
        scope = read_scope(there.get("scope"))
        denied = _read_denied(there)
        return DenyAssignment(
            scope=scope,
            denied=denied,
            is_exact=there.get("doNotApplyToChildScopes") is True,
            principals=_read_named(there),
            excluded=_read_principals(there, "excludePrincipals"),
        )
    except Unreadable:
        return DenyAssignment(scope=scope, denied=denied, is_readable=False)


def _read_denied(there: Resource) -> int:
    """Return the needed actions that the permissions take away, as bits."""
    found = 0
    for each in read_permissions(there):
        found |= find_denied(each.actions, each.not_actions)
    return found


def _read_named(there: Resource) -> tuple[Principal, ...]:
    """Return the principals; without one nobody can tell to whom it applies."""
    found = _read_principals(there, "principals")
    if not found:
        raise Unreadable("a deny assignment without principals")
    return found


def _read_principals(there: Resource, name: str) -> tuple[Principal, ...]:
    if there.get(name) is None:
        return ()
    return tuple(
        Principal(
            id=arm_ids.lower_ascii(read_text(each, "id")),
            may_be_group=text(each, "type").lower() not in _NO_GROUPS,
        )
        for each in list_objects(there, name)
    )


def _find_any(
    principals: Sequence[Principal], ids: set[str], groups: frozenset[str] | None
) -> bool | None:
    """Return True if one of *ids* is there; None if a group is there and may be the person's."""
    if any(each.id in ids for each in principals):
        return True
    return None if groups is None and any(each.may_be_group for each in principals) else False
