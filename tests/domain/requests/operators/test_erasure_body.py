"""The body of an erasure: a person and a reason, both required."""

import pytest

from jit.domain.limits import LIMITS
from jit.domain.requests.operators.erasure_body import ErasureBody, read_erasure
from jit.domain.requests.schema import schema_of

ALICE = "a11ce000-0000-4000-8000-000000000001"
BODY = {"person": ALICE.upper(), "reason": "asked for it"}


def test_person_and_reason_are_read():
    """The id in lower case, as the chain has it."""
    assert read_erasure(BODY) == ((ALICE, "asked for it"), ())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"person": "alice@example.com"}, ("#/person", "object-id-malformed")),
        ({"person": "00000000-0000-0000-0000-000000000000"}, ("#/person", "object-id-malformed")),
        ({"person": 1}, ("#/person", "wrong-type")),
        ({"reason": "x"}, ("#/reason", "text-too-short")),
        ({"until": "x"}, ("#/until", "unknown-field")),
    ],
)
def test_a_fault_is_named(change, fault):
    found, faults = read_erasure(BODY | change)

    assert found is None
    assert [(each.pointer, each.code) for each in faults] == [fault]


def test_all_faults_are_named_at_once():
    assert [each.code for each in read_erasure({})[1]] == ["missing-field", "missing-field"]


def test_the_schema_asks_for_an_object_id():
    person = schema_of(ErasureBody, LIMITS)["properties"]["person"]

    assert person["format"] == "uuid"
