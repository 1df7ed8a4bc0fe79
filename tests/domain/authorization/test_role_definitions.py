"""Role definitions: the needed actions that each role grants."""

import pytest

from jit.domain.authorization.needed_actions import ALL, BIT, INITIATE
from jit.domain.authorization.role_definitions import GrantedActions, make_role_key, read_roles
from tests.builders.authorization import OWNER, a_role

EVERYTHING = GrantedActions(ALL, 0)


def permissions(*each):
    return [{"actions": list(actions), "notActions": list(rest)} for actions, rest in each]


def test_a_role_is_known_by_its_guid():
    """An assignment may name it without the subscription, and in any letter case."""
    assert read_roles([a_role()]) == {OWNER: EVERYTHING}
    short = f"/providers/Microsoft.Authorization/roleDefinitions/{OWNER.upper()}"
    assert make_role_key(short) == OWNER


def test_exceptions_subtract_within_one_permission_only():
    """Another permission of the role may grant the action."""
    both = permissions((["*"], [INITIATE]), ([INITIATE], []))

    assert read_roles([a_role(permissions=both)]) == {OWNER: EVERYTHING}
    assert read_roles([a_role(without=[INITIATE])]) == {
        OWNER: GrantedActions(ALL & ~BIT[INITIATE], 0)
    }


def test_a_permission_with_a_condition_grants_under_a_condition():
    limited = [{"actions": ["*"], "condition": "@Request[x]"}]

    assert read_roles([a_role(permissions=limited)]) == {OWNER: GrantedActions(0, ALL)}


@pytest.mark.parametrize(
    "faulty", [None, "*", [{"actions": "*"}], [{"actions": ["*"], "notActions": 7}]]
)
def test_a_role_that_cannot_be_read_is_known_as_such(faulty):
    assert read_roles([a_role(permissions=faulty)]) == {OWNER: None}


def test_a_role_without_an_id_is_left_out():
    """Nobody can be assigned to it."""
    assert read_roles([{"properties": {}}, {**a_role(), "id": None}]) == {}


def test_a_role_that_is_listed_in_two_forms_cannot_be_read():
    """The same form twice is one role."""
    assert read_roles([a_role(), a_role()]) == {OWNER: EVERYTHING}
    assert read_roles([a_role(), a_role("a/b")]) == {OWNER: None}
    assert read_roles([a_role("a/b"), a_role(permissions=None), a_role()]) == {OWNER: None}
