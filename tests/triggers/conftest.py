"""The surroundings of a function: settings, a clock, use cases of the test's own."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from jit import wiring
from jit.broker.call_counts import CallCounts
from tests.triggers.app_functions import SETTINGS


def refuse_call():
    raise AssertionError("a use case was called")


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
USE_CASES = (
    "acceptance",
    "bar_changes",
    "configurator",
    "dry_runs",
    "due_work",
    "health",
    "queries",
    "reconciler",
    "request_changes",
    "trail",
    "worker",
)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """Settings, a clock, no calls yet; no use case can be had."""
    counts = CallCounts(SETTINGS.limits)
    monkeypatch.setattr(wiring, "settings", lambda: SETTINGS)
    monkeypatch.setattr(wiring, "clock", lambda: NOON)
    monkeypatch.setattr(wiring, "call_counts", lambda: counts)
    for name in USE_CASES:
        monkeypatch.setattr(wiring, name, refuse_call)


@pytest.fixture
def use_case(monkeypatch):
    """Put methods in the place of a use case; return the list of their calls."""

    def put(name, **answers):
        calls = []

        def method(verb, answer):
            def record(*args, **kwargs):
                calls.append((verb, args, kwargs))
                if isinstance(answer, Exception):
                    raise answer
                return answer

            return record

        methods = {verb: method(verb, answer) for verb, answer in answers.items()}
        monkeypatch.setattr(wiring, name, lambda: SimpleNamespace(**methods))
        return calls

    return put
