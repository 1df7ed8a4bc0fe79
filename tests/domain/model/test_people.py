"""People: the texts that name one; the app roles, which stand in other Entra ID applications."""

import pytest

from jit.domain.model.people import Person, Role

ALICE = Person(id="a11ce", name="alice@example.com", display_name="Alice Ashdown")


def test_app_roles_have_the_names_of_the_contract():
    """Renaming one would take it away from everybody who has it."""
    names = {role.value for role in Role}

    assert names == {
        "Jit.Requester",
        "Jit.Approver",
        "Jit.Operator",
        "Jit.Auditor",
        "Jit.BreakGlass",
        "Jit.System",
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a11ce", True),
        ("A11CE", True),
        ("Alice@example.com", True),
        ("alice ashdown", True),
        ("alice", False),
        ("", False),
    ],
)
def test_a_person_is_named_by_object_id_e_mail_or_name(text, found):
    """In any letter case; a part of a name could be somebody else's."""
    assert ALICE.matches(text) is found


def test_a_person_without_a_name_in_the_directory_is_named_by_the_others():
    """An empty text names nobody."""
    assert not Person(id="o", name="olga@example.com").matches("")
