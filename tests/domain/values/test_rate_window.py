"""A span of time that begins with its first call, and the number of calls in it."""

from datetime import timedelta

import pytest

from jit.domain.values.rate_window import RateWindow, count_call, find_wait
from tests.builders.values import MINUTE, NOW

SECOND = timedelta(seconds=1)
FULL = RateWindow(begin=NOW, count=7)


@pytest.mark.parametrize(
    ("window", "now", "counted"),
    [
        (None, NOW, RateWindow(begin=NOW, count=1)),
        (FULL, NOW, RateWindow(begin=NOW, count=8)),
        (FULL, NOW + MINUTE - SECOND, RateWindow(begin=NOW, count=8)),
        (FULL, NOW + MINUTE, RateWindow(begin=NOW + MINUTE, count=1)),
        (FULL, NOW - SECOND, RateWindow(begin=NOW - SECOND, count=1)),
    ],
    ids=["first", "same instant", "last second", "next window", "clock set back"],
)
def test_a_window_lasts_for_its_span_from_its_first_call(window, now, counted):
    """After it, and if the clock was set back, the next call begins another one."""
    assert count_call(window, now=now, span=MINUTE) == counted


@pytest.mark.parametrize(
    ("now", "seconds"),
    [(NOW, 60), (NOW + timedelta(milliseconds=1), 60), (NOW + 59.5 * SECOND, 1)],
)
def test_the_wait_is_never_shorter_than_the_rest_of_the_window(now, seconds):
    """In whole seconds, as ``Retry-After`` has it."""
    assert find_wait(FULL, now=now, span=MINUTE) == seconds
