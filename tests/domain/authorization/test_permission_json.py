"""JSON of roles and deny assignments: another shape is an error, and never a right."""

import pytest

from jit.domain.authorization.permission_json import (
    Permission,
    Unreadable,
    has_condition,
    list_objects,
    read_permissions,
    read_properties,
    read_text,
)


def test_a_permission_has_actions_and_exceptions():
    """A missing list is empty, as null is."""
    there = {"permissions": [{"actions": ["*"], "notActions": None}, {"notActions": ["a/b"]}]}

    assert read_permissions(there) == [
        Permission(("*",), (), is_conditional=False),
        Permission((), ("a/b",), is_conditional=False),
    ]


@pytest.mark.parametrize(
    "there",
    [
        {},
        {"permissions": None},
        {"permissions": "*"},
        {"permissions": ["*"]},
        {"permissions": [{"actions": "*"}]},
        {"permissions": [{"actions": ["*"], "notActions": "a/b"}]},
        {"permissions": [{"actions": ["*"], "notActions": [7]}]},
        {"permissions": [{"actions": {"*": 1}}]},
    ],
)
def test_permissions_of_another_shape_are_malformed(there):
    with pytest.raises(Unreadable):
        read_permissions(there)


@pytest.mark.parametrize(
    ("value", "is_there"),
    [(None, False), ("", False), ("@Resource[x]", True), ({}, True), (0, True)],
)
def test_a_condition_counts_in_any_form(value, is_there):
    assert has_condition({"condition": value}) is is_there


def test_without_the_member_there_is_no_condition():
    assert not has_condition({})


@pytest.mark.parametrize("item", [{}, {"properties": None}, {"properties": []}])
def test_an_item_has_properties(item):
    with pytest.raises(Unreadable):
        read_properties(item)


@pytest.mark.parametrize("holder", [{}, {"id": ""}, {"id": 7}, {"id": None}])
def test_a_text_must_be_there(holder):
    with pytest.raises(Unreadable):
        read_text(holder, "id")


def test_a_list_is_no_longer_than_azure_allows():
    with pytest.raises(Unreadable):
        list_objects({"principals": [{}] * 20_001}, "principals")
