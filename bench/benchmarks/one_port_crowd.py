"""
Nine in the morning: 60 people ask for one port of one VM behind a firewall, within seconds.

Each comes from an own address. The clock moves on until all are open, and further until the time
of all is over. Counted are the broker's writes of single NSG rules meanwhile, refused ones
included: companions, and rules of Defender that it removes itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from bench.measures import simulator_log
from bench.measures.figures import Figure, Goal
from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests
from bench.traffic.callers import Callers

PEOPLE = 60
AT_ONCE = 8
_SETTLES_SECONDS = 300
_STEP_SECONDS = 0.5
_STEPS = {"open": "PT5S", "closed": "PT1M"}
"""By how much the clock moves on at a time, by the status that is waited for."""


def nsg_writes_for_crowd(people: int = PEOPLE) -> Iterator[Figure]:
    """Writes of single NSG rules for so many people on one VM port, from asking to closed."""
    machine = landscapes.walled_machine(0)
    bodies = [
        access_requests.make_body([machine], source=f"203.0.113.{number + 1}")
        for number in range(people)
    ]
    with (
        start_stack(hosts=1, walled=True, machines=1) as place,
        closing(Callers(place.stack.url)) as callers,
    ):
        place.learn()
        place.simulator.set_options(throttling=False)  # the clock runs faster than the calls
        with simulator_log.record_calls(place.simulator) as log:
            answers = callers.ask_all(bodies, at_once=AT_ONCE)
            asked = [answer.document["id"] for answer in answers]
            _settle(place, callers, asked, "open")
            _settle(place, callers, asked, "closed")
    yield _make_figure(log, people)


def _make_figure(log: list[simulator_log.Call], people: int) -> Figure:
    changes = [
        call for call in log if call.method in {"PUT", "DELETE"} and "/securityRules/" in call.path
    ]
    ours = [call for call in changes if "/jit-broker-" in call.path]
    return Figure(
        name="nsg_writes_for_crowd",
        value=len(changes),
        unit="writes of NSG rules",
        goal=Goal(at_most=8),
        details={
            "people": people,
            "companionWrites": len(ours),
            "refused": sum(call.status not in {200, 201, 202, 204} for call in changes),
            "initiates": len(simulator_log.select_initiates(log)),
        },
    )


def _settle(place: RunningStack, callers: Callers, requests: Sequence[str], status: str) -> None:
    """Move the clock on until every one of *requests* has *status*."""
    deadline, left = time.monotonic() + _SETTLES_SECONDS, list(requests)
    while left:
        if time.monotonic() > deadline:
            raise MeasurementFailed(f"{len(left)} requests are not {status}")
        place.simulator.advance(_STEPS[status])
        time.sleep(_STEP_SECONDS)
        while left and callers.statuses(left[0]) == {status}:
            left.pop(0)
