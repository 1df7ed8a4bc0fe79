"""
A burst on one firewall: how often it is updated for 100 grants and revocations within a minute.

Fifty grants are open. Within seconds each of them is revoked, and fifty others are asked for; then
the clock moves on until all of the former are closed and all of the latter open. Counted is every
update of the firewall meanwhile, Defender's own included.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from bench.measures import simulator_log
from bench.measures.figures import Figure, Goal, round_value
from bench.measures.firewall_updates import Updates
from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests
from bench.traffic.callers import Callers

MACHINES = 50
AT_ONCE = 8
_SETTLES_SECONDS = 300
_STEP_SECONDS = 0.5


def firewall_updates_for_burst(machines: int = MACHINES) -> Iterator[Figure]:
    """Updates of one firewall for as many revocations and as many new grants within a minute."""
    with (
        start_stack(hosts=1, walled=1, machines=machines) as place,
        closing(Callers(place.stack.url)) as callers,
    ):
        place.learn()
        place.simulator.set_options(throttling=False)  # the clock runs faster than the calls
        updates = Updates(place.simulator)
        opened = _ask_for_all(callers, machines, port=22)
        _settle(place, updates, callers, opened, "open")
        updates.seen.clear()
        with simulator_log.record_calls(place.simulator) as log:
            asked, seconds = _make_burst(callers, opened, machines)
            _settle(place, updates, callers, opened, "closed")
            _settle(place, updates, callers, asked, "open")
    yield from _make_figures(updates, log, machines, seconds)


def _make_figures(
    updates: Updates, log: list[simulator_log.Call], machines: int, seconds: float
) -> Iterator[Figure]:
    initiates = simulator_log.select_initiates(log)
    puts = [call for call in log if call.method == "PUT" and "/azureFirewalls/" in call.path]
    ours = sum(call.status in {200, 201} for call in puts)
    yield Figure(
        name="firewall_updates_for_burst",
        value=len(updates.seen),
        unit="updates of one firewall",
        goal=Goal(at_most=8),
        details={
            "ours": ours,
            "oursGoal": "<= 3",
            "oursMet": ours <= 3,  # noqa: PLR2004 - the goal
            "oursRefused": len(puts) - ours,
            "defenders": len(updates.seen) - ours,
            "initiates": len(initiates),
            "vmPortsByInitiate": [simulator_log.count_ports(call) for call in initiates],
            "revocations": machines,
            "grants": machines,
            "burstSeconds": round_value(seconds),
            "firewallSeconds": 240,
        },
    )


def _ask_for_all(callers: Callers, machines: int, *, port: int) -> list[str]:
    """Ask for *port* of each VM, a request each; return their ids."""
    bodies = [
        access_requests.make_body([landscapes.walled_machine(number)], [port])
        for number in range(machines)
    ]
    return [answer.document["id"] for answer in callers.ask_all(bodies, at_once=AT_ONCE)]


def _make_burst(callers: Callers, opened: Sequence[str], machines: int) -> tuple[list[str], float]:
    """Revoke all of *opened* while others are asked for; return those, and how long it took."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        revoked = pool.map(callers.revoke, opened)
        asked = _ask_for_all(callers, machines, port=3389)
        done: list[Any] = list(revoked)
    if len(done) != len(opened):
        raise MeasurementFailed("not everything was revoked")
    return asked, time.perf_counter() - began


def _settle(
    place: RunningStack, updates: Updates, callers: Callers, requests: Sequence[str], status: str
) -> None:
    """Move the clock on until every one of *requests* has *status*."""
    deadline, left = time.monotonic() + _SETTLES_SECONDS, list(requests)
    while left:
        if time.monotonic() > deadline:
            raise MeasurementFailed(f"{len(left)} requests are not {status}")
        updates.look()
        place.simulator.advance("PT5S")
        time.sleep(_STEP_SECONDS)
        while left and callers.statuses(left[0]) == {status}:
            left.pop(0)
