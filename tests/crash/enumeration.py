"""
The points of a scenario: which of its calls each fault hits. The sample is the same each time.

In ``make test`` each kind of call that changes something is hit before and after it acts, in each
scenario, and each kind of read once. In ``make test-long`` each fault hits several calls.

``JIT_CRASH`` sets the number of calls that each fault hits in each scenario, or ``full``.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from tests.crash.faults import DEATHS, FAULTS, Fault, InjectedFault
from tests.crash.forked_run import ForkedRun, ForkResult
from tests.crash.scenario_run import Delivery, ScenarioRun
from tests.crash.scenarios import SCENARIOS
from tests.sizes import LONG

SAMPLE = 5
"""
Calls that a fault hits in ``make test-long``: calls that change something. In two of five pairs of
scenario and fault, it hits as many of all calls too.
"""

MANY_CALLS = 900
"""A scenario with more calls takes long: ``make test`` hits fewer and later calls of it."""

LEFT_OUT = 3
"""``make test`` leaves out every third fault of a scenario: in each scenario, other ones."""

_CHANGING = (
    "state.write",
    "history.write",
    "audit.write",
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
    """
    A fault and its call.

    Attributes:
        number: The number of the call from which on it hits.
        call: The name of the call that it hits; if empty, any name that it can hit.
    """

    fault: Fault
    number: int
    call: str = ""

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
    found = QuietRun(run.calls, tuple(run.promises.violations))
    _quiet_runs[scenario, run.delivery] = found


class Place(NamedTuple):
    """
    A kind of call in one scenario, before or after it acts.

    Attributes:
        call: Its name.
        acted: True for the moment after the call: its answer is on the way.
    """

    call: str
    acted: bool


def choose_points(scenario: str) -> list[Point]:
    """Return the faults of *scenario*, each with the call that it hits."""
    names = run_without_fault(scenario, Delivery.ONCE).calls
    wanted = os.environ.get("JIT_CRASH", "")
    if LONG or wanted:
        return [
            Point(fault, number)
            for fault in FAULTS.values()
            for number in _choose_numbers(names, scenario, fault, wanted)
        ]
    return [
        Point(fault, _choose_number(names, scenario, place), place.call)
        for place, fault in _fill_places(scenario, _list_places(scenario, names)).items()
    ]


def _choose_numbers(names: Sequence[str], scenario: str, fault: Fault, wanted: str) -> list[int]:
    """Return the numbers of the calls that *fault* hits; calls that change something come first."""
    every = [number for number, name in enumerate(names, 1) if fault.can_hit(name)]
    if wanted == "full":
        return every
    count, seed = int(wanted or SAMPLE), _seed(scenario, fault.name)
    changing = [number for number in every if names[number - 1].startswith(_CHANGING)]
    first = _spread(changing or every, count, offset=_seed(fault.name, scenario))
    more = _spread(every, count, offset=seed) if seed % 5 < 2 else []
    return sorted({*first, *more} if count > 1 else more or first)


def _list_places(scenario: str, names: Sequence[str]) -> list[Place]:
    """
    Return the places that ``make test`` hits: changes before and after they act, reads once.

    A process that dies after a read leaves behind the same as one that dies before it.
    """
    reads = [name for name in sorted({*names}) if not name.startswith(_CHANGING)]
    kept = reads if len(names) <= MANY_CALLS else reads[_rank(scenario) % 2 :: 2]
    changes = [name for name in sorted({*names}) if name.startswith(_CHANGING)]
    return [
        *(Place(name, acted) for name in changes for acted in (False, True)),
        *(Place(name, acted=False) for name in kept),
    ]


def _fill_places(scenario: str, places: Sequence[Place]) -> dict[Place, Fault]:
    """
    Return a fault for each of *places*: each fault once, and the deaths where no other one is left.

    The faults with the fewest places choose first.
    """
    chosen = [
        fault for index, fault in enumerate(FAULTS.values(), _rank(scenario)) if index % LEFT_OUT
    ]
    fitting = {fault.name: [each for each in places if _fits(fault, each)] for fault in chosen}
    chosen.sort(key=lambda fault: (len(fitting[fault.name]), _seed(fault.name, scenario)))
    filled: dict[Place, Fault] = {}
    for fault in chosen:
        free = [each for each in fitting[fault.name] if each not in filled]
        if free:
            filled[min(free, key=lambda each: _seed(scenario, fault.name, *map(str, each)))] = fault
    return {place: filled.get(place) or DEATHS[place.acted] for place in places}


def _fits(fault: Fault, place: Place) -> bool:
    """Return True if *fault* can hit that call at that moment; a read has no second moment."""
    same = fault.lets_act is place.acted or not place.call.startswith(_CHANGING)
    return same and fault.can_hit(place.call)


def _choose_number(names: Sequence[str], scenario: str, place: Place) -> int:
    """
    Return the number of a call of *place*.

    A run from there on is short in the second half of a run. A read is of that half. A change is so
    too in a long scenario: its beginning is that of a shorter one.
    """
    numbers = [number for number, name in enumerate(names, 1) if name == place.call]
    if len(names) > MANY_CALLS or not place.call.startswith(_CHANGING):
        numbers = numbers[len(numbers) // 2 :]
    return numbers[_seed(scenario, *map(str, place)) % len(numbers)]


def _rank(scenario: str) -> int:
    return list(SCENARIOS).index(scenario)


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


def count_all_points(scenario: str) -> Counter[str]:
    """Return the number of calls that the faults could hit, by what the summary counts."""
    names = run_without_fault(scenario, Delivery.ONCE).calls
    found: Counter[str] = Counter()
    for fault in FAULTS.values():
        found[fault.counts] += sum(map(fault.can_hit, names))
    return found


def run_all_points(scenario: str) -> list[PointResult]:
    """
    Run *scenario* once for each fault and each call that the fault hits; return the results.

    The children of one delivery share their beginning. Their parent is a run without a fault.
    """
    points = choose_points(scenario)
    found: list[PointResult] = []
    missed: list[Point] = []
    for delivery in (Delivery.TIMERS_ONLY, Delivery.TWICE):
        chosen = [point for point in points if point.delivery is delivery]
        results = _run_points(scenario, chosen, delivery)
        found += [result for result in results if result.hit]
        missed += [point for point, result in zip(chosen, results, strict=True) if not result.hit]
    # Those deliveries can have fewer calls. Their points get one delivery of each message.
    rest = [point for point in points if point.delivery is Delivery.ONCE]
    return found + _run_points(scenario, [*rest, *missed], Delivery.ONCE)


def _run_points(scenario: str, points: Sequence[Point], delivery: Delivery) -> list[PointResult]:
    """Run *scenario* with each fault at the first call from its number on that it can hit."""
    if not points:
        return []
    run = ScenarioRun(delivery=delivery)
    SCENARIOS[scenario](run)
    faults = [InjectedFault(point.fault, point.number, run, point.call) for point in points]
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
