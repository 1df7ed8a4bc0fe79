"""Benchmarks of the audit trail, in small: each measures work that is checked."""

import pytest

from bench.benchmarks.trail import audit_verify
from bench.benchmarks.trail.audit_pages import audit_page_memory_ratio
from bench.benchmarks.trail.audit_verify import audit_verify_ratio
from bench.measures.processes import MeasurementFailed


def test_a_verification_is_measured_against_reading_and_hashing():
    (figure,) = audit_verify_ratio(records=200, runs=1)

    assert 0 < figure.value < 1
    assert figure.details["records"] == 200


def test_a_chain_that_does_not_verify_is_no_figure(monkeypatch):
    """A fast answer to another question would be no measure."""
    monkeypatch.setattr(audit_verify, "write_line", lambda _: "{}\n")

    with pytest.raises(MeasurementFailed):
        list(audit_verify_ratio(records=20, runs=1))


def test_a_page_takes_memory_that_does_not_grow_with_the_trail():
    (figure,) = audit_page_memory_ratio(short=7_000, long=14_000)

    assert figure.value < 1.2
