"""The members of a firewall that only Azure writes: they are Microsoft's, and nothing else goes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, get_args, get_type_hints

from azure.mgmt.network import models
from azure.mgmt.network._utils.model_base import Model
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.read_only import READ_ONLY, drop_read_only

LEAF = 7


def describe(model: Any) -> dict[str, Any]:
    """Return the read-only members of one of the SDK's models, in the form of the table."""
    found: dict[str, Any] = {}
    fields = model({})._attr_to_rest_field
    hints = get_type_hints(model, vars(models._models), {"_models": models})
    for attribute, field in fields.items():
        if field._visibility == ["read"]:
            found[field._rest_name] = None
        elif below := {k: v for inner in list_models(hints[attribute]) for k, v in inner.items()}:
            found[field._rest_name] = below
    return found


def list_models(hint: Any) -> Iterator[dict[str, Any]]:
    """Yield the tables of the models in a type hint: of an object, or of the items of an array."""
    if isinstance(hint, type) and issubclass(hint, Model):
        yield describe(hint)
    for inner in get_args(hint):
        yield from list_models(inner)


def make_body(shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with each member of *shape*, and with strangers beside them."""
    made = {name: LEAF if below is None else make_body(below) for name, below in shape.items()}
    return {"first": [LEAF, {"etag": LEAF}], **made, "last": {"name": LEAF, "type": LEAF}}


def find_members(value: Any, shape: Mapping[str, Any]) -> list[str]:
    """Return the names of the members of *value* that *shape* calls read-only."""
    if isinstance(value, list):
        return [name for item in value for name in find_members(item, shape)]
    if not isinstance(value, dict):
        return []
    here = [name for name in value if shape.get(name, "") is None]
    below = [(value[name], inner) for name, inner in shape.items() if inner and name in value]
    return here + [name for item, inner in below for name in find_members(item, inner)]


def test_the_table_is_that_of_microsofts_description():
    """Each member, at each depth: of the SDK's models of the same version."""
    assert describe(models.AzureFirewall) == READ_ONLY


def test_every_read_only_member_goes_and_every_other_one_stays():
    """A member with the same name at another place is a customer's."""
    body = make_body(READ_ONLY)

    after = drop_read_only(body)

    assert len(find_members(body, READ_ONLY)) == 20
    assert find_members(after, READ_ONLY) == []
    assert after["first"] == body["first"]
    assert after["properties"]["natRuleCollections"] == {
        "first": [LEAF, {"etag": LEAF}],
        "properties": make_body({}),
        "last": {"name": LEAF, "type": LEAF},
    }


def test_a_shape_holds_for_each_item_of_an_array():
    legs = [{"name": "a", "etag": 1}, {"etag": 2, "name": "b"}]

    after = drop_read_only({"properties": {"ipConfigurations": legs}})

    assert after == {"properties": {"ipConfigurations": [{"name": "a"}, {"name": "b"}]}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["etag", "properties", "natRuleCollections", "rules", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["etag", "properties", "x"]), JSON, max_size=3))
def test_a_body_of_any_form_loses_nothing_else(body):
    """Unknown forms too, in their order; the argument is not changed."""
    before = deepcopy(body)

    after = drop_read_only(body)

    assert body == before
    assert find_members(after, READ_ONLY) == []
    assert json.dumps(drop_read_only(after)) == json.dumps(after)
    assert find_members(body, READ_ONLY) or json.dumps(after) == json.dumps(body)
