"""The entry of a VM in a JIT policy."""

import pytest

from jit.domain.model.machine import PolicyFault, PolicyField
from jit.domain.model.policy_entry import PolicyEntry
from tests.builders.machines import a_rule

FAULT = PolicyFault(port=22, field=PolicyField.SOURCE, detail="odd")
ENTRY = PolicyEntry(ports=(a_rule(22), a_rule(3389)), faults=(FAULT,))


def test_a_rule_is_found_by_its_port():
    """A port that the policy does not name has none."""
    assert (ENTRY.find_rule(3389), ENTRY.find_rule(80)) == (a_rule(3389), None)


@pytest.mark.parametrize(
    ("port", "fields", "has"),
    [
        (22, [PolicyField.SOURCE, PolicyField.SOURCES], True),
        (22, [PolicyField.SOURCES], False),
        (None, [PolicyField.SOURCE], False),
    ],
)
def test_a_fault_is_of_its_port_and_of_its_field(port, fields, has):
    """Another part of the policy may be clear."""
    assert ENTRY.has_fault(port, *fields) is has
