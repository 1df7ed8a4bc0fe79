"""
Reconciling twenty subscriptions that are alike: 500 VMs' worth of grants each, 500 NSGs in all.

One process works them one after the other, as a worker of the queue does. Twenty subscriptions
should need as much memory as one that is compared twenty times: a subscription bounds the memory,
and its resources bound the calls. (One comparison would be no fair yardstick: threads that take
turns at reading leave the allocator with more each time, up to a bound.)
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from bench.measures import processes
from bench.measures.figures import Figure, Goal, spread
from bench.programs.subscription_copies import FARMS, MACHINES
from bench.stack.running_stack import RunningStack, start_stack

SUBSCRIPTIONS = 20
_MORE = 1.25  # how much more memory twenty may take than one
_MIB = 1024
_LATER = "PT16M"  # security admin rules are read once in a quarter of an hour
_PROGRAM = "bench.programs.subscription_copies"


def peak_rss_mb(subscriptions: int = SUBSCRIPTIONS) -> Iterator[Figure]:
    """Peak memory, seconds and ARM calls with *subscriptions*, beside those with one."""
    with start_stack(farms=FARMS, machines=MACHINES, subscriptions=subscriptions) as place:
        place.learn()
        processes.run(["-m", _PROGRAM, "fill", str(subscriptions)], env=place.env)
        _compare(subscriptions, subscriptions, place.env)  # the trail is written away once
        one, many = (_compare_later(place, count, subscriptions) for count in (1, subscriptions))
    details = {**_describe_size(many, subscriptions), "withOneSubscription": one["peakKiB"] / _MIB}
    yield Figure(
        name="peak_rss_mb",
        value=many["peakKiB"] / _MIB,
        unit="MiB",
        goal=Goal(at_most=_MORE * one["peakKiB"] / _MIB),
        details=details,
    )
    yield Figure(
        name="reconcile_arm_calls",
        value=max(many["calls"]),
        unit="ARM calls a subscription",
        goal=Goal(exactly=max(one["calls"])),
        details=_describe_size(many, subscriptions),
    )
    yield Figure(
        name="reconcile_seconds",
        value=sum(many["seconds"]),
        unit="seconds for all subscriptions",
        details={
            **_describe_size(many, subscriptions),
            "aSubscription": spread(many["seconds"]),
            "median": statistics.median(many["seconds"]),
        },
    )


def _compare_later(place: RunningStack, subscriptions: int, times: int) -> dict[str, Any]:
    """Compare when security admin rules are due again: each comparison reads a third of them."""
    place.simulator.advance(_LATER)
    return _compare(subscriptions, times, place.env)


def _compare(subscriptions: int, times: int, env: Mapping[str, str]) -> dict[str, Any]:
    command = ["-m", _PROGRAM, "run", str(subscriptions), str(times)]
    found: dict[str, Any] = json.loads(processes.run(command, env=env).output)
    return found


def _describe_size(item: dict[str, Any], subscriptions: int) -> dict[str, object]:
    return {
        "liveGrants": item["grants"],
        "subscriptions": subscriptions,
        "nsgs": subscriptions * FARMS,
        "firewalls": subscriptions,
        "machines": subscriptions * FARMS * MACHINES,
    }
