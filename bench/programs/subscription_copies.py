"""
A process that fills, or reconciles, some subscriptions that are alike.

Usage: ``python -m bench.programs.subscription_copies fill <subscriptions>`` or ``… run
<subscriptions> <comparisons>``. ``fill`` has the broker open the paths of the first subscription;
the other ones get copies of its rules, in Azure, and of its rows, in the store. ``run`` compares
the subscriptions in turn, up to the number of comparisons. It prints one JSON object: ``seconds``
and ARM ``calls`` of each comparison, live ``grants``, ``peakKiB`` of this process.
"""

from __future__ import annotations

import json
import os
import re
import resource
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from bench.measures import simulator_log
from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes, past_requests
from bench.stack.simulator import Simulator
from jit import wiring
from jit.domain.model.grant import Grant
from jit.domain.values import request_ids
from jit.storage.request_rows import write_grants_row, write_request_row
from jit.storage.stored import StoredRequest, group_by_machine
from jit.storage.table import Op, Verb
from local.clock import FileClock

FARMS, MACHINES = 25, 10
_EACH = 50  # VMs a request
_TRANSACTION = 50
_STATUS = Path("/proc/self/status")
_GUARDS = "/networksecuritygroups/"


def fill(count: int) -> None:
    """Open every path of the first subscription, and copy it *count* - 1 times."""
    simulator = _open_simulator()
    simulator.set_options(throttling=False)  # its answers hold all of Azure here
    simulator.freeze()
    vms = [
        landscapes.machine(farm, number, MACHINES)
        for farm in range(FARMS)
        for number in range(MACHINES)
    ]
    groups = [vms[start : start + _EACH] for start in range(0, len(vms), _EACH)]
    opened = past_requests.open_paths(simulator, groups)
    state = simulator.call("GET", "state")["resources"]
    first = f"/subscriptions/{landscapes.SUBSCRIPTION}/"
    guards = {
        name: body
        for name, body in state.items()
        if name.lower().startswith(first) and _GUARDS in name.lower()
    }
    for number in range(count):
        name = landscapes.subscription(number)
        simulator.call(
            "PUT", "state", {"resources": {**_make_firewall(name), **_move_resources(guards, name)}}
        )
        if number:
            for whole in opened:
                _copy_request(whole, name)


def _open_simulator() -> Simulator:
    wiring.clock = FileClock(os.environ["JIT_LOCAL_CLOCK"]).now
    return Simulator(wiring.settings().arm_endpoint)


def _move_resources(resources: dict[str, object], subscription: str) -> dict[str, object]:
    """Return *resources* as another subscription has them."""
    if subscription == landscapes.SUBSCRIPTION:
        return {}
    found: dict[str, object] = json.loads(_move_text(json.dumps(resources), subscription))
    return found


def _move_text(text: str, subscription: str) -> str:
    """Return *text* with another subscription in it; Azure writes ids in any case."""
    return re.sub(landscapes.SUBSCRIPTION, subscription, text, flags=re.IGNORECASE)


def _make_firewall(subscription: str) -> dict[str, object]:
    """Return a firewall that no VM is behind: it is listed and read as any other."""
    name = (
        f"/subscriptions/{subscription}/resourceGroups/{landscapes.group(0)}"
        "/providers/Microsoft.Network/azureFirewalls/fw-1"
    )
    properties = {"provisioningState": "Succeeded", "natRuleCollections": []}
    return {name: {"id": name, "location": "westeurope", "properties": properties}}


def _copy_request(whole: StoredRequest, subscription: str) -> None:
    """Write the rows of an open request as those of another subscription."""
    request_id = request_ids.make_request_id(
        subscription, whole.request.created_at, secrets.token_bytes(10)
    )
    grants = [_copy_grant(grant, request_id, subscription) for grant in whole.grants]
    policies = tuple(dict.fromkeys(grant.policy_id for grant in grants))
    request = replace(whole.request, id=request_id, policies=policies)
    rows = [write_request_row(request), *map(write_grants_row, group_by_machine(grants))]
    for start in range(0, len(rows), _TRANSACTION):
        chunk = rows[start : start + _TRANSACTION]
        wiring.table(wiring.STATE).write([Op(Verb.INSERT, row) for row in chunk])


def _copy_grant(grant: Grant, request_id: str, subscription: str) -> Grant:
    rules = tuple(_move_text(rule, subscription) for rule in grant.footprint.rules)
    return replace(
        grant,
        id=grant.id.replace(grant.request_id, request_id),
        request_id=request_id,
        vm_id=_move_text(grant.vm_id, subscription),
        policy_id=_move_text(grant.policy_id, subscription),
        footprint=replace(grant.footprint, rules=rules),
    )


def compare_in_turn(count: int, times: int) -> None:
    """Reconcile *count* subscriptions in turn, *times* comparisons, as one worker would."""
    simulator = _open_simulator()
    names = [landscapes.subscription(number) for number in range(count)]
    measured = [_compare(simulator, name) for name in islice(cycle(names), times)]
    peak = _read_peak_kib()
    planned = wiring.reconciler().make_dry_run(now=wiring.clock(), subscriptions=names[-1:])
    if planned:
        raise MeasurementFailed(f"something was left to do: {planned[:3]}")
    grants = sum(_count_grants(names))
    seconds, calls = ([item[index] for item in measured] for index in (0, 1))
    print(json.dumps({"grants": grants, "peakKiB": peak, "seconds": seconds, "calls": calls}))


def _read_peak_kib() -> int:
    """
    Return the most memory that this process had resident, in KiB.

    Linux keeps ``ru_maxrss`` over an exec: there it would be the value of the parent process.
    """
    if not _STATUS.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = _STATUS.read_text().splitlines()
    (line,) = (each for each in lines if each.startswith("VmHWM:"))
    return int(line.split()[1])


def _compare(simulator: Simulator, subscription: str) -> tuple[float, int]:
    with simulator_log.record_calls(simulator) as calls:
        began = time.perf_counter()
        wiring.reconciler().run(subscription, now=wiring.clock())
        seconds = time.perf_counter() - began
    return seconds, len(calls)


def _count_grants(names: Sequence[str]) -> Iterator[int]:
    for name in names:
        yield sum(len(held.grants) for held in wiring.requests().list_grants(name, "g"))


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(int(sys.argv[2]))
    else:
        compare_in_turn(int(sys.argv[2]), int(sys.argv[3]))
