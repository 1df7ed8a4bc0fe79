"""The rights in the state: a test reads them, or changes them like an administrator."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.azure.arm.built_in_roles import BUILT_IN
from local.azure.arm.rights import Rights, last_name
from local.azure.landscape.rights_forms import make_deny_assignment, make_role_assignment
from local.azure.values import ids
from local.azure.values.http import Json
from local.azure.values.shapes import Form, find_faults, make_choice

_SCOPE = Form("a scope", lambda text: text.startswith("/"))
_PERMISSION = {
    "actions!": [str],
    "notActions": [str],
    "dataActions": [str],
    "notDataActions": [str],
}
_PRINCIPAL = {"id!": str, "type!": str}
_CONDITION = {"condition": str, "conditionVersion": str}


@dataclass(frozen=True, slots=True)
class _Part:
    """
    One table of the rights.

    Attributes:
        shape: The shape of one entry.
        type: The type that its id ends with; empty if its name is no id.
        find: Returns the table.
        key: Returns the key of an entry by its name.
        complete: Returns an entry as it is stored, from its name and the given one.
    """

    shape: Json
    type: str
    find: Callable[[Rights], dict[str, Json]]
    key: Callable[[str], str]
    complete: Callable[[str, Json], Json]


def _complete_definition(definition_id: str, given: Json) -> Json:
    name = definition_id.rpartition("/")[2]
    properties = {"type": "CustomRole", "description": "", **given["properties"]}
    place = f"/providers/{ids.ROLE_DEFINITIONS}/{name}"
    return {"id": place, "name": name, "type": ids.ROLE_DEFINITIONS, "properties": properties}


_PARTS: Mapping[str, _Part] = {
    "roleDefinitions": _Part(
        shape={
            "properties!": {
                "roleName!": str,
                "type": make_choice("CustomRole"),
                "assignableScopes!": [_SCOPE],
                "permissions!": [_PERMISSION],
            }
        },
        type=ids.ROLE_DEFINITIONS,
        find=lambda rights: rights.definitions,
        key=last_name,
        complete=_complete_definition,
    ),
    "roleAssignments": _Part(
        shape={
            "properties!": {
                "roleDefinitionId!": str,
                "principalId!": str,
                "principalType": str,
                "scope": _SCOPE,
                **_CONDITION,
            }
        },
        type=ids.ROLE_ASSIGNMENTS,
        find=lambda rights: rights.assignments,
        key=ids.key,
        complete=lambda name, given: make_role_assignment(name, given["properties"]),
    ),
    "denyAssignments": _Part(
        shape={
            "properties!": {
                "denyAssignmentName!": str,
                "permissions!": [_PERMISSION],
                "scope": _SCOPE,
                "doNotApplyToChildScopes": bool,
                "principals!": [_PRINCIPAL],
                "excludePrincipals": [_PRINCIPAL],
                "isSystemProtected": bool,
                **_CONDITION,
            }
        },
        type=ids.DENY_ASSIGNMENTS,
        find=lambda rights: rights.denials,
        key=ids.key,
        complete=lambda name, given: make_deny_assignment(name, given["properties"]),
    ),
    "groups": _Part(
        shape={"displayName": str, "members!": [str]},
        type="",
        find=lambda rights: rights.groups,
        key=ids.lower,
        complete=lambda name, given: {"displayName": name, **given},
    ),
    "managementGroups": _Part(
        shape={"parent": str, "subscriptions!": [str]},
        type="",
        find=lambda rights: rights.management_groups,
        key=ids.lower,
        complete=lambda _, given: {"parent": None, **given},
    ),
}
_BUILT_IN = {ids.lower(each["name"]) for each in BUILT_IN}


def show_rights(rights: Rights) -> Json:
    """Return all rights as JSON; the built-in roles, which nobody can change, are left out."""
    return {
        name: {
            entry.get("id", key): entry
            for key, entry in sorted(part.find(rights).items())
            if not (name == "roleDefinitions" and key in _BUILT_IN)
        }
        for name, part in _PARTS.items()
    }


def patch_rights(rights: Rights, document: Json) -> None:
    """Replace the entries that *document* names, without those that are null; leave the rest."""
    for name, entries in document.items():
        part = _PARTS[name]
        table = part.find(rights)
        for entry_name, entry in entries.items():
            table.pop(part.key(entry_name), None)
            if entry is not None:
                table[part.key(entry_name)] = part.complete(entry_name, copy.deepcopy(entry))
    rights.refresh()


def find_right_faults(rights: Rights, document: Json, place: str) -> Iterator[str]:
    """Yield a sentence for each fault of the rights in a state, which begins with its place."""
    unknown = sorted(document.keys() - _PARTS.keys())
    if unknown:
        yield f"{place}: known are {', '.join(sorted(_PARTS))}; unknown: {unknown}"
    roles = _list_roles(rights, document)
    for name in _PARTS:
        entries = document.get(name, {})
        if not isinstance(entries, dict):
            yield f"{place}.{name} is not an object"
            continue
        for entry_name, entry in entries.items():
            here = f"{place}.{name}[{entry_name!r}]"
            yield from _find_entry_faults(_PARTS[name], entry_name, entry, here)
            if name == "roleDefinitions" and last_name(entry_name) in _BUILT_IN:
                yield f"{here} is a built-in role"
            if name == "roleAssignments":
                yield from _find_role_faults(entry, roles, here)


def _find_entry_faults(part: _Part, name: str, entry: Any, here: str) -> Iterator[str]:
    scope = _read_scope(name, part.type)
    if scope is None:
        yield f"{here} is not an id of {part.type}"
        return
    if entry is None:
        return
    wrong = list(find_faults(entry, part.shape, here, strict=True))
    yield from (f"{where} is not {wanted}" for where, wanted in wrong)
    given = {} if wrong else entry.get("properties", {})
    if "scope" in given and ids.key(given["scope"]) != ids.key(scope):
        yield f"{here}.properties.scope is {given['scope']!r}, not {scope or '/'!r}"


def _read_scope(name: str, type_: str) -> str | None:
    """Return the scope before the type in an id; None if the id is not one of *type_*."""
    if not type_:
        return ""
    scope, _, last = name.rpartition("/")
    ending = f"/providers/{type_}"
    if not last or not ids.lower(scope).endswith(ids.lower(ending)):
        return None
    return scope[: -len(ending)]


def _list_roles(rights: Rights, document: Json) -> set[str]:
    """Return the GUIDs of the role definitions as they are after the change."""
    given = document.get("roleDefinitions")
    changes = given if isinstance(given, dict) else {}
    gone = {last_name(name) for name, each in changes.items() if each is None}
    return {*rights.definitions, *map(last_name, changes)} - gone


def _find_role_faults(entry: Any, roles: set[str], here: str) -> Iterator[str]:
    properties = entry.get("properties") if isinstance(entry, dict) else None
    named = properties.get("roleDefinitionId") if isinstance(properties, dict) else None
    if isinstance(named, str) and last_name(named) not in roles:
        yield f"{here}.properties.roleDefinitionId leads to {named}, which is not there"
