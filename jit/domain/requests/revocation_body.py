"""The body of a revocation: ``POST /api/access-requests/{id}/revoke``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.request import WantedMachine, WantedPort
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.fields import POINTER, REASON, ReadContext
from jit.domain.requests.network_fields import MACHINES, PORT_NUMBER, PORTS, VM_ID
from jit.domain.requests.revocation import Revocation
from jit.domain.values.arm_ids import VmId


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedPortBody:
    """A port that the caller gives back."""

    number: Annotated[int | None, PORT_NUMBER, "The port on the virtual machine."]
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedMachineBody:
    """A virtual machine that the caller gives back."""

    id: Annotated[VmId | None, VM_ID]
    ports: Annotated[tuple[RevokedPortBody, ...], PORTS, "If missing, all of its ports."] = ()
    pointer: Annotated[str, POINTER]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeBody:
    """The end of a request: ``POST /api/access-requests/{id}/revoke``."""

    reason: Annotated[str | None, REASON, "Why; for the audit trail."] = None
    virtual_machines: Annotated[
        tuple[RevokedMachineBody, ...], MACHINES, "If missing, all of the request."
    ] = ()


def read_revoke(
    value: object | None, *, limits: Limits = LIMITS
) -> tuple[Revocation, tuple[Violation, ...]]:
    """Read ``{"reason": …, "virtualMachines": …}``, both optional; without a body, all of it."""
    if value is None:
        return Revocation(), ()
    body, violations = read_body(RevokeBody, value, ReadContext(limits))
    machines = tuple(
        WantedMachine(id=vm.id.id, ports=_list_revoked_ports(vm), pointer=vm.pointer)
        for vm in body.virtual_machines
        if vm.id
    )
    return Revocation(reason=body.reason, machines=machines), violations


def _list_revoked_ports(machine: RevokedMachineBody) -> tuple[WantedPort, ...]:
    return tuple(
        WantedPort(number=port.number, protocol=None, pointer=port.pointer)
        for port in machine.ports
        if port.number
    )
