"""The simulator's time with its events."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.azure.timeline import Timeline
from local.clock import ClockState, FileClock, read

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Wall:
    """A wall clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def note_at(timeline: Timeline, delays: list[int]) -> list[float]:
    """Plan an event at each of *delays*; return the list in which they will note their instants."""
    seen: list[float] = []
    for delay in delays:
        timeline.after(delay, lambda: seen.append((timeline.now - NOON).total_seconds()))
    return seen


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20), st.integers(0, 100))
def test_events_run_in_order_up_to_the_present_and_no_further(delays, span):
    """Advancing runs each event that becomes due at its own instant, and leaves the rest."""
    timeline = Timeline(wall=Wall())
    seen = note_at(timeline, delays)
    timeline.advance(timedelta(seconds=span))

    assert seen == sorted(delay for delay in delays if delay <= span)


def test_events_of_one_instant_run_in_the_order_they_were_planned():
    """Equal instants keep the order of planning."""
    timeline = Timeline(wall=Wall())
    seen: list[str] = []
    timeline.after(5, lambda: seen.append("first"))
    timeline.after(5, lambda: seen.append("second"))
    timeline.advance(timedelta(seconds=5))

    assert seen == ["first", "second"]


def test_event_may_plan_another_within_the_same_jump():
    """One jump has the same effect as many small steps."""
    timeline = Timeline(wall=Wall())
    seen: list[datetime] = []
    timeline.after(10, lambda: timeline.after(10, lambda: seen.append(timeline.now)))
    timeline.advance(timedelta(minutes=1))

    assert seen == [NOON + timedelta(seconds=20)]


def test_ticking_clock_follows_the_wall():
    """Settling brings the present up to real time."""
    wall = Wall()
    timeline = Timeline(wall=wall)
    wall.now += timedelta(seconds=30)
    timeline.settle()

    assert timeline.now == NOON + timedelta(seconds=30)


def test_wall_that_steps_back_does_not_turn_time_back():
    """The simulator's time never runs backwards by itself."""
    wall = Wall()
    timeline = Timeline(wall=wall)
    wall.now -= timedelta(seconds=30)
    timeline.settle()

    assert timeline.now == NOON


def test_frozen_clock_ignores_the_wall():
    """Frozen time stands still until somebody advances it."""
    wall = Wall()
    timeline = Timeline(wall=wall)
    timeline.freeze()
    wall.now += timedelta(hours=1)
    timeline.settle()

    assert timeline.now == NOON


def test_released_clock_ticks_on_from_where_it_stood():
    """Releasing makes no jump."""
    wall = Wall()
    timeline = Timeline(wall=wall)
    timeline.freeze()
    wall.now += timedelta(hours=1)
    timeline.release()
    wall.now += timedelta(seconds=5)
    timeline.settle()

    assert timeline.now == NOON + timedelta(seconds=5)


def test_releasing_a_ticking_clock_changes_nothing():
    """A clock that ticks already keeps its offset."""
    timeline = Timeline(wall=Wall())
    timeline.advance(timedelta(hours=1))
    timeline.release()
    timeline.settle()

    assert timeline.now == NOON + timedelta(hours=1)


def test_advanced_clock_keeps_ticking():
    """An advance moves a ticking clock ahead of the wall for good."""
    wall = Wall()
    timeline = Timeline(wall=wall)
    timeline.advance(timedelta(hours=1))
    wall.now += timedelta(seconds=5)
    timeline.settle()

    assert timeline.now == NOON + timedelta(hours=1, seconds=5)


def test_time_is_not_turned_back():
    """A negative advance is refused."""
    with pytest.raises(ValueError, match="backwards"):
        Timeline(wall=Wall()).advance(timedelta(seconds=-1))


def test_patience_jumps_with_the_clock():
    """Quotas refill with each jump, besides real time."""
    timeline = Timeline(wall=Wall())
    before = timeline.elapsed_seconds()
    timeline.advance(timedelta(hours=1))

    assert timeline.elapsed_seconds() - before >= 3600


def test_reset_forgets_events_and_jumps():
    """After a reset it is now, and nothing is planned."""
    timeline = Timeline(wall=Wall())
    timeline.advance(timedelta(hours=1))
    seen: list[str] = []
    timeline.after(1, lambda: seen.append("late"))
    timeline.reset()
    timeline.advance(timedelta(minutes=1))

    assert (timeline.now, seen) == (NOON + timedelta(minutes=1), [])


def test_clock_file_is_kept_in_step(tmp_path):
    """Other processes read the same time from the file."""
    path = tmp_path / "clock.json"
    timeline = Timeline(path)
    timeline.freeze()
    timeline.advance(timedelta(hours=1))

    assert FileClock(path).now() == timeline.now


def test_clock_file_exists_from_the_start(tmp_path):
    """A process that starts after the simulator finds the file."""
    Timeline(tmp_path / "clock.json")

    assert read(tmp_path / "clock.json") == ClockState()
