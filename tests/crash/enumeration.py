"""
The points of a scenario: which of its calls each fault hits. The sample is the same each time.

``JIT_CRASH`` sets the number of calls that each fault hits in each scenario, or ``full``.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from tests.crash.faults import FAULTS, Fault, InjectedFault
from tests.crash.scenario_run import Delivery, ScenarioRun
from tests.crash.scenarios import SCENARIOS
from tests.sizes import examples

SAMPLE = examples(1, 5)
"""
Changing calls that a fault hits unless ``JIT_CRASH`` is set. In every eighth pair of scenario and
fault, it hits as many of all the scenario's calls.
"""

_CHANGING = (
    "state.write",
    "history.",
    "queues.",
    "policies.initiate",
    "policies.replace",
    "network.put",
    "network.del",
)
_DELIVERIES = tuple(Delivery)
_DOWNTIMES = (timedelta(0), timedelta(minutes=3))


@dataclass(frozen=True, slots=True)
class PointResult:
    """
    The result of a run with one fault.

    Attributes:
        at: The scenario, the number and name of the call that was hit, the fault, the delivery.
        hit: True if the call came at all.
        violations: The promises that were not kept.
    """

    at: str
    hit: bool
    violations: tuple[str, ...]


class QuietRun(NamedTuple):
    """The result of a run without a fault: its outside calls, the promises that were not kept."""

    calls: tuple[str, ...]
    violations: tuple[str, ...]


@cache
def run_without_fault(scenario: str, delivery: Delivery) -> QuietRun:
    """Run *scenario* without a fault."""
    run = ScenarioRun(delivery=delivery)
    SCENARIOS[scenario](run)
    run.run_to_rest()
    return QuietRun(tuple(run.parts.calls.names), tuple(run.promises.violations))


def choose_points(scenario: str, fault: Fault) -> list[int]:
    """Return the numbers of the calls that *fault* hits; calls that change something come first."""
    names = run_without_fault(scenario, Delivery.ONCE).calls
    every = [number for number, name in enumerate(names, 1) if fault.can_hit(name)]
    wanted = os.environ.get("JIT_CRASH", str(SAMPLE))
    if wanted == "full":
        return every
    changing = [number for number in every if names[number - 1].startswith(_CHANGING)]
    first = _spread(changing or every, int(wanted), offset=_seed(fault.name, scenario))
    seed = _seed(scenario, fault.name)
    more = 0 if seed % 8 else int(wanted)
    return sorted({*first, *_spread(every, more, offset=seed)})


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


def run_all_points(scenario: str, fault: Fault) -> list[PointResult]:
    """Run *scenario* once for each point, with the fault there; return the results."""
    return [run_point(scenario, fault, number) for number in choose_points(scenario, fault)]


def run_point(scenario: str, fault: Fault, number: int) -> PointResult:
    """
    Run *scenario* with *fault* at the first call from *number* on that it can hit.

    Other deliveries can have fewer calls: if no such call comes, repeat with one delivery each.
    """
    found = _run(scenario, fault, number, _DELIVERIES[number % len(_DELIVERIES)])
    return found if found.hit else _run(scenario, fault, number, Delivery.ONCE)


def _run(scenario: str, fault: Fault, number: int, delivery: Delivery) -> PointResult:
    run = ScenarioRun(delivery=delivery, downtime=_DOWNTIMES[number % len(_DOWNTIMES)])
    SCENARIOS[scenario](run)
    timers_only = delivery is Delivery.TIMERS_ONLY
    run.promises.tolerance.extend(
        fault.delays, run.downtime, gap=fault.gap + 2 * run.downtime, timers_only=timers_only
    )
    injected = InjectedFault(fault, number, run)
    injected.arm()
    run.run_to_rest()
    at = f"{scenario}, {number} {injected.hit}, {fault.name}, {delivery.value}"
    return PointResult(at, bool(injected.hit), tuple(run.promises.violations))


def scenario_fault_pairs() -> list[tuple[str, str]]:
    """Return each scenario with each fault."""
    return [(scenario, fault) for scenario in SCENARIOS for fault in FAULTS]
