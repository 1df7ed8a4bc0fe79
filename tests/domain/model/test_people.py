"""The app roles, letter by letter: they stand in other people's Entra ID applications."""

from jit.domain.model.people import Role


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
