"""
A process that makes passes over JIT policies, in each of which people share one VM port.

Usage: ``python -m bench.programs.crowd_passes <machines a farm> <people ...>``. It prints a JSON
object for each crowd: ``people``; ``cpu``, the CPU seconds of its dearest passes: the first one,
while it opens, when it is looked at, when half of it is revoked, and when that half closes; and
``floor``, the CPU seconds of writing each of its rows once more, unchanged. Each crowd has its own
JIT policy, and each person a source. The SDK of the tables is included. A pass over one person
comes before: the first pass of a process imports the SDKs.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from jit.storage.table import Op, Verb, pack_ops
from local.clock import FileClock

_FIRST = IPv4Address("203.0.0.1")  # public; every second address from here
_MOST_PASSES = 20
_STEP = "PT20S"


def main(machines: int, *crowds: int) -> None:
    """Measure each of *crowds*, on one VM after the other."""
    wiring.clock = FileClock(os.environ["JIT_LOCAL_CLOCK"]).now
    simulator = Simulator(wiring.settings().arm_endpoint)
    simulator.set_options(throttling=False)  # passes follow each other within seconds here
    simulator.freeze()
    for farm, people in enumerate((1, *crowds)):
        crowd = _Crowd(landscapes.policy(farm), landscapes.machine(farm, 0, machines))
        cpu, floor = _measure(simulator, crowd, people), _measure_writes(crowd)
        if farm:
            print(json.dumps({"people": people, "cpu": cpu, "floor": floor}), flush=True)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """People who share port 22 of a VM, the only one of its JIT policy with grants."""

    policy: str
    vm: str


def _measure(simulator: Simulator, crowd: _Crowd, people: int) -> dict[str, float]:
    """Return the CPU seconds of the dearest pass in each part of a crowd's life."""
    _store_crowd(crowd.vm, people)
    spent = {"first": _measure_pass(crowd)}
    spent["opening"] = _pass_until(simulator, crowd, Status.OPEN)
    simulator.advance("PT2M")
    _change(crowd, _make_due)
    spent["look"] = _measure_pass(crowd)
    _change(crowd, _revoke_odd)
    spent["revoked"] = _measure_pass(crowd)
    simulator.advance("PT2M")
    spent["closed"] = _measure_pass(crowd)
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


def _pass_until(simulator: Simulator, crowd: _Crowd, status: Status) -> float:
    """Make passes until each grant has *status*; return the CPU seconds of the dearest one."""
    spent: list[float] = []
    for _ in range(_MOST_PASSES):
        simulator.advance(_STEP)
        spent.append(_measure_pass(crowd))
        if all(grant.status is status for row in _read_crowd(crowd) for grant in row.grants):
            return max(spent)
    raise MeasurementFailed(f"the crowd on {crowd.vm} is not {status} after {_MOST_PASSES} passes")


def _measure_pass(crowd: _Crowd) -> float:
    began = time.process_time()
    wiring.worker().work(crowd.policy, now=wiring.clock())
    return time.process_time() - began


def _measure_writes(crowd: _Crowd) -> float:
    """Return the CPU seconds of the fewest writes of a pass that changes each grant: one a row."""
    packs = list(pack_ops(Op(Verb.REPLACE, each.row) for each in _read_crowd(crowd)))
    began = time.process_time()
    for ops in packs:
        wiring.table(wiring.STATE).write(ops)
    return time.process_time() - began


def _read_crowd(crowd: _Crowd) -> tuple[GrantRow, ...]:
    prefix = keys.grants_prefix(crowd.policy, crowd.vm)
    return wiring.requests().list_grants(landscapes.SUBSCRIPTION, prefix)


def _change(crowd: _Crowd, change: Callable[[int, Grant], Grant]) -> None:
    """Write each grant of the crowd as *change* makes it."""
    rows = _read_crowd(crowd)
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
