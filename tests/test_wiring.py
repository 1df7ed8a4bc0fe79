"""The composition root: it builds each part once, from the settings, without a call."""

import os
from datetime import timedelta

import pytest

from jit import wiring
from jit.settings import Settings

ONE, TWO = "5c0ffee0-0000-4000-8000-000000000001", "5c0ffee0-0000-4000-8000-000000000002"
KEY = "a2V5"  # "key" in base64
ENVIRONMENT = {
    "AzureWebJobsStorage": (
        f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={KEY};"
        "TableEndpoint=http://127.0.0.1:1/account;QueueEndpoint=http://127.0.0.1:1/account;"
    ),
    "JIT_ARM_ENDPOINT": "http://127.0.0.1:1",
    "JIT_SUBSCRIPTIONS": f"{ONE},{TWO}",
    "WEBSITE_AUTH_ENABLED": "true",
    "WEBSITE_HOSTNAME": "jit.example",
}
USE_CASES = (
    "acceptance",
    "request_changes",
    "bar_changes",
    "trail",
    "queries",
    "worker",
    "configurator",
    "due_work",
    "reconciler",
    "dry_runs",
    "shared_looks",
    "health",
)
CACHED = [part for part in vars(wiring).values() if hasattr(part, "cache_clear")]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The settings of an app; parts of other tests are forgotten, and these afterwards."""
    for part in CACHED:
        part.cache_clear()
    monkeypatch.setattr(os, "environ", dict(ENVIRONMENT))
    yield
    for part in CACHED:
        part.cache_clear()


@pytest.mark.parametrize("name", USE_CASES)
def test_each_use_case_is_built_once_and_without_a_call(name):
    """Nobody listens at the addresses of the settings."""
    build = getattr(wiring, name)

    assert build() is build()


def test_the_settings_are_those_of_the_environment():
    """They are read here and nowhere else."""
    assert wiring.settings() == Settings.from_env(ENVIRONMENT)


def test_the_use_cases_know_the_named_subscriptions():
    """In the order of the settings."""
    assert wiring.due_work().named == (ONE, TWO)
    assert wiring.queries().named == (ONE, TWO)
    assert wiring.configurator().named == (ONE, TWO)
    assert wiring.acceptance().limits.subscriptions == (ONE, TWO)


def test_the_comparison_and_the_timers_share_their_rows():
    """A process asks storage once if the row of a subscription exists."""
    assert wiring.reconciler().due_work is wiring.due_work()
    assert wiring.acceptance().subscriptions is wiring.due_work().rows


def test_the_clock_is_aware_and_in_utc():
    """A host may replace it before the first call."""
    assert wiring.clock().utcoffset() == timedelta(0)
