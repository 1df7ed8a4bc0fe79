"""
A greedy requester behind a firewall that others share: how long an end waits.

Each VM has a JIT policy of its own. One requester asks for the first VM from another address once a
minute, and gives the last request back. Meanwhile a path to each other VM is revoked, one after the
other. Counted is every update of the firewall from a revocation until the grant is closed,
Defender's own included.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from bench.measures.figures import Figure, Goal
from bench.measures.firewall_updates import Updates
from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests
from bench.traffic.callers import Callers

NEIGHBOURS = 3
_MOST_UPDATES = 2
_LONGEST_MINUTES = 60
_HEAD_START_MINUTES = 3
_STEPS_A_MINUTE, _STEP = 12, "PT5S"
_STEP_SECONDS = 0.5
_SOURCES = "203.0.113.{}"


@dataclass
class Neighbours:
    """
    The greedy requester and the others behind one firewall.

    Attributes:
        minutes: Minutes in which the greedy requester acted.
        last: The greedy requester's request of the last minute.
    """

    place: RunningStack
    callers: Callers
    updates: Updates
    minutes: int = 0
    last: str | None = None

    def open_path(self, number: int) -> str:
        """Ask for port 22 of the VM *number*; return the request's id."""
        source = _SOURCES.format(200 + number)
        body = access_requests.make_body([landscapes.walled_machine(number)], source=source)
        answer = self.callers.ask(f"neighbour-{time.monotonic_ns()}", body)
        return str(answer.document["id"])

    def pass_minutes(self, request_id: str, status: str, *, greedy: bool) -> int:
        """Let minutes pass until a request has *status*; return how many."""
        for minute in range(_LONGEST_MINUTES):
            if self.callers.statuses(request_id) == {status}:
                return minute
            self.pass_minute(greedy=greedy)
        raise MeasurementFailed(f"{request_id} is not {status} after {_LONGEST_MINUTES} minutes")

    def pass_minute(self, *, greedy: bool) -> None:
        """Let a minute of the simulator's clock pass; the greedy requester acts at its begin."""
        if greedy:
            self._change_request()
        for _ in range(_STEPS_A_MINUTE):
            self.updates.look()
            self.place.simulator.advance(_STEP)
            time.sleep(_STEP_SECONDS)

    def _change_request(self) -> None:
        """Ask for the first VM from another address, and give the last request back."""
        self.minutes += 1
        source = _SOURCES.format(self.minutes)
        body = access_requests.make_body([landscapes.walled_machine(0)], source=source)
        before, answer = self.last, self.callers.ask(f"greedy-{time.monotonic_ns()}", body)
        self.last = str(answer.document["id"])
        if before is not None:
            self.callers.revoke(before)


def firewall_updates_until_closed(neighbours: int = NEIGHBOURS) -> Iterator[Figure]:
    """Updates of the firewall until a revoked path of a neighbour is closed, the worst case."""
    machines = neighbours + 1
    with (
        start_stack(hosts=1, walled=machines, machines=machines) as place,
        closing(Callers(place.stack.url)) as callers,
    ):
        place.learn()
        place.simulator.set_options(throttling=False)  # the clock runs faster than the calls
        here = Neighbours(place, callers, Updates(place.simulator))
        opened = [here.open_path(number) for number in range(1, machines)]
        for request_id in opened:
            here.pass_minutes(request_id, "open", greedy=False)
        for _ in range(_HEAD_START_MINUTES):
            here.pass_minute(greedy=True)
        measured = [_revoke(here, request_id) for request_id in opened]
    yield Figure(
        name="firewall_updates_until_closed",
        value=max(updates for updates, _ in measured),
        unit="updates of one firewall from a revocation until the path is closed, at most",
        goal=Goal(at_most=_MOST_UPDATES),
        details={
            "updates": [updates for updates, _ in measured],
            "minutes": [minutes for _, minutes in measured],
            "neighbours": neighbours,
            "greedyRequests": here.minutes,
            "firewallSeconds": 240,
        },
    )


def _revoke(here: Neighbours, request_id: str) -> tuple[int, int]:
    """Revoke a path; return the updates that began until it is closed, and the minutes."""
    here.updates.look()
    before = set(here.updates.seen)
    here.callers.revoke(request_id)
    minutes = here.pass_minutes(request_id, "closed", greedy=True)
    return len(here.updates.seen - before), minutes
