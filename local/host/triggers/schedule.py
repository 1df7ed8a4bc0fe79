"""
Timer schedules in NCRONTAB: six fields, seconds first, in UTC.

This is no cron package: such packages read other dialects (``@hourly``, ``L``, ``#``,
Sunday as 7, day of month *or* day of week), and a check must refuse the expressions
that Azure refuses. In NCRONTAB, day of month
and day of week must both match (https://github.com/atifaziz/NCrontab).
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_HORIZON = 41 * 366  # days; 29 February on a given weekday can be 40 years away
_ITEM = re.compile(r"(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?", re.ASCII)
_MONTHS = "january february march april may june july august september october november december"
_WEEKDAYS = "sunday monday tuesday wednesday thursday friday saturday"


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, tuple(_MONTHS.split())),
    _Field("day of week", 0, 6, tuple(_WEEKDAYS.split())),
)


class BadSchedule(ValueError):
    """The text is not an NCRONTAB expression that ever comes due."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a timer is due."""

    expression: str
    times: tuple[time, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def after(self, instant: datetime) -> datetime:
        """
        Return the first due time strictly after *instant* (aware), in UTC.

        Raises:
            BadSchedule: There is none within 40 years.
        """
        start = instant.astimezone(UTC)
        today = bisect.bisect(self.times, start.time())
        if today < len(self.times) and self._is_due_on(start.date()):
            return datetime.combine(start, self.times[today], UTC)
        for days in range(1, _HORIZON):
            day = start.date() + timedelta(days=days)
            if self._is_due_on(day):
                return datetime.combine(day, self.times[0], UTC)
        raise BadSchedule(f"{self.expression!r} never comes due")

    def _is_due_on(self, day: date) -> bool:
        weekday = day.isoweekday() % 7  # Sunday is 0
        return day.month in self.months and day.day in self.days and weekday in self.weekdays


def parse(expression: str) -> Schedule:
    """
    Read an NCRONTAB *expression*.

    Raises:
        BadSchedule: It is not one, or never comes due.
    """
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        raise BadSchedule(f"{expression!r} has {len(texts)} fields instead of 6, seconds first")
    seconds, minutes, hours, days, months, weekdays = map(_parse_field, texts, _FIELDS)
    times = (time(h, m, s) for h in sorted(hours) for m in sorted(minutes) for s in sorted(seconds))
    schedule = Schedule(expression, tuple(times), days, months, weekdays)
    schedule.after(datetime(2000, 1, 1, tzinfo=UTC))
    return schedule


def _parse_field(text: str, field: _Field) -> frozenset[int]:
    return frozenset(value for item in text.split(",") for value in _parse_item(item, field))


def _parse_item(item: str, field: _Field) -> range:
    """Return the values of one item: ``*``, ``5``, ``1-5``, each with an optional ``/step``."""
    span, slash, step = item.partition("/")
    match = _ITEM.fullmatch(span)
    if match is None or (slash and not (step.isdecimal() and int(step) > 0)):
        raise BadSchedule(f"{item!r} is not a valid {field.name}")
    if match["all"]:
        return range(field.least, field.most + 1, int(step or 1))
    first = _parse_value(match["first"], field)
    last = _parse_value(match["last"], field) if match["last"] else (field.most if slash else first)
    if last < first:
        raise BadSchedule(f"{item!r} runs backwards; NCRONTAB would not wrap it around")
    return range(first, last + 1, int(step or 1))


def _parse_value(text: str, field: _Field) -> int:
    """Return a number or a name (at least three letters of it) as the field's value."""
    if text.isdecimal() and field.least <= int(text) <= field.most:
        return int(text)
    for offset, word in enumerate(field.words):
        if len(text) >= 3 and word.startswith(text.lower()):  # noqa: PLR2004 - "mar", "may"
            return field.least + offset
    raise BadSchedule(f"{text!r} is not a {field.name} from {field.least} to {field.most}")
