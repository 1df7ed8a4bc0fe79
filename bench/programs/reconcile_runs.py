"""
A process that reconciles a subscription, with more and more grants, with and without history.

Usage: ``python -m bench.programs.reconcile_runs <machines a farm> <runs> <rows of history>``. It
prints a JSON object a line: ``grants``, ``history``, and ``seconds``, ``cpu`` seconds, ARM
``calls`` of each run, of them the ``lists``. Before each run the broker forgets the security admin
rules that it has read, so that each run reads as many networks as a run may.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from azure.data.tables import TableClient

from bench.measures import simulator_log
from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes, past_requests
from bench.stack.simulator import Simulator
from jit import wiring
from jit.storage.networks.admin_rule_rows import AdminRuleRows
from local.clock import FileClock

FARMS = 5
_EACH = 50  # VMs a request: with two ports each, a hundred grants


def main(machines: int, runs: int, rows: int) -> None:
    """Measure 100 grants without and with history, all grants with and without it."""
    wiring.clock = FileClock(os.environ["JIT_LOCAL_CLOCK"]).now
    simulator = Simulator(wiring.settings().arm_endpoint)
    simulator.set_options(throttling=False)  # runs follow each other within seconds here
    simulator.freeze()
    first, *others = _list_requests(machines)
    opened = past_requests.open_paths(simulator, [first])
    _measure(simulator, runs, history=0)
    past_requests.write_history(opened[0], rows)
    _measure(simulator, runs, history=rows)
    past_requests.open_paths(simulator, others)
    _measure(simulator, runs, history=rows)
    _drop_history()
    _measure(simulator, runs, history=0)


def _list_requests(machines: int) -> list[list[str]]:
    """Return the VMs of each request."""
    return [
        [landscapes.machine(farm, number, machines) for number in range(first, first + _EACH)]
        for farm in range(FARMS)
        for first in range(0, machines, _EACH)
    ]


def _measure(simulator: Simulator, runs: int, *, history: int) -> None:
    """Reconcile some times with an audit trail that is up to date; print the cost of each run."""
    _reconcile(simulator)
    while wiring.outbox().list_oldest(landscapes.SUBSCRIPTION, limit=1):
        _reconcile(simulator)
    measured = [_reconcile(simulator) for _ in range(runs)]
    planned = wiring.reconciler().make_dry_run(now=wiring.clock())
    if planned:
        raise MeasurementFailed(f"something was left to do: {planned[:3]}")
    found = [held.grants for held in wiring.requests().list_grants(landscapes.SUBSCRIPTION, "g")]
    columns = {
        name: [run[name] for run in measured] for name in ("seconds", "cpu", "calls", "lists")
    }
    print(json.dumps({"grants": sum(map(len, found)), "history": history, **columns}), flush=True)


def _reconcile(simulator: Simulator) -> dict[str, Any]:
    AdminRuleRows(wiring.table(wiring.STATE)).forget_others(landscapes.SUBSCRIPTION, [])
    with simulator_log.record_calls(simulator) as calls:
        wall, cpu = time.perf_counter(), time.process_time()
        wiring.reconciler().run(landscapes.SUBSCRIPTION, now=wiring.clock())
        spent = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {**spent, "calls": len(calls), "lists": sum(call.method == "GET" for call in calls)}


def _drop_history() -> None:
    text = wiring.settings().storage_connection or ""
    TableClient.from_connection_string(text, wiring.HISTORY).delete_table()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
