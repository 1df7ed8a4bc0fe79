"""Rights of one person, compared with a naive model of Azure RBAC."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.authorization.deny_assignments import read_deny_assignments
from jit.domain.authorization.machine_rights import judge_machine
from jit.domain.authorization.needed_actions import ALL, BIT, INITIATE, NEEDED, list_actions
from jit.domain.authorization.rights import ActionBits, RightsRules, build_rights
from jit.domain.authorization.role_assignments import read_assignments
from jit.domain.authorization.role_definitions import read_roles
from tests.builders.authorization import (
    EVERYBODY,
    HERE,
    PERSON,
    STRANGER,
    TEAM,
    a_deny,
    a_principal,
    a_role,
    an_assignment,
)
from tests.builders.machines import a_configured_vm
from tests.builders.values import GROUP, OTHER_VM_ID, VM_ID
from tests.domain.authorization.test_action_patterns import matches

ROOT, MANAGEMENT = "/", "/providers/Microsoft.Management/managementGroups/mg"


def build(*assignments, roles=None, denials=(), groups=None):
    rules = RightsRules(read_roles(roles or [a_role()]), read_deny_assignments(list(denials)))
    return build_rights(rules, read_assignments(list(assignments), PERSON), PERSON, groups)


def answer(rights, scope=VM_ID):
    """The actions that are allowed, and the unknown ones."""
    found = rights.find_at(scope)
    return list_actions(found.allowed), list_actions(found.untold)


NONE: list[str] = []
NOTHING, EVERYTHING, UNTOLD = (NONE, NONE), (list(NEEDED), NONE), (NONE, list(NEEDED))


# ---- single laws ---------------------------------------------------------------------------------


def test_without_an_assignment_nothing_is_allowed():
    assert answer(build()) == NOTHING


def test_an_assignment_counts_at_its_scope_and_below():
    """From the root, a management group, the subscription, the group, or on the VM itself."""
    for scope in (ROOT, MANAGEMENT, HERE, GROUP.upper(), VM_ID):
        assert answer(build(an_assignment(scope))) == EVERYTHING
    for scope in (OTHER_VM_ID, GROUP[:-1], f"{VM_ID}/extensions/x", f"{HERE}0"):
        assert answer(build(an_assignment(scope))) == NOTHING


def test_roles_add_up():
    """Exceptions of one role take nothing from another one."""
    roles = [a_role(without=[INITIATE], name="no-initiate"), a_role(INITIATE, name="initiate")]
    both = [an_assignment(role=each) for each in ("no-initiate", "initiate")]

    assert answer(build(*both, roles=roles)) == EVERYTHING
    assert answer(build(both[0], roles=roles)) == (list(NEEDED[1:]), [])


def test_a_condition_counts_as_not_granted():
    limited = an_assignment(condition="@Resource[x]")

    assert answer(build(limited)) == NOTHING
    assert build(limited).find_at(VM_ID).conditional == ALL
    assert answer(build(limited, an_assignment())) == EVERYTHING


def test_a_deny_assignment_wins_over_each_role():
    assert answer(build(an_assignment(), denials=[a_deny(GROUP)])) == NOTHING
    assert answer(build(an_assignment(), denials=[a_deny(OTHER_VM_ID)])) == EVERYTHING


def test_a_deny_assignment_may_leave_out_the_scopes_below():
    above = a_deny(GROUP, doNotApplyToChildScopes=True)

    assert answer(build(an_assignment(), denials=[above])) == EVERYTHING
    assert answer(build(an_assignment(), denials=[above]), GROUP) == NOTHING


def test_a_role_that_is_not_listed_grants_nothing_for_sure():
    """It may grant anything. Another role may grant it for sure."""
    lost = an_assignment(role="of-nobody")

    assert answer(build(lost)) == UNTOLD
    assert answer(build(lost, an_assignment())) == EVERYTHING
    assert answer(build(an_assignment(roleDefinitionId=None))) == UNTOLD


def test_a_deny_assignment_that_cannot_be_read_leaves_nothing_allowed():
    """Even for an owner. If nothing is granted, it does not matter."""
    broken = a_deny(permissions=None)

    assert answer(build(an_assignment(), denials=[broken])) == UNTOLD
    assert answer(build(denials=[broken])) == NOTHING
    assert answer(build(an_assignment(), denials=[broken, a_deny()])) == NOTHING


def test_a_deny_assignment_of_a_group_needs_the_groups_of_the_person():
    denial = a_deny(principals=[a_principal(TEAM, "Group")])

    assert answer(build(an_assignment(), denials=[denial])) == UNTOLD
    assert answer(build(an_assignment(), denials=[denial], groups=frozenset())) == EVERYTHING
    assert answer(build(an_assignment(), denials=[denial], groups=frozenset({TEAM}))) == NOTHING


def test_a_deny_assignment_of_a_group_elsewhere_does_not_matter():
    """It matters only if it would take a needed action at that scope."""
    group = [a_principal(TEAM, "Group")]
    elsewhere = a_deny(OTHER_VM_ID, principals=group)
    harmless = a_deny(HERE, "*/write", principals=group)

    assert answer(build(an_assignment(), denials=[elsewhere, harmless])) == EVERYTHING


@pytest.mark.parametrize("principals", [None, []])
def test_a_denial_of_which_nobody_knows_whom_it_concerns_allows_nobody(principals):
    denial = a_deny()
    denial["properties"]["principals"] = principals

    assert answer(build(an_assignment(), denials=[denial])) != EVERYTHING


@pytest.mark.parametrize("kind", ["Everyone", "SystemDefined"])
def test_a_denial_of_a_principal_that_azure_defines_may_concern_everybody(kind):
    denial = a_deny(principals=[a_principal("11111111-0000-4000-8000-000000000000", kind)])

    assert answer(build(an_assignment(), denials=[denial])) != EVERYTHING


def test_a_scope_of_two_slashes_is_not_the_root():
    assert answer(build(an_assignment("//"))) != EVERYTHING


# ---- all together --------------------------------------------------------------------------------

SCOPES = st.sampled_from([ROOT, MANAGEMENT, HERE, GROUP, VM_ID, OTHER_VM_ID, f"{GROUP}x"])
PATTERNS = st.sampled_from(
    ["*", "*/read", INITIATE, "Microsoft.Compute/*", "microsoft.network/*", "*/write", *NEEDED]
)
LISTS = st.lists(PATTERNS, max_size=2)
ROLES = st.lists(st.tuples(LISTS, LISTS), min_size=1, max_size=3)
ASSIGNED = st.lists(st.tuples(SCOPES, st.integers(0, 3), st.booleans()), max_size=4)
PRINCIPALS = st.lists(
    st.sampled_from(
        [(PERSON, "User"), (STRANGER, "User"), (TEAM, "Group"), (EVERYBODY, "Everyone")]
    ),
    max_size=2,
)
DENIALS = st.lists(
    st.tuples(SCOPES, LISTS, LISTS, PRINCIPALS, PRINCIPALS, st.booleans()), max_size=2
)
GROUPS = st.sampled_from([frozenset(), frozenset({TEAM})])
EXACT = st.sampled_from([NEEDED[0], NEEDED[2], NEEDED[4]])
"""Needed actions that stand for themselves: the model knows no pattern of actions."""


def reaches(scope, target):
    """The naive model of inheritance."""
    if scope in {ROOT, MANAGEMENT}:
        return True
    return f"{target.lower()}/".startswith(f"{scope.lower()}/")


def is_in(action, permission):
    actions, without = permission
    return any(matches(each, action) for each in actions) and not any(
        matches(each, action) for each in without
    )


def is_one_of(principals, groups, *more):
    return any(oid in {PERSON, *groups, *more} for oid, _ in principals)


def model(case, groups, action, target):
    """True, False, or None if a role is not known."""
    roles, assigned, denials = case
    for scope, actions, without, principals, excluded, is_exact in denials:
        is_there = scope.lower() == target.lower() if is_exact else reaches(scope, target)
        named = is_one_of(principals, groups, EVERYBODY) and not is_one_of(excluded, groups)
        if is_there and named and is_in(action, (actions, without)):
            return False
    there = [(role, limited) for scope, role, limited in assigned if reaches(scope, target)]
    sure = [role for role, limited in there if not limited and role < len(roles)]
    if any(is_in(action, roles[role]) for role in sure):
        return True
    return None if any(role >= len(roles) for role, _ in there) else False


@given(st.tuples(ROLES, ASSIGNED, DENIALS), GROUPS, EXACT, st.sampled_from([VM_ID, GROUP]))
def test_rights_are_those_of_the_model(case, groups, action, target):
    """Without a cache, an index or bits."""
    roles, assigned, denials = case
    rights = build(
        *[
            an_assignment(scope, role=str(role), condition="x" if limited else None)
            for scope, role, limited in assigned
        ],
        roles=[
            {**a_role(name=str(number), permissions=[{"actions": actions, "notActions": without}])}
            for number, (actions, without) in enumerate(roles)
        ],
        denials=[
            a_deny(
                scope,
                permissions=[{"actions": actions, "notActions": without}],
                principals=[a_principal(*each) for each in principals],
                excluded=[a_principal(*each) for each in excluded],
                doNotApplyToChildScopes=is_exact,
            )
            for scope, actions, without, principals, excluded, is_exact in denials
        ],
        groups=groups,
    )
    found = rights.find_at(target)

    wanted = model(case, groups, action, target)
    bit = BIT[action]
    assert (bool(found.allowed & bit), bool(found.untold & bit)) == (wanted is True, wanted is None)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "properties", "name"]),
            st.none()
            | st.text()
            | st.dictionaries(
                st.sampled_from(["scope", "permissions", "principals"]),
                st.text() | st.lists(st.integers(), max_size=2),
                max_size=3,
            ),
            max_size=3,
        ),
        max_size=3,
    )
)
def test_odd_json_never_gives_a_right(items):
    """Neither as roles nor as deny assignments."""
    rights = build(roles=[*items, {}], denials=items)
    owner = build(an_assignment(role="x"), roles=[*items, {}], denials=items)

    assert answer(rights) == NOTHING
    assert owner.find_at(VM_ID).allowed == 0


@given(st.lists(st.sampled_from(["granted", "conditional", "unclear", "denied", "doubted"])))
def test_an_action_is_allowed_or_untold_or_neither(names):
    """A denied one is neither."""
    bits = ActionBits(**dict.fromkeys(names, 1))

    assert bits.allowed & bits.untold == 0
    assert not (bits.denied and (bits.allowed or bits.untold))


def test_two_hundred_assignments_cost_no_more_than_one():
    """The scopes of a VM are looked up: the others are never visited."""

    def measure(count):
        scopes = [f"{HERE}/resourceGroups/rg-{number}" for number in range(count - 1)]
        rights = build(*map(an_assignment, [*scopes, HERE]))
        found = Visited(rights.inherited)
        judge_machine(type(rights)(found, rights.exact), a_configured_vm(), "#")
        return found.visits

    assert measure(200) == measure(1)


class Visited(dict[str, ActionBits]):
    """A mapping that counts its reads."""

    visits = 0

    def get(self, key, default=None):
        self.visits += 1
        return super().get(key, default)
