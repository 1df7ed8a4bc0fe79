"""Row keys and instants: they sort and find as they should, and the service takes them."""

import re
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.storage import keys
from tests.builders.values import POLICY_ID
from tests.storage.strategies import instants

# ---- instants ------------------------------------------------------------------------------------


@given(instants)
def test_an_instant_is_read_as_it_was_written(moment):
    """To the microsecond, in UTC."""
    read = keys.read_stamp(keys.write_stamp(moment))

    assert (read, read.tzinfo) == (moment, UTC)


@given(instants, instants)
def test_text_order_is_time_order(one, other):
    """Queries of the table compare text."""
    assert (keys.write_stamp(one) < keys.write_stamp(other)) == (one < other)


# ---- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        keys.grants_prefix,
        keys.tombstones_prefix,
        keys.machine_key,
        keys.policy_key,
        keys.firewall_key,
    ],
)
def test_a_key_does_not_depend_on_the_case_of_an_id(key):
    """ARM writes ids in several ways."""
    assert key(POLICY_ID.upper()) == key(POLICY_ID.lower())


@given(st.text())
def test_a_key_holds_only_characters_that_the_service_takes(text):
    """An id may hold slashes and question marks, and have any length."""
    found = [keys.grants_prefix(text, text), keys.machine_key(text), keys.policy_key(text)]

    assert all(re.fullmatch(r"[gvp](\|[a-z2-7]{26}){1,2}", key) for key in found)


def test_a_key_range_holds_no_neighbour():
    """The hash of another policy sorts outside."""
    first, last = keys.key_range("g|aaaa")

    assert first <= "g|aaaa|x" < last
    assert not first <= "g|aaaab|x" < last
    assert not first <= "g|aaaa" < last


def test_the_key_after_a_prefix_is_above_all_its_keys():
    """A list of history goes on behind all rows of a request."""
    after = keys.keys_after("request")

    assert [text < after for text in ("request|", "request|999", "requesu|")] == [True, True, False]
