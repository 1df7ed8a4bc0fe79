"""The pace of readings of rights: no caller chooses it."""

from datetime import timedelta

import pytest

from jit.broker.rights.reading_pace import LONGEST_REST, MOST_READINGS, SPAN, ReadingPace
from jit.domain.errors import CannotTell
from tests.builders.values import NOW, OTHER_SUBSCRIPTION, SUBSCRIPTION

SECOND = timedelta(seconds=1)


def fill(pace, subscription=SUBSCRIPTION, now=NOW):
    for _ in range(MOST_READINGS):
        pace.begin(subscription, now)


def test_so_many_readings_begin_in_a_span():
    """The next one may begin when the span is over; the refusal says when."""
    pace = ReadingPace()
    fill(pace)

    with pytest.raises(CannotTell) as error:
        pace.begin(SUBSCRIPTION, NOW + SPAN - 3 * SECOND)
    assert error.value.retry_after_seconds == 3
    pace.begin(SUBSCRIPTION, NOW + SPAN)


def test_subscriptions_have_a_pace_of_their_own():
    """As Azure counts them."""
    pace = ReadingPace()
    fill(pace)

    pace.begin(OTHER_SUBSCRIPTION, NOW)


def test_after_a_failure_a_subscription_rests():
    """As long as Azure asks for."""
    pace = ReadingPace()
    pace.wait(SUBSCRIPTION, 7, NOW)

    with pytest.raises(CannotTell) as error:
        pace.begin(SUBSCRIPTION, NOW + 2 * SECOND)
    assert error.value.retry_after_seconds == 5
    pace.begin(OTHER_SUBSCRIPTION, NOW)
    pace.begin(SUBSCRIPTION, NOW + 7 * SECOND)


def test_a_rest_is_a_minute_at_most():
    """However long Azure asks for, and if the clock is set back."""
    pace = ReadingPace()
    pace.wait(SUBSCRIPTION, 3600, NOW)

    pace.begin(SUBSCRIPTION, NOW + LONGEST_REST)
    pace.begin(SUBSCRIPTION, NOW - SECOND)
