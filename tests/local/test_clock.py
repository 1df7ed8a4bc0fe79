"""The file through which all processes of the stack share one time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.clock import ClockState, FileClock, read, write

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
INSTANTS = st.integers(-(10**15), 10**15).map(lambda us: NOON + timedelta(microseconds=us))


@given(frozen=st.none() | INSTANTS, offset=st.integers(-(10**7), 10**7))
def test_a_written_state_is_read(tmp_path_factory, frozen, offset):
    """The file keeps the state to the microsecond."""
    path = tmp_path_factory.mktemp("clock") / "clock.json"
    write(path, ClockState(frozen, offset))

    assert read(path) == ClockState(frozen, offset)


def test_frozen_clock_stands_still(tmp_path):
    """A frozen clock answers its instant at any offset."""
    path = tmp_path / "clock.json"
    write(path, ClockState(NOON, 3600))

    assert FileClock(path).now() == NOON


def test_ticking_clock_runs_ahead_of_the_wall(tmp_path):
    """A ticking clock is the wall clock plus the offset."""
    path = tmp_path / "clock.json"
    write(path, ClockState(None, 3600))

    ahead = FileClock(path).now() - datetime.now(UTC)

    assert timedelta(minutes=59) < ahead < timedelta(minutes=61)


def test_clock_is_read_at_each_call(tmp_path):
    """A holder of the clock sees the next state without a message."""
    path = tmp_path / "clock.json"
    write(path, ClockState(NOON))
    clock = FileClock(path)
    write(path, ClockState(NOON + timedelta(hours=1)))

    assert clock.now() == NOON + timedelta(hours=1)


def test_writing_leaves_no_other_file(tmp_path):
    """The new state replaces the old one in one step."""
    write(tmp_path / "clock.json", ClockState(NOON))
    write(tmp_path / "clock.json", ClockState())

    assert [each.name for each in tmp_path.iterdir()] == ["clock.json"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"frozenAt": 5, "offsetSeconds": 0}', '{"frozenAt": null}'],
)
def test_another_file_is_not_taken_for_a_clock(tmp_path, text):
    """A damaged clock file is an error, not the present."""
    (tmp_path / "clock.json").write_text(text)

    with pytest.raises(ValueError, match=r"clock file|Expecting"):
        read(tmp_path / "clock.json")


def test_failed_write_leaves_nothing_behind(tmp_path):
    """If the file cannot be replaced, no half-written one stays."""
    (tmp_path / "clock.json").mkdir()
    with pytest.raises(OSError, match=r"[Dd]irectory"):
        write(tmp_path / "clock.json", ClockState())

    assert [each.name for each in tmp_path.iterdir()] == ["clock.json"]


def test_naive_instant_is_refused(tmp_path):
    """An instant without a zone would be read as another one elsewhere."""
    with pytest.raises(ValueError, match="zone"):
        write(tmp_path / "clock.json", ClockState(NOON.replace(tzinfo=None)))
