"""The load benchmarks: the goal of a burst."""

import pytest

from bench.benchmarks.load import count_allowed_calls


@pytest.mark.parametrize(
    ("seconds", "calls"), [(0.0, 3), (5.5, 3), (13.0, 3), (13.1, 4), (23.0, 4), (23.1, 5)]
)
def test_a_burst_has_one_call_for_each_time_of_gathering(seconds, calls):
    """Three calls for a burst of 13 seconds: at once, after 3 s, after 10 s more."""
    assert count_allowed_calls(seconds) == calls
