"""Role assignments of one person, by groups too."""

import pytest

from jit.domain.authorization.permission_json import Unreadable
from jit.domain.authorization.role_assignments import RoleAssignment, read_assignments
from jit.domain.authorization.scopes import ROOT_SCOPE
from tests.builders.authorization import HERE, OWNER, PERSON, STRANGER, TEAM, an_assignment

OWN = RoleAssignment(HERE.lower(), OWNER)


@pytest.mark.parametrize("principal", [PERSON, PERSON.upper()])
def test_an_own_assignment_counts(principal):
    assert read_assignments([an_assignment(principal=principal)], PERSON) == (OWN,)


@pytest.mark.parametrize("kind", ["Group", "ForeignGroup", "group"])
def test_an_assignment_of_a_group_counts(kind):
    """Azure expands the groups of the person."""
    assert read_assignments([an_assignment(principal=TEAM, kind=kind)], PERSON) == (OWN,)


@pytest.mark.parametrize(
    "foreign",
    [
        an_assignment(principal=STRANGER),
        an_assignment(principal=STRANGER, kind="ServicePrincipal"),
        an_assignment(principal=STRANGER, kind=None),
        an_assignment(principal=None),
        {"properties": None},
    ],
)
def test_a_list_with_an_assignment_of_somebody_else_is_not_believed(foreign):
    """The filter did not count, so the groups in it may be anybody's."""
    with pytest.raises(Unreadable):
        read_assignments([an_assignment(), foreign], PERSON)


@pytest.mark.parametrize(
    ("changes", "scope"),
    [
        ({"roleDefinitionId": None}, HERE.lower()),
        ({"scope": None}, ROOT_SCOPE),
        ({"scope": "x"}, ROOT_SCOPE),
    ],
)
def test_an_assignment_that_cannot_be_read_has_no_role(changes, scope):
    """Without a scope it may count anywhere."""
    found = read_assignments([an_assignment(**{"scope": HERE} | changes)], PERSON)

    assert found == (RoleAssignment(scope, None),)


def test_a_condition_is_noted():
    (found,) = read_assignments([an_assignment(condition="@Resource[x]")], PERSON)

    assert found == RoleAssignment(HERE.lower(), OWNER, is_conditional=True)


def test_a_list_is_no_longer_than_azure_allows():
    with pytest.raises(Unreadable):
        read_assignments([an_assignment()] * 20_001, PERSON)
