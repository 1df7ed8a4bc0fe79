"""Builders of request bodies as callers send them."""

from jit.domain.requests.access_body import read_access_request
from tests.builders.values import NOW, vm_id


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


def faults(violations):
    """Their pointers, with their codes."""
    return [(violation.pointer, violation.code) for violation in violations]
