"""Calls a minute: how often one caller may call this instance."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from jit.broker import call_counts
from jit.broker.call_counts import CallCounts
from jit.domain.errors import LimitReached
from jit.domain.limits import LIMITS
from tests.builders.values import MINUTE, NOW

SECOND = timedelta(seconds=1)
FEW = replace(LIMITS, reads_per_minute=3, changes_per_minute=2)


def count(counts, calls, *, caller="alice", is_change=False, now=NOW):
    """Count calls; return the number of calls that passed."""
    passed = 0
    for _ in range(calls):
        try:
            counts.count(caller, is_change=is_change, now=now)
        except LimitReached:
            continue
        passed += 1
    return passed


@pytest.mark.parametrize(("is_change", "most"), [(False, 300), (True, 60)])
def test_a_caller_has_so_many_calls_a_minute(is_change, most):
    """The contract's own numbers: reads and changes."""
    assert count(CallCounts(LIMITS), most + 5, is_change=is_change) == most


def test_reads_changes_and_callers_are_counted_apart():
    """A caller who reads too often may still revoke, and nobody else is stopped."""
    counts = CallCounts(FEW)
    count(counts, 9)

    assert count(counts, 9, is_change=True) == 2
    assert count(counts, 9, caller="bob") == 3


def test_a_refusal_names_the_limit_and_the_seconds_to_wait():
    """Code, number, ``Retry-After``."""
    counts = CallCounts(FEW)
    count(counts, 2, is_change=True)

    with pytest.raises(LimitReached) as caught:
        counts.count("alice", is_change=True, now=NOW + 20 * SECOND)

    (violation,) = caught.value.violations
    assert (violation.code, caught.value.retry_after_seconds) == ("limit-calls", 40)
    assert "2 changes, dry runs included, a minute" in violation.detail


def test_after_the_wait_the_next_call_passes_however_many_came_meanwhile():
    """A refused call costs nothing: a client that waits is never starved by its own retries."""
    counts = CallCounts(FEW)
    count(counts, 50)
    count(counts, 50, now=NOW + 59 * SECOND)

    assert count(counts, 9, now=NOW + MINUTE) == 3


def test_many_callers_do_not_grow_the_memory(monkeypatch):
    """The minute that began first is forgotten."""
    monkeypatch.setattr(call_counts, "MOST_COUNTED", 4)
    counts = CallCounts(FEW)
    for number in range(100):
        count(counts, 9, caller=f"caller {number}")

    assert len(counts._minutes) == 4  # nothing else shows the memory
    assert count(counts, 9, caller="caller 99") == 0
    assert count(counts, 9, caller="caller 0") == 3


def test_calls_at_the_same_time_are_all_counted():
    """Sixteen threads of one instance: not one call more passes."""
    counts, threads = CallCounts(replace(LIMITS, reads_per_minute=100)), 16
    begin = Barrier(threads)

    def call(_number):
        begin.wait()
        return count(counts, 20)

    with ThreadPoolExecutor(threads) as pool:
        assert sum(pool.map(call, range(threads))) == 100
