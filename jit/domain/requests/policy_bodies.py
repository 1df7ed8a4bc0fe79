"""Bodies of JIT policies: ``PUT`` and ``DELETE /api/virtual-machines/jit-policy``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.machine import MachinePolicy, PortRule
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.fields import DURATION, POINTER, ReadContext
from jit.domain.requests.network_fields import (
    ALLOWED_SOURCES,
    MACHINES,
    PORT_NUMBER,
    PORTS,
    PROTOCOL,
    VM_ID,
)
from jit.domain.values.arm_ids import VmId


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPortBody:
    """The policy for one port of one virtual machine."""

    number: Annotated[int | None, PORT_NUMBER, "The port on the virtual machine."]
    protocol: Annotated[str | None, PROTOCOL, "The protocol; * stands for both."]
    allowed_sources: Annotated[tuple[str, ...], ALLOWED_SOURCES]
    max_duration: Annotated[timedelta | None, DURATION, "The longest access."]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyMachineBody:
    """A virtual machine and all ports that its policy allows."""

    id: Annotated[VmId | None, VM_ID]
    ports: Annotated[tuple[PolicyPortBody, ...], PORTS, "All ports that the policy allows."]
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPutBody:
    """Virtual machines to put under JIT: ``PUT /api/virtual-machines/jit-policy``."""

    virtual_machines: Annotated[tuple[PolicyMachineBody, ...], MACHINES, "At least one."]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerMachineBody:
    """A virtual machine that leaves its policy."""

    id: Annotated[VmId | None, VM_ID]
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDeleteBody:
    """Virtual machines to take out of JIT: ``DELETE /api/virtual-machines/jit-policy``."""

    virtual_machines: Annotated[tuple[FormerMachineBody, ...], MACHINES, "At least one."]


def read_policy_put(
    value: object, *, limits: Limits = LIMITS
) -> tuple[tuple[MachinePolicy, ...], tuple[Violation, ...]]:
    """
    Read the body of ``PUT /api/virtual-machines/jit-policy``.

    Returns:
        The VMs with their port rules, good parts only; all faults.
    """
    body, violations = read_body(PolicyPutBody, value, ReadContext(limits))
    machines = tuple(
        MachinePolicy(id=vm.id.id, ports=_port_rules(vm), pointer=vm.pointer)
        for vm in body.virtual_machines
        if vm.id
    )
    return machines, violations


def read_policy_delete(
    value: object, *, limits: Limits = LIMITS
) -> tuple[tuple[MachinePolicy, ...], tuple[Violation, ...]]:
    """Read the body of ``DELETE /api/virtual-machines/jit-policy``: VMs without ports."""
    body, violations = read_body(PolicyDeleteBody, value, ReadContext(limits))
    machines = tuple(
        MachinePolicy(id=vm.id.id, ports=(), pointer=vm.pointer)
        for vm in body.virtual_machines
        if vm.id
    )
    return machines, violations


def _port_rules(machine: PolicyMachineBody) -> tuple[PortRule, ...]:
    return tuple(
        PortRule(
            number=port.number,
            protocol=port.protocol,
            allowed_sources=port.allowed_sources,
            max_duration=port.max_duration,
        )
        for port in machine.ports
        if port.number and port.protocol and port.allowed_sources and port.max_duration
    )
