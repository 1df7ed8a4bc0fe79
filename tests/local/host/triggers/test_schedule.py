"""NCRONTAB: expressions that Azure Functions accepts, and their due times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.triggers import schedule
from local.host.triggers.schedule import BadSchedule

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("0 * * * * *", datetime(2026, 11, 22, 12, 1, tzinfo=UTC)),
        ("* * * * * *", datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)),
        ("0 */5 * * * *", datetime(2026, 11, 22, 12, 5, tzinfo=UTC)),
        ("30 0 12 * * *", datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)),
        ("0 0 12 * * *", datetime(2026, 11, 23, 12, 0, tzinfo=UTC)),
        ("0 0 9-17/4 * * *", datetime(2026, 11, 22, 13, 0, tzinfo=UTC)),
        ("0 10/20 * * * *", datetime(2026, 11, 22, 12, 10, tzinfo=UTC)),
        ("0 15,45 8 * * *", datetime(2026, 11, 23, 8, 15, tzinfo=UTC)),
        ("0 0 0 * * Mon-Fri", datetime(2026, 11, 23, tzinfo=UTC)),
        ("0 0 0 * * saturday", datetime(2026, 11, 28, tzinfo=UTC)),
        ("0 0 0 1 January *", datetime(2027, 1, 1, tzinfo=UTC)),
        ("0 0 0 31 * *", datetime(2026, 12, 31, tzinfo=UTC)),
        ("0 0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
def test_the_next_due_time_is_the_first_that_fits_every_field(expression, due):
    """Seconds come first, and a due time is strictly later than the question."""
    assert schedule.parse(expression).after(NOON) == due


def test_day_of_month_and_day_of_week_must_both_match():
    """Unlike cron, NCRONTAB does not fire on either of the two."""
    friday_the_13th = schedule.parse("0 0 0 13 * Fri")

    assert friday_the_13th.after(NOON) == datetime(2027, 8, 13, tzinfo=UTC)


def test_due_times_are_in_utc_for_any_zone():
    """A question from another zone is a question about the same instant."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert schedule.parse("0 0 13 * * *").after(elsewhere) == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "0 fields"),
        ("* * * * *", "5 fields"),
        ("* * * * * * *", "7 fields"),
        ("00:05:00", "1 fields"),
        ("@hourly", "1 fields"),
        ("60 * * * * *", "second"),
        ("* 60 * * * *", "minute"),
        ("* * 24 * * *", "hour"),
        ("* * * 0 * *", "day of month"),
        ("* * * 32 * *", "day of month"),
        ("* * * * 13 *", "month"),
        ("* * * * * 7", "day of week"),
        ("* * * L * *", "day of month"),
        ("* * * * * 1#2", "day of week"),
        ("* * * * Ja *", "month"),
        ("*/0 * * * * *", "second"),
        ("*/ * * * * *", "second"),
        ("*/-5 * * * * *", "second"),
        ("1,,2 * * * * *", "second"),
        ("1- * * * * *", "second"),
        ("-1 * * * * *", "second"),
        ("0 0 22-2 * * *", "backwards"),
        ("0 0 0 30 2 *", "never"),
    ],
)
def test_an_expression_that_azure_refuses_or_misreads_is_refused(expression, words):
    """The message names the field, so that the setting can be mended."""
    with pytest.raises(BadSchedule, match=words):
        schedule.parse(expression)


def _texts(least, most):
    number = st.integers(least, most)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    plain = number.map(str) | span | st.just("*")
    stepped = st.tuples(plain, st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.lists(plain | stepped, min_size=1, max_size=3).map(",".join)


@given(
    second=_texts(0, 59),
    minute=_texts(0, 59),
    start=st.integers(0, 3599).map(lambda seconds: NOON + timedelta(seconds=seconds)),
)
def test_no_due_time_is_skipped(second, minute, start):
    """Counting second by second finds the same due time, in this hour or in the next one."""
    due_at = schedule.parse(f"{second} {minute} * * * *")
    due = {moment.minute * 60 + moment.second for moment in due_at.times}
    begun = start.minute * 60 + start.second
    expected = next(step for step in range(1, 3601) if (begun + step) % 3600 in due)

    assert due_at.after(start) == start + timedelta(seconds=expected)


@given(st.timedeltas(timedelta(days=-9000), timedelta(days=20000)).map(lambda span: NOON + span))
def test_due_times_only_move_forward(instant):
    """Asking again from a due time gives a later one."""
    weekly = schedule.parse("0 30 6 * * Tue")
    due = weekly.after(instant)

    assert instant < due < weekly.after(due)
