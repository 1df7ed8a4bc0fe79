"""Rounds of ARM calls, derived from the simulator's log."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bench.measures.arm_rounds import find_chain, find_group, find_longest_chain
from bench.measures.simulator_log import Call

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATENCY = timedelta(milliseconds=50)


def call(milliseconds, where="rg-farm-1"):
    """A call that arrived so long after noon."""
    path = f"/subscriptions/s/resourceGroups/{where}/providers/Microsoft.Network/x/y"
    return Call(
        at=NOON + timedelta(milliseconds=milliseconds),
        method="GET",
        path=path if where else "/subscriptions",
        status=200,
        body=None,
    )


def test_calls_side_by_side_are_one_round():
    """No call can have waited for another's answer."""
    assert len(find_chain([call(0), call(10), call(49)], LATENCY)) == 1


def test_a_call_after_an_answer_is_a_round_of_its_own():
    """It may have needed the answer."""
    assert len(find_chain([call(0), call(50), call(99), call(100)], LATENCY)) == 3


def test_the_longest_chain_of_a_group_counts():
    """Policies of other groups are worked side by side."""
    chain = find_longest_chain(
        [call(0), call(60), call(30, "rg-farm-2"), call(200, "rg-farm-2")], LATENCY
    )

    assert len(chain) == 2


def test_calls_of_no_group_count_for_every_group():
    """Each group may have waited for them."""
    chain = find_longest_chain([call(0, ""), call(60), call(70, "rg-farm-2")], LATENCY)

    assert [item.at for item in chain] == [call(0).at, call(60).at]


def test_no_calls_are_no_rounds():
    """An answer from memory takes no round."""
    assert find_longest_chain([], LATENCY) == []


def test_a_group_is_found_in_any_case():
    """ARM ids mix cases."""
    assert find_group(call(0, "RG-Farm-1")) == "rg-farm-1"


@given(st.lists(st.integers(0, 1000), max_size=30))
def test_a_chain_is_never_longer_than_time_allows(arrivals):
    """Its calls are at least a latency apart, and every call lies within one of them."""
    calls = [call(item) for item in arrivals]

    chain = find_chain(calls, LATENCY)

    pairs = itertools.pairwise(chain)
    assert all(later.at - earlier.at >= LATENCY for earlier, later in pairs)
    assert all(any(timedelta(0) <= c.at - each.at < LATENCY for each in chain) for c in calls)
