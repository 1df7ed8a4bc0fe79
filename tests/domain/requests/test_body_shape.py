"""Annotations say all: names, order, requirement, field types."""

import pytest

from jit.domain.requests.body_shape import ListOf, ObjectOf, shape_of
from jit.domain.requests.fields import REASON
from tests.domain.requests.example_body import BOXES, WORD, WORDS, Box, Label, Shelf, Unreadable


def test_a_field_is_required_if_its_attribute_has_no_default():
    """JSON has camel case; the order is that of the attributes."""
    shape = shape_of(Shelf)

    assert (shape.required, shape.optional, shape.refused, shape.any_of) == (
        ("firstBoxes", "words"),
        ("reason", "label"),
        ("weight",),
        (),
    )
    assert [part.name for part in shape.parts] == ["firstBoxes", "reason", "label", "words"]


def test_an_annotation_names_the_field_type():
    """A constant, a list of annotated items, or a dataclass."""
    assert [part.content for part in shape_of(Shelf).parts] == [
        ListOf(BOXES, ObjectOf(Box)),
        REASON,
        ObjectOf(Label),
        ListOf(WORDS, WORD),
    ]


def test_an_absent_field_has_a_value():
    """The default, else an empty list, else None."""
    absent = {part.name: part.absent for part in (*shape_of(Shelf).parts, *shape_of(Box).parts)}

    assert absent == {
        "firstBoxes": (),
        "reason": None,
        "label": None,
        "words": (),
        "number": None,
        "isOpen": False,
    }


def test_a_description_is_optional():
    """It stands last in the annotation."""
    assert [part.description for part in shape_of(Box).parts] == ["Its number.", ""]


def test_the_pointer_of_an_object_is_no_field():
    """The reader fills it."""
    assert (shape_of(Box).pointer, shape_of(Shelf).pointer) == ("place", None)


def test_an_attribute_without_a_field_type_is_a_defect():
    """Found by the first reading in any test, and not ignored."""
    with pytest.raises(TypeError, match="names no field type"):
        shape_of(Unreadable)


def test_annotations_are_resolved_once():
    """That takes longer than reading a body."""
    assert shape_of(Shelf) is shape_of(Shelf)
