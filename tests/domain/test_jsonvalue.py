"""The cursor over a JSON value: pointers, kinds, and faults that pile up."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.jsonvalue import ROOT, Node, at, kind
from tests.builders.bodies import faults


def a_node(value):
    """The root of a body."""
    return Node(value, ROOT, [])


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=64)))
def test_a_pointer_leads_back_to_its_tokens(tokens):
    """RFC 6901: percent-decode, split at slashes, undo ~1, then ~0."""
    pointer = ROOT + "".join(at("", token) for token in tokens)
    found = [
        token.replace("~1", "/").replace("~0", "~")
        for token in unquote(pointer, errors="strict").split("/")
    ]

    assert found == ["#", *tokens]


@given(st.text())
def test_a_pointer_is_plain_ascii(token):
    """It is answered, stored, shown: whatever the caller named a field."""
    assert at(ROOT, token).isascii()
    assert at(ROOT, token).isprintable()


def test_a_hostile_name_is_cut():
    """64 characters of a name are enough to find it."""
    assert at(ROOT, "a" * 60_000) == "#/" + "a" * 64


@pytest.mark.parametrize(
    ("token", "pointer"),
    [
        (0, "#/0"),
        ("", "#/"),
        ("a b", "#/a%20b"),
        ("a/b", "#/a~1b"),
        ("m~n", "#/m~0n"),
        ("c%d", "#/c%25d"),
        ('k"l', "#/k%22l"),
        ("\u00e9", "#/%C3%A9"),
    ],
)
def test_a_pointer_reads_as_rfc_6901_has_it(token, pointer):
    """The examples of its section 6, in upper-case hexadecimal."""
    assert at(ROOT, token) == pointer


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
    assert kind(value) == name


def test_every_field_of_an_object_is_judged():
    """Missing, unknown and refused ones are named together; the known ones are read."""
    node = a_node({"a": 1, "later": 2, "x": 3})
    found = node.fields(required=("a", "b"), optional=("c",), refused=("later",))

    assert (list(found), faults(node.faults)) == (
        ["a"],
        [("#/b", "missing-field"), ("#/later", "not-supported"), ("#/x", "unknown-field")],
    )


@pytest.mark.parametrize("value", [None, True, 1, "", []])
def test_what_is_no_object_has_no_fields(value):
    """One fault, at the value; no fault for each field that it lacks."""
    node = a_node(value)
    found = node.fields(required=("a",))

    assert (found, faults(node.faults)) == ({}, [("#", "wrong-type")])


@pytest.mark.parametrize("value", [None, True, 1, "", {}])
def test_what_is_no_list_has_no_items(value):
    """A single value is not taken for a list of one."""
    node = a_node(value)
    found = node.items("ports", most=2)

    assert (found, faults(node.faults)) == ([], [("#", "wrong-type")])


@pytest.mark.parametrize(
    ("value", "read", "code"), [([], 0, "too-few"), ([1, 2, 3], 2, "too-many")]
)
def test_a_list_is_bounded_on_both_sides(value, read, code):
    """Of a list that is too long, the first items are still read."""
    node = a_node(value)
    found = node.items("ports", most=2)

    assert (len(found), faults(node.faults)) == (read, [("#", code)])


def test_items_know_where_they_stand():
    """Their faults carry their own pointers into the same list."""
    node = a_node(["a", 1])
    found = [item.text() for item in node.items("words", most=2)]

    assert (found, faults(node.faults)) == (["a", None], [("#/1", "wrong-type")])


@pytest.mark.parametrize("value", [True, False, 3389.0, 1e3, "22", None, [22]])
def test_only_an_integer_is_an_integer(value):
    """Neither true, which Python counts as 1, nor 3389.0, nor a text."""
    node = a_node(value)
    found = node.integer()

    assert (found, faults(node.faults)) == (None, [("#", "wrong-type")])


@pytest.mark.parametrize("value", [0, 1, "true", "false", None, []])
def test_only_true_and_false_are_flags(value):
    """A caller who writes "false" would otherwise be understood as true."""
    node = a_node(value)
    found = node.flag()

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
    """What was found, next to what was wanted."""
    node = a_node(value)
    node.integer()

    assert [fault.detail for fault in node.faults] == [detail]
