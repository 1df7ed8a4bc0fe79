"""
Random walks for a long time: ``python -m tests.machine.soak``, or ``make soak``.

``JIT_SOAK_MINUTES`` says how long (10 unless set). ``JIT_SOAK_SEED`` repeats the walks that
followed a printed seed. The exit code is 1 if a promise was broken.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
import traceback

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.machine.machine import WithFaults, WithoutFaults

WALKS = settings(
    max_examples=20,
    stateful_step_count=60,
    database=None,
    deadline=None,
    print_blob=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def main() -> int:
    """RandomWalk until the time is over; return the exit code."""
    logging.disable(logging.CRITICAL)  # the broker logs the planned faults
    minutes = float(os.environ.get("JIT_SOAK_MINUTES", "10"))
    wanted = os.environ.get("JIT_SOAK_SEED", "")
    end = time.monotonic() + 60 * minutes
    broken = walked = 0
    while True:
        number = int(wanted) if wanted else secrets.randbelow(2**32)
        for machine in (WithoutFaults, WithFaults):
            broken += not _walk(machine, number)
            walked += WALKS.max_examples
        if wanted or time.monotonic() >= end:
            break
    print(f"walks: {walked}, broken: {broken}")
    return 1 if broken else 0


def _walk(machine: type[RuleBasedStateMachine], number: int) -> bool:
    """Walk *machine* by the seed *number*; return False and print the shortest walk if it broke."""
    print(f"{machine.__name__}: JIT_SOAK_SEED={number}", flush=True)

    @seed(number)
    class Seeded(machine):  # type: ignore[misc, valid-type] # a class made for one seed
        pass

    try:
        run_state_machine_as_test(Seeded, settings=WALKS)
    except Exception:  # noqa: BLE001 # report every failure
        traceback.print_exc(file=sys.stdout)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
