"""Request ids: subscription, time and random bits in one spelling."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.values import request_ids
from tests.builders.values import NOW, SUBSCRIPTION

GOOD = request_ids.make_request_id(SUBSCRIPTION, NOW, b"0123456789")

moments = st.timedeltas(timedelta(0), timedelta(days=2_900_000)).map(
    lambda age: datetime(1970, 1, 1, tzinfo=UTC) + age
)
tens = st.binary(min_size=10, max_size=10)


@given(st.uuids(), moments, tens)
def test_a_request_id_tells_its_subscription_and_its_time(subscription, at, random80):
    """An id alone is enough to find the row."""
    made = request_ids.make_request_id(str(subscription), at, random80)

    assert request_ids.parse_request_id(made) == (
        str(subscription),
        at - timedelta(microseconds=at.microsecond % 1000),
    )


@given(st.uuids(), st.tuples(moments, tens), st.tuples(moments, tens))
def test_request_ids_of_a_subscription_sort_by_time(subscription, one, other):
    """Lists in order of keys are lists in order of creation: 35 characters hold all 48 bits."""
    ids = [
        request_ids.make_request_id(str(subscription), *made)[:35] for made in sorted((one, other))
    ]

    assert ids == sorted(ids)


def test_a_request_id_has_52_letters_and_digits():
    """It stands in URLs, in row keys, in names of rules."""
    made = request_ids.make_request_id(SUBSCRIPTION.upper(), NOW, b"0123456789")

    assert (len(made), made.isalnum(), made.lower()) == (52, True, made)


@given(st.text() | st.from_regex(r"[a-z2-7]{26}[0-9a-v]{26}", fullmatch=True))
def test_a_text_is_a_request_id_in_one_spelling_or_none(text):
    """Parsing never fails, and an id that parses is the id of its bytes."""
    found = request_ids.parse_request_id(text)

    assert found is None or request_ids.make_request_id(*found, bytes(10))[:35] == text[:35]


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        GOOD[:-1] + "v",  # two bits beyond 128 are set
        GOOD[:25] + "7" + GOOD[26:],
        GOOD[:26] + "v" * 25 + "s",  # the year 10889
        "0" + GOOD[1:],
        "1" * 52,
    ],
)
def test_another_spelling_is_no_request_id(text):
    """One id, one row key: a variant must not find or miss a row."""
    assert request_ids.parse_request_id(text) is None


@pytest.mark.parametrize(
    ("subscription", "at", "random80", "message"),
    [
        ("not-a-uuid", NOW, bytes(10), "UUID"),
        (SUBSCRIPTION, datetime(1969, 1, 1, tzinfo=UTC), bytes(10), "1970"),
        (SUBSCRIPTION, NOW, bytes(9), "random"),
    ],
)
def test_a_request_id_is_not_made_of_anything_else(subscription, at, random80, message):
    """A short random part or a wrong time would be a defect, never an id."""
    with pytest.raises(ValueError, match=message):
        request_ids.make_request_id(subscription, at, random80)
