"""The cursor over a JSON value: types, places, and the list of faults."""

import pytest

from jit.domain.requests.json_node import Node, name_type
from jit.domain.values.json_pointer import ROOT
from tests.builders.bodies import faults


def a_node(value):
    """The root of a body."""
    return Node(value, ROOT, [])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "true or false"),
        (1, "a number"),
        (1.5, "a number"),
        ("", "a string"),
        ([], "a list"),
        ({}, "an object"),
    ],
)
def test_a_value_has_the_name_that_json_gives_it(value, name):
    """People who write JSON read the details."""
    assert name_type(value) == name


def test_every_field_of_an_object_is_judged():
    """Missing, unknown and refused ones are named together; the known ones are read."""
    node = a_node({"a": 1, "later": 2, "x": 3})
    found = node.read_fields(required=("a", "b"), optional=("c",), refused=("later",))

    assert (list(found), faults(node.faults)) == (
        ["a"],
        [("#/b", "missing-field"), ("#/later", "not-supported"), ("#/x", "unknown-field")],
    )


@pytest.mark.parametrize(
    ("value", "found"), [({"c": 1}, []), ({"b": 1}, []), ({}, [("#/b", "missing-field")])]
)
def test_one_of_some_fields_is_enough_and_none_is_a_fault(value, found):
    """The fault is at the first of them."""
    node = a_node(value)
    node.read_fields(required=(), optional=("b", "c"), any_of=("b", "c"))

    assert faults(node.faults) == found


@pytest.mark.parametrize("value", [None, True, 1, "", []])
def test_only_an_object_has_fields(value):
    """One fault, at the value; no fault for each field that it lacks."""
    node = a_node(value)
    found = node.read_fields(required=("a",))

    assert (found, faults(node.faults)) == ({}, [("#", "wrong-type")])


@pytest.mark.parametrize("value", [None, True, 1, "", {}])
def test_only_a_list_has_items(value):
    """A single value is not taken for a list of one."""
    node = a_node(value)
    found = node.read_items("ports", most=2)

    assert (found, faults(node.faults)) == ([], [("#", "wrong-type")])


@pytest.mark.parametrize(
    ("value", "read", "code"), [([], 0, "too-few"), ([1, 2, 3], 2, "too-many")]
)
def test_a_list_is_bounded_on_both_sides(value, read, code):
    """If a list is too long, its first items are still read."""
    node = a_node(value)
    found = node.read_items("ports", most=2)

    assert (len(found), faults(node.faults)) == (read, [("#", code)])


def test_items_know_where_they_stand():
    """Their faults carry their own pointers into the same list."""
    node = a_node(["a", 1])
    found = [item.read_text() for item in node.read_items("words", most=2)]

    assert (found, faults(node.faults)) == (["a", None], [("#/1", "wrong-type")])


@pytest.mark.parametrize("value", [True, False, 3389.0, 1e3, "22", None, [22]])
def test_only_an_integer_is_an_integer(value):
    """Neither true, which Python counts as 1, nor 3389.0, nor a text."""
    node = a_node(value)
    found = node.read_integer()

    assert (found, faults(node.faults)) == (None, [("#", "wrong-type")])


@pytest.mark.parametrize("value", [0, 1, "true", "false", None, []])
def test_only_true_and_false_are_flags(value):
    """A caller who writes "false" would otherwise be understood as true."""
    node = a_node(value)
    found = node.read_flag()

    assert (found, faults(node.faults)) == (None, [("#", "wrong-type")])


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (True, "must be an integer, not true or false"),
        (3389.0, "must be an integer, written without a fraction or exponent"),
        (None, "must be an integer, not null"),
    ],
)
def test_a_wrong_type_is_named(value, detail):
    """The found type, next to the wanted one."""
    node = a_node(value)
    node.read_integer()

    assert [fault.detail for fault in node.faults] == [detail]
