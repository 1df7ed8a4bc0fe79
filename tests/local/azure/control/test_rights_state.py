"""The rights in the state: put in, taken out, and refused if nobody could mean them."""

import copy
from typing import Any

import pytest

from tests.local.azure.sim import PRODUCTION, WEB, WEB01, Sim

HERE = f"/subscriptions/{PRODUCTION}"
READER = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
CUSTOM = "/providers/Microsoft.Authorization/roleDefinitions/dddd0000-0000-4000-8000-000000000001"
ROLE = f"{WEB}/providers/Microsoft.Authorization/roleAssignments/one"
DENIAL = f"{HERE}/providers/Microsoft.Authorization/denyAssignments/two"
FRANK = "f4a4c000-0000-4000-8000-00000000000c"
TEAM = "CCCC0000-0000-4000-8000-000000000001"
PERMISSIONS = [{"actions": ["Microsoft.Compute/*/read"], "notActions": ["*/extensions/*"]}]
ALL: dict[str, Any] = {
    "roleDefinitions": {
        CUSTOM: {
            "properties": {
                "roleName": "Looker",
                "permissions": PERMISSIONS,
                "assignableScopes": [HERE],
            }
        }
    },
    "roleAssignments": {
        ROLE: {
            "properties": {
                "roleDefinitionId": CUSTOM,
                "principalId": TEAM.lower(),
                "principalType": "Group",
                "scope": WEB.upper(),
            }
        }
    },
    "denyAssignments": {
        DENIAL: {
            "properties": {
                "denyAssignmentName": "No reading",
                "permissions": [{"actions": ["*/read"]}],
                "principals": [{"id": FRANK, "type": "User"}],
                "doNotApplyToChildScopes": True,
            }
        }
    },
    "groups": {TEAM: {"displayName": "A team", "members": [FRANK]}},
    "managementGroups": {"Lab": {"parent": "contoso", "subscriptions": [PRODUCTION]}},
}


def put(sim: Sim, document: Any) -> Any:
    return sim.control("PUT", "state", {"authorization": document})["authorization"]


def refusal(sim: Sim, document: Any) -> str:
    """The message of the refusal of rights."""
    response = sim.send("PUT", "/_sim/state", {"authorization": document})
    assert response.status == 400, response.status
    return str(response.json()["error"]["message"])


def read_web01(sim: Sim) -> int:
    return sim.call("GET", WEB01, as_="frank").status


def test_rights_that_are_put_in_are_shown_and_count_at_once(sim: Sim):
    """A role by a group, a denial that a resource does not inherit."""
    before = read_web01(sim)
    shown = put(sim, ALL)

    assert (before, read_web01(sim)) == (403, 200)
    assert {name: entries.keys() & shown[name].keys() for name, entries in ALL.items()} == {
        "roleDefinitions": {CUSTOM},
        "roleAssignments": {ROLE},
        "denyAssignments": {DENIAL},
        "groups": set(),
        "managementGroups": set(),
    }
    assert shown["groups"][TEAM.lower()]["members"] == [FRANK]
    assert shown["managementGroups"]["lab"]["parent"] == "contoso"


def test_the_shown_rights_can_be_put_back(sim: Sim):
    """Also into a simulator that has others."""
    shown = put(sim, ALL)
    fresh = Sim()

    assert put(sim, shown) == shown
    assert put(fresh, shown) == shown
    assert read_web01(fresh) == 200


def test_a_null_takes_away_one_entry_and_nothing_else(sim: Sim):
    """By an id in another case too."""
    before = sim.control("GET", "state")["authorization"]
    put(sim, ALL)
    parts = {name: dict.fromkeys(entries) for name, entries in ALL.items()}
    parts["roleAssignments"] = {ROLE.upper(): None}
    after = put(sim, parts)

    assert after == before
    assert read_web01(sim) == 403


def test_a_denial_counts_as_soon_as_it_is_put_in(sim: Sim):
    """It wins over the role."""
    put(sim, ALL)
    denial = copy.deepcopy(ALL["denyAssignments"][DENIAL])
    denial["properties"]["doNotApplyToChildScopes"] = False
    before = read_web01(sim)
    put(sim, {"denyAssignments": {DENIAL: denial}})

    assert (before, read_web01(sim)) == (200, 403)


def test_a_reset_gives_back_the_rights_of_the_landscape(sim: Sim):
    """Whatever a test has changed."""
    before = sim.control("GET", "state")["authorization"]
    put(sim, {**ALL, "roleAssignments": dict.fromkeys(before["roleAssignments"])})
    sim.control("POST", "reset")

    assert sim.control("GET", "state")["authorization"] == before


def changed(part: str, *path: Any, to: Any) -> Any:
    """The rights, with another value at a place in the entry of a part."""
    document: Any = copy.deepcopy(ALL)
    (place,) = document[part].values()
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return document


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ([], "authorization is not an object"),
        ({"roles": {}}, "authorization: known are denyAssignments, groups"),
        ({"groups": []}, "authorization.groups is not an object"),
        ({"roleAssignments": {"/x/one": None}}, "is not an id of Microsoft.Authorization/roleAss"),
        ({"roleAssignments": {DENIAL: None}}, "is not an id of Microsoft.Authorization/roleAss"),
        ({"roleAssignments": {ROLE: 5}}, f"authorization.roleAssignments['{ROLE}'] is not an obj"),
        (changed("roleAssignments", "properties", to=None), "['/subscriptions"),
        (changed("roleAssignments", "properties", "principalId", to=7), "principalId is not of ty"),
        (changed("roleAssignments", "properties", "scope", to=HERE), "properties.scope is '/subs"),
        (changed("roleAssignments", "properties", "scope", to="x"), "properties.scope is not a sc"),
        (changed("roleAssignments", "properties", "condition", to=[]), "condition is not of type"),
        (
            changed("roleAssignments", "properties", "roleDefinitionId", to="/x/gone"),
            "roleDefinitionId leads to /x/gone, which is not there",
        ),
        ({**ALL, "roleDefinitions": {CUSTOM: None}}, "which is not there"),
        ({"roleDefinitions": {READER: None}}, "is a built-in role"),
        (changed("roleDefinitions", "properties", "roleName", to=None), "roleName is not there"),
        (changed("roleDefinitions", "properties", "type", to="BuiltInRole"), "one of CustomRole"),
        (changed("roleDefinitions", "properties", "permissions", 0, to={}), "[0].actions is not t"),
        (
            changed("denyAssignments", "properties", "principals", to=[FRANK]),
            "principals[0] is not",
        ),
        (
            changed("denyAssignments", "properties", "principals", to=None),
            "principals is not there",
        ),
        (changed("groups", "members", to=None), ".members is not there"),
        (changed("groups", "members", to=[5]), ".members[0] is not of type str"),
        (changed("managementGroups", "subscriptions", to="x"), ".subscriptions is not a list"),
    ],
)
def test_rights_that_nobody_could_mean_are_refused_with_their_place(sim: Sim, document, fault):
    """And nothing is changed: a misspelt state must not look like a person without rights."""
    before = sim.control("GET", "state")

    message = refusal(sim, document)

    assert fault in message
    assert "authorization" in message
    assert sim.control("GET", "state") == before
