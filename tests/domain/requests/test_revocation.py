"""A revocation: the part of a request that a person ends early, and why it has no effect."""

import pytest

from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.people import Person
from jit.domain.model.request import WantedMachine, WantedPort
from jit.domain.requests.revocation import Revocation, explain_no_effect, find_outside
from tests.builders.grants import a_grant
from tests.builders.values import MINUTE, NOW, vm_id

OLGA = Person(id="o", name="olga@example.com")


def part(vm, *ports):
    """A VM with some of its ports, as a body names it."""
    here = "#/virtualMachines/0"
    wanted = tuple(
        WantedPort(number=port, protocol=None, pointer=f"{here}/ports/{index}")
        for index, port in enumerate(ports)
    )
    return Revocation(machines=(WantedMachine(id=vm, ports=wanted, pointer=here),))


@pytest.mark.parametrize(
    ("revocation", "covered"),
    [
        (Revocation(), True),
        (part(vm_id()), True),
        (part(vm_id().upper()), True),
        (part(vm_id(), 22), True),
        (part(vm_id(), 3389), False),
        (part(vm_id("other")), False),
    ],
)
def test_a_revocation_covers_a_request_a_vm_or_a_port(revocation, covered):
    """Upper and lower case of an id are equal."""
    assert revocation.covers(a_grant()) is covered


@pytest.mark.parametrize(
    ("revocation", "pointers"),
    [
        (Revocation(), []),
        (part(vm_id()), []),
        (part(vm_id(), 22, 3389, 80), ["#/virtualMachines/0/ports/2/number"]),
        (part(vm_id("other"), 22), ["#/virtualMachines/0/id"]),
    ],
)
def test_each_part_outside_of_the_request_is_named(revocation, pointers):
    """With its place in the body; the ports of an unknown VM are not named as well."""
    grants = [a_grant(), a_grant("g2", port=3389)]

    assert [violation.pointer for violation in find_outside(revocation, grants)] == pointers


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"status": Status.CLOSED, "closed_at": NOW, "close_reason": CloseReason.EXPIRED},
            "was closed at 2026-11-22T18:00:00Z as expired",
        ),
        (
            {
                "status": Status.CLOSED,
                "closed_at": NOW + MINUTE,
                "close_reason": CloseReason.REVOKED,
                "closed_by": OLGA,
            },
            "was closed at 2026-11-22T18:01:00Z as revoked by olga@example.com",
        ),
        (
            {"status": Status.CLOSING, "closing_at": NOW, "close_reason": CloseReason.FAILED},
            "is closing since 2026-11-22T18:00:00Z as failed",
        ),
        ({"status": Status.CLOSING}, "is closing since an unknown time"),
    ],
)
def test_a_revocation_without_effect_names_the_end_that_came_before(fields, words):
    """When, why and by whom; a row of an older version may lack some of it."""
    assert explain_no_effect([a_grant(**fields)]).endswith(words)
