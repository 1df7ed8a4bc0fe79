"""Spans and instants: which texts are read, which are refused, and how both are written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.errors import Malformed
from jit.domain.values import times

spans = st.timedeltas(timedelta(0), times.LONGEST)
moments = st.timedeltas(timedelta(days=1), timedelta(days=2_560_000)).map(
    lambda age: datetime(1970, 1, 1, tzinfo=UTC) + age
)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(spans)
def test_a_span_is_read_back_as_it_was(span):
    """Nothing is lost between two services that tell each other a duration."""
    assert times.parse_duration(times.format_duration(span)) == span


@given(spans)
def test_a_span_has_one_spelling(span):
    """Reading and writing return the same text."""
    text = times.format_duration(span)

    assert times.format_duration(times.parse_duration(text)) == text


@given(st.text() | st.text("PYMWDTHS0123456789.-+", max_size=20))
def test_any_text_is_a_duration_or_malformed(text):
    """No hostile duration ends in an error of another kind."""
    assert verdict(times.parse_duration, text) in {
        "read",
        "duration-malformed",
        "duration-ambiguous",
        "duration-negative",
        "duration-overflow",
    }


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("PT2H", timedelta(hours=2)),
        ("PT2H30M", timedelta(hours=2, minutes=30)),
        ("PT90M", timedelta(minutes=90)),
        ("PT5400S", timedelta(minutes=90)),
        ("P1D", timedelta(days=1)),
        ("P1DT1H1M1S", timedelta(days=1, hours=1, minutes=1, seconds=1)),
        ("PT0S", timedelta(0)),
        ("PT0H5M", timedelta(minutes=5)),
        ("PT007H", timedelta(hours=7)),
        ("PT1.5S", timedelta(seconds=1.5)),
        ("PT0.1234567S", timedelta(microseconds=123456)),
        ("P36500D", timedelta(days=36500)),
    ],
)
def test_a_duration_is_read(text, span):
    """Days, hours, minutes, seconds, and a fraction of seconds."""
    assert times.parse_duration(text) == span


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        ("P", "malformed"),
        ("PT", "malformed"),
        ("P1DT", "malformed"),
        ("T1H", "malformed"),
        ("1H", "malformed"),
        ("2:00", "malformed"),
        ("7200", "malformed"),
        ("pt1h", "malformed"),
        ("PT1h", "malformed"),
        ("PT1.5H", "malformed"),
        ("P0.5D", "malformed"),
        ("PT1,5S", "malformed"),
        ("PT.5S", "malformed"),
        ("PT1.S", "malformed"),
        ("PT1M1H", "malformed"),
        ("PT1H1H", "malformed"),
        ("P1H", "malformed"),
        ("PT1D", "malformed"),
        ("PT1H ", "malformed"),
        ("PT1H\n", "malformed"),
        ("PT\u0661H", "malformed"),
        ("PT+1H", "malformed"),
        ("PT" + "9" * 10 + "H", "malformed"),
        ("P1M", "ambiguous"),
        ("P1Y", "ambiguous"),
        ("P1W", "ambiguous"),
        ("P1Y2M3DT4H", "ambiguous"),
        ("P1MT1H", "ambiguous"),
        ("-PT1H", "negative"),
        ("PT-1H", "negative"),
        ("P-1D", "negative"),
        ("P999999999DT999999999H", "overflow"),
        ("P36501D", "overflow"),
    ],
)
def test_a_duration_of_the_wrong_kind_is_refused(text, code):
    """Each with the code of its own kind."""
    assert verdict(times.parse_duration, text) == f"duration-{code}"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(minutes=5), "PT5M"),
        (timedelta(hours=24), "PT24H"),
        (timedelta(hours=10), "PT10H"),
        (timedelta(hours=1, seconds=1), "PT1H1S"),
        (timedelta(milliseconds=1500), "PT1.5S"),
        (timedelta(microseconds=1), "PT0.000001S"),
    ],
)
def test_a_span_is_written_without_days(span, text):
    """To people a day may have 23 or 25 hours."""
    assert times.format_duration(span) == text


def test_a_negative_span_is_not_written():
    """Nothing lasts less than nothing."""
    with pytest.raises(ValueError, match="negative"):
        times.format_duration(timedelta(seconds=-1))


@given(moments, zones)
def test_an_instant_is_read_back_as_it_was(at, zone):
    """The zone of the value does not matter."""
    found = times.parse_instant(times.format_instant(at.astimezone(zone)))

    assert (found, found.tzinfo) == (at, UTC)


@given(moments, zones)
def test_an_instant_with_an_offset_is_the_same_instant(at, zone):
    """Callers write their own zone, the broker answers in UTC."""
    assert times.parse_instant(at.astimezone(zone).isoformat()) == at


@given(moments, spans)
def test_an_instant_and_a_span_never_overflow(at, span):
    """Accepted spans and instants can be added and subtracted without an error."""
    assert at + span - span == at


@given(st.text() | st.text("TZ0123456789:.-+", max_size=35))
def test_any_text_is_an_instant_or_malformed(text):
    """No hostile time ends in an error of another kind."""
    assert verdict(times.parse_instant, text) in {
        "read",
        "time-malformed",
        "time-without-zone",
        "time-out-of-range",
    }


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-11-22T18:00:00Z", "2026-11-22T18:00:00Z"),
        ("2026-11-22t18:00:00z", "2026-11-22T18:00:00Z"),
        ("2026-11-22T18:00:00-00:00", "2026-11-22T18:00:00Z"),
        ("2026-11-22T18:00:00+01:00", "2026-11-22T17:00:00Z"),
        ("2026-01-01T00:00:00+14:00", "2025-12-31T10:00:00Z"),
        ("2028-02-29T12:00:00-03:30", "2028-02-29T15:30:00Z"),
        ("2026-11-22T18:00:00.1Z", "2026-11-22T18:00:00.100000Z"),
        ("2018-05-17T08:06:45.5691611Z", "2018-05-17T08:06:45.569161Z"),
        ("2026-11-22T18:00:00.999999999Z", "2026-11-22T18:00:00.999999Z"),
        ("2026-11-22T18:00:00.000Z", "2026-11-22T18:00:00Z"),
    ],
)
def test_an_instant_is_written_in_utc(text, canonical):
    """One spelling for all the spellings of RFC 3339, seven digits of Azure included."""
    assert times.format_instant(times.parse_instant(text)) == canonical


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        ("now", "malformed"),
        ("2026-11-22", "malformed"),
        ("2026-11-22 18:00:00Z", "malformed"),
        ("2026-11-22T18:00Z", "malformed"),
        ("20261122T180000Z", "malformed"),
        ("2026-W47-7T18:00:00Z", "malformed"),
        ("2026-11-22T18:00:00.Z", "malformed"),
        ("2026-11-22T18:00:00,5Z", "malformed"),
        ("2026-11-22T18:00:00.0123456789Z", "malformed"),
        ("2026-11-22T18:00:00+0100", "malformed"),
        ("2026-11-22T18:00:00+01", "malformed"),
        ("2026-11-22T18:00:00+24:00", "malformed"),
        ("2026-11-22T18:00:00+01:60", "malformed"),
        ("2026-11-22T18:00:00 Z", "malformed"),
        ("2026-11-22T18:00:00Z\n", "malformed"),
        ("2026-11-22T18:00:00 Europe/Berlin", "malformed"),
        ("2026-11-22T24:00:00Z", "malformed"),
        ("2016-12-31T23:59:60Z", "malformed"),
        ("2026-02-29T00:00:00Z", "malformed"),
        ("2026-13-01T00:00:00Z", "malformed"),
        ("\uff12026-11-22T18:00:00Z", "malformed"),
        ("+12026-11-22T18:00:00Z", "malformed"),
        ("2026-11-22T18:00:00", "without-zone"),
        ("2026-11-22T18:00:00.5", "without-zone"),
        ("0001-01-01T00:00:00Z", "out-of-range"),
        ("1969-12-31T23:59:59Z", "out-of-range"),
        ("9999-12-31T23:59:59.9999999Z", "out-of-range"),
    ],
)
def test_an_instant_of_the_wrong_kind_is_refused(text, code):
    """Each with the code of its own kind."""
    assert verdict(times.parse_instant, text) == f"time-{code}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-12-05T22:00+01:00", "a time has seconds: write 2026-11-22T18:00:00+01:00"),
        ("2026-12-05T22:00Z", "a time has seconds"),
        ("2026-12-05T22:00", "a time has seconds"),
        ("2026-12-05T22:00 01:00", "a time has seconds"),
        ("2026-12-05T22:00:00 01:00", "a time has no space: in a query, write + as %2B"),
        ("2026-12-05 22:00:00Z", "a time is written in RFC 3339"),
        ("tomorrow", "a time is written in RFC 3339"),
    ],
)
def test_a_malformed_instant_says_what_is_wrong(text, words):
    """Calendars leave seconds out; a query turns a plus into a space."""
    with pytest.raises(Malformed) as caught:
        times.parse_instant(text)

    assert caught.value.code == "time-malformed"
    assert str(caught.value).startswith(words)


def test_a_naive_instant_is_not_written():
    """A time without a zone is no instant; guessing one would move an end."""
    with pytest.raises(ValueError, match="timezone-aware"):
        times.format_instant(datetime(2026, 11, 22))  # noqa: DTZ001 - the fault in question


def verdict(parse, text):
    """The code of *text*'s fault, or ``read``."""
    try:
        parse(text)
    except Malformed as fault:
        return fault.code
    return "read"
