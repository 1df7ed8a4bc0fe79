"""Spans (ISO 8601) and instants (RFC 3339) as text: one strict reading, one spelling."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from jit.domain.errors import Malformed

DURATION_MALFORMED = "duration-malformed"
DURATION_AMBIGUOUS = "duration-ambiguous"
DURATION_NEGATIVE = "duration-negative"
DURATION_OVERFLOW = "duration-overflow"
TIME_MALFORMED = "time-malformed"
TIME_WITHOUT_ZONE = "time-without-zone"
TIME_OUT_OF_RANGE = "time-out-of-range"

LONGEST = timedelta(days=36_500)
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""With `LONGEST`, bounds within which instant + span never overflows."""

_DURATION = re.compile(
    r"P(?=[0-9T])(?:(?P<days>[0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,9})H)?(?:(?P<minutes>[0-9]{1,9})M)?"
    r"(?:(?P<seconds>[0-9]{1,9})(?:\.(?P<fraction>[0-9]{1,9}))?S)?)?"
)
_AMBIGUOUS = re.compile(r"P(?:[0-9]{1,9}[YMWD]){1,4}(?:T[0-9.HMS]{1,40})?")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<zone>[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
)
_WITHOUT_SECONDS = re.compile(r"[0-9-]{10}[Tt][0-9]{2}:[0-9]{2}(?:[Zz]|[ +-][0-9]{2}:[0-9]{2})?")
_SPACE_FOR_PLUS = re.compile(r"[0-9-]{10}[Tt][0-9:.]{8,18} [0-9]{2}:[0-9]{2}")
_MICROSECOND = timedelta(microseconds=1)
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def parse_duration(text: str) -> timedelta:
    """
    Read an ISO 8601 duration of days, hours, minutes and seconds: ``PT2H30M``, ``P1D``.

    Years and months have no fixed length; weeks stand alone in ISO 8601 and nothing here lasts
    weeks; a fraction is allowed on seconds only, and kept to the microsecond.

    Returns:
        Zero to `LONGEST`. A day counts as 24 hours.

    Raises:
        Malformed: ``duration-ambiguous`` (years, months, weeks), ``duration-negative``,
            ``duration-overflow``, otherwise ``duration-malformed``.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise _refuse_duration(text)
    seconds = sum(int(found[unit] or 0) * length for unit, length in _SECONDS.items())
    if seconds > LONGEST.total_seconds():
        raise Malformed(DURATION_OVERFLOW, f"a duration is at most {LONGEST.days} days")
    return timedelta(seconds=seconds, microseconds=_microseconds(found["fraction"]))


def _refuse_duration(text: str) -> Malformed:
    if re.match(r"P?T?-|-P", text):
        return Malformed(DURATION_NEGATIVE, "a duration cannot be negative")
    if _AMBIGUOUS.fullmatch(text):
        return Malformed(
            DURATION_AMBIGUOUS, "years, months or weeks are not accepted: write days or hours"
        )
    return Malformed(
        DURATION_MALFORMED, "a duration is written in ISO 8601, such as PT2H30M, in upper case"
    )


def format_duration(span: timedelta) -> str:
    """
    Write *span* in hours, minutes and seconds: ``PT2H30M``, ``PT24H``, ``PT0S``.

    Never in days: to people a day may have 23 or 25 hours.

    Raises:
        ValueError: *span* is negative.
    """
    if span < timedelta(0):
        raise ValueError("a duration cannot be negative")
    whole, microseconds = divmod(span // _MICROSECOND, 1_000_000)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f"{seconds}{_fraction(microseconds)}"
    units = ((str(hours), "H"), (str(minutes), "M"), (tail, "S"))
    return "PT" + ("".join(count + unit for count, unit in units if count != "0") or "0S")


def parse_instant(text: str) -> datetime:
    """
    Read an RFC 3339 instant, which always has a zone: ``2026-11-22T18:00:00Z``.

    Up to nine digits of fraction are read (Azure writes seven) and cut to microseconds. A leap
    second (``:60``) is refused: Python's arithmetic has no place for it. ``-00:00`` is UTC.

    Returns:
        Aware, in UTC, of the years 1970 to 9000.

    Raises:
        Malformed: ``time-without-zone``, ``time-out-of-range`` (the year), else
            ``time-malformed``.
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise Malformed(TIME_MALFORMED, _explain_malformed(text))
    if found["zone"] is None:
        raise Malformed(TIME_WITHOUT_ZONE, "a time needs a zone: end it with Z or +01:00")
    if not FIRST_YEAR <= int(text[:4]) <= LAST_YEAR:
        raise Malformed(TIME_OUT_OF_RANGE, f"a year lies between {FIRST_YEAR} and {LAST_YEAR}")
    return _instant(f"{found[1]}T{found[2]}{found['zone'].upper()}") + _MICROSECOND * _microseconds(
        found["fraction"]
    )


def _explain_malformed(text: str) -> str:
    """Return why *text* is no instant; callers leave seconds out, and forget to escape ``+``."""
    if _WITHOUT_SECONDS.fullmatch(text):
        return "a time has seconds: write 2026-11-22T18:00:00+01:00, not 2026-11-22T18:00+01:00"
    if _SPACE_FOR_PLUS.fullmatch(text):
        return "a time has no space: in a query, write + as %2B"
    return "a time is written in RFC 3339: 2026-11-22T18:00:00Z"


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise Malformed(TIME_MALFORMED, "there is no such date, time of day or offset") from error


def format_instant(at: datetime) -> str:
    """
    Write *at* in UTC: ``2026-11-22T18:00:00Z``, with six digits of fraction where it has one.

    Raises:
        ValueError: *at* is naive.
    """
    if at.tzinfo is None:
        raise ValueError("an instant must be timezone-aware")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "")[:6].ljust(6, "0"))


def _fraction(microseconds: int) -> str:
    return f".{microseconds:06d}".rstrip("0") if microseconds else ""
