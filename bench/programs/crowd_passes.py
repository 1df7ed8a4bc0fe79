"""
A process that makes passes over a JIT policy, one of whose VM ports more and more people share.

Usage: ``python -m bench.programs.crowd_passes <machines a farm> <people ...>``. It prints a JSON
object for each crowd: ``people``, and ``cpu``, the CPU seconds of its dearest passes: the first
one, while it opens, when it is looked at, and when half of it is revoked. Each crowd has its own
VM, and each person a source. The SDK of the tables is included.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes, past_requests
from bench.stack.simulator import Simulator
from jit import wiring
from jit.domain.grants.lifetime import begin_closing
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.values import request_ids
from jit.storage import keys
from jit.storage.stored import GrantRow
from local.clock import FileClock

_FARM = 0
_FIRST = IPv4Address("203.0.0.1")  # public; every second address from here
_MOST_PASSES = 20
_STEP = "PT20S"


def main(machines: int, *crowds: int) -> None:
    """Measure each of *crowds*, on one VM after the other."""
    wiring.clock = FileClock(os.environ["JIT_LOCAL_CLOCK"]).now
    simulator = Simulator(wiring.settings().arm_endpoint)
    simulator.set_options(throttling=False)  # passes follow each other within seconds here
    simulator.freeze()
    for number, people in enumerate(crowds):
        vm = landscapes.machine(_FARM, number, machines)
        print(json.dumps({"people": people, "cpu": _measure(simulator, vm, people)}), flush=True)


def _measure(simulator: Simulator, vm: str, people: int) -> dict[str, float]:
    """Return the CPU seconds of the dearest pass in each part of a crowd's life."""
    _store_crowd(vm, people)
    spent = {"first": _measure_pass()}
    spent["opening"] = _pass_until(simulator, vm, Status.OPEN)
    simulator.advance("PT2M")
    _change(vm, _make_due)
    spent["look"] = _measure_pass()
    _change(vm, _revoke_odd)
    spent["revoked"] = _measure_pass()
    return spent


def _store_crowd(vm: str, people: int) -> None:
    """Store as many requests as if each person had asked for port 22 of a VM."""
    like = past_requests.ask([vm], [22])
    for number in range(1, people):
        new_id = request_ids.make_request_id(
            landscapes.SUBSCRIPTION, wiring.clock(), secrets.token_bytes(10)
        )
        source = IPv4Network(_FIRST + 2 * number)
        request = replace(like.request, id=new_id, sources=(source,))
        grants = [_move(grant, new_id, source) for grant in like.grants]
        wiring.requests().insert(request, grants, [])


def _move(grant: Grant, request_id: str, source: IPv4Network) -> Grant:
    """Return *grant* as another request has it, from another source."""
    new_id = grant.id.replace(grant.request_id, request_id)
    return replace(grant, id=new_id, request_id=request_id, sources=(source,))


def _pass_until(simulator: Simulator, vm: str, status: Status) -> float:
    """Make passes until each grant has *status*; return the CPU seconds of the dearest one."""
    spent: list[float] = []
    for _ in range(_MOST_PASSES):
        simulator.advance(_STEP)
        spent.append(_measure_pass())
        if all(grant.status is status for row in _read_crowd(vm) for grant in row.grants):
            return max(spent)
    raise MeasurementFailed(f"the crowd on {vm} is not {status} after {_MOST_PASSES} passes")


def _measure_pass() -> float:
    began = time.process_time()
    wiring.worker().work(landscapes.policy(_FARM), now=wiring.clock())
    return time.process_time() - began


def _read_crowd(vm: str) -> tuple[GrantRow, ...]:
    prefix = keys.grants_prefix(landscapes.policy(_FARM), vm)
    return wiring.requests().list_grants(landscapes.SUBSCRIPTION, prefix)


def _change(vm: str, change: Callable[[int, Grant], Grant]) -> None:
    """Write each grant of the crowd as *change* makes it."""
    rows = _read_crowd(vm)
    changes = [
        (row, tuple(change(number, grant) for grant in row.grants))
        for number, row in enumerate(rows)
    ]
    wiring.requests().save(changes, [])


def _make_due(_number: int, grant: Grant) -> Grant:
    return replace(grant, next_check_at=wiring.clock())


def _revoke_odd(number: int, grant: Grant) -> Grant:
    """Return every second grant as a person revokes it."""
    return begin_closing(grant, CloseReason.REVOKED, wiring.clock()) if number % 2 else grant


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
