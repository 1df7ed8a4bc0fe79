"""The pace of readings of rights: no caller chooses it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from threading import Event

import pytest

from jit.broker.rights.reading_pace import (
    LONGEST_REST,
    MOST_AT_ONCE,
    MOST_FAILED,
    MOST_READINGS,
    SPAN,
    Purpose,
    ReadingPace,
)
from jit.domain.errors import CannotTell
from tests.builders.values import NOW, OTHER_SUBSCRIPTION, SUBSCRIPTION

SECOND = timedelta(seconds=1)


def read(pace, subscription, now, key="", purpose=Purpose.OPENING):
    with pace.take(subscription, now, key, purpose):
        pass


def fill(pace, subscription=SUBSCRIPTION, now=NOW):
    for _ in range(MOST_READINGS):
        read(pace, subscription, now)


def test_so_many_readings_begin_in_a_span():
    """The next one may begin when the span is over; the refusal says when."""
    pace = ReadingPace()
    fill(pace)

    with pytest.raises(CannotTell) as error:
        read(pace, SUBSCRIPTION, NOW + SPAN - 3 * SECOND)
    assert error.value.retry_after_seconds == 3
    read(pace, SUBSCRIPTION, NOW + SPAN)


def test_subscriptions_have_a_pace_of_their_own():
    """As Azure counts them."""
    pace = ReadingPace()
    fill(pace)

    read(pace, OTHER_SUBSCRIPTION, NOW)


def test_after_a_failure_a_subscription_rests():
    """As long as Azure asks for."""
    pace = ReadingPace()
    pace.wait(SUBSCRIPTION, 7, NOW)

    with pytest.raises(CannotTell) as error:
        read(pace, SUBSCRIPTION, NOW + 2 * SECOND)
    assert error.value.retry_after_seconds == 5
    read(pace, OTHER_SUBSCRIPTION, NOW)
    read(pace, SUBSCRIPTION, NOW + 7 * SECOND)


def test_a_rest_is_a_minute_at_most():
    """However long Azure asks for, and if the clock is set back."""
    pace = ReadingPace()
    pace.wait(SUBSCRIPTION, 3600, NOW)

    read(pace, SUBSCRIPTION, NOW + LONGEST_REST)
    read(pace, SUBSCRIPTION, NOW - SECOND)


def test_after_a_failure_of_its_own_a_key_rests_alone():
    """A minute at most."""
    pace = ReadingPace()
    pace.wait_for_key(SUBSCRIPTION, "alice", 7, NOW)
    pace.wait_for_key(SUBSCRIPTION, "carol", 3600, NOW)

    with pytest.raises(CannotTell) as error:
        read(pace, SUBSCRIPTION, NOW + 2 * SECOND, "alice")
    assert error.value.retry_after_seconds == 5
    read(pace, SUBSCRIPTION, NOW, "bob")
    read(pace, OTHER_SUBSCRIPTION, NOW, "alice")
    read(pace, SUBSCRIPTION, NOW + 7 * SECOND, "alice")
    read(pace, SUBSCRIPTION, NOW + LONGEST_REST, "carol")


def test_so_many_failures_are_remembered():
    """Memory is bounded: the oldest one is forgotten first."""
    pace = ReadingPace()
    for number in range(MOST_FAILED + 1):
        pace.wait_for_key(SUBSCRIPTION, str(number), 60, NOW)

    read(pace, SUBSCRIPTION, NOW, "0")
    with pytest.raises(CannotTell):
        read(pace, SUBSCRIPTION, NOW, "1")


def test_so_many_readings_run_at_once():
    """If Azure hangs, the other threads of the instance answer other people."""
    pace = ReadingPace(patience=0)
    with ExitStack() as running:
        for _ in range(MOST_AT_ONCE):
            running.enter_context(pace.take(SUBSCRIPTION, NOW))
        with pytest.raises(CannotTell):
            read(pace, OTHER_SUBSCRIPTION, NOW)

    read(pace, OTHER_SUBSCRIPTION, NOW)


def test_a_reading_that_fails_makes_room_for_the_next_one():
    pace = ReadingPace(patience=0)
    for _ in range(MOST_AT_ONCE + 1):
        with pytest.raises(ZeroDivisionError), pace.take(SUBSCRIPTION, NOW):
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("purpose", "most"), [(Purpose.LIST, 50), (Purpose.ACCEPTANCE, 75), (Purpose.OPENING, 100)]
)
def test_a_purpose_has_a_share_of_the_readings(purpose, most):
    """Whatever the readings before were for."""
    pace = ReadingPace()
    for _ in range(most - 1):
        read(pace, SUBSCRIPTION, NOW)
    read(pace, SUBSCRIPTION, NOW, purpose=purpose)

    with pytest.raises(CannotTell):
        read(pace, SUBSCRIPTION, NOW, purpose=purpose)


def test_lists_leave_readings_for_acceptances_and_both_for_openings():
    pace = ReadingPace()
    for purpose, left in ((Purpose.LIST, 50), (Purpose.ACCEPTANCE, 25), (Purpose.OPENING, 25)):
        for _ in range(left):
            read(pace, SUBSCRIPTION, NOW, purpose=purpose)
        with pytest.raises(CannotTell):
            read(pace, SUBSCRIPTION, NOW, purpose=purpose)


def test_readings_of_http_that_hang_leave_threads_for_openings():
    """Lists take three, acceptances one more, and two are left."""
    pace = ReadingPace(patience=0)
    with ExitStack() as running:
        for purpose, left in ((Purpose.LIST, 3), (Purpose.ACCEPTANCE, 1), (Purpose.OPENING, 2)):
            for _ in range(left):
                running.enter_context(pace.take(SUBSCRIPTION, NOW, purpose=purpose))
            with pytest.raises(CannotTell):
                read(pace, OTHER_SUBSCRIPTION, NOW, purpose=purpose)

    read(pace, SUBSCRIPTION, NOW, purpose=Purpose.LIST)


def test_a_reading_that_ends_lets_one_begin_that_waits():
    pace, begun, go = ReadingPace(patience=5), Event(), Event()

    def hold():
        with pace.take(SUBSCRIPTION, NOW, purpose=Purpose.LIST):
            begun.set()
            go.wait(5)

    with ExitStack() as running, ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            running.enter_context(pace.take(SUBSCRIPTION, NOW))
        first = pool.submit(hold)
        begun.wait(5)
        second = pool.submit(read, pace, SUBSCRIPTION, NOW, purpose=Purpose.LIST)
        go.set()

        assert [first.result(5), second.result(5)] == [None, None]
