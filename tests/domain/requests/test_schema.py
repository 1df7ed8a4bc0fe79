"""A schema and the reader agree: same fields, and every constraint is one of the reader's."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.limits import LIMITS, Limits
from jit.domain.requests.access_body import AccessRequestBody
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.extension_body import ExtendBody
from jit.domain.requests.fields import ReadContext
from jit.domain.requests.policy_bodies import PolicyDeleteBody, PolicyPutBody
from jit.domain.requests.revocation_body import RevokeBody
from jit.domain.requests.schema import schema_of
from tests.builders.bodies import a_body, a_machine, a_port
from tests.builders.values import NOW, vm_id
from tests.domain.requests.example_body import Shelf
from tests.domain.requests.schema_checker import break_each, find_breaches

RULE = {"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}
WIDE = {**RULE, "number": 1, "allowedSources": ["10.0.0.0/8", "2a02::/32"]}
KINDS = (
    AccessRequestBody,
    RevokeBody,
    ExtendBody,
    PolicyPutBody,
    PolicyDeleteBody,
)
FULL = {
    AccessRequestBody: a_body(
        virtualMachines=[a_machine(ports=[a_port(protocol="TCP"), a_port(65_535)])],
        startTime="2026-11-22T19:00:00.25+01:00",
        ticket={"system": "servicenow", "id": "CHG0030001"},
        dryRun=True,
        onBehalfOf="a11ce000-0000-4000-8000-000000000001",
        via="bastion",
    ),
    RevokeBody: {
        "reason": "done",
        "virtualMachines": [{"id": vm_id(), "ports": [{"number": 22}]}, {"id": vm_id("b")}],
    },
    ExtendBody: {"duration": "PT1H", "reason": "not done yet"},
    PolicyPutBody: {"virtualMachines": [{"id": vm_id(), "ports": [RULE, WIDE]}]},
    PolicyDeleteBody: {"virtualMachines": [{"id": vm_id()}, {"id": vm_id("b").upper()}]},
}
BREACHES = [
    (kind, keyword, pointer, value)
    for kind in KINDS
    for keyword, pointer, value in break_each(schema_of(kind), FULL[kind])
]
NAMES = [f"{kind.__name__} {keyword} {pointer}" for kind, keyword, pointer, _ in BREACHES]


def read(kind, value, limits=LIMITS):
    """The faults of a body."""
    return read_body(kind, value, ReadContext(limits, NOW))[1]


# ---- accepted bodies -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *FULL.items(),
        (AccessRequestBody, a_body()),
        (AccessRequestBody, a_body(sources=None, via="bastion")),
        (AccessRequestBody, a_body(duration="P1D", justification="12345", dryRun=False)),
        (AccessRequestBody, a_body(duration="PT5M", justification="x" * 500)),
        (AccessRequestBody, a_body(duration="PT1H0.5S", justification="Größe, 日本語")),
        (AccessRequestBody, a_body(sources=["203.0.113.0/24", "10.0.0.1"])),
        (AccessRequestBody, a_body(sources=["2a02::/64"])),
        (AccessRequestBody, a_body(sources=[f"203.0.113.{n}" for n in range(10)])),
        (AccessRequestBody, a_body(startTime="2026-11-22t18:00:00z")),
        (
            AccessRequestBody,
            a_body(virtualMachines=[a_machine(f"farm{number}") for number in range(90)]),
        ),
        (
            AccessRequestBody,
            a_body(virtualMachines=[a_machine(ports=[a_port(n) for n in range(1, 11)])]),
        ),
        (RevokeBody, {}),
        (ExtendBody, {"duration": "PT24H"}),
    ],
)
def test_an_accepted_body_satisfies_its_schema(kind, value):
    """A generator of clients must not be stricter than the broker."""
    assert (read(kind, value), find_breaches(schema_of(kind), value)) == ((), [])


texts = st.sampled_from(["TCP", "tcp", "PT1H", "P2D", "*", "203.0.113.7", "10.0.0.0/8", vm_id()])
values = st.none() | st.booleans() | st.integers(-1, 65_536) | st.text(max_size=8) | texts


def leaves(value, path=()):
    """The paths to all values inside *value*."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for step, child in children:
        yield (*path, step)
        yield from leaves(child, (*path, step)) if isinstance(child, dict | list) else ()


def changed(value, path, new):
    """A copy of *value* with *new* at *path*."""
    step, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[step] = changed(copy[step], rest, new) if rest else new
    return copy


@given(st.sampled_from(KINDS), st.integers(0, 40), values)
def test_a_changed_body_is_refused_or_satisfies_its_schema(kind, number, new):
    """One value of a good body is exchanged for any other."""
    paths = list(leaves(FULL[kind]))
    value = changed(FULL[kind], paths[number % len(paths)], new)

    assert read(kind, value) or find_breaches(schema_of(kind), stripped(value)) == []


def stripped(value):
    """A copy of *value* without spaces at the ends of its texts."""
    if isinstance(value, dict):
        return {name: stripped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [stripped(item) for item in value]
    return value.strip() if isinstance(value, str) else value


def test_spaces_at_the_ends_of_a_line_are_the_only_exception():
    """The reader drops them before it counts; a schema has no word for that."""
    value = {"reason": f" {'x' * 500} "}

    assert read(RevokeBody, value) == ()
    assert find_breaches(schema_of(RevokeBody), value) == [("#/reason", "maxLength")]
    assert find_breaches(schema_of(RevokeBody), stripped(value)) == []


# ---- constraints -----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "keyword", "pointer", "value"), BREACHES, ids=NAMES)
def test_a_breach_of_a_schema_is_a_fault_for_the_reader(kind, keyword, pointer, value):
    """Each constraint, broken alone in a good body, is found where it is broken."""
    assert keyword in {found for _, found in find_breaches(schema_of(kind), value)}
    assert pointer in {violation.pointer for violation in read(kind, value)}


def test_every_keyword_is_tried():
    """All constraints that the schemas use, in lists and objects as well."""
    assert {keyword for _, keyword, _, _ in BREACHES} == {
        "type",
        "enum",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "required",
        "anyOf",
        "additionalProperties",
    }


# ---- the same fields -------------------------------------------------------------------------


def objects(schema, pointer="#"):
    """Each object of a schema: its pointer in a body, its properties."""
    if schema["type"] == "object":
        yield pointer, set(schema["properties"])
    for name, inner in schema.get("properties", {}).items():
        yield from objects(inner, f"{pointer}/{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{pointer}/0")


def known(kind, pointer):
    """The fields that the reader names as known when an object has a field too many."""
    value = next(
        value
        for of, keyword, place, value in BREACHES
        if (of, keyword, place) == (kind, "additionalProperties", f"{pointer}/surprise")
    )
    (violation,) = read(kind, value)
    return set(violation.detail.removeprefix("unknown; known are ").split(", "))


@pytest.mark.parametrize("kind", KINDS)
def test_the_reader_and_the_schema_know_the_same_fields(kind):
    """In every object of the body."""
    found = dict(objects(schema_of(kind)))

    assert found == {pointer: known(kind, pointer) for pointer in found}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind):
    """A schema is read by people, and sent as JSON."""

    def silent(schema, pointer="#"):
        for name, inner in schema.get("properties", {}).items():
            yield from [] if inner.get("description") else [f"{pointer}/{name}"]
            yield from silent(inner, f"{pointer}/{name}")
            yield from silent(inner.get("items", {}), f"{pointer}/{name}/0")

    schema = schema_of(kind)

    assert list(silent(schema)) == []
    assert json.loads(json.dumps(schema)) == schema


# ---- its form --------------------------------------------------------------------------------


def test_a_schema_has_the_form_of_draft_2020_12():
    """Object, list, default, and the first line of the docstring."""
    assert schema_of(Shelf, Limits(sources=3, ports=2, reason=(1, 9))) == {
        "type": "object",
        "description": "A shelf with boxes.",
        "properties": {
            "firstBoxes": {
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "items": {
                    "type": "object",
                    "description": "A box on a shelf.",
                    "properties": {
                        "number": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": 65_535,
                            "description": "Its number. Only once in the list.",
                        },
                        "isOpen": {"type": "boolean", "default": False},
                    },
                    "required": ["number"],
                    "additionalProperties": False,
                },
                "description": "The front row.",
            },
            "reason": {
                "type": "string",
                "minLength": 1,
                "maxLength": 9,
                "pattern": "^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$",
                "description": "Why. One line; visible characters: at least 1. "
                "Spaces at its ends do not count.",
            },
            "label": {
                "type": "object",
                "description": "The label on a shelf.",
                "properties": {"longText": {"type": "string"}},
                "required": ["longText"],
                "additionalProperties": False,
            },
            "words": {
                "type": "array",
                "minItems": 1,
                "maxItems": 2,
                "items": {"type": "string"},
            },
        },
        "required": ["firstBoxes", "words"],
        "additionalProperties": False,
    }


def test_settings_move_the_schema():
    """The limits that the reader was given."""
    limits = Limits(machines=3, widest_source_v4=28, start_horizon=timedelta(hours=2))
    fields = schema_of(AccessRequestBody, limits)["properties"]

    assert fields["virtualMachines"]["maxItems"] == 3
    assert "/28" in fields["sources"]["items"]["description"]
    assert "PT2H" in fields["startTime"]["description"]


def test_a_schema_is_the_callers_own():
    """A caller who changes it changes no other."""
    schema_of(RevokeBody)["properties"].clear()

    assert "reason" in schema_of(RevokeBody)["properties"]
