"""Builders of role assignments, role definitions and deny assignments, as Azure lists them."""

from tests.builders.values import SUBSCRIPTION

PERSON = "a11ce000-0000-4000-8000-000000000001"
STRANGER = "b0b00000-0000-4000-8000-000000000002"
TEAM = "7ea30000-0000-4000-8000-0000000000aa"
EVERYBODY = "00000000-0000-0000-0000-000000000000"
PROVIDER = "providers/Microsoft.Authorization"
HERE = f"/subscriptions/{SUBSCRIPTION}"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
"""The id of the role *Owner* in every tenant."""


def role_id(name=OWNER, scope=HERE):
    """The id of a role definition."""
    return f"{scope}/{PROVIDER}/roleDefinitions/{name}"


def a_role(*actions, name=OWNER, without=(), **changes):
    """A role definition; it grants everything if no action is named."""
    permission = {
        "actions": list(actions or ("*",)),
        "notActions": list(without),
        "dataActions": [],
        "notDataActions": [],
    }
    properties = {
        "roleName": name,
        "type": "CustomRole",
        "permissions": [permission],
        "assignableScopes": [HERE],
    }
    return {"id": role_id(name), "name": name, "properties": {**properties, **changes}}


def an_assignment(scope=HERE, *, role=OWNER, principal=PERSON, kind="User", **changes):
    """A role assignment of a person, or of a group if *kind* says so."""
    properties = {
        "roleDefinitionId": role_id(role),
        "principalId": principal,
        "principalType": kind,
        "scope": scope,
        "condition": None,
    }
    return {
        "id": f"{HERE}/{PROVIDER}/roleAssignments/r",
        "name": "r",
        "properties": {**properties, **changes},
    }


def a_principal(oid=PERSON, kind="User"):
    """A principal of a deny assignment."""
    return {"id": oid, "type": kind}


def a_deny(scope=HERE, *actions, principals=None, excluded=None, without=(), **changes):
    """A deny assignment; it denies everything to the person unless changed."""
    permission = {"actions": list(actions or ("*",)), "notActions": list(without)}
    properties = {
        "denyAssignmentName": "deny",
        "permissions": [permission],
        "scope": scope,
        "doNotApplyToChildScopes": False,
        "principals": [a_principal()] if principals is None else principals,
        "excludePrincipals": excluded,
    }
    return {
        "id": f"{HERE}/{PROVIDER}/denyAssignments/d",
        "name": "d",
        "properties": {**properties, **changes},
    }
