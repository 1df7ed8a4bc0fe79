"""
Microsoft.Authorization: the lists of role assignments, role definitions and deny assignments.

Source:
    https://learn.microsoft.com/azure/role-based-access-control/role-assignments-list-rest
    https://learn.microsoft.com/azure/role-based-access-control/role-definitions-list#rest-api
    https://learn.microsoft.com/azure/role-based-access-control/deny-assignments-rest
    https://learn.microsoft.com/rest/api/authorization/deny-assignments/list
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from local.azure.arm.rights import name_any
from local.azure.arm.routing import SUBSCRIPTION, Call, Route, answer_page
from local.azure.arm.versions import show_in_version
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Response

_AT_SCOPE = r"(?P<at>atScope\(\))"
_ASSIGNED_TO = r"assignedTo\('(?P<assigned>[^']+)'\)"
_ASSIGNMENT_FILTERS = (
    _AT_SCOPE,
    _ASSIGNED_TO,
    rf"{_AT_SCOPE} and {_ASSIGNED_TO}",
    r"principalId eq '(?P<principal>[^']+)'",
)
_DENIAL_FILTERS = (
    *_ASSIGNMENT_FILTERS,
    r"denyAssignmentName eq '(?P<name>(?:[^']|'')+)'",
    r"gdprExportPrincipalId eq '(?P<export>[^']+)'",
)
_DEFINITION_FILTERS = (
    r"(?P<below>atScopeAndBelow\(\))",
    r"type eq '(?P<type>BuiltInRole|CustomRole)'",
    r"roleName eq '(?P<name>(?:[^']|'')+)'",
)
_ASSIGNMENT_HELP = "'atScope()' or 'principalId eq '{value}' or assignedTo('{value}')'"
_DENIAL_HELP = f"{_ASSIGNMENT_HELP} or 'denyAssignmentName eq '{{value}}''"
_DEFINITION_HELP = "'atScopeAndBelow()' or 'type eq '{value}'' or 'roleName eq '{value}''"
_EXPORTED = ("denyAssignmentName", "description")


def list_role_assignments(call: Call) -> Response:
    """Answer with the role assignments at, above and below the subscription."""
    chosen = _read_filter(call, _ASSIGNMENT_FILTERS, _ASSIGNMENT_HELP)
    wanted = _list_wanted(call, chosen)
    shown = [
        show_in_version(each, call.api_version)
        for each in _list_in_scope(call, call.world.directory.rights.assignments.values(), chosen)
        if wanted is None or ids.lower(each["properties"]["principalId"]) in wanted
    ]
    return answer_page(call, shown)


def list_deny_assignments(call: Call) -> Response:
    """
    Answer with the deny assignments at, above and below the subscription.

    Those that are for everybody name no principal, so a filter by principal leaves them out.
    """
    chosen = _read_filter(call, _DENIAL_FILTERS, _DENIAL_HELP)
    wanted = _list_wanted(call, chosen)
    found = [
        each
        for each in _list_in_scope(call, call.world.directory.rights.denials.values(), chosen)
        if wanted is None or _is_about(each["properties"], wanted, excluded="export" in chosen)
        if _is_named(each["properties"]["denyAssignmentName"], chosen)
    ]
    return answer_page(call, list(map(_export, found)) if "export" in chosen else found)


def list_role_definitions(call: Call) -> Response:
    """Answer with the role definitions that can be assigned at the subscription, or above it."""
    chosen = _read_filter(call, _DEFINITION_FILTERS, _DEFINITION_HELP)
    around = _find_around(call, below="below" in chosen)
    here = _scope(call)
    shown = [
        {**each, "id": f"{here}{each['id']}"}
        for each in call.world.directory.rights.definitions.values()
        if any(map(around, each["properties"]["assignableScopes"]))
        and chosen.get("type", each["properties"]["type"]) == each["properties"]["type"]
        and _is_named(each["properties"]["roleName"], chosen)
    ]
    return answer_page(call, sorted(shown, key=lambda each: ids.key(each["id"])))


def _read_filter(call: Call, known: Iterable[str], wanted: str) -> Mapping[str, str]:
    """
    Return the values of the filter, by the names of the parts that it has.

    Raises:
        ArmError: 400: the type has no such filter.
    """
    text = call.request.query.get("$filter")
    if text is None:
        return {}
    for pattern in known:
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        if found is not None:
            return found.groupdict()
    message = f"The filter '{text}' is not supported. Supported filters are either {wanted}."
    raise ArmError(400, "UnsupportedQuery", message)


def _list_wanted(call: Call, chosen: Mapping[str, str]) -> frozenset[str] | None:
    """Return the principals that a filter names, in lower case; None if it names none."""
    if "assigned" in chosen:
        return call.world.directory.rights.list_memberships(chosen["assigned"])
    named = chosen.get("principal", chosen.get("export"))
    return None if named is None else frozenset({ids.lower(named)})


def _list_in_scope(
    call: Call, assignments: Iterable[Json], chosen: Mapping[str, str]
) -> list[Json]:
    """Return the assignments around the subscription, in the order of their ids."""
    around = _find_around(call, below="at" not in chosen)
    found = [each for each in assignments if around(each["properties"]["scope"])]
    return sorted(found, key=lambda each: ids.key(each["id"]))


def _is_about(properties: Json, wanted: frozenset[str], *, excluded: bool) -> bool:
    """Return True if a deny assignment names one of *wanted*; *excluded* counts the exceptions."""
    others = properties["excludePrincipals"] if excluded else ()
    return name_any(properties["principals"], wanted) or name_any(others, wanted)


def _is_named(name: str, chosen: Mapping[str, str]) -> bool:
    """Return True if a filter asks for no name or for *name*; OData doubles an apostrophe."""
    wanted = chosen.get("name")
    return wanted is None or ids.lower(wanted.replace("''", "'")) == ids.lower(name)


def _export(denial: Json) -> Json:
    shown = {name: denial["properties"].get(name) for name in _EXPORTED}
    return {**denial, "properties": shown}


def _find_around(call: Call, *, below: bool) -> Callable[[str], bool]:
    """Return a test of scopes: at or above the subscription, or below it if *below*."""
    above = call.world.directory.rights.list_covering(_scope(call))
    inside = f"{ids.key(_scope(call))}/"

    def is_around(scope: str) -> bool:
        place = ids.key(scope)
        return place in above or (below and place.startswith(inside))

    return is_around


def _scope(call: Call) -> str:
    subscription = call.world.subscriptions[call.names["subscription"].lower()]
    return f"/subscriptions/{subscription['id']}"


ROUTES = tuple(
    Route("GET", f"{SUBSCRIPTION}/providers/{type_}", f"{type_}/read", handler)
    for type_, handler in (
        (ids.ROLE_ASSIGNMENTS, list_role_assignments),
        (ids.ROLE_DEFINITIONS, list_role_definitions),
        (ids.DENY_ASSIGNMENTS, list_deny_assignments),
    )
)
