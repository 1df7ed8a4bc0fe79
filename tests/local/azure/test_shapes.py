"""Shapes of JSON: each place that has not its shape is found."""

import pytest

from local.azure.values import ids
from local.azure.values.shapes import (
    ADDRESS,
    PREFIX,
    REFERENCE,
    find_faults,
    make_choice,
    make_reference,
)
from tests.local.azure.sim import NSG_DB, WEB01

SHAPE = {"name!": str, "size": int, "inner": {"items": [ADDRESS]}, "link": REFERENCE}


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({"name": "a", "more": 5}, SHAPE),
        ({"name": "a", "size": None, "link": None}, SHAPE),
        ({"name": "a", "inner": {"items": ["10.0.0.1", "::1"]}}, SHAPE),
        (["x"], (str, [str])),
        ("10.0.0.7/8", PREFIX),
        ("Allow", make_choice("Allow", "Deny")),
        ({"id": NSG_DB.upper()}, make_reference(ids.SECURITY_GROUPS)),
        (True, bool),
    ],
)
def test_a_value_of_the_shape_has_no_fault(value, shape):
    """Members that the shape does not name are fine, and so is a link that is null."""
    assert list(find_faults(value, shape, "$", strict=True)) == []


@pytest.mark.parametrize(
    ("value", "shape", "faults"),
    [
        (5, SHAPE, [("$", "an object")]),
        ({"size": "x"}, SHAPE, [("$.name", "there"), ("$.size", "of type int")]),
        ({"name": "a", "size": True}, SHAPE, [("$.size", "of type int")]),
        ({"name": "a", "inner": {"items": None}}, SHAPE, [("$.inner.items", "a list")]),
        ({"name": "a", "inner": None}, SHAPE, [("$.inner", "an object")]),
        (["x", 5, None], [str], [("$[1]", "of type str"), ("$[2]", "of type str")]),
        (["10.0.0.1/8"], [ADDRESS], [("$[0]", "an IP address")]),
        (5, (str, [str]), [("$", "of type str")]),
        ("allow", make_choice("Allow", "Deny"), [("$", "one of Allow, Deny")]),
        (
            {"id": WEB01},
            make_reference(ids.SECURITY_GROUPS),
            [("$.id", f"an id of {ids.SECURITY_GROUPS}")],
        ),
        (1, bool, [("$", "of type bool")]),
    ],
)
def test_each_fault_is_told_with_its_place(value, shape, faults):
    """All of them, in the order of the shape."""
    assert list(find_faults(value, shape, "$", strict=True)) == faults


def test_null_counts_as_absent_if_the_check_is_not_strict():
    """Azure takes it so in a body."""
    assert list(find_faults({"name": "a", "inner": None}, SHAPE, "$")) == []
