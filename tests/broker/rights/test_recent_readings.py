"""Readings that are kept for a while, and shared."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest

from jit.broker.rights.recent_readings import RecentReadings
from jit.domain.errors import CannotTell, Unavailable
from tests.builders.values import MINUTE, NOW

LONG_AGO = NOW - 60 * MINUTE


def get(readings, value, *, key="k", since=LONG_AGO, now=NOW):
    return readings.get(key, lambda: value, since=since, now=now).value


def test_a_young_reading_is_given_again():
    readings = RecentReadings[int](9)

    assert get(readings, 1) == 1
    assert get(readings, 2, now=NOW + MINUTE) == 1


@pytest.mark.parametrize("since", [NOW, NOW + MINUTE])
def test_a_reading_that_began_too_early_is_made_anew(since):
    """One that began at that very instant, too: it may have come first."""
    readings = RecentReadings[int](9)
    get(readings, 1)

    assert get(readings, 2, since=since, now=NOW + 2 * MINUTE) == 2


def test_a_reading_of_the_future_counts_for_a_moment_only():
    """Threads do not look at the clock at once; a clock that was set back is another thing."""
    readings = RecentReadings[int](9)
    get(readings, 1)

    assert get(readings, 2, now=NOW - timedelta(seconds=1)) == 1
    assert get(readings, 2, now=NOW - MINUTE) == 2


def test_the_reading_that_was_asked_for_least_lately_is_forgotten():
    readings = RecentReadings[int](2)
    for key in "aba":
        get(readings, 1, key=key)
    get(readings, 1, key="c")

    assert [get(readings, 2, key=key) for key in "acb"] == [1, 1, 2]


def test_a_failure_is_not_kept():
    """Its caller gets its own error."""
    readings = RecentReadings[int](9)

    def fail():
        raise CannotTell("no answer")

    with pytest.raises(CannotTell):
        readings.get("k", fail, since=LONG_AGO, now=NOW)
    assert get(readings, 2) == 2


def test_callers_who_come_at_once_share_a_reading():
    """One makes it, the others wait for it."""
    readings, begun, go, made = RecentReadings[int](9), Event(), Event(), []

    def read():
        made.append(1)
        begun.set()
        go.wait(5)
        return len(made)

    def ask():
        return readings.get("k", read, since=LONG_AGO, now=NOW).value

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask)
        begun.wait(5)
        others = [pool.submit(ask) for _ in range(2)]
        go.set()
        found = [each.result(5) for each in (first, *others)]

    assert (found, made) == ([1, 1, 1], [1])


def test_a_shared_reading_that_began_too_early_is_not_used():
    """The caller makes one of its own when it has ended."""
    readings, begun, go = RecentReadings[str](9), Event(), Event()

    def read_slowly():
        begun.set()
        go.wait(5)
        return "early"

    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(readings.get, "k", read_slowly, since=LONG_AGO, now=NOW)
        begun.wait(5)
        late = pool.submit(
            readings.get, "k", lambda: "late", since=NOW + MINUTE, now=NOW + 2 * MINUTE
        )
        go.set()
        found = early.result(5).value, late.result(5).value

    assert found == ("early", "late")
    assert get(readings, "x", now=NOW + 2 * MINUTE) == "late"


def test_the_failure_of_another_caller_is_unavailable():
    readings, begun, go = RecentReadings[int](9), Event(), Event()

    def fail_slowly():
        begun.set()
        go.wait(5)
        raise CannotTell("no answer")

    def ask(read):
        return readings.get("k", read, since=LONG_AGO, now=NOW)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, fail_slowly)
        begun.wait(5)
        second = pool.submit(ask, fail_slowly)
        go.set()
        errors = [each.exception(5) for each in (first, second)]

    assert all(isinstance(error, Unavailable) for error in errors)


def test_a_key_that_hangs_holds_one_thread():
    """Callers whose patience ends begin no other reading of it beside the one that runs."""
    seconds, begun, go, made = [0.0], Event(), Event(), []
    readings = RecentReadings[int](9, clock=lambda: seconds[0])

    def hang():
        made.append(1)
        begun.set()
        go.wait(5)
        return len(made)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(readings.get, "k", hang, since=LONG_AGO, now=NOW)
        begun.wait(5)
        seconds[0] += 6
        for _ in range(3):
            with pytest.raises(Unavailable):
                readings.get("k", hang, since=LONG_AGO, now=NOW)
        other = get(readings, 7, key="other")
        go.set()
        found = first.result(5).value

    assert (found, other, made) == (1, 7, [1])


def test_a_key_is_read_again_after_a_reading_that_hung_and_failed():
    seconds, begun, go = [0.0], Event(), Event()
    readings = RecentReadings[int](9, clock=lambda: seconds[0])

    def hang():
        begun.set()
        go.wait(5)
        raise CannotTell("no answer")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(readings.get, "k", hang, since=LONG_AGO, now=NOW)
        begun.wait(5)
        seconds[0] += 6
        with pytest.raises(Unavailable):
            get(readings, 2)
        go.set()
        with pytest.raises(CannotTell):
            first.result(5)

    assert get(readings, 2) == 2
