"""The lists of Microsoft.Authorization: who is told of which rights, by which filter."""

import uuid

import pytest

from local.azure.arm.built_in_roles import BUILT_IN
from local.azure.arm.rights import EVERYONE, last_name
from tests.local.azure.sim import (
    DB,
    DEVELOPMENT,
    HOST,
    PRODUCTION,
    WEB,
    WEB01,
    Sim,
    error,
    group,
    machine,
)

HERE = f"/subscriptions/{PRODUCTION}"
ANN, BEN = "aaaa0000-0000-4000-8000-000000000001", "bbbb0000-0000-4000-8000-000000000001"
TEAM, UNIT = "cccc0000-0000-4000-8000-000000000001", "cccc0000-0000-4000-8000-000000000002"
READER = next(each["name"] for each in BUILT_IN if each["properties"]["roleName"] == "Reader")
LIVE = "/providers/Microsoft.Management/managementGroups/contoso-live"
TOP = "/providers/Microsoft.Management/managementGroups/contoso"
ELSEWHERE = "/providers/Microsoft.Management/managementGroups/lab"
KINDS = ("roleAssignments", "roleDefinitions", "denyAssignments")


def provider(kind, where=HERE):
    return f"{where.rstrip('/')}/providers/Microsoft.Authorization/{kind}"


def ask(sim, kind, chosen=None, as_="broker", subscription=PRODUCTION):
    query = "" if chosen is None else f"&$filter={chosen}"
    return sim.call("GET", provider(kind, f"/subscriptions/{subscription}"), as_=as_, query=query)


def listed(sim, kind, chosen=None, **how):
    """All items of a list, over its pages."""
    response = ask(sim, kind, chosen, **how)
    found = []
    while True:
        assert response.status == 200, response.json()
        page = response.json()
        found += page["value"]
        if "nextLink" not in page:
            return found
        response = follow(sim, page["nextLink"])


def follow(sim, link):
    bearer = {"authorization": f"Bearer {sim.token('broker')}"}
    return sim.send("GET", link.removeprefix(HOST), None, bearer)


def a_role(principal, scope, **more):
    """The entry of a role assignment in a state: Reader for *principal* at *scope*."""
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{principal}{scope}")
    definition = f"/providers/Microsoft.Authorization/roleDefinitions/{READER}"
    properties = {"principalId": principal, "roleDefinitionId": definition, **more}
    return {f"{provider('roleAssignments', scope)}/{name}": {"properties": properties}}


def a_denial(name, scope, *principals, **more):
    """The entry of a deny assignment in a state."""
    guid = uuid.uuid5(uuid.NAMESPACE_URL, f"{name}{scope}")
    properties = {
        "denyAssignmentName": name,
        "description": f"about {name}",
        "permissions": [{"actions": ["*/write"], "notActions": ["*/tags/write"]}],
        "principals": [{"id": each, "type": "User"} for each in principals],
        **more,
    }
    return {f"{provider('denyAssignments', scope)}/{guid}": {"properties": properties}}


def put(sim, **parts):
    sim.control("PUT", "state", {"authorization": parts})


def scopes(items, principal=None):
    return {
        each["properties"]["scope"]
        for each in items
        if principal in {None, each["properties"]["principalId"]}
    }


@pytest.fixture
def world(sim: Sim) -> Sim:
    """Ann is in a team, which is in a unit; both groups, Ann and Ben hold roles."""
    roles = {
        **a_role(ANN, WEB01),
        **a_role(TEAM, DB, principalType="Group"),
        **a_role(UNIT, LIVE, principalType="Group"),
        **a_role(BEN, HERE),
    }
    groups = {TEAM: {"members": [ANN.upper()]}, UNIT: {"members": [TEAM]}}
    put(sim, roleAssignments=roles, groups=groups)
    return sim


# ---- role assignments ----------------------------------------------------------------------------


def test_assigned_to_lists_the_roles_of_a_person_and_of_all_groups(world: Sim):
    """Groups in groups count; other people's roles do not appear."""
    found = listed(world, "roleAssignments", f"assignedTo('{ANN}')")

    assert {(each["properties"]["principalId"], each["properties"]["scope"]) for each in found} == {
        (ANN, WEB01),
        (TEAM, DB),
        (UNIT, LIVE),
    }


def test_at_scope_leaves_out_the_roles_below_the_subscription(world: Sim):
    """Roles at the subscription and above it stay."""
    both = f"atScope()+and+assignedTo('{ANN}')"

    assert scopes(listed(world, "roleAssignments", both)) == {LIVE}
    assert scopes(listed(world, "roleAssignments", "atScope()")) == {HERE, LIVE, "/"}


def test_principal_id_lists_the_roles_of_one_principal_without_its_groups(world: Sim):
    """A person or a group, by its own id alone."""
    assert scopes(listed(world, "roleAssignments", f"principalId+eq+'{ANN}'")) == {WEB01}
    assert scopes(listed(world, "roleAssignments", f"principalId+eq+'{UNIT}'")) == {LIVE}


@pytest.mark.parametrize(
    ("scope", "appears"),
    [
        ("/", True),
        (TOP, True),
        (LIVE, True),
        (ELSEWHERE, False),
        (HERE, True),
        (WEB, True),
        (WEB01, True),
        (f"/subscriptions/{DEVELOPMENT}", False),
        (group("rg-farm-1", DEVELOPMENT), False),
    ],
)
def test_a_list_has_the_assignments_above_and_below_its_subscription(sim: Sim, scope, appears):
    """As Azure: what applies there, and what applies to a part of it."""
    put(sim, roleAssignments=a_role(ANN, scope), denyAssignments=a_denial("one", scope, ANN))
    roles = listed(sim, "roleAssignments", f"assignedTo('{ANN}')")
    denials = listed(sim, "denyAssignments", f"assignedTo('{ANN}')")

    assert (scopes(roles) == {scope}, bool(roles), bool(denials)) == (appears,) * 3


def test_an_assignment_has_the_members_that_azure_shows(sim: Sim):
    """Members without a value are null, and the id is that of its scope."""
    put(sim, roleAssignments=a_role(ANN, WEB))
    (found,) = listed(sim, "roleAssignments", f"assignedTo('{ANN}')")

    assert found["id"] == f"{provider('roleAssignments', WEB)}/{found['name']}"
    assert found["type"] == "Microsoft.Authorization/roleAssignments"
    assert found["properties"].keys() == {
        *("roleDefinitionId", "principalId", "principalType", "scope", "condition"),
        *("conditionVersion", "createdOn", "updatedOn", "createdBy", "updatedBy"),
        *("delegatedManagedIdentityResourceId", "description"),
    }
    assert (found["properties"]["condition"], found["properties"]["scope"]) == (None, WEB)


def test_a_condition_is_shown_by_the_version_that_knows_it(sim: Sim):
    """An older version would make a conditional role look like an unconditional one."""
    conditional = {"condition": "@Resource[x] StringEquals 'y'", "conditionVersion": "2.0"}
    put(sim, roleAssignments=a_role(ANN, HERE, **conditional))
    (found,) = listed(sim, "roleAssignments", f"assignedTo('{ANN}')")
    path = f"{provider('roleAssignments')}?api-version=2015-07-01&$filter=assignedTo('{ANN}')"
    (old,) = follow(sim, path).json()["value"]

    assert {name: found["properties"][name] for name in conditional} == conditional
    assert not conditional.keys() & old["properties"].keys()


# ---- role definitions ----------------------------------------------------------------------------


def test_role_definitions_are_the_built_in_and_the_custom_ones(sim: Sim):
    """Each with its permissions, and with an id below the subscription."""
    found = {each["properties"]["roleName"]: each for each in listed(sim, "roleDefinitions")}

    assert found.keys() >= {
        *("Owner", "Contributor", "Reader", "Security Admin", "Security Reader"),
        *("JIT access broker", "JIT requester"),
    }
    assert found["Reader"]["id"] == f"{HERE}/providers/{found['Reader']['type']}/{READER}"
    assert found["Reader"]["properties"]["permissions"] == [
        {"actions": ["*/read"], "notActions": [], "dataActions": [], "notDataActions": []}
    ]


def test_each_assignment_leads_to_a_listed_definition_by_its_guid_alone(sim: Sim):
    """The ids differ: an assignment above the subscription does not name one."""
    definitions = listed(sim, "roleDefinitions")
    used = {each["properties"]["roleDefinitionId"] for each in listed(sim, "roleAssignments")}

    assert {last_name(each) for each in used} <= {each["name"] for each in definitions}
    assert not used <= {each["id"] for each in definitions}


def test_a_role_for_one_group_is_listed_below_the_subscription_only(sim: Sim):
    """Without ``atScopeAndBelow`` the list does not explain a role at a resource group."""
    name = "/providers/Microsoft.Authorization/roleDefinitions/dddd0000-0000-4000-8000-000000000001"
    local = {"roleName": "Local", "permissions": [{"actions": ["*"]}], "assignableScopes": [WEB]}
    put(sim, roleDefinitions={name: {"properties": local}})
    shown = [
        {each["properties"]["roleName"] for each in listed(sim, "roleDefinitions", chosen)}
        for chosen in (None, "atScopeAndBelow()")
    ]

    assert ["Local" in each for each in shown] == [False, True]
    assert "Reader" in shown[1]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ("type+eq+'BuiltInRole'", {each["properties"]["roleName"] for each in BUILT_IN}),
        ("roleName+eq+'reader'", {"Reader"}),
        ("roleName+eq+'O''Neill'", set()),
    ],
)
def test_role_definitions_are_chosen_by_type_or_name(sim: Sim, chosen, names):
    """As the documentation lists the filters."""
    found = listed(sim, "roleDefinitions", chosen)

    assert {each["properties"]["roleName"] for each in found} == names


# ---- deny assignments ----------------------------------------------------------------------------


@pytest.fixture
def denials(world: Sim) -> Sim:
    """Denials for the person, for a group, for everybody but one, for another person."""
    except_ann = {"excludePrincipals": [{"id": ANN, "type": "User"}]}
    put(
        world,
        denyAssignments={
            **a_denial("own", WEB, ANN),
            **a_denial("by unit", LIVE, UNIT),
            **a_denial("all but Ann", HERE, EVERYONE, **except_ann),
            **a_denial("Ben's", HERE, BEN),
        },
    )
    return world


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (None, {"own", "by unit", "all but Ann", "Ben's", "No just-in-time access"}),
        ("atScope()", {"by unit", "all but Ann", "Ben's", "No just-in-time access"}),
        (f"assignedTo('{ANN}')", {"own", "by unit"}),
        (f"atScope()+and+assignedTo('{ANN}')", {"by unit"}),
        (f"principalId+eq+'{ANN}'", {"own"}),
        (f"principalId+eq+'{EVERYONE}'", {"all but Ann"}),
        (f"gdprExportPrincipalId+eq+'{ANN}'", {"own", "all but Ann"}),
        ("denyAssignmentName+eq+'ben''s'", {"Ben's"}),
    ],
)
def test_deny_assignments_are_chosen_by_scope_person_or_name(denials: Sim, chosen, names):
    """A filter by principal does not find those for everybody."""
    found = listed(denials, "denyAssignments", chosen)

    assert {each["properties"]["denyAssignmentName"] for each in found} == names


def test_an_export_has_the_name_and_the_description_alone(denials: Sim):
    """So the description of the API says."""
    found = listed(denials, "denyAssignments", f"gdprExportPrincipalId+eq+'{ANN}'")

    assert {tuple(each["properties"]) for each in found} == {("denyAssignmentName", "description")}


# ---- as other lists ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        ("roleAssignments", "principalId+eq+x"),
        ("roleAssignments", "principalId+eq+''"),
        ("roleAssignments", f"principalId+eq+'{ANN}'+and+atScope()"),
        ("roleAssignments", f"atScope()+and+principalId+eq+'{ANN}'"),
        ("roleAssignments", f"roleDefinitionId+eq+'{READER}'"),
        ("roleAssignments", "denyAssignmentName+eq+'x'"),
        ("roleAssignments", ""),
        ("roleDefinitions", "atScope()"),
        ("roleDefinitions", "type+eq+'Other'"),
        ("denyAssignments", "assignedTo(x)"),
        ("denyAssignments", "atScopeAndBelow()"),
    ],
)
def test_a_filter_that_azure_does_not_know_is_refused(sim: Sim, kind, chosen):
    """A misread filter must not look like a person without roles."""
    response = ask(sim, kind, chosen)

    assert error(response) == (400, "UnsupportedQuery")
    assert "is not supported. Supported filters are either" in response.json()["error"]["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_has_pages_and_its_links_keep_the_filter(sim: Sim, kind):
    """Many items come in many answers, each once."""
    roles = [a_role(ANN, machine(f"vm{number}", WEB)) for number in range(7)]
    denials = [a_denial(f"denial {number}", WEB, ANN) for number in range(7)]
    put(
        sim,
        roleAssignments={name: each for role in roles for name, each in role.items()},
        denyAssignments={name: each for denial in denials for name, each in denial.items()},
    )
    sim.options(pageSize=3)
    sim.control("DELETE", "log")
    chosen = {"roleDefinitions": "atScopeAndBelow()"}.get(kind, f"assignedTo('{ANN}')")
    found = listed(sim, kind, chosen)

    log = [each for each in sim.control("GET", "log") if each["method"] == "GET"]
    assert len(log) == 3
    assert {each["query"]["$filter"] for each in log} == {chosen}
    assert len({each["id"] for each in found}) == len(found) >= 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_needs_the_right_to_read_it(sim: Sim, kind):
    """At the subscription: a right at a resource group is not enough."""
    denied = f"Microsoft.Authorization/{kind}/read"
    assert ask(sim, kind, as_="petra").status == 200
    assert error(ask(sim, kind, as_="alice")) == (403, "AuthorizationFailed")
    sim.control("PUT", "state", {"deniedActions": [denied]})
    response = ask(sim, kind)

    assert error(response) == (403, "AuthorizationFailed")
    assert f"'{denied}' over scope '{HERE}'" in response.json()["error"]["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_is_throttled_and_fails_like_any_read(sim: Sim, kind):
    """The quota of reads, a fault by its path, and a list that lacks an item."""
    whole = len(listed(sim, kind))
    sim.faults({"match": {"path": kind}, "answer": {"status": 503, "code": "ServerBusy"}})
    sim.faults({"match": {"path": kind}, "omit": ["/providers/"]})
    failed, empty = ask(sim, kind), ask(sim, kind)
    sim.options(throttling=True)
    sim.azure.world.throttle.seconds = lambda: 0.0  # the quota does not refill meanwhile
    answers = [ask(sim, kind).status for _ in range(251)]

    assert error(failed) == (503, "ServerBusy")
    assert (empty.json()["value"], whole > 0) == ([], True)
    assert answers == [200] * 250 + [429]


def test_a_subscription_that_does_not_exist_has_no_lists(sim: Sim):
    """The error of every other list."""
    assert error(ask(sim, KINDS[0], subscription=ANN)) == (404, "SubscriptionNotFound")
