"""The composition root: each part is built once, from the settings, without a call to Azure."""

from datetime import UTC, datetime, timedelta

import pytest

from jit import wiring

ENVIRONMENT = {
    "AzureWebJobsStorage": (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
        "BlobEndpoint=http://127.0.0.1:1/devstoreaccount1;"
        "QueueEndpoint=http://127.0.0.1:1/devstoreaccount1;"
        "TableEndpoint=http://127.0.0.1:1/devstoreaccount1;"
    ),
    "JIT_SUBSCRIPTIONS": "5c0ffee0-0000-4000-8000-000000000001",
    "WEBSITE_HOSTNAME": "broker.azurewebsites.net",
}
CACHED = sorted(name for name, value in vars(wiring).items() if hasattr(value, "cache_clear"))
PARTS = [name for name in CACHED if name != "table"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Settings of the test, and no part that another test has built."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    clear()
    yield
    clear()


def clear():
    for name in CACHED:
        getattr(wiring, name).cache_clear()


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_built_once(name):
    """The second call returns the first object: clients keep their connections."""
    part = getattr(wiring, name)

    assert part() is part()


def test_tables_have_different_names():
    """State, history, idempotency keys and the audit chain never share a table."""
    names = [wiring.STATE, wiring.HISTORY, wiring.IDEMPOTENCY, wiring.AUDIT]

    assert len({id(wiring.table(name)) for name in names}) == len(names)


def test_the_clock_is_aware_and_runs():
    """UTC: the domain compares instants of Azure with it."""
    before, moment, after = datetime.now(UTC), wiring.clock(), datetime.now(UTC)

    assert before - timedelta(seconds=1) <= moment <= after + timedelta(seconds=1)


def test_every_builder_names_its_result():
    """A reader finds the class of each part in its signature."""
    unnamed = [name for name in CACHED if "return" not in getattr(wiring, name).__annotations__]

    assert unnamed == []
