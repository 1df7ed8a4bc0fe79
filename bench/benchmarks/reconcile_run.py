"""
Reconciling a subscription of 500 VMs in five JIT policies: the cost of a run without findings.

The grants are real: asked for, opened by the broker's own worker, found open. The history is
requests of the last twelve months that never were, written into the table.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator
from typing import Any

from bench.measures import processes
from bench.measures.figures import Figure, Goal, spread
from bench.programs.reconcile_runs import FARMS
from bench.stack.running_stack import start_stack

RUNS = 5
HISTORY = 20_000
MACHINES = 100
_RUNS_A_QUARTER = 3  # of an hour: each of them reads the admin rules of a third of the networks


def reconcile(runs: int = RUNS, history: int = HISTORY) -> Iterator[Figure]:
    """ARM calls and seconds of a run, at 100 and 1,000 live grants, with and without history."""
    with start_stack(farms=FARMS, machines=MACHINES) as place:
        place.learn()
        numbers = map(str, (MACHINES, runs, history))
        run = processes.run(["-m", "bench.programs.reconcile_runs", *numbers], env=place.env)
    measured = [json.loads(line) for line in run.output.splitlines()]
    measured.sort(key=lambda item: (item["grants"], item["history"]))
    yield from (_make_call_figure(item, measured[0]) for item in measured)
    yield from (_make_time_figure(item) for item in measured)


def _make_call_figure(item: dict[str, Any], first: dict[str, Any]) -> Figure:
    """Return the worst run's calls; the goal is the lists of the smallest case and networks / 3."""
    return Figure(
        name="reconcile_arm_calls",
        value=max(item["calls"]),
        unit="ARM calls a run",
        goal=Goal(exactly=min(first["lists"]) + math.ceil(FARMS / _RUNS_A_QUARTER)),
        details={
            **_describe_size(item),
            "runs": len(item["calls"]),
            "networks": FARMS,
            "itemsAPage": 50,
        },
    )


def _make_time_figure(item: dict[str, Any]) -> Figure:
    return Figure(
        name="reconcile_seconds",
        value=statistics.median(item["seconds"]),
        unit="seconds a run",
        details={
            **_describe_size(item),
            "wall": spread(item["seconds"]),
            "cpuSeconds": spread(item["cpu"]),
        },
    )


def _describe_size(item: dict[str, Any]) -> dict[str, object]:
    return {
        "liveGrants": item["grants"],
        "historyRows": item["history"],
        "machines": FARMS * MACHINES,
    }
