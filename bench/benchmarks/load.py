"""
The broker under load, over HTTP with the development host.

Everything runs on one machine: the host, Azurite, the simulator and the callers share its cores.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.measures import simulator_log
from bench.measures.figures import Figure, Goal, round_value, spread
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests
from bench.traffic.callers import Callers
from jit.broker import locks

AT_ONCE = 8
BURST = 200
_WARM_UP = 16
_FARMS, _MACHINES = 5, 40
_OPENS_SECONDS = 180
_FIRST_WAIT, _NEXT_WAIT = (wait.total_seconds() for wait in locks.QUIET)


def accept_per_second(count: int = 400) -> Iterator[Figure]:
    """
    Access requests answered with 202 a second; for tomorrow, so that no worker opens anything.

    Each is stored with its audit row, and a queue message is sent and worked.
    """
    start = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    bodies = _make_bodies(count, start=start)
    warm_up = _make_bodies(_WARM_UP, start=start, source="203.0.113.200")
    with (
        start_stack(hosts=1, farms=_FARMS, machines=_MACHINES) as place,
        closing(Callers(place.stack.url)) as callers,
    ):
        place.learn()
        people = landscapes.PEOPLE
        callers.ask_all(warm_up, at_once=AT_ONCE, people=people)
        began = time.perf_counter()
        answers = callers.ask_all(bodies, at_once=AT_ONCE, people=people)
        took = time.perf_counter() - began
    yield Figure(
        name="accept_per_second",
        value=count / took,
        unit="requests accepted a second",
        details={
            "seconds": spread([answer.seconds for answer in answers]),
            "callersAtOnce": AT_ONCE,
            "people": len(people),
            "hosts": 1,
        },
    )


def initiate_calls_for_burst(count: int = BURST) -> Iterator[Figure]:
    """Calls of ``initiate`` that Azure sees for 200 requests for one policy, all of them opened."""
    machines = count // len(landscapes.PORTS)
    with start_stack(hosts=1, farms=2, machines=machines) as place:
        place.learn()
        with closing(Callers(place.stack.url)) as callers:
            callers.warm_up(landscapes.machine(1, 0, machines))
        asked, opened, log = _make_burst(place, _make_bodies(count, farms=1, machines=machines))
    calls = simulator_log.select_initiates(log)
    yield Figure(
        name="initiate_calls_for_burst",
        value=len(calls),
        unit="calls of initiate",
        goal=Goal(at_most=count_allowed_calls(asked)),
        details={
            "requests": count,
            "vmPorts": count,
            "vmPortsByCall": [simulator_log.count_ports(call) for call in calls],
            "refused": sum(call.status != 202 for call in calls),  # noqa: PLR2004 - accepted
            "secondsUntilAllAccepted": round_value(asked),
            "secondsUntilAllOpen": round_value(opened),
            "initiateSeconds": 10,
            "callersAtOnce": AT_ONCE,
            "host": "warm",
        },
    )


def count_allowed_calls(seconds: float) -> int:
    """
    Return the goal for a burst that arrives within so many seconds.

    The first call goes at once, the second one 3 s later, and each further one 10 s after the one
    before: three calls for a burst of up to 13 s. A slow machine accepts the same requests in a
    longer time, so that more calls are due. The time is the machine's; the calls are the broker's.
    """
    return 2 + max(1, math.ceil((seconds - _FIRST_WAIT) / _NEXT_WAIT))


def _make_burst(
    place: RunningStack, bodies: Sequence[Mapping[str, Any]]
) -> tuple[float, float, list[simulator_log.Call]]:
    """Ask for *bodies* at once; return seconds until accepted, until all open, and Azure's log."""
    with (
        closing(Callers(place.stack.url)) as callers,
        simulator_log.record_calls(place.simulator) as log,
    ):
        began = time.perf_counter()
        answers = callers.ask_all(bodies, at_once=AT_ONCE)
        asked = time.perf_counter() - began
        for answer in answers:
            callers.wait_until_open(answer.document["id"], seconds=_OPENS_SECONDS)
        opened = time.perf_counter() - began
    return asked, opened, log


def _make_bodies(
    count: int, *, farms: int = _FARMS, machines: int = _MACHINES, **more: str
) -> list[dict[str, Any]]:
    """Return bodies for *count* different VM ports, one each."""
    found = []
    for number in range(count):
        port = landscapes.PORTS[number // (farms * machines)]
        farm, machine = divmod(number % (farms * machines), machines)
        found.append(
            access_requests.make_body([landscapes.machine(farm, machine, machines)], [port], **more)
        )
    return found
