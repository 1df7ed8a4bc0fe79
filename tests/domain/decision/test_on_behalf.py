"""Requests on behalf of a person: which caller may make them."""

import pytest

from jit.domain.decision.on_behalf import find_missing_role
from jit.domain.decision.verdict import FindingKind
from jit.domain.model.people import Person, Role

OWN = "50000000-0000-4000-8000-000000000007"
ALICE = "a11ce000-0000-4000-8000-000000000001"


def find(named, *roles):
    return find_missing_role(Person(id=OWN, name="snow", roles=frozenset(roles)), named)


@pytest.mark.parametrize(
    ("named", "roles"),
    [
        (None, [Role.REQUESTER]),
        (None, [Role.REQUESTER, Role.SYSTEM]),
        (ALICE, [Role.SYSTEM]),
        (ALICE, [Role.REQUESTER, Role.SYSTEM]),
    ],
)
def test_a_requester_asks_for_itself_and_a_system_for_others(named, roles):
    """A caller may have both roles."""
    assert find(named, *roles) == ()


@pytest.mark.parametrize(
    ("named", "roles", "words"),
    [
        (None, [Role.SYSTEM], "Jit.Requester"),
        (None, [], "Jit.Requester"),
        (None, [Role.OPERATOR, Role.BREAK_GLASS], "Jit.Requester"),
        (ALICE, [Role.REQUESTER], "Jit.System"),
        (ALICE, [Role.REQUESTER, Role.OPERATOR, Role.APPROVER], "Jit.System"),
        (ALICE, [], "Jit.System"),
        (OWN, [Role.SYSTEM], "another person"),
        (OWN, [Role.SYSTEM, Role.REQUESTER], "another person"),
    ],
)
def test_any_other_request_is_refused_and_the_role_named(named, roles, words):
    """A system that names itself would get access without the role of a requester."""
    (found,) = find(named, *roles)

    assert (found.kind, found.violation.code) == (FindingKind.ROLE, "on-behalf-role")
    assert found.violation.pointer == "#/onBehalfOf"
    assert words in found.violation.detail
