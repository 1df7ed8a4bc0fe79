"""
Fifty VMs in five JIT policies: from one POST to the moment when the broker says ``open``.

Host and script have loaded their SDKs when the clock starts: the host has opened a VM of a sixth
policy, which is not measured. Each answer of Azure takes 50 ms. While rounds are counted it takes
500 ms: a slow machine needs longer than 50 ms to send the calls of one round, and they would count
as several. How long Azure itself works on a request (until Defender has written its rule, until the
NSG's update has ended) is a condition of each figure, and is named.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

from bench.measures import processes, simulator_log
from bench.measures.arm_rounds import find_longest_chain
from bench.measures.figures import Figure, Goal, round_value
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests
from bench.traffic.callers import Callers

FARMS, MACHINES = 5, 10
LATENCY, LATENCY_OF_ROUNDS = timedelta(milliseconds=50), timedelta(milliseconds=500)
_QUICK = {"initiateSeconds": 1, "nsgSeconds": 0}  # at Azure's own pace the script takes 10 minutes
_AT_ONCE = {"initiateSeconds": 0, "nsgSeconds": 0}
_OPENS_SECONDS = 120
_SCRIPT = "bench.programs.sequential_script"


def open_50_vms_arm_rounds() -> Iterator[Figure]:
    """Rounds of ARM calls, looking again included, while Azure works as slowly as usual."""
    usual = {"initiateSeconds": 10, "nsgSeconds": 3}
    with start_stack(hosts=1, farms=FARMS + 1, machines=MACHINES) as place:
        seconds, calls = _open_all(place, usual, LATENCY_OF_ROUNDS)
    chain = find_longest_chain(calls, LATENCY_OF_ROUNDS)
    yield Figure(
        name="open_50_vms_arm_rounds",
        value=len(chain),
        unit="dependent rounds of ARM calls",
        goal=Goal(at_most=8),
        details={
            "callsInAll": len(calls),
            "callsByMethod": Counter(call.method for call in calls),
            "initiates": len(simulator_log.select_initiates(list(calls))),
            "chainSeconds": [
                round_value((call.at - chain[0].at).total_seconds()) for call in chain
            ],
            "secondsUntilOpen": round_value(seconds),
            "latencySeconds": LATENCY_OF_ROUNDS.total_seconds(),
            "host": "warm",
            **usual,
        },
    )


def open_50_vms_ratio() -> Iterator[Figure]:
    """How much longer a script takes that opens one VM after the other."""
    theirs, ours = _compare(_QUICK)
    theirs_at_once, ours_at_once = _compare(_AT_ONCE)
    yield Figure(
        name="open_50_vms_ratio",
        value=theirs / ours,
        unit="ratio of wall seconds",
        goal=Goal(at_least=8),
        details={
            "oursSeconds": round_value(ours),
            "yardstickSeconds": round_value(theirs),
            "latencySeconds": LATENCY.total_seconds(),
            "host": "warm",
            **_QUICK,
            "ifAzureWorkedAtOnce": {
                "ratio": round_value(theirs_at_once / ours_at_once),
                "oursSeconds": round_value(ours_at_once),
                "yardstickSeconds": round_value(theirs_at_once),
            },
        },
    )


def _compare(options: dict[str, Any]) -> tuple[float, float]:
    """Return the seconds of the script and of the broker, each on a fresh stack."""
    with start_stack(farms=FARMS, machines=MACHINES) as place:
        _prepare(place, options, LATENCY)
        run = processes.run(["-m", _SCRIPT, f"{FARMS}", f"{MACHINES}"], env=place.env)
    with start_stack(hosts=1, farms=FARMS + 1, machines=MACHINES) as place:
        seconds, _ = _open_all(place, options, LATENCY)
    return float(run.output), seconds


def _open_all(
    place: RunningStack, options: dict[str, Any], latency: timedelta
) -> tuple[float, list[simulator_log.Call]]:
    """Open port 22 of all VMs by one request; return the seconds, and the calls that it took."""
    machines = [
        landscapes.machine(farm, number, MACHINES)
        for farm in range(FARMS)
        for number in range(MACHINES)
    ]
    place.learn()
    _prepare(place, options, latency)
    with closing(Callers(place.stack.url)) as callers:
        callers.warm_up(landscapes.machine(FARMS, 0, MACHINES))
        with simulator_log.record_calls(place.simulator) as calls:
            began = time.perf_counter()
            answer = callers.ask("fifty", access_requests.make_body(machines))
            callers.wait_until_open(answer.document["id"], seconds=_OPENS_SECONDS)
            seconds = time.perf_counter() - began
    return seconds, calls


def _prepare(place: RunningStack, options: dict[str, Any], latency: timedelta) -> None:
    place.simulator.set_options(**options)
    place.simulator.set_latency(latency.total_seconds())
