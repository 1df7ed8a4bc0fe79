"""
The points of a scenario: which of its calls each fault hits. The sample is the same each time.

``JIT_CRASH`` sets the number of calls that each fault hits in each scenario, or ``full``.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from tests.crash.faults import FAULTS, Fault, InjectedFault
from tests.crash.forked_run import ForkedRun, ForkResult
from tests.crash.scenario_run import Delivery, ScenarioRun
from tests.crash.scenarios import SCENARIOS
from tests.sizes import LONG, examples

SAMPLE = examples(1, 5)
"""
Calls that a fault hits unless ``JIT_CRASH`` is set: calls that change something. In two of five
pairs of scenario and fault, it hits as many of all calls too. A single call is of either kind.
"""

MANY_CALLS = 900
"""A scenario with more calls takes long: ``make test`` gives it half of the faults."""

_CHANGING = (
    "state.write",
    "history.",
    "queues.",
    "policies.initiate",
    "policies.replace",
    "network.put",
    "network.del",
)
_DELIVERIES = (
    Delivery.ONCE,
    Delivery.TIMERS_ONLY,
    Delivery.TWICE,
    Delivery.ONCE,
    Delivery.TIMERS_ONLY,
)
"""The delivery of messages by the number of the call. A run with each message twice is longest."""

_DOWNTIMES = (timedelta(0), timedelta(minutes=3))


class Point(NamedTuple):
    """A fault, and the number of the call from which on it hits."""

    fault: Fault
    number: int

    @property
    def delivery(self) -> Delivery:
        """The delivery of messages in the run of this point."""
        return _DELIVERIES[self.number % len(_DELIVERIES)]


@dataclass(frozen=True, slots=True)
class PointResult:
    """
    The result of a run with one fault.

    Attributes:
        at: The scenario, the number and name of the call that was hit, the fault, the delivery.
        counts: How the summary counts it.
        hit: True if the call came at all.
        violations: The promises that were not kept.
    """

    at: str
    counts: str
    hit: bool
    violations: tuple[str, ...]


class QuietRun(NamedTuple):
    """The result of a run without a fault: its outside calls, the promises that were not kept."""

    calls: tuple[str, ...]
    violations: tuple[str, ...]


_quiet_runs: dict[tuple[str, Delivery], QuietRun] = {}
"""The runs without a fault so far: each is made once, for its result or for children of it."""


def run_without_fault(scenario: str, delivery: Delivery) -> QuietRun:
    """Run *scenario* without a fault, unless such a run is known."""
    if (scenario, delivery) not in _quiet_runs:
        run = ScenarioRun(delivery=delivery)
        SCENARIOS[scenario](run)
        run.run_to_rest()
        _keep_quiet_run(scenario, run)
    return _quiet_runs[scenario, delivery]


def _keep_quiet_run(scenario: str, run: ScenarioRun) -> None:
    found = QuietRun(tuple(run.parts.calls.names), tuple(run.promises.violations))
    _quiet_runs[scenario, run.delivery] = found


def choose_points(scenario: str, fault: Fault) -> list[int]:
    """Return the numbers of the calls that *fault* hits; calls that change something come first."""
    names = run_without_fault(scenario, Delivery.ONCE).calls
    every = [number for number, name in enumerate(names, 1) if fault.can_hit(name)]
    wanted, seed = os.environ.get("JIT_CRASH", ""), _seed(scenario, fault.name)
    if wanted == "full":
        return every
    is_reduced = not wanted and not LONG and len(names) > MANY_CALLS
    if is_reduced and seed % 2:
        return []
    count = int(wanted or SAMPLE)
    changing = [number for number in every if names[number - 1].startswith(_CHANGING)]
    first = _spread(changing or every, count, offset=_seed(fault.name, scenario))
    more = _spread(every, count, offset=seed) if seed % 5 < 2 else []
    return sorted({*first, *more} if count > 1 else more or first)


def _seed(*words: str) -> int:
    """Return a number that depends on the *words* only."""
    return zlib.crc32(" ".join(words).encode())


def _spread(numbers: list[int], wanted: int, *, offset: int) -> list[int]:
    """Return *wanted* of *numbers* at equal distances; *offset* moves all of them."""
    if not numbers or not wanted:
        return []
    step = len(numbers) / min(wanted, len(numbers))
    return [
        numbers[(offset + int(index * step)) % len(numbers)]
        for index in range(min(wanted, len(numbers)))
    ]


def run_all_points(scenario: str) -> list[PointResult]:
    """
    Run *scenario* once for each fault and each call that the fault hits; return the results.

    The children of one delivery share their beginning. Their parent is a run without a fault.
    """
    points = [Point(FAULTS[n], k) for n in FAULTS for k in choose_points(scenario, FAULTS[n])]
    found: list[PointResult] = []
    missed: list[Point] = []
    for delivery in Delivery:
        chosen = [point for point in points if point.delivery is delivery]
        results = _run_points(scenario, chosen, delivery)
        found += [result for result in results if result.hit]
        missed += [point for point, result in zip(chosen, results, strict=True) if not result.hit]
    # Other deliveries can have fewer calls. These points get one delivery of each message.
    return found + _run_points(scenario, missed, Delivery.ONCE)


def _run_points(scenario: str, points: Sequence[Point], delivery: Delivery) -> list[PointResult]:
    """Run *scenario* with each fault at the first call from its number on that it can hit."""
    if not points:
        return []
    run = ScenarioRun(delivery=delivery)
    SCENARIOS[scenario](run)
    faults = [InjectedFault(point.fault, point.number, run) for point in points]
    results = ForkedRun(run, _tolerate).run_to_rest(faults)
    _keep_quiet_run(scenario, run)
    return [
        PointResult(
            at=f"{scenario}, {point.number} {result.hit}, {point.fault.name}, {delivery.value}",
            counts=point.fault.counts,
            hit=bool(result.hit),
            violations=result.violations,
        )
        for place, point in enumerate(points)
        for result in [results.get(place, ForkResult("", ()))]
    ]


def _tolerate(injected: InjectedFault) -> None:
    """Choose the downtime of a fault, and allow for the time that the fault explains."""
    run, fault = injected.run, injected.fault
    run.downtime = _DOWNTIMES[injected.number % len(_DOWNTIMES)]
    timers_only = run.delivery is Delivery.TIMERS_ONLY
    run.promises.tolerance.extend(
        fault.delays, run.downtime, gap=fault.gap + 2 * run.downtime, timers_only=timers_only
    )
