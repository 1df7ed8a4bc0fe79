"""Refusals in the trail: few names, all numbers, and a digest of the body."""

from datetime import UTC, datetime
from typing import Any

import pytest

from jit.domain.audit.refusal import NAMED, REASONS, Refusal, build_refusal_event
from jit.domain.errors import Violation
from jit.domain.model.people import Person

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALICE = Person(id="alice-id", name="alice@example.com")


def a_refusal(count=1, **changes):
    """A denial of *count* VMs, each with its reason."""
    names = [f"vm{number}" for number in range(count)]
    values: dict[str, Any] = {
        "what": "request.denied",
        "caller": ALICE,
        "request_id": "r1",
        "wish": {"virtualMachines": names, "duration": "PT1H"},
        "machines": names,
        "texts": {"justification": "patch"},
        "why": "the JIT policy does not allow this access",
        "violations": [Violation(f"#/{name}", "vm-not-found", f"no {name}") for name in names],
    }
    return Refusal(**values | changes)


def test_a_refusal_has_the_person_the_wish_and_the_reasons():
    event = build_refusal_event(a_refusal(), now=NOON)

    assert (event.what, event.actor, event.actor_name) == (
        "request.denied",
        ALICE.id,
        ALICE.name,
    )
    assert event.texts["justification"] == "patch"
    assert event.facts["why"] == "the JIT policy does not allow this access"
    assert event.facts["errors"] == [
        {"pointer": "#/vm0", "code": "vm-not-found", "detail": "no vm0"}
    ]


@pytest.mark.parametrize("count", [0, 1, NAMED, NAMED + 1, 90])
def test_a_record_names_few_vms_and_reasons_and_the_number_of_all(count):
    """A large body makes no large record."""
    facts = build_refusal_event(a_refusal(count), now=NOON).facts

    assert facts["virtualMachines"] == [f"vm{number}" for number in range(min(count, NAMED))]
    assert len(facts["errors"]) == min(count, REASONS)
    assert (facts["virtualMachineCount"], facts["errorCount"]) == (count, count)


def test_the_digest_proves_which_body_was_refused():
    """Names that the record leaves out are in it; the order of members is not."""
    wish = a_refusal(90).wish
    turned = dict(reversed(wish.items()))
    other = {**wish, "virtualMachines": [*wish["virtualMachines"][:-1], "vm90"]}

    first, same, changed = (
        build_refusal_event(a_refusal(90, wish=each), now=NOON).texts["bodySha256"]
        for each in (wish, turned, other)
    )

    assert first == same != changed


def test_two_refusals_are_the_same_if_only_the_id_of_the_denied_request_differs():
    """Each call would make another request."""
    assert a_refusal().digest == a_refusal(request_id="r2").digest


@pytest.mark.parametrize(
    "change",
    [
        {"what": "request.previewed"},
        {"caller": Person(id="bob-id", name=ALICE.name)},
        {"target": "r1"},
        {"wish": {"virtualMachines": ["vm0"], "duration": "PT2H"}},
        {"why": "somebody else holds this port for now"},
        {"violations": []},
        {"violations": [Violation("#/vm0", "vm-not-found", "another sentence")]},
    ],
)
def test_a_refusal_that_differs_in_anything_else_is_another_one(change):
    """Else the number of one would hide the other."""
    assert a_refusal().digest != a_refusal(**change).digest


def test_two_dry_runs_are_the_same_if_person_vm_ports_and_held_ports_are():
    """A caller can make up any number of bodies; the answers tell of the same access."""
    ports: dict[str, Any] = {"vm_ports": ["vm0 22", "vm1 22"], "held_ports": ["vm0 22"]}
    first = a_refusal(2, **ports)
    other = Violation("#/sources/0", "source-not-allowed", "a source that the caller made up")

    assert a_refusal(2, **ports, wish={}, violations=[other]).digest == first.digest
    for change in (
        {"caller": Person(id="bob-id", name=ALICE.name)},
        {"vm_ports": ["vm0 22"]},
        {"held_ports": ["vm0 22", "vm1 22"]},
    ):
        assert a_refusal(**{"count": 2, **ports} | change).digest != first.digest


def test_a_reason_beyond_the_named_ones_makes_another_refusal():
    last = Violation("#/vm89", "occupied", "somebody else has it")
    first = a_refusal(90)
    other = a_refusal(90, violations=[*first.violations[:-1], last])

    facts = [build_refusal_event(each, now=NOON).facts for each in (first, other)]
    assert facts[0]["errors"] == facts[1]["errors"]
    assert first.digest != other.digest
