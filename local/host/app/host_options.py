"""
``host.json``: the values that the development host follows, and faults of the file.

The real host ignores a name that it does not know, so a slip of the pen leaves
a default in force; here it is a fault.
https://learn.microsoft.com/azure/azure-functions/functions-host-json
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?([01]?\d|2[0-3]):([0-5]?\d):([0-5]?\d)(?:\.(\d{1,7}))?")
_ROUTE_PREFIX = re.compile(r"[A-Za-z0-9_./-]*")
_VERSION_RANGE = re.compile(r"[\[(]\d+(\.(\d+|\*))*, ?\d+(\.(\d+|\*))*[\])]")
_MAXIMUM_VISIBILITY = timedelta(days=7)
_TOP_LEVEL = {
    "version",
    "functionTimeout",
    "logging",
    "extensions",
    "extensionBundle",
    "concurrency",
    "healthMonitor",
    "singleton",
    "telemetryMode",
    "watchDirectories",
}


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How queue triggers work; the defaults are the real host's."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta(0)
    max_polling_interval: timedelta = timedelta(minutes=1)
    message_encoding: str = "base64"


UNBOUNDED = -1
"""The real host's word for no limit."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """
    How many HTTP requests the host takes; the defaults are those of a plan other than Consumption.

    Attributes:
        max_concurrent_requests: Requests that run at once; the others wait.
        max_outstanding_requests: Requests that run or wait; the others are refused with 429.
    """

    max_concurrent_requests: int = UNBOUNDED
    max_outstanding_requests: int = UNBOUNDED


@dataclass(frozen=True, slots=True)
class HostOptions:
    """The values of ``host.json`` that the development host follows."""

    route_prefix: str = "api"
    queues: QueueOptions = QueueOptions()
    http: HttpOptions = HttpOptions()


def options(document: Mapping[str, Any]) -> HostOptions:
    """Return the options of a *document* that has no faults."""
    queues = _find_value(document, "extensions.queues") or {}
    default = QueueOptions()
    http = _find_value(document, "extensions.http") or {}
    return HostOptions(
        http=HttpOptions(
            max_concurrent_requests=http.get("maxConcurrentRequests", UNBOUNDED),
            max_outstanding_requests=http.get("maxOutstandingRequests", UNBOUNDED),
        ),
        route_prefix=route_prefix(document),
        queues=QueueOptions(
            batch_size=queues.get("batchSize", default.batch_size),
            new_batch_threshold=queues.get("newBatchThreshold", default.new_batch_threshold),
            max_dequeue_count=queues.get("maxDequeueCount", default.max_dequeue_count),
            visibility_timeout=_read_span(queues, "visibilityTimeout", default.visibility_timeout),
            max_polling_interval=_read_span(
                queues, "maxPollingInterval", default.max_polling_interval
            ),
            message_encoding=queues.get("messageEncoding", default.message_encoding).lower(),
        ),
    )


def route_prefix(document: Mapping[str, Any]) -> str:
    """Return the path under which every route of the app lies, without slashes around it."""
    prefix = _find_value(document, "extensions.http.routePrefix")
    return prefix.strip("/") if isinstance(prefix, str) else "api"


def find_faults(document: object) -> Iterator[str]:
    """Yield each fault of a parsed ``host.json`` in a sentence that names it."""
    if not isinstance(document, dict):
        yield "host.json is not an object"
        return
    yield from _find_unknown_names(document, _TOP_LEVEL, "")
    if document.get("version") != "2.0":
        yield 'host.json: version must be "2.0"'
    for name, check, wish in _RULES:
        value = _find_value(document, name)
        if value is not None and not check(value):
            yield f"host.json: {name} must be {wish}, not {value!r}"
    yield from _find_section_faults(document, "extensions.queues", _QUEUE_NAMES)
    yield from _find_section_faults(document, "extensions.http", _HTTP_NAMES)


def time_span(text: object) -> timedelta | None:
    """Return the span that *text* writes as ``[d.]hh:mm:ss[.fffffff]``, or None."""
    match = _TIME_SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds, fraction = match.groups()
    return timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds) + float(f"0.{fraction or 0}"),
    )


def _read_span(section: Mapping[str, Any], name: str, default: timedelta) -> timedelta:
    return time_span(section.get(name)) or default


def _find_value(document: Mapping[str, Any], name: str) -> Any:
    """Return the value of *document* under a dotted *name*; None if a step is missing."""
    value: Any = document
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _find_section_faults(document: Mapping[str, Any], name: str, known: set[str]) -> Iterator[str]:
    section = _find_value(document, name)
    if isinstance(section, dict):
        yield from _find_unknown_names(section, known, f"{name}.")
    elif section is not None:
        yield f"host.json: {name} must be an object, not {section!r}"


def _find_unknown_names(section: Mapping[str, Any], known: set[str], prefix: str) -> Iterator[str]:
    for name in sorted(set(section) - known):
        yield f"host.json: {prefix}{name} is not a name that the host knows"


def _is_whole_number(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _is_span(least: timedelta, most: timedelta) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        span = time_span(value)
        return span is not None and least <= span <= most

    return check


def _is_match(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_bound(value: object) -> bool:
    return type(value) is int and (value >= 1 or value == UNBOUNDED)


_BOUND = f"a whole number from 1 on, or {UNBOUNDED} for no limit"
_RULES: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    (
        "functionTimeout",
        _is_span(timedelta(seconds=1), timedelta(days=1)),
        "a span from 00:00:01 to 1.00:00:00",
    ),
    ("extensions.http.routePrefix", _is_match(_ROUTE_PREFIX), "a path without parameters"),
    ("extensions.http.maxConcurrentRequests", _is_bound, _BOUND),
    ("extensions.http.maxOutstandingRequests", _is_bound, _BOUND),
    ("extensions.queues.batchSize", _is_whole_number(1, 32), "a whole number from 1 to 32"),
    (
        "extensions.queues.newBatchThreshold",
        _is_whole_number(0, 1000),
        "a whole number from 0 to 1000",
    ),
    (
        "extensions.queues.maxDequeueCount",
        _is_whole_number(1, 1000),
        "a whole number from 1 to 1000",
    ),
    (
        "extensions.queues.visibilityTimeout",
        _is_span(timedelta(0), _MAXIMUM_VISIBILITY),
        "a span from 00:00:00 to 7.00:00:00",
    ),
    (
        "extensions.queues.maxPollingInterval",
        _is_span(timedelta(milliseconds=100), timedelta(hours=1)),
        "a span from 00:00:00.1 to 01:00:00",
    ),
    (
        "extensions.queues.messageEncoding",
        lambda value: isinstance(value, str) and value.lower() in {"base64", "none"},
        '"base64" or "none"',
    ),
    ("extensionBundle.version", _is_match(_VERSION_RANGE), "a range such as [4.*, 5.0.0)"),
)
_QUEUE_NAMES = {
    name.removeprefix("extensions.queues.")
    for name, _, _ in _RULES
    if name.startswith("extensions.queues.")
}
_HTTP_NAMES = {
    "customHeaders",
    "dynamicThrottlesEnabled",
    "hsts",
    "maxConcurrentRequests",
    "maxOutstandingRequests",
    "routePrefix",
}
