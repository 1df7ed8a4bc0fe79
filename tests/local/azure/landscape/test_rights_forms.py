"""The landscape's people: the rights that each of them has, and may have by a group."""

import pytest

from bench.stack import landscapes
from local.azure.arm.directory import read
from local.azure.landscape.file import load
from tests.local.azure.sim import DB01, DEVELOPMENT, PRODUCTION, ROLE, WEB01, Sim, machine

INITIATE = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action"
NEEDED = (
    INITIATE,
    "Microsoft.Security/locations/jitNetworkAccessPolicies/*/read",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Network/networkInterfaces/*/read",
    "Microsoft.Network/publicIPAddresses/read",
)
"""
The permissions of someone who asks for access, with their wildcards, as Microsoft lists them.

Source:
    https://learn.microsoft.com/azure/defender-for-cloud/just-in-time-access-usage#prerequisites
"""

FARM = machine("farm01", f"/subscriptions/{DEVELOPMENT}/resourceGroups/rg-farm-1")
DIRECTORY = read(ROLE.document, ROLE.roles)


def can_ask(directory, name, vm):
    """Return True if a person has all rights that a request takes."""
    return all(directory.may(directory.principals[name], each, vm) for each in NEEDED)


def roles_of(name):
    """The properties of a person's role assignments, groups included."""
    rights = DIRECTORY.rights
    members = rights.list_memberships(DIRECTORY.principals[name].id)
    found = [each["properties"] for each in rights.assignments.values()]
    return [each for each in found if each["principalId"] in members]


@pytest.mark.parametrize("name", ["alice", "bob", "carol", "dave", "snow"])
def test_a_requester_has_the_rights_in_both_subscriptions(name):
    """At subscription scope, by a role of its own, once in each."""
    assert [can_ask(DIRECTORY, name, vm) for vm in (WEB01, DB01, FARM)] == [True] * 3
    assert sorted(each["scope"] for each in roles_of(name)) == [
        f"/subscriptions/{PRODUCTION}",
        f"/subscriptions/{DEVELOPMENT}",
    ]


def test_erin_has_the_rights_by_a_group_in_a_group_at_one_resource_group():
    """A filter by the own id finds nothing of hers."""
    (role,) = roles_of("erin")

    assert [can_ask(DIRECTORY, "erin", vm) for vm in (WEB01, DB01, FARM)] == [True, False, False]
    assert role["principalType"] == "Group"
    assert role["scope"] == WEB01.partition("/providers/")[0]
    assert len(DIRECTORY.rights.list_memberships(DIRECTORY.principals["erin"].id)) == 3


def test_frank_has_no_rights():
    """An app role of the broker and nothing in Azure."""
    assert roles_of("frank") == []


def test_grace_has_the_role_and_a_denial_of_one_action():
    """She may see everything and ask for nothing."""
    grace = DIRECTORY.principals["grace"]

    assert [DIRECTORY.may(grace, each, WEB01) for each in NEEDED] == [False, True, True, True, True]
    assert len(roles_of("grace")) == 2


def test_heidi_has_the_role_under_a_condition():
    """With the version of conditions that Azure knows."""
    assert {(bool(each["condition"]), each["conditionVersion"]) for each in roles_of("heidi")} == {
        (True, "2.0")
    }


def test_the_role_of_requesters_has_exactly_these_actions():
    """As the list of Azure shows it."""
    (role,) = (
        each["properties"]
        for each in DIRECTORY.rights.definitions.values()
        if each["properties"]["roleName"] == "JIT requester"
    )

    assert role["type"] == "CustomRole"
    assert role["permissions"][0]["actions"] == list(NEEDED)


def test_a_pattern_of_that_role_does_not_cover_the_read_without_a_part_between():
    """As text: a check that asks for ``networkInterfaces/read`` would refuse everybody."""
    alice = DIRECTORY.principals["alice"]
    reads = ("Microsoft.Network/networkInterfaces", NEEDED[1].removesuffix("/*/read"))

    assert [DIRECTORY.may(alice, f"{each}/read", WEB01) for each in reads] == [False, False]
    assert [DIRECTORY.may(alice, f"{each}/*/read", WEB01) for each in reads] == [True, True]


def test_everybody_who_may_ask_the_broker_has_a_known_answer():
    """A new requester must be given rights, or be one of those without."""
    requesters = {
        each["name"] for each in ROLE.document["people"] if "Jit.Requester" in each["roles"]
    }

    assert {name for name in requesters if can_ask(DIRECTORY, name, WEB01)} == {
        *("alice", "bob", "carol", "dave", "erin", "snow")
    }
    assert requesters >= {"frank", "grace", "heidi"}


def test_a_state_without_rights_leaves_the_rights_of_the_landscape(sim: Sim):
    """Older states stay valid."""
    before = sim.control("GET", "state")["authorization"]
    changed = sim.control("PUT", "state", {"resources": {WEB01: None}})["authorization"]

    assert changed == before
    assert before["roleAssignments"]


def test_a_denial_for_nobody_is_refused():
    """A misspelt name must not pass for a person without denials."""
    denial = {"name": "x", "people": ["nobody"], "actions": ["*"]}
    with pytest.raises(ValueError, match="no such person"):
        read({**ROLE.document, "denyAssignments": [denial]}, ROLE.roles)


def test_the_people_of_the_benchmarks_have_the_rights(tmp_path):
    """In each of their subscriptions."""
    landscape = load(landscapes.write(tmp_path / "x.json", farms=1, machines=2, subscriptions=3))
    directory = read(landscape.document, landscape.roles)
    vms = [
        machine("farm01", f"/subscriptions/{landscapes.subscription(number)}/resourceGroups/rg-x")
        for number in range(3)
    ]

    assert all(can_ask(directory, name, vm) for name in landscapes.PEOPLE for vm in vms)
