"""The directory: people, applications, the managed identity, and their roles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from local.azure.values import ids
from local.azure.values.http import Json

BROKER = "broker"
BUILT_IN: tuple[Json, ...] = (
    {"Name": "Owner", "Actions": ["*"], "NotActions": []},
    {
        "Name": "Contributor",
        "Actions": ["*"],
        "NotActions": [
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ],
    },
    {"Name": "Reader", "Actions": ["*/read"], "NotActions": []},
)


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Someone who can hold a token.

    Attributes:
        name: Short name in the landscape.
        id: Entra object id.
        display: Name for people.
        kind: ``User``, ``Application`` or ``ManagedIdentity``.
        address: User principal name; for others than users the object id.
    """

    name: str
    id: str
    display: str
    kind: str
    address: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """The role definition *role* given to a principal at *scope* with all below it."""

    principal: str
    role: Json
    scope: str


@dataclass(slots=True)
class Directory:
    """
    The principals with their role assignments.

    Attributes:
        denied: Action patterns taken away, each from one principal by short name.
    """

    principals: dict[str, Principal]
    assignments: list[Assignment]
    denied: list[tuple[str, str]] = field(default_factory=list)

    def find_by_id(self, object_id: str) -> Principal | None:
        """Return the principal with that object id."""
        return next((each for each in self.principals.values() if each.id == object_id), None)

    def may(self, principal: Principal, action: str, scope: str) -> bool:
        """
        Return True if *principal* may do *action* at *scope* (a resource id or a part of one).

        A role grants the actions that its ``Actions`` match and its ``NotActions`` do not match.
        Another role may grant the others.

        Source:
            https://learn.microsoft.com/azure/role-based-access-control/role-definitions
        """
        if any(who == principal.name and matches(what, action) for who, what in self.denied):
            return False
        return any(
            grants(assignment.role, action)
            for assignment in self._assignments_of(principal)
            if _covers(assignment.scope, scope)
        )

    def _assignments_of(self, principal: Principal) -> Iterator[Assignment]:
        return (each for each in self.assignments if each.principal == principal.id)


def read(document: Json, roles: tuple[Json, ...]) -> Directory:
    """
    Return the directory that the landscape *document* describes.

    Raises:
        ValueError: An assignment names nobody, or a role that is nowhere defined.
    """
    people = {
        each["name"]: _read_principal(each, document["domain"]) for each in document["people"]
    }
    defined = {role["Name"]: role for role in (*BUILT_IN, *roles)}
    assignments = []
    for each in document.get("azureRoles", ()):
        if each["person"] not in people or each["role"] not in defined:
            raise ValueError(f"no such person or role: {each}")
        scope = each.get("scope", "/")
        assignments.append(Assignment(people[each["person"]].id, defined[each["role"]], scope))
    return Directory(people, assignments)


def _read_principal(short: Json, domain: str) -> Principal:
    kind = short.get("kind", "User")
    address = f"{short['name']}@{domain}" if kind == "User" else short["id"]
    return Principal(short["name"], short["id"], short["displayName"], kind, address)


def grants(role: Json, action: str) -> bool:
    """Return True if *role* (``Actions``, ``NotActions``) grants *action*."""
    if any(matches(pattern, action) for pattern in role.get("NotActions", ())):
        return False
    return any(matches(pattern, action) for pattern in role.get("Actions", ()))


def matches(pattern: str, action: str) -> bool:
    """Return True if *pattern* covers *action*, without case; ``*`` stands for any text."""
    return _compile_pattern(pattern).fullmatch(action) is not None


@lru_cache(maxsize=1024)
def _compile_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.IGNORECASE)


def _covers(assigned: str, scope: str) -> bool:
    wide, narrow = ids.key(assigned), ids.key(scope)
    return narrow == wide or narrow.startswith(wide + "/")
