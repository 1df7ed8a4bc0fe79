"""The people with access to a virtual machine, as one caller may see them."""

from jit.domain.model.shown_access import MachineAccess


def test_a_machine_without_access_has_no_grants_and_no_age():
    """As the answer to a change of its policy shows it."""
    assert MachineAccess() == MachineAccess(grants=(), observed_at=None, names_others=True)
