"""The body of a revocation: its good parts, and every fault."""

import pytest

from jit.domain.requests.revocation import Revocation
from jit.domain.requests.revocation_body import read_revoke
from tests.builders.bodies import faults
from tests.builders.values import vm_id

FIRST_VM = "#/virtualMachines/0"
FIRST_PORT = f"{FIRST_VM}/ports/0"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, None),
        ({}, None),
        ({"reason": "x"}, "x"),
        ({"reason": " done "}, "done"),
        ({"reason": "x" * 500}, "x" * 500),
    ],
)
def test_a_reason_is_read_if_the_body_has_one(value, reason):
    """To revoke takes no reason, and no body to say so."""
    assert read_revoke(value) == (Revocation(reason=reason), ())


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([], [("#", "wrong-type")]),
        ({"reason": None}, [("#/reason", "wrong-type")]),
        ({"reason": ""}, [("#/reason", "text-too-short")]),
        ({"reason": "x" * 501}, [("#/reason", "text-too-long")]),
        ({"reason": "a\nb"}, [("#/reason", "text-not-one-line")]),
        ({"why": "x"}, [("#/why", "unknown-field")]),
    ],
)
def test_a_faulty_reason_is_refused(value, found):
    """It goes into the same audit trail as a justification."""
    revocation, violations = read_revoke(value)

    assert (revocation.reason, faults(violations)) == (None, found)


def test_a_part_of_a_request_is_read():
    """VMs with some of their ports, or with all."""
    machines = [{"id": vm_id(), "ports": [{"number": 22}]}, {"id": vm_id("b")}]

    revocation, violations = read_revoke({"virtualMachines": machines})

    assert violations == ()
    assert [
        (machine.id, machine.pointer, [(port.number, port.pointer) for port in machine.ports])
        for machine in revocation.machines
    ] == [(vm_id(), FIRST_VM, [(22, FIRST_PORT)]), (vm_id("b"), "#/virtualMachines/1", [])]


@pytest.mark.parametrize(
    ("machines", "found"),
    [
        ([], [("#/virtualMachines", "too-few")]),
        ([{"id": vm_id(), "ports": []}], [(f"{FIRST_VM}/ports", "too-few")]),
        ([{"ports": [{"number": 22}]}], [(f"{FIRST_VM}/id", "missing-field")]),
        ([{"id": vm_id()}, {"id": vm_id()}], [("#/virtualMachines/1/id", "duplicate-vm")]),
        (
            [{"id": vm_id(), "ports": [{"number": 22, "protocol": "TCP"}]}],
            [(f"{FIRST_PORT}/protocol", "unknown-field")],
        ),
    ],
)
def test_a_faulty_part_of_a_request_is_refused(machines, found):
    """An empty list must not mean everything."""
    _, violations = read_revoke({"virtualMachines": machines})

    assert faults(violations) == found
