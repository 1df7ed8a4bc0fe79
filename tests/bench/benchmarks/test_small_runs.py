"""Benchmarks that call the running broker, in small: what a caller sends is still accepted."""

import json

import pytest

from bench.benchmarks.list_pages import list_page_queries
from bench.benchmarks.load import accept_per_second
from bench.benchmarks.trail.audit_flood import audit_flood
from bench.benchmarks.warm_accept import accept_cpu_ratio

pytestmark = pytest.mark.e2e


def test_requests_are_accepted_over_http():
    """Each call has all headers that the API asks for."""
    (figure,) = accept_per_second(count=4)

    assert figure.value > 0


def test_the_storage_calls_of_a_request_can_be_made_again():
    """Reads of missing rows among them."""
    (figure,) = accept_cpu_ratio(repeats=2)

    assert figure.value > 0
    assert "submit_transaction" in str(figure.details["storageCalls"])


def test_a_flood_of_audit_events_is_drained_into_one_chain():
    """The program checks the number of records and the chain."""
    drained, waited = audit_flood(seconds=2, rate=20)

    assert drained.details["events"] == 42
    assert waited.value > 0


def test_the_storage_calls_of_a_page_are_counted():
    """Each caller sees the own ones: nothing, five requests, all that are not closed."""
    (figure,) = list_page_queries(others=20)

    callers = json.loads(json.dumps(figure.details["callers"]))
    assert [callers[name]["found"] for name in ("dave", "alice")] == [0, 5]
    assert 2 <= figure.value <= 12
