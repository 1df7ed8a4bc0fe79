"""Deny assignments: the actions that they take away, and the people whom they concern."""

import pytest

from jit.domain.authorization.deny_assignments import read_deny_assignments
from jit.domain.authorization.needed_actions import ALL, BIT, INITIATE
from jit.domain.authorization.permission_json import Unreadable
from jit.domain.authorization.scopes import ROOT_SCOPE
from tests.builders.authorization import (
    EVERYBODY,
    HERE,
    PERSON,
    STRANGER,
    TEAM,
    a_deny,
    a_principal,
)

ALL_PRINCIPALS = a_principal(EVERYBODY, "Everyone")
GROUP = a_principal(TEAM, "Group")
OWN, OTHER = a_principal(PERSON.upper()), a_principal(STRANGER)
UNKNOWN_KIND = {"id": TEAM}


def read_one(**changes):
    (found,) = read_deny_assignments([a_deny(**changes)])
    return found


@pytest.mark.parametrize(
    ("principals", "excluded", "groups", "applies"),
    [
        ([OWN], [], None, True),
        ([OTHER], [], None, False),
        ([], [], None, None),
        ([ALL_PRINCIPALS], [], None, True),
        ([a_principal(EVERYBODY, "SystemDefined")], [], None, True),
        ([ALL_PRINCIPALS], [OWN], None, False),
        ([ALL_PRINCIPALS], [OTHER], None, True),
        ([GROUP], [], {TEAM}, True),
        ([GROUP], [], set(), False),
        ([GROUP], [], None, None),
        ([UNKNOWN_KIND], [], None, None),
        ([GROUP], [OWN], None, False),
        ([ALL_PRINCIPALS], [GROUP], None, None),
        ([ALL_PRINCIPALS], [GROUP], {TEAM}, False),
        ([ALL_PRINCIPALS], [GROUP], set(), True),
        ([GROUP], [GROUP], None, None),
        ([OTHER], [GROUP], None, False),
        ([ALL_PRINCIPALS], [ALL_PRINCIPALS], None, None),
    ],
)
def test_a_deny_assignment_applies_to_its_principals(principals, excluded, groups, applies):
    """
    A group matters only if its members are not known, and it could change the answer.

    A principal that Azure defines may have members too. Without principals nobody can tell.
    """
    found = read_one(principals=principals, excluded=excluded)
    known = None if groups is None else frozenset(groups)

    assert found.judge_person(PERSON, known) is applies


def test_its_actions_are_bits_at_a_scope():
    found = read_one(without=["*/read"])

    assert (found.scope, found.denied, found.is_exact) == (HERE.lower(), BIT[INITIATE], False)


def test_it_may_leave_out_the_scopes_below():
    assert read_one(doNotApplyToChildScopes=True).is_exact


@pytest.mark.parametrize("value", [None, "true", 1, False])
def test_only_true_leaves_out_the_scopes_below(value):
    assert not read_one(doNotApplyToChildScopes=value).is_exact


def test_one_that_takes_no_needed_action_is_left_out():
    """Most of them protect resources from being changed."""
    assert read_deny_assignments([a_deny(HERE, "*/write", "*/delete")]) == ()


@pytest.mark.parametrize(
    ("changes", "scope"),
    [
        ({"permissions": None}, HERE.lower()),
        ({"permissions": [{"actions": 7}]}, HERE.lower()),
        ({"principals": "x"}, HERE.lower()),
        ({"principals": [{"type": "User"}]}, HERE.lower()),
        ({"excludePrincipals": [7]}, HERE.lower()),
        ({"scope": None}, ROOT_SCOPE),
    ],
)
def test_one_that_cannot_be_read_may_apply_to_anybody(changes, scope):
    found = read_one(**{"scope": HERE} | changes)

    assert (found.scope, found.denied, found.judge_person(PERSON, frozenset())) == (
        scope,
        ALL,
        None,
    )


def test_one_whose_principals_cannot_be_read_takes_its_own_actions_only():
    found = read_one(without=["*/read"], principals=7)

    assert (found.denied, found.judge_person(PERSON, None)) == (BIT[INITIATE], None)


def test_a_condition_does_not_limit_it():
    """The broker does not judge conditions, so it counts as if it were always met."""
    assert read_one(condition="@Resource[x]").judge_person(PERSON, None) is True


def test_a_list_is_no_longer_than_azure_allows():
    with pytest.raises(Unreadable):
        read_deny_assignments([a_deny()] * 20_001)
