"""The ARM form of the roles, groups, role assignments and deny assignments of the landscape."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from local.azure.arm.built_in_roles import BUILT_IN, make_definition
from local.azure.arm.rights import Rights
from local.azure.values import ids
from local.azure.values.http import Json

EACH_SUBSCRIPTION = "*"
"""The scope of a right that is given in each subscription, once in each."""

_SPACE = uuid.UUID("0b6d6f5e-2c58-4a3a-9c3e-7d3f1a2b4c5d")
_TYPES = {
    "User": "User",
    "Application": "ServicePrincipal",
    "ManagedIdentity": "ServicePrincipal",
}
"""The principal type of each kind of principal."""

_CREATED = "2024-01-15T09:00:00.0000000Z"


@dataclass(frozen=True, slots=True)
class _Names:
    """
    The ids of all that a short form may name.

    Attributes:
        principals: Object id and principal type of people and groups, by their names.
        definitions: GUIDs of the role definitions by their names.
        subscriptions: Scopes of all subscriptions.
    """

    principals: Mapping[str, tuple[str, str]]
    definitions: Mapping[str, str]
    subscriptions: tuple[str, ...]


def read_rights(document: Json, roles: Iterable[Json]) -> Rights:
    """
    Return the rights that the landscape *document* describes; *roles* are those of its role files.

    Raises:
        ValueError: An assignment names nobody, or a role that is nowhere defined.
    """
    scopes = tuple(f"/subscriptions/{each['id']}" for each in document["subscriptions"])
    definitions = [*BUILT_IN, *_define_roles((*roles, *document.get("customRoles", ())), scopes)]
    groups = document.get("groups", ())
    people = {
        each["name"]: (each["id"], _TYPES[each.get("kind", "User")]) for each in document["people"]
    }
    names = _Names(
        {**people, **{each["name"]: (each["id"], "Group") for each in groups}},
        {each["properties"]["roleName"]: each["name"] for each in definitions},
        scopes,
    )
    assignments = [*_assign_roles(document.get("azureRoles", ()), names)]
    denials = [*_assign_denials(document.get("denyAssignments", ()), names)]
    return Rights(
        tenant=document["tenant"],
        definitions={ids.lower(each["name"]): each for each in definitions},
        assignments={ids.key(each["id"]): each for each in assignments},
        denials={ids.key(each["id"]): each for each in denials},
        groups={ids.lower(each["id"]): _make_group(each, names) for each in groups},
        management_groups={
            ids.lower(name): {"parent": None, "subscriptions": [], **each}
            for name, each in document.get("managementGroups", {}).items()
        },
    )


def make_role_assignment(assignment_id: str, given: Json) -> Json:
    """Return a role assignment with all members that Azure shows, *given* ones as they are."""
    properties = {
        "principalType": "User",
        "scope": _read_scope(assignment_id),
        "condition": None,
        "conditionVersion": None,
        "createdOn": _CREATED,
        "updatedOn": _CREATED,
        "createdBy": None,
        "updatedBy": None,
        "delegatedManagedIdentityResourceId": None,
        "description": None,
        **given,
    }
    return _make_resource(assignment_id, ids.ROLE_ASSIGNMENTS, properties)


def make_deny_assignment(assignment_id: str, given: Json) -> Json:
    """Return a deny assignment with all members that Azure shows, *given* ones as they are."""
    properties = {
        "scope": _read_scope(assignment_id),
        "description": None,
        "excludePrincipals": [],
        "doNotApplyToChildScopes": False,
        "isSystemProtected": True,
        "condition": None,
        "conditionVersion": None,
        **given,
    }
    return _make_resource(assignment_id, ids.DENY_ASSIGNMENTS, properties)


def _read_scope(assignment_id: str) -> str:
    return assignment_id.rpartition("/providers/")[0] or "/"


def _make_resource(resource_id: str, type_: str, properties: Json) -> Json:
    name = resource_id.rpartition("/")[2]
    return {"id": resource_id, "name": name, "type": type_, "properties": properties}


def _define_roles(roles: Iterable[Json], scopes: tuple[str, ...]) -> Iterator[Json]:
    """Yield custom roles. Their scopes are the subscriptions, as a deployment writes them."""
    for each in roles:
        guid = str(uuid.uuid5(_SPACE, each["Name"]))
        yield make_definition(guid, "CustomRole", {**each, "AssignableScopes": scopes})


def _assign_roles(short: Iterable[Json], names: _Names) -> Iterator[Json]:
    for each in short:
        who = str(each.get("person", each.get("group")))
        if who not in names.principals or each["role"] not in names.definitions:
            raise ValueError(f"no such person or role: {each}")
        object_id, kind = names.principals[who]
        guid = names.definitions[each["role"]]
        conditional = {"condition": each.get("condition"), "conditionVersion": "2.0"}
        for scope in _list_scopes(each.get("scope", "/"), names):
            assignment_id = _make_id(scope, ids.ROLE_ASSIGNMENTS, who, each["role"])
            properties = {
                "roleDefinitionId": _make_definition_id(scope, guid),
                "principalId": object_id,
                "principalType": kind,
                **(conditional if "condition" in each else {}),
            }
            yield make_role_assignment(assignment_id, properties)


def _assign_denials(short: Iterable[Json], names: _Names) -> Iterator[Json]:
    for each in short:
        absent = [who for who in each["people"] if who not in names.principals]
        if absent:
            raise ValueError(f"no such person: {absent}")
        listed = [names.principals[who] for who in each["people"]]
        for scope in _list_scopes(each.get("scope", "/"), names):
            properties = {
                "denyAssignmentName": each["name"],
                "permissions": [_make_permission(each["actions"])],
                "principals": [{"id": object_id, "type": kind} for object_id, kind in listed],
            }
            yield make_deny_assignment(
                _make_id(scope, ids.DENY_ASSIGNMENTS, each["name"]), properties
            )


def _make_permission(actions: Iterable[str]) -> Json:
    return {"actions": list(actions), "notActions": [], "dataActions": [], "notDataActions": []}


def _make_definition_id(scope: str, guid: str) -> str:
    """Return the id by which an assignment at *scope* names its role definition."""
    parts = scope.split("/")
    inside = "/".join(parts[:3]) if ids.lower(scope).startswith("/subscriptions/") else ""
    return f"{inside}/providers/{ids.ROLE_DEFINITIONS}/{guid}"


def _list_scopes(scope: str, names: _Names) -> tuple[str, ...]:
    return names.subscriptions if scope == EACH_SUBSCRIPTION else (scope,)


def _make_id(scope: str, type_: str, *what: str) -> str:
    guid = uuid.uuid5(_SPACE, "|".join((scope, *what)))
    return f"{scope.rstrip('/')}/providers/{type_}/{guid}"


def _make_group(short: Json, names: _Names) -> Json:
    members = [names.principals[who][0] for who in short.get("members", ())]
    return {"displayName": short.get("displayName", short["name"]), "members": members}
