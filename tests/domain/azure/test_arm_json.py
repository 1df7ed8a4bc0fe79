"""Members of ARM JSON: each type is read, anything else reads as empty or as a fault."""

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import CheckedFields
from jit.domain.values import arm_ids

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


class Colour(StrEnum):
    """A choice to read."""

    RED = "Red"
    BLUE = "Blue"


@given(st.dictionaries(st.sampled_from(["a", "id", "properties"]), JSON))
def test_no_json_makes_a_reader_fail(resource):
    """A member of another type reads as if it were missing."""
    assert isinstance(arm_json.text(resource, "a"), str)
    assert arm_json.number(resource, "a") is None or isinstance(resource["a"], int)
    assert isinstance(arm_json.flag(resource, "a"), bool)
    assert dict(arm_json.mapping(resource, "a")) == (
        resource["a"] if isinstance(resource.get("a"), dict) else {}
    )
    assert all(isinstance(item, dict) for item in arm_json.mappings(resource, "a"))
    assert all(isinstance(item, str) for item in arm_json.texts(resource, "a"))
    assert arm_json.key(resource) == arm_ids.key(arm_json.text(resource, "id"))
    assert isinstance(arm_json.read_provisioning_state(resource), str)


@pytest.mark.parametrize(("value", "number"), [(7, 7), (True, None), ("7", None), (None, None)])
def test_only_an_integer_is_a_number(value, number):
    """True is no number, although Python counts with it."""
    assert arm_json.number({"n": value}, "n") == number


@pytest.mark.parametrize(
    ("resource", "flag"), [({}, True), ({"f": False}, False), ({"f": True}, True)]
)
def test_a_missing_flag_has_its_default(resource, flag):
    """ARM leaves out members."""
    assert arm_json.flag(resource, "f", default=True) is flag


def test_an_array_is_the_member_itself():
    """A change of it changes the resource."""
    resource = {"items": ["a"]}

    found = arm_json.array(resource, "items")

    assert found is resource["items"]
    assert arm_json.array({"items": "a"}, "items") is None


@pytest.mark.parametrize(
    ("resource", "found", "every"),
    [
        ({"one": "a"}, ("a",), ("a",)),
        ({"many": ["a", "b"]}, ("a", "b"), ("a", "b")),
        ({"one": "a", "many": ["b"]}, ("b",), ("b",)),
        ({"one": "a", "many": []}, ("a",), ("a",)),
        ({"many": ["a", 7]}, ("a",), ("a", "7")),
        ({"one": 7, "many": "a"}, (), ()),
        ({"one": ["a", 7]}, ("a",), ("a", "7")),
        ({"one": ["a"], "many": ["b"]}, ("b",), ("b",)),
    ],
)
def test_the_plural_member_wins_over_the_singular_one(resource, found, every):
    """An unreadable item is left out, or kept as its text."""
    assert arm_json.one_or_many(resource, "one", "many") == found
    assert arm_json.one_or_many(resource, "one", "many", keep_all=True) == every


def test_a_reference_is_the_id_in_an_object():
    """ARM refers to resources by objects with an id."""
    resource = {"subnet": {"id": "/a/b"}, "nsg": "/a/c"}

    assert arm_json.read_reference(resource, "subnet") == "/a/b"
    assert arm_json.read_reference(resource, "nsg") == ""


def test_a_resource_has_its_state_and_its_version():
    """The state is in the properties, the ETag is beside them."""
    resource = {"etag": "1", "properties": {"provisioningState": "Succeeded"}}

    assert (arm_json.read_provisioning_state(resource), arm_json.read_etag(resource)) == (
        "Succeeded",
        "1",
    )


@pytest.mark.parametrize(
    ("read", "value", "found", "faults"),
    [
        (lambda fields: fields.text("m"), "a", "a", []),
        (lambda fields: fields.text("m", "x"), None, "x", []),
        (lambda fields: fields.text("m"), 7, "", ["m is not a string"]),
        (lambda fields: fields.positive_number("m"), 7, 7, []),
        (lambda fields: fields.positive_number("m"), 0, None, ["m is not a positive number"]),
        (lambda fields: fields.choice("m", Colour), "RED", Colour.RED, []),
        (lambda fields: fields.choice("m", Colour), "green", None, ["m is unknown"]),
        (lambda fields: fields.one_and_many("one", "m"), ["a"], ("a",), []),
        (lambda fields: fields.one_and_many("one", "m"), "a", (), ["m is not a list"]),
        (
            lambda fields: fields.one_and_many("one", "m"),
            ["a", ""],
            ("a",),
            ["m holds something that is not a string"],
        ),
        (lambda fields: fields.references("m"), [{"id": "/a"}], ("/a",), []),
        (
            lambda fields: fields.references("m"),
            [{}],
            (),
            ["m holds something without an id"],
        ),
    ],
)
def test_checked_fields_note_each_member_that_cannot_be_read(read, value, found, faults):
    """A missing member is no fault, a member of another type is one."""
    fields = CheckedFields({"m": value})

    assert (read(fields), fields.faults) == (found, faults)


def test_an_item_that_is_no_object_is_a_fault_in_itself():
    """Its properties are missing too."""
    fields = CheckedFields("rule")

    assert fields.faults == ["not an object"]
    assert fields.properties().faults == ["not an object"]
    assert CheckedFields({"properties": {}}).properties().faults == []
