"""
Rights: role definitions, role assignments, deny assignments, groups, management groups.

Source:
    https://learn.microsoft.com/azure/role-based-access-control/overview
    https://learn.microsoft.com/azure/role-based-access-control/deny-assignments
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from local.azure.values import ids
from local.azure.values.http import Json

EVERYONE = "00000000-0000-0000-0000-000000000000"
MANAGEMENT_GROUPS = "/providers/Microsoft.Management/managementGroups/"


@dataclass(frozen=True, slots=True)
class _Held:
    """
    The rights of one principal, those of its groups included.

    Attributes:
        grants: The permissions of roles by the key of their scope.
        denials: The permissions of deny assignments, in the same way.
        own: The permissions of deny assignments that scopes below do not inherit.
    """

    grants: dict[str, list[Json]] = field(default_factory=dict)
    denials: dict[str, list[Json]] = field(default_factory=dict)
    own: dict[str, list[Json]] = field(default_factory=dict)


@dataclass(slots=True)
class Rights:
    """
    All rights of a tenant, in ARM's form; ``refresh`` after each change.

    Attributes:
        tenant: The tenant's GUID. Its root management group has the same name.
        definitions: Role definitions by GUID in lower case.
        assignments: Role assignments by the key of their id.
        denials: Deny assignments by the key of their id.
        groups: By object id in lower case: ``displayName, members`` (object ids).
        management_groups: By name in lower case: ``parent`` (a name or null), ``subscriptions``.
    """

    tenant: str
    definitions: dict[str, Json] = field(default_factory=dict)
    assignments: dict[str, Json] = field(default_factory=dict)
    denials: dict[str, Json] = field(default_factory=dict)
    groups: dict[str, Json] = field(default_factory=dict)
    management_groups: dict[str, Json] = field(default_factory=dict)
    _held: dict[str, _Held] = field(default_factory=dict)
    _above: dict[str, frozenset[str]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Forget what was derived from an earlier content."""
        self._held.clear()
        self._above.clear()

    def may(self, principal: str, action: str, scope: str) -> bool:
        """
        Return True if the *principal* (object id) may do *action* at *scope*.

        A deny assignment wins over each role. A role assignment with a condition grants nothing
        here, because nothing here reads conditions.
        """
        if principal not in self._held:
            self._held[principal] = self._collect(principal)
        held, own = self._held[principal], ids.key(scope)
        above = self.list_covering(scope)
        denied = permit(held.own.get(own, ()), action) or _permit_any(held.denials, above, action)
        return not denied and _permit_any(held.grants, above, action)

    def _collect(self, principal: str) -> _Held:
        """Return the rights of a principal."""
        members, held = self.list_memberships(principal), _Held()
        for properties in (each["properties"] for each in self.assignments.values()):
            if ids.lower(properties["principalId"]) in members and not properties.get("condition"):
                place = held.grants.setdefault(ids.key(properties["scope"]), [])
                place += self._permissions(properties["roleDefinitionId"])
        for properties in (each["properties"] for each in self.denials.values()):
            if name_any(properties["principals"], members | {EVERYONE}) and not name_any(
                properties["excludePrincipals"], members
            ):
                table = held.own if properties["doNotApplyToChildScopes"] else held.denials
                table.setdefault(ids.key(properties["scope"]), []).extend(properties["permissions"])
        return held

    def _permissions(self, definition_id: str) -> list[Json]:
        """Return the permissions of a role; none if the role is not there."""
        found = self.definitions.get(last_name(definition_id))
        return [] if found is None else list(found["properties"]["permissions"])

    def list_memberships(self, principal: str) -> frozenset[str]:
        """Return the object id and those of all its groups, groups of groups included."""
        found = frozenset({ids.lower(principal)})
        while True:
            more = {
                name
                for name, group in self.groups.items()
                if name not in found and found & set(map(ids.lower, group["members"]))
            }
            if not more:
                return found
            found |= more

    def list_covering(self, scope: str) -> frozenset[str]:
        """Return the keys of *scope* and of all scopes above it; that of ``/`` is empty."""
        parts = ids.key(scope).split("/")
        inside = {"/".join(parts[:number]) for number in range(1, len(parts) + 1)}
        subscription = parts[2] if parts[:2] == ["", "subscriptions"] and parts[2:] else None
        return frozenset(inside | (self._list_above(subscription) if subscription else set()))

    def _list_above(self, subscription: str) -> frozenset[str]:
        """Return the keys of the management groups above a subscription."""
        if subscription not in self._above:
            names = {ids.lower(self.tenant), *self._list_management_groups(subscription)}
            self._above[subscription] = frozenset(
                ids.key(MANAGEMENT_GROUPS + name) for name in names
            )
        return self._above[subscription]

    def _list_management_groups(self, subscription: str) -> set[str]:
        """Return the names, in lower case, of the management groups that hold a subscription."""
        found = {
            name
            for name, group in self.management_groups.items()
            if subscription in map(ids.lower, group["subscriptions"])
        }
        while True:
            parents = {
                ids.lower(self.management_groups[name]["parent"])
                for name in found & self.management_groups.keys()
                if self.management_groups[name]["parent"] is not None
            }
            if parents <= found:
                return found
            found |= parents


def name_any(principals: Iterable[Json], wanted: frozenset[str]) -> bool:
    """Return True if the *principals* of a deny assignment are one of *wanted* or more."""
    return any(ids.lower(each["id"]) in wanted for each in principals)


def _permit_any(table: Mapping[str, list[Json]], scopes: Iterable[str], action: str) -> bool:
    return any(permit(table[scope], action) for scope in scopes if scope in table)


def permit(permissions: Iterable[Json], action: str) -> bool:
    """
    Return True if one of *permissions* has *action* in ``actions`` and not in ``notActions``.

    Source:
        https://learn.microsoft.com/azure/role-based-access-control/role-definitions
    """
    return any(
        _match_any(each.get("actions", ()), action)
        and not _match_any(each.get("notActions", ()), action)
        for each in permissions
    )


def _match_any(patterns: Iterable[str], action: str) -> bool:
    return any(matches(pattern, action) for pattern in patterns)


def matches(pattern: str, action: str) -> bool:
    """Return True if *pattern* covers *action*, without case; ``*`` stands for any text."""
    return _compile_pattern(pattern).fullmatch(action) is not None


@lru_cache(maxsize=1024)
def _compile_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.IGNORECASE)


def last_name(resource_id: str) -> str:
    """Return the last part of an id in lower case: the GUID of a role definition."""
    return ids.key(resource_id).rpartition("/")[2]
