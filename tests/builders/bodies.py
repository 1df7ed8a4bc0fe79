"""Builders of bodies as callers send them, and of VMs as the inventory knows them."""

from datetime import UTC, datetime, timedelta

from jit.domain.model.machine import PortRule, Support, Via, VirtualMachine
from jit.domain.requests.bodies import read_access_request
from jit.domain.values.arm_ids import key

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
OTHER_SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000002"


def vm_id(name="web01", *, subscription=SUBSCRIPTION, group="rg-web"):
    """The ARM id of a VM."""
    return (
        f"/subscriptions/{subscription}/resourceGroups/{group}"
        f"/providers/Microsoft.Compute/virtualMachines/{name}"
    )


def a_port(number=22, **changes):
    """One wanted port."""
    return {"number": number, **changes}


def a_machine(name="web01", *, ports=None, **changes):
    """One wanted VM."""
    return {"id": vm_id(name, **changes), "ports": [a_port()] if ports is None else ports}


def a_body(**changes):
    """The body of an access request; a change to None removes the field."""
    fields = {
        "virtualMachines": [a_machine()],
        "sources": ["203.0.113.7"],
        "duration": "PT2H",
        "justification": "CHG0030001 monthly patch",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def a_draft(**changes):
    """The good parts of that body."""
    return read_access_request(a_body(**changes), now=NOW)


def a_rule(number=22, **changes):
    """The port rule of one port."""
    return PortRule(
        **{
            "number": number,
            "protocol": "TCP",
            "allowed_sources": ("*",),
            "max_duration": timedelta(hours=3),
            **changes,
        }
    )


def a_vm(name="web01", **changes):
    """A VM with a public address, in a policy that allows port 22."""
    return VirtualMachine(
        **{
            "id": vm_id(name),
            "name": name,
            "location": "westeurope",
            "support": Support.CONFIGURED,
            "via": Via.PUBLIC_IP,
            "ports": (a_rule(),),
            **changes,
        }
    )


def inventory(*machines):
    """Those VMs, as `decide` takes them."""
    return {key(machine.id): machine for machine in machines}


def faults(violations):
    """Their pointers, with their codes."""
    return [(violation.pointer, violation.code) for violation in violations]
