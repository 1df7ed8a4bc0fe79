"""The line for a turn: its order, and who still stands in it."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.model.waiting_line import (
    KEPT,
    MOST_WAITING,
    RENEWED_EVERY,
    Line,
    drop_waits,
    is_first,
    join_line,
    list_others,
)

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def a_line(*waits, now=NOON):
    """A line in which each of (holder, closing) has waited a second longer than the next."""
    line: Line = ()
    for number, (holder, closing) in enumerate(waits):
        at = now - (len(waits) - number) * SECOND
        line = join_line(line, holder, closing=closing, now=at)
    return line


@pytest.mark.parametrize(
    ("closing", "first"),
    [(True, True), (False, False)],
)
def test_closing_goes_before_opening(closing, first):
    """Although who waits to open has waited longer."""
    line = a_line(("opener", False))

    assert is_first(line, "other", closing=closing, now=NOON) is first


@pytest.mark.parametrize("closing", [True, False])
def test_the_older_of_two_equal_wishes_goes_first(closing):
    """Also before one that does not stand in the line yet."""
    line = a_line(("old", closing), ("new", closing))

    assert is_first(line, "old", closing=closing, now=NOON)
    assert not is_first(line, "new", closing=closing, now=NOON)
    assert not is_first(line, "newest", closing=closing, now=NOON)


def test_a_holder_never_waits_for_its_own_turn():
    """A holder who waits to close may also open if nobody else stands in the line."""
    line = a_line(("own", True), ("own", False))

    assert is_first(line, "own", closing=False, now=NOON)
    assert list_others(line, "own", NOON) == ()


def test_a_wait_keeps_its_place_when_it_is_renewed():
    """Renewing is no new beginning."""
    line = a_line(("old", True), ("new", True))

    line = join_line(line, "old", closing=True, now=NOON + MINUTE)

    assert [wait.holder for wait in line] == ["old", "new"]
    assert line[0].renewed_at == NOON + MINUTE


def test_a_wait_that_is_not_renewed_counts_no_longer():
    """Its process may have died; it must not hold up the others."""
    line = a_line(("dead", True), now=NOON + SECOND)

    assert not is_first(line, "other", closing=False, now=NOON + KEPT)
    assert is_first(line, "other", closing=False, now=NOON + KEPT + SECOND)


def test_a_wait_from_the_future_counts_no_longer_either():
    """The clock of the instance that wrote it is wrong."""
    line = a_line(("early", True), now=NOON + KEPT + 2 * SECOND)

    assert is_first(line, "other", closing=False, now=NOON)


def test_a_wait_that_comes_back_too_late_stands_at_the_end():
    """The others have relied on it that the place was free."""
    line = a_line(("late", True))
    line = join_line(line, "other", closing=True, now=NOON + KEPT)

    line = join_line(line, "late", closing=True, now=NOON + KEPT + MINUTE)

    assert [wait.holder for wait in line] == ["other", "late"]


def test_a_wait_is_written_once_a_minute():
    """Passes may follow each other in seconds."""
    line = a_line(("own", True), now=NOON + SECOND)

    assert join_line(line, "own", closing=True, now=NOON + RENEWED_EVERY - SECOND) is line
    assert join_line(line, "own", closing=True, now=NOON + RENEWED_EVERY) != line


def test_a_full_line_keeps_the_first_of_the_order():
    """A row has room for so many; who waits to close finds a place."""
    line = a_line(*((f"h{number}", False) for number in range(MOST_WAITING)))

    line = join_line(line, "closer", closing=True, now=NOON)

    assert len(line) == MOST_WAITING
    assert (line[0].holder, line[-1].holder) == ("closer", f"h{MOST_WAITING - 2}")


def test_a_wait_to_close_and_a_wait_to_open_are_two():
    """The update that closes something leaves the place of the wish to open."""
    line = a_line(("own", True), ("own", False))

    line = drop_waits(line, "own", closing=True)

    assert [wait.closing for wait in line] == [False]
