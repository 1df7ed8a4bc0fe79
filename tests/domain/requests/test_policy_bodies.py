"""Bodies of JIT policies: their good parts, and every fault."""

from datetime import timedelta

import pytest

from jit.domain.model import machine
from jit.domain.model.machine import PortRule
from jit.domain.requests.policy_bodies import read_policy_delete, read_policy_put
from tests.builders.bodies import faults
from tests.builders.values import vm_id

FIRST_VM = "#/virtualMachines/0"
FIRST_PORT = f"{FIRST_VM}/ports/0"


def a_port_rule(**changes):
    """One port rule, as an operator writes it; a change to None removes the field."""
    rule = {
        "number": 22,
        "protocol": "TCP",
        "allowedSources": ["10.0.0.0/8"],
        "maxDuration": "PT3H",
        **changes,
    }
    return {name: value for name, value in rule.items() if value is not None}


def a_policy(*rules):
    """A policy body for one VM."""
    return {"virtualMachines": [{"id": vm_id(), "ports": list(rules)}]}


def test_a_policy_is_read():
    """As the contract shows it, wide prefixes and ``*`` included."""
    machines, violations = read_policy_put(
        a_policy(a_port_rule(), a_port_rule(number=3389, protocol="*", allowedSources=["*"]))
    )

    assert (machines, violations) == (
        (
            machine.MachinePolicy(
                id=vm_id(),
                ports=(
                    PortRule(
                        number=22,
                        protocol="TCP",
                        allowed_sources=("10.0.0.0/8",),
                        max_duration=timedelta(hours=3),
                    ),
                    PortRule(
                        number=3389,
                        protocol="*",
                        allowed_sources=("*",),
                        max_duration=timedelta(hours=3),
                    ),
                ),
                pointer=FIRST_VM,
            ),
        ),
        (),
    )


ALLOWED = f"{FIRST_PORT}/allowedSources"


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"number": None}, [(f"{FIRST_PORT}/number", "missing-field")]),
        ({"protocol": None}, [(f"{FIRST_PORT}/protocol", "missing-field")]),
        ({"allowedSources": None}, [(ALLOWED, "missing-field")]),
        ({"maxDuration": None}, [(f"{FIRST_PORT}/maxDuration", "missing-field")]),
        ({"maxDuration": "PT4M"}, [(f"{FIRST_PORT}/maxDuration", "duration-too-short")]),
        ({"maxDuration": "PT25H"}, [(f"{FIRST_PORT}/maxDuration", "duration-too-long")]),
        ({"number": 0}, [(f"{FIRST_PORT}/number", "port-out-of-range")]),
        ({"protocol": "Any"}, [(f"{FIRST_PORT}/protocol", "protocol-unknown")]),
        ({"allowedSources": "*"}, [(ALLOWED, "wrong-type")]),
        ({"allowedSources": []}, [(ALLOWED, "too-few")]),
        ({"allowedSources": [1]}, [(f"{ALLOWED}/0", "wrong-type")]),
        ({"allowedSources": ["*", "10.0.0.0/8"]}, [(f"{ALLOWED}/0", "source-any")]),
        ({"allowedSources": ["0.0.0.0/0"]}, [(f"{ALLOWED}/0", "source-any")]),
        ({"allowedSources": ["VirtualNetwork"]}, [(f"{ALLOWED}/0", "source-malformed")]),
        ({"allowedSources": ["10.0.0.1/8"]}, [(f"{ALLOWED}/0", "source-host-bits")]),
        ({"allowedSources": ["127.0.0.0/8"]}, [(f"{ALLOWED}/0", "source-reserved")]),
        ({"allowedSources": ["10.0.0.0/8"] * 2}, [(f"{ALLOWED}/1", "duplicate-source")]),
        (
            {"allowedSources": ["10.0.0.0/8", "10.1.0.0/16"]},
            [(f"{ALLOWED}/1", "source-overlap")],
        ),
        (
            {"allowedSources": [f"10.{index}.0.0/16" for index in range(11)]},
            [(ALLOWED, "too-many")],
        ),
        (
            {"maxRequestAccessDuration": "PT1H"},
            [
                (f"{FIRST_PORT}/maxRequestAccessDuration", "unknown-field"),
            ],
        ),
    ],
)
def test_a_faulty_port_rule_is_refused(rule, found):
    """A policy limits the requests of others: it is read as strictly as their bodies."""
    _, violations = read_policy_put(a_policy(a_port_rule(**rule)))

    assert faults(violations) == found


@pytest.mark.parametrize("read", [read_policy_put, read_policy_delete])
@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({}, [("#/virtualMachines", "missing-field")]),
        ({"virtualMachines": []}, [("#/virtualMachines", "too-few")]),
        ({"virtualMachines": ["web01"]}, [(FIRST_VM, "wrong-type")]),
        ([], [("#", "wrong-type")]),
    ],
)
def test_a_policy_body_without_vms_is_refused(read, value, found):
    """Neither of them ever means "all VMs"."""
    machines, violations = read(value)

    assert (machines, faults(violations)) == ((), found)


def test_a_policy_names_a_port_of_a_vm_once():
    """Two rules for one port would leave open which of them holds."""
    _, violations = read_policy_put(a_policy(a_port_rule(), a_port_rule(protocol="UDP")))

    assert faults(violations) == [(f"{FIRST_VM}/ports/1/number", "duplicate-port")]


def test_a_policy_names_a_vm_once():
    """Upper and lower case of its id do not matter."""
    body = {"virtualMachines": [{"id": vm_id()}, {"id": vm_id().upper()}, {"id": "web01"}]}
    machines, violations = read_policy_delete(body)

    assert (machines, faults(violations)) == (
        (machine.MachinePolicy(id=vm_id(), ports=(), pointer=FIRST_VM),),
        [("#/virtualMachines/1/id", "duplicate-vm"), ("#/virtualMachines/2/id", "vm-id-malformed")],
    )


def test_a_policy_is_deleted_without_ports():
    """A port in the body would suggest that only this port goes."""
    _, violations = read_policy_delete(a_policy(a_port_rule()))

    assert faults(violations) == [(f"{FIRST_VM}/ports", "unknown-field")]
