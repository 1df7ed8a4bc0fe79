"""Instants with their spans, as Azure writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


def format_dotnet(instant: datetime) -> str:
    """
    Return *instant* as .NET prints it: ``2018-05-17T09:06:45.5691611Z``.

    The seventh digit is made up, because Python has six; it is zero on a full second.
    """
    utc = instant.astimezone(UTC)
    last = 1 if utc.microsecond else 0
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond:06d}{last}Z"


def format_rfc3339(instant: datetime) -> str:
    """Return *instant* in RFC 3339, UTC, with microseconds where it has any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: object) -> datetime:
    """
    Return the instant that *text* (RFC 3339) names: aware, UTC.

    Raises:
        ValueError: It names none, or has no zone.
    """
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not an instant")  # noqa: TRY004 - one error for bad input
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return instant.astimezone(UTC)


def parse_duration(text: object) -> timedelta:
    """
    Return the span that *text* (ISO 8601, weeks to seconds) names.

    Raises:
        ValueError: It names none. Months and years are none: they have no fixed length.
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or not any(match.groups()) or str(text).endswith("T"):
        raise ValueError(f"{text!r} is not an ISO 8601 duration")
    return timedelta(**{unit: float(value) for unit, value in match.groupdict().items() if value})
