"""Rights: actions, scopes, groups, denials; a directory that a test writes down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.azure.arm.rights import EVERYONE, Rights, matches, permit
from local.azure.landscape.rights_forms import make_deny_assignment, make_role_assignment
from local.azure.values import ids

LETTERS = st.text("abc/", max_size=8)
TENANT, SUBSCRIPTION = "7e4a4700-0000-4000-8000-000000000000", "/subscriptions/S1"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"
READ, WRITE = "Microsoft.Compute/virtualMachines/read", "Microsoft.Compute/virtualMachines/write"
READS = {"properties": {"permissions": [{"actions": ["*/read"]}]}}


def a_group(*members):
    return {"displayName": "a group", "members": list(members)}


def a_role(scope, principal="ann", **changes):
    """A role with the right to read everything, given at *scope*."""
    role_id = f"{scope.rstrip('/')}/providers/{ids.ROLE_ASSIGNMENTS}/{principal}"
    given = {"principalId": principal, "roleDefinitionId": f"/x/{ids.ROLE_DEFINITIONS}/READS"}
    return make_role_assignment(role_id, {**given, **changes})


def a_denial(scope, principal="ann", **changes):
    """A denial of the right to read everything at *scope*."""
    denial_id = f"{scope.rstrip('/')}/providers/{ids.DENY_ASSIGNMENTS}/{principal}"
    given = {
        "denyAssignmentName": "a denial",
        "permissions": [{"actions": ["*/read"], "notActions": ["Microsoft.Network/*"]}],
        "principals": [{"id": principal, "type": "User"}],
    }
    return make_deny_assignment(denial_id, {**given, **changes})


def rights(*assignments, groups=None, management_groups=None):
    """The rights that some role assignments and deny assignments give."""
    roles = [each for each in assignments if each["type"] == ids.ROLE_ASSIGNMENTS]
    denials = [each for each in assignments if each["type"] == ids.DENY_ASSIGNMENTS]
    return Rights(
        tenant=TENANT,
        definitions={"reads": READS},
        assignments={ids.key(each["id"]): each for each in roles},
        denials={ids.key(each["id"]): each for each in denials},
        groups=groups or {},
        management_groups=management_groups or {},
    )


# ---- actions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "action", "covered"),
    [
        ("*", "Microsoft.Compute/virtualMachines/read", True),
        ("*/read", "Microsoft.Compute/virtualMachines/read", True),
        ("*/read", "Microsoft.Compute/virtualMachines/write", False),
        ("Microsoft.Network/*/read", "Microsoft.Network/azureFirewalls/read", True),
        ("microsoft.network/AZUREFIREWALLS/read", "Microsoft.Network/azureFirewalls/read", True),
        ("Microsoft.Network/azureFirewalls/read", "Microsoft.Network/azureFirewalls/readx", False),
        ("Microsoft.Network/a.b/read", "Microsoft.Network/aXb/read", False),
    ],
)
def test_patterns_cover_actions_as_azure_reads_them(pattern, action, covered):
    """A star stands for any text; case does not count; a dot is a dot."""
    assert matches(pattern, action) is covered


@given(LETTERS, LETTERS, LETTERS)
def test_star_stands_for_any_text(before, middle, after):
    """Any text in place of the star is covered."""
    assert matches(f"{before}*{after}", before + middle + after)


def test_not_actions_are_left_out_of_their_own_permission_alone():
    """Another permission of the role may grant them."""
    all_but = {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}

    assert not permit([all_but], "Microsoft.Authorization/roleAssignments/write")
    assert permit([all_but], "Microsoft.Authorization/roleAssignments/read")
    assert permit(
        [all_but, {"actions": ["Microsoft.Authorization/*"]}],
        "Microsoft.Authorization/roleAssignments/write",
    )


# ---- scopes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        ("/", True),
        (f"/providers/Microsoft.Management/managementGroups/{TENANT}", True),
        ("/providers/Microsoft.Management/managementGroups/Top", True),
        ("/providers/Microsoft.Management/managementGroups/Middle", True),
        ("/providers/Microsoft.Management/managementGroups/Beside", False),
        (SUBSCRIPTION.upper(), True),
        ("/subscriptions/S2", False),
        ("/subscriptions/S", False),
        (GROUP, True),
        (f"{GROUP}2", False),
        (VM, True),
        (f"{VM}/extensions/x", False),
    ],
)
def test_a_role_reaches_all_that_lies_below_its_scope(scope, reached):
    """From the root by management groups down to one resource; nothing beside it."""
    found = rights(
        a_role(scope),
        management_groups={
            "top": {"parent": None, "subscriptions": []},
            "middle": {"parent": "TOP", "subscriptions": ["s1"]},
            "beside": {"parent": "top", "subscriptions": ["s2"]},
        },
    )

    assert found.may("ann", READ, VM) is reached
    assert not found.may("ann", WRITE, VM)
    assert not found.may("ben", READ, VM)


def test_management_groups_in_a_circle_end_the_search():
    """Azure has none; a state of a test may."""
    circle = {
        "a": {"parent": "b", "subscriptions": ["s1"]},
        "b": {"parent": "a", "subscriptions": []},
    }
    role = a_role("/providers/Microsoft.Management/managementGroups/b")

    assert rights(role, management_groups=circle).may("ann", READ, VM)


# ---- groups --------------------------------------------------------------------------------------


def test_a_member_of_a_group_in_a_group_has_the_rights_of_both():
    """Groups are transitive, in a circle too."""
    groups = {
        "outer": a_group("middle"),
        "middle": a_group("INNER"),
        "inner": a_group("Ann", "outer"),
        "other": a_group("ben"),
    }
    found = rights(a_role(GROUP, "Outer"), groups=groups)

    assert found.list_memberships("ann") == {"ann", "inner", "middle", "outer"}
    assert found.may("ann", READ, VM)
    assert not found.may("ben", READ, VM)


def test_a_change_counts_after_a_refresh():
    """Derived answers do not outlive the content."""
    found = rights(a_role(GROUP, "team"), groups={"team": a_group("ann")})
    before = found.may("ann", READ, VM)
    found.groups["team"] = a_group("ben")
    found.refresh()

    assert (before, found.may("ann", READ, VM), found.may("ben", READ, VM)) == (True, False, True)


# ---- denials and conditions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("denial", "may"),
    [
        (a_denial(GROUP), False),
        (a_denial("/"), False),
        (a_denial(VM), False),
        (a_denial(f"{GROUP}2"), True),
        (a_denial(GROUP, "ben"), True),
        (a_denial(GROUP, "team"), False),
        (a_denial(GROUP, EVERYONE), False),
        (a_denial(GROUP, EVERYONE, excludePrincipals=[{"id": "ann", "type": "User"}]), True),
        (a_denial(GROUP, EVERYONE, excludePrincipals=[{"id": "team", "type": "Group"}]), True),
        (a_denial(GROUP, doNotApplyToChildScopes=True), True),
        (a_denial(VM, doNotApplyToChildScopes=True), False),
    ],
)
def test_a_denial_takes_away_what_a_role_grants(denial, may):
    """By the person or a group, at its scope or below, unless the person is an exception."""
    found = rights(a_role("/"), denial, groups={"team": a_group("ann")})

    assert found.may("ann", READ, VM) is may
    assert found.may("ann", "Microsoft.Network/azureFirewalls/read", VM)


def test_a_role_with_a_condition_grants_nothing_here():
    """The simulator reads no conditions; doubt denies."""
    assert not rights(a_role("/", condition="@Resource[x] StringEquals 'y'")).may("ann", READ, VM)
    assert rights(a_role("/", condition=None)).may("ann", READ, VM)


def test_a_role_without_a_definition_grants_nothing():
    """Its definition was deleted, or a test left it out."""
    assert not rights(a_role("/", roleDefinitionId="/x/gone")).may("ann", READ, VM)
