"""
A warm process: the CPU time of an accepted POST against that of its own storage calls alone.

``bench.programs.accept_costs`` records the calls of the table SDK that the broker makes for a
request. It makes the same calls with the same entities again, on tables that hold the same
inventory. A ratio above 1 is the broker's own share: reading, deciding, rendering.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from bench.measures import processes
from bench.measures.figures import Figure, Goal, ratio
from bench.stack.running_stack import start_stack

REPEATS = 150
_FARMS, _MACHINES = 5, 40


def accept_cpu_ratio(repeats: int = REPEATS) -> Iterator[Figure]:
    """CPU time (user + system) of one process, request by request, in turns with the replay."""
    with start_stack(farms=_FARMS, machines=_MACHINES) as place:
        place.learn()
        numbers = map(str, (repeats, _FARMS, _MACHINES))
        run = processes.run(["-m", "bench.programs.accept_costs", *numbers], env=place.env)
    measured = json.loads(run.output)
    value, parts = ratio(measured["accepts"], measured["calls"])
    yield Figure(
        name="accept_cpu_ratio",
        value=value,
        unit="ratio of CPU seconds",
        goal=Goal(at_most=1.5),
        details={**parts, "storageCalls": Counter(measured["methods"])},
    )
