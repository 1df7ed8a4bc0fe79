"""
The audit trail under a flood: 200 refusals a second, while another person's events come between.

The flood lasts ten minutes, and is drained within ten more. Nobody's event waits longer than a
minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.measures import processes
from bench.measures.figures import Figure, Goal, round_value, spread
from bench.stack.running_stack import start_stack

SECONDS, RATE = 600, 200
_LONGEST_WAIT = 60  # seconds


def audit_flood(seconds: int = SECONDS, rate: int = RATE) -> Iterator[Figure]:
    """Seconds until the outbox is empty, and the longest wait of the other person's event."""
    with start_stack() as place:
        program = ["-m", "bench.programs.flood_drain", str(seconds), str(rate)]
        measured = json.loads(processes.run(program, env=place.env).output)
    conditions = {
        "events": measured["events"],
        "eventsPerSecond": rate,
        "floodSeconds": round_value(measured["flood"]),
        "writtenAtOnce": 20,
    }
    yield Figure(
        name="audit_drain_ratio",
        value=measured["after"] / measured["flood"],
        unit="seconds to drain after the flood, to seconds of the flood",
        goal=Goal(at_most=1),
        details={"drainSeconds": round_value(measured["after"]), **conditions},
    )
    yield Figure(
        name="audit_wait_seconds",
        value=max(measured["waits"]),
        unit="seconds until another person's event is in the chain, at most",
        goal=Goal(at_most=_LONGEST_WAIT),
        details={"seconds": spread(measured["waits"]), **conditions},
    )
