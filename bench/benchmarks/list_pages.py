"""
Lists among ten thousand live requests of others and as many finished ones: the cost of a page.

Three callers walk through all pages: one who never asked for anything, one with five requests, and
an operator. Azurite's own scans are another matter than Azure's, so seconds have no goal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.measures import processes
from bench.measures.figures import Figure, Goal, round_value
from bench.stack.running_stack import start_stack

OTHERS = 10_000
_MACHINES = 10
_MOST_CALLS = 12


def list_page_queries(others: int = OTHERS) -> Iterator[Figure]:
    """Storage calls for a page, at most, over all pages of three callers."""
    with start_stack(farms=1, machines=_MACHINES) as place:
        place.learn()
        numbers = map(str, (others, _MACHINES))
        run = processes.run(["-m", "bench.programs.list_costs", *numbers], env=place.env)
    measured = json.loads(run.output)
    yield Figure(
        name="list_page_queries",
        value=max(count for caller in measured.values() for count in caller["calls"]),
        unit="storage calls for a page",
        goal=Goal(at_most=_MOST_CALLS),
        details={
            "othersLive": others,
            "othersFinished": others,
            "callers": {
                name: {
                    "pages": len(caller["calls"]),
                    "found": caller["found"],
                    "longestPageSeconds": round_value(max(caller["seconds"])),
                }
                for name, caller in measured.items()
            },
        },
    )
