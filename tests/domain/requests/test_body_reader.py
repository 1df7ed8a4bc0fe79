"""The generic reader: good parts, all faults, their order."""

import pytest

from jit.domain.limits import LIMITS, Limits
from jit.domain.requests.body_reader import read_body
from jit.domain.requests.fields import ReadContext
from tests.builders.bodies import faults
from tests.domain.requests.example_body import Box, Label, Shelf

EMPTY = Shelf(first_boxes=(), words=())


def read(value, limits=LIMITS):
    """The shelf that is read from a JSON value, and its faults."""
    shelf, violations = read_body(Shelf, value, ReadContext(limits))
    return shelf, faults(violations)


def test_a_good_body_fills_the_dataclass():
    """Nested objects, lists, defaults, pointers."""
    value = {
        "words": ["a", "bc"],
        "firstBoxes": [{"number": 1}, {"number": 2, "isOpen": True}],
        "reason": " why ",
        "label": {"longText": "x"},
    }

    assert read(value) == (
        Shelf(
            first_boxes=(
                Box(number=1, is_open=False, place="#/firstBoxes/0"),
                Box(number=2, is_open=True, place="#/firstBoxes/1"),
            ),
            reason="why",
            label=Label(long_text="x"),
            words=("A", "BC"),
        ),
        [],
    )


@pytest.mark.parametrize("value", [None, True, 1, "", []])
def test_a_body_that_is_no_object_has_one_fault(value):
    """No fault for each field that it lacks."""
    assert read(value) == (EMPTY, [("#", "wrong-type")])


def test_faults_come_in_the_order_of_reading():
    """First the names of an object's fields, then the fields in the order of the dataclass."""
    value = {
        "words": ["abc", "de", 7],
        "weight": 1,
        "label": {"longtext": "x"},
        "reason": "",
        "firstBoxes": [{"isOpen": 1}, 7, {"number": 0}],
        "extra": None,
    }

    assert read(value)[1] == [
        ("#/weight", "not-supported"),
        ("#/extra", "unknown-field"),
        ("#/firstBoxes/0/number", "missing-field"),
        ("#/firstBoxes/0/isOpen", "wrong-type"),
        ("#/firstBoxes/1", "wrong-type"),
        ("#/firstBoxes/2/number", "port-out-of-range"),
        ("#/reason", "text-too-short"),
        ("#/label/longText", "missing-field"),
        ("#/label/longtext", "unknown-field"),
        ("#/words/1", "not-longer"),
        ("#/words/2", "wrong-type"),
    ]


def test_a_faulty_field_reads_like_an_absent_one():
    """Its default, else None, else an empty list; every good value beside it is kept."""
    value = {
        "firstBoxes": [{"number": 7, "isOpen": "yes"}, {"number": 7}, {"number": "8"}],
        "reason": 1,
        "label": "x",
        "words": "abc",
    }

    assert read(value)[0] == Shelf(
        first_boxes=(
            Box(number=7, is_open=False, place="#/firstBoxes/0"),
            Box(number=None, is_open=False, place="#/firstBoxes/1"),
            Box(number=None, is_open=False, place="#/firstBoxes/2"),
        ),
        reason=None,
        label=Label(long_text=None),
        words=(),
    )


def test_null_is_a_fault_of_an_optional_field():
    """An expression of the caller that came out empty is not an absent field."""
    value = {"firstBoxes": [{"number": 1}], "words": ["a"], "reason": None, "label": None}

    assert read(value)[1] == [("#/reason", "wrong-type"), ("#/label", "wrong-type")]


def test_limits_of_the_reading_bound_lists_and_faults():
    """If a list is too long, its first items are read; if faults are many, the first are listed."""
    limits = Limits(ports=2, violations=2)
    shelf, noted = read({"words": ["a", "bb", "ccc"], "x": 1, "y": 2}, limits)

    assert shelf.words == ("A", "BB")
    assert noted == [
        ("#/firstBoxes", "missing-field"),
        ("#/x", "unknown-field"),
        ("#", "too-many-violations"),
    ]
