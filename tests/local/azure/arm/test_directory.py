"""Permissions: role definitions, wildcards, permissions that a test takes away."""

import json
from pathlib import Path

import pytest

from local.azure.arm.directory import read
from local.azure.arm.rights import last_name
from tests.local.azure.sim import (
    BROKER,
    DB01,
    DEVELOPMENT,
    FW_PROD,
    LANDSCAPE,
    NSG_WEB,
    PRODUCTION,
    WEB01,
    Sim,
    error,
    machine,
    policy,
    rule,
)
from tests.local.azure.sim import ROLE as AS_IT_STANDS

KINDS_OF_ACTIONS = ("Actions", "NotActions", "DataActions", "NotDataActions")
ROLE = json.loads((Path(__file__).parents[4] / "infra" / "role.json").read_text())


def test_role_at_a_group_reaches_no_other_group():
    """An assignment covers its scope with everything below, nothing beside it."""
    document = {
        **LANDSCAPE.document,
        "denyAssignments": [],
        "azureRoles": [
            {"person": "alice", "role": "Reader", "scope": "/subscriptions/s/resourceGroups/rg"}
        ],
    }
    directory = read(document, LANDSCAPE.roles)
    alice = directory.principals["alice"]
    inside = "/subscriptions/S/resourcegroups/RG/providers/Microsoft.Compute/virtualMachines/x"

    assert directory.may(alice, "Microsoft.Compute/virtualMachines/read", inside)
    assert not directory.may(
        alice, "Microsoft.Compute/virtualMachines/read", inside.replace("/RG/", "/RG2/")
    )
    assert not directory.may(alice, "Microsoft.Compute/virtualMachines/read", "/subscriptions/s")


@pytest.mark.parametrize("change", [{"person": "nobody"}, {"role": "Emperor"}])
def test_landscape_that_assigns_nonsense_is_refused(change):
    """A misspelt role must not pass for one without rights."""
    assignment = {"person": "petra", "role": "Owner", **change}
    with pytest.raises(ValueError, match="no such person or role"):
        read({**LANDSCAPE.document, "azureRoles": [assignment]}, LANDSCAPE.roles)


def test_broker_has_exactly_the_role_of_the_project():
    """The simulator enforces the file that is deployed."""
    rights = read(AS_IT_STANDS.document, AS_IT_STANDS.roles).rights
    held = [
        each["properties"]
        for each in rights.assignments.values()
        if each["properties"]["principalId"] == BROKER
    ]
    definitions = {rights.definitions[last_name(each["roleDefinitionId"])]["name"] for each in held}
    (definition,) = (rights.definitions[name]["properties"] for name in definitions)

    assert {each["scope"] for each in held} == {
        f"/subscriptions/{each}" for each in (PRODUCTION, DEVELOPMENT)
    }
    assert definition["permissions"] == [
        {name[0].lower() + name[1:]: ROLE[name] for name in KINDS_OF_ACTIONS}
    ]


def test_role_of_the_project_has_no_wildcards():
    """Each action is named, so that a reviewer sees it."""
    actions = [*ROLE["Actions"], *ROLE["DataActions"]]

    assert [action for action in actions if "*" in action] == []
    assert sorted(set(actions)) == sorted(actions)


def test_refusal_names_the_action_and_the_scope(sim: Sim):
    """ARM's words let an administrator repair it."""
    response = sim.call("DELETE", FW_PROD)

    assert error(response) == (403, "AuthorizationFailed")
    assert "'Microsoft.Network/azureFirewalls/delete'" in response.json()["error"]["message"]
    assert f"over scope '{FW_PROD}'" in response.json()["error"]["message"]


def test_people_without_an_azure_role_read_nothing(sim: Sim):
    """An app role of the broker is no right in Azure."""
    assert error(sim.call("GET", WEB01, as_="frank")) == (403, "AuthorizationFailed")


def test_owner_may_do_more_than_the_broker(sim: Sim):
    """The portal's user is not bound by the broker's role."""
    response = sim.call("DELETE", FW_PROD, as_="petra")

    assert response.status == 202


def test_permission_taken_away_is_refused_to_the_broker_alone(sim: Sim):
    """A test can find out the purpose of each permission."""
    sim.control("PUT", "state", {"deniedActions": ["Microsoft.Compute/virtualMachines/read"]})

    assert error(sim.call("GET", WEB01)) == (403, "AuthorizationFailed")
    assert sim.call("GET", WEB01, as_="petra").status == 200


def test_permission_is_given_back(sim: Sim):
    """The list of denied actions is replaced as a whole."""
    sim.control("PUT", "state", {"deniedActions": ["*"]})
    sim.control("PUT", "state", {"deniedActions": []})

    assert sim.call("GET", WEB01).status == 200


def test_permission_can_be_taken_from_another_person(sim: Sim):
    """Denials name a person where it is not the broker."""
    denial = {"person": "petra", "action": "*/read"}
    sim.control("PUT", "state", {"deniedActions": [denial]})

    assert error(sim.call("GET", WEB01, as_="petra")) == (403, "AuthorizationFailed")
    assert sim.control("GET", "state")["deniedActions"] == [denial]


@pytest.mark.parametrize(
    "action",
    [
        "Microsoft.Network/virtualNetworks/subnets/join/action",
        "Microsoft.Network/publicIPAddresses/join/action",
    ],
)
def test_a_write_of_a_firewall_needs_the_right_to_join_its_network(sim: Sim, action):
    """A PUT is checked against the resources that its body refers to."""
    firewall = sim.get(FW_PROD)
    sim.control("PUT", "state", {"deniedActions": [action]})
    response = sim.call("PUT", FW_PROD, firewall)

    assert error(response) == (403, "LinkedAuthorizationFailed")
    assert f"'{action}'" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "action",
    [
        "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action",
        "Microsoft.Compute/virtualMachines/read",
        "Microsoft.Network/networkInterfaces/read",
        "Microsoft.Network/publicIPAddresses/read",
    ],
)
def test_initiate_takes_the_rights_that_the_documentation_lists(sim: Sim, action):
    """A request reads the VM with its network in the caller's name."""
    sim.control("PUT", "state", {"deniedActions": [action]})

    assert error(sim.initiate(DB01, 22)) == (403, "AuthorizationFailed")


def test_a_write_of_a_policy_needs_the_right_to_write_its_machines(sim: Sim):
    """Configuring JIT takes the right to write the VM."""
    where = DB01.partition("/providers/")[0]
    body = sim.get(policy(where))
    sim.control("PUT", "state", {"deniedActions": ["Microsoft.Compute/virtualMachines/write"]})

    assert error(sim.call("PUT", policy(where), body)) == (403, "AuthorizationFailed")


def test_single_rule_and_whole_group_are_separate_rights(sim: Sim):
    """The broker may write a rule, not replace a group."""
    group = sim.get(NSG_WEB)

    assert sim.call("PUT", f"{NSG_WEB}/securityRules/one", rule()).status == 201
    assert error(sim.call("PUT", NSG_WEB, group)) == (403, "AuthorizationFailed")


def test_unknown_subscription_comes_before_permission(sim: Sim):
    """There is nothing to have rights on."""
    path = machine("web01", "/subscriptions/none/resourceGroups/rg")

    assert error(sim.call("GET", path, as_="alice")) == (404, "SubscriptionNotFound")


@pytest.mark.parametrize("subscription", [PRODUCTION, DEVELOPMENT])
def test_broker_reads_both_subscriptions(sim: Sim, subscription):
    """Its role is assigned on each."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.Network/networkSecurityGroups"

    assert sim.get(path)["value"]
