"""Field types: accepted values, noted faults, descriptions."""

from datetime import timedelta

import pytest

from jit.domain.limits import LIMITS, Limits
from jit.domain.requests import fields
from jit.domain.requests.fields import Choice, Duration, Line, ReadContext
from jit.domain.requests.json_node import Node
from tests.builders.bodies import faults
from tests.builders.values import NOW

CONTEXT = ReadContext(LIMITS, NOW)
COLOUR = Choice(("red", "blue"), "colour-unknown", "a colour is red or blue")


def read(field, value, context=CONTEXT):
    """The value that *field* makes of a JSON value, and the codes of its faults."""
    node = Node(value, "#/x", [])
    found = field.read(node, context)
    return found, [code for pointer, code in faults(node.faults) if pointer == "#/x"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (" spaces go ", ("spaces go", [])),
        ("one", (None, ["text-too-short"])),
        ("  one  ", (None, ["text-too-short"])),
        ("a\nlong\u202etext", (None, ["text-not-one-line", "text-hidden-character"])),
        ("\n", (None, ["text-not-one-line", "text-too-short"])),
        (7, (None, ["wrong-type"])),
    ],
)
def test_a_line_notes_all_its_faults(value, found):
    """One line, visible, of a length between two limits."""
    assert read(fields.JUSTIFICATION, value) == found


@pytest.mark.parametrize(
    ("value", "details"),
    [
        (
            "first\nsecond\r\n",
            ["write one line: remove U+000A, character 6, and 2 more"],
        ),
        (
            "safe \u202etxet",
            [
                "a reader would not see it: remove U+202E (RIGHT-TO-LEFT OVERRIDE), character 6",
            ],
        ),
        ("a b c d", ["visible characters: 4; write at least 5"]),
        ("x" * 501, ["characters: 501; write at most 500"]),
    ],
)
def test_a_fault_of_a_line_says_what_to_do(value, details):
    """It names the character to remove and its place, in ASCII."""
    node = Node(value, "#/x", [])
    fields.JUSTIFICATION.read(node, CONTEXT)

    assert [fault.detail for fault in node.faults] == details


def test_a_line_takes_its_length_from_the_limits():
    """The attribute is named once, for reading and for the schema."""
    context = ReadContext(Limits(reason=(2, 3)))

    assert read(Line("reason"), "abcd", context) == (None, ["text-too-long"])
    assert read(Line("reason"), "abc", context) == ("abc", [])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("red", ("red", [])),
        ("Red", (None, ["colour-unknown"])),
        ("", (None, ["colour-unknown"])),
        (None, (None, ["wrong-type"])),
    ],
)
def test_a_choice_is_exact(value, found):
    """In the case that the contract writes."""
    assert read(COLOUR, value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [(True, (True, [])), (False, (False, [])), ("true", (None, ["wrong-type"]))],
)
def test_a_flag_is_true_or_false(value, found):
    """A text is not a flag."""
    assert read(fields.FLAG, value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("PT1H", (timedelta(hours=1), [])),
        ("PT59M", (None, ["duration-too-short"])),
        ("PT2H1S", (None, ["duration-too-long"])),
        ("2h", (None, ["duration-malformed"])),
        (2, (None, ["wrong-type"])),
    ],
)
def test_a_duration_lies_between_two_limits(value, found):
    """Settings and rules may move both."""
    limits = Limits(shortest_behind_firewall=timedelta(hours=1), longest=timedelta(hours=2))
    field = Duration("shortest_behind_firewall", "longest")

    assert read(field, value, ReadContext(limits)) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-11-22T18:00:00Z", (NOW, [])),
        ("2026-11-22T17:59:00Z", (NOW - timedelta(minutes=1), [])),
        ("2026-11-22T17:58:59Z", (None, ["start-in-past"])),
        ("2026-11-22T18:30:01Z", (None, ["start-too-far"])),
        ("now", (None, ["time-malformed"])),
    ],
)
def test_a_start_lies_between_the_present_and_the_horizon(value, found):
    """With some grace for the caller's clock."""
    context = ReadContext(Limits(start_horizon=timedelta(minutes=30)), NOW)

    assert read(fields.START_TIME, value, context) == found


def test_a_start_cannot_be_read_without_the_present():
    """A body that forgot to ask for the time must not accept any start."""
    with pytest.raises(ValueError, match="present"):
        read(fields.START_TIME, "2026-11-22T18:00:00Z", ReadContext(LIMITS))


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        (COLOUR, {"type": "string", "enum": ["red", "blue"]}),
        (fields.FLAG, {"type": "boolean"}),
        (
            fields.DURATION,
            {
                "type": "string",
                "format": "duration",
                "description": "Days, hours, minutes and seconds; from PT5M to PT24H.",
            },
        ),
        (
            fields.START_TIME,
            {
                "type": "string",
                "format": "date-time",
                "description": "With a zone; at most PT168H ahead.",
            },
        ),
        (
            fields.TICKET_ID,
            {
                "type": "string",
                "minLength": 1,
                "maxLength": 128,
                "pattern": "^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$",
                "description": "One line; visible characters: at least 1. "
                "Spaces at its ends do not count.",
            },
        ),
    ],
)
def test_a_field_type_describes_itself(field, schema):
    """In the words of a JSON schema; a limit without such a word is in the description."""
    assert field.describe(LIMITS) == schema


def test_a_list_remembers_the_identities_of_its_own_items():
    """A list inside a list begins anew."""
    outer = ReadContext(LIMITS)

    assert (outer.remember(22), outer.remember(22)) == (True, False)
    assert outer.begin_list().remember(22)
    assert not outer.remember(22)
