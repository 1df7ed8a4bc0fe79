"""
A crowd on one JIT policy: the cost of a pass, and how long a neighbour's revocation waits.

The first benchmark lets 200, 500 and 1,000 people share one VM port, and measures the passes in a
process of their own. The second one has one person ask for another VM of the policy 410 times,
each time from another address. Then a path to the first VM is revoked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from bench.measures import processes
from bench.measures.figures import Figure, Goal
from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests
from bench.traffic.callers import Callers

CROWDS = (200, 500, 1000)
LOAD = 410
AT_ONCE = 8
_MACHINES = 10
_CPU_SECONDS = 1.5
_GROWTH = 1.5  # of the cost of a grant, from the smallest crowd to the largest one
_ANSWERED_SECONDS, _GONE_SECONDS = 1.0, 15.0
_LONGEST_SECONDS = 600
_LOOK_SECONDS = 0.1


def pass_cpu_seconds(crowds: tuple[int, ...] = CROWDS) -> Iterator[Figure]:
    """
    CPU seconds of the dearest pass over a crowd on one VM port, its growth, and its floor.

    Each crowd has a JIT policy of its own: a pass reads all grants of one policy.
    """
    with start_stack(farms=len(crowds) + 1, machines=_MACHINES) as place:
        place.learn()
        numbers = map(str, (_MACHINES, *crowds))
        run = processes.run(["-m", "bench.programs.crowd_passes", *numbers], env=place.env)
    measured: list[dict[str, Any]] = [json.loads(line) for line in run.output.splitlines()]
    yield from (
        Figure(
            name="pass_cpu_seconds",
            value=max(item["cpu"].values()),
            unit="CPU seconds of a pass",
            goal=Goal(at_most=_CPU_SECONDS) if item["people"] == max(CROWDS) else None,
            details={"grants": item["people"], "byPass": item["cpu"]},
        )
        for item in measured
    )
    yield Figure(
        name="pass_floor_seconds",
        value=measured[-1]["floor"],
        unit="CPU seconds of writing the row of each grant once",
        goal=None,
        details={"grants": measured[-1]["people"]},
    )
    yield Figure(
        name="pass_cpu_growth",
        value=_cost_of_one(measured[-1]) / _cost_of_one(measured[0]),
        unit="times the CPU of a grant",
        goal=Goal(at_most=_GROWTH),
        details={"grants": [item["people"] for item in measured]},
    )


def _cost_of_one(item: Mapping[str, Any]) -> float:
    return float(max(item["cpu"].values()) / item["people"])


def revoked_under_load(load: int = LOAD) -> Iterator[Figure]:
    """Seconds until a revocation is answered, and until its packets stop, beside a crowd."""
    with (
        start_stack(hosts=1, farms=1, machines=_MACHINES) as place,
        closing(Callers(place.stack.url)) as callers,
    ):
        place.learn()
        place.simulator.set_options(throttling=False)
        machine, other = (landscapes.machine(0, number, _MACHINES) for number in (0, 1))
        answer = callers.ask("victim", access_requests.make_body([machine]))
        callers.wait_until_open(answer.document["id"], seconds=_LONGEST_SECONDS)
        bodies = [
            access_requests.make_body([other], source=f"203.0.{number // 250}.{number % 250 + 1}")
            for number in range(load)
        ]
        callers.ask_all(bodies, at_once=AT_ONCE)
        answered = callers.revoke(answer.document["id"]).seconds
        gone = _wait_until_gone(place, machine)
    details = {"liveRequests": load}
    for name, value, most in (
        ("revoke_answer_seconds", answered, _ANSWERED_SECONDS),
        ("revoke_gone_seconds", gone, _GONE_SECONDS),
    ):
        unit = "seconds after a revocation"
        yield Figure(name=name, value=value, unit=unit, goal=Goal(at_most=most), details=details)


def _wait_until_gone(place: RunningStack, machine: str) -> float:
    """Return after how many seconds packets to port 22 of a VM stop; the clock runs as ours."""
    began, question = time.monotonic(), f"reachable?source={access_requests.SOURCE}&port=22"
    while time.monotonic() - began < _LONGEST_SECONDS:
        if not place.simulator.call("GET", f"{question}&vm={machine}")["reachable"]:
            return time.monotonic() - began
        time.sleep(_LOOK_SECONDS)
    raise MeasurementFailed(f"packets still reach {machine}")
