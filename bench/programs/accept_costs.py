"""
A process that accepts requests: the CPU time of each, and of its storage calls made alone.

Usage: ``python -m bench.programs.accept_costs <n> <farms> <machines>``. It prints one JSON object:
lists of seconds ``accepts`` and ``calls``, and the ``methods`` of one accept's calls.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache

import azure.functions as func
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableClient

from bench.measures.processes import MeasurementFailed
from bench.measures.table_calls import Call, Recorder, replay
from bench.programs.first_answer import Out
from bench.stack import landscapes
from bench.traffic import access_requests
from jit import wiring
from jit.gateways.table_storage import StorageTable
from jit.storage.table import Table
from jit.triggers.requests import create_access_request

WARM_UP = 20
_ACCEPTED = 202
_COPY = "Replayed"


def main(count: int, farms: int, machines: int) -> None:
    """Accept *count* requests after some to warm up, make the calls of each again."""
    calls: list[Call] = []
    wiring.table = cache(lambda name: _open_recorded_table(name, calls))
    copies = _copy_tables()
    rounds = [
        _measure_round(request, calls, copies)
        for request in _make_requests(WARM_UP + count, farms, machines)
    ]
    counted = rounds[WARM_UP:]
    print(
        json.dumps(
            {
                "accepts": [accept for accept, _ in counted],
                "calls": [alone for _, alone in counted],
                "methods": [call.method for call in calls],
            }
        )
    )


def _measure_round(
    request: func.HttpRequest, calls: list[Call], copies: Mapping[str, TableClient]
) -> tuple[float, float]:
    """Return the CPU seconds of accepting *request*, and of its storage calls made again."""
    calls.clear()
    accepted = _measure_cpu(lambda: _accept(request))
    again = copy.deepcopy(calls)
    return accepted, _measure_cpu(lambda: [replay(copies[call.table], call) for call in again])


def _measure_cpu(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


def _accept(request: func.HttpRequest) -> None:
    answer = create_access_request(req=request, work=Out())
    if answer.status_code != _ACCEPTED:
        raise MeasurementFailed(f"{answer.status_code}: {answer.get_body()!r}")


def _make_requests(count: int, farms: int, machines: int) -> Iterable[func.HttpRequest]:
    """Yield requests, each for a VM port that nobody holds."""
    for number in range(count):
        port = landscapes.PORTS[number // (farms * machines)]
        farm, machine = divmod(number % (farms * machines), machines)
        body = access_requests.make_body([landscapes.machine(farm, machine, machines)], [port])
        yield func.HttpRequest(
            method="POST",
            url="http://127.0.0.1:7071/api/access-requests",
            headers=access_requests.make_headers(f"warm-{number}"),
            body=json.dumps(body).encode(),
        )


def _open_recorded_table(name: str, calls: list[Call]) -> Table:
    client = _open_table(name)
    return StorageTable(Recorder(client, calls))  # type: ignore[arg-type] # the same methods


def _copy_tables() -> dict[str, TableClient]:
    """Create the missing tables; return copies that hold only the inventory."""
    copies: dict[str, TableClient] = {}
    for name in (wiring.STATE, wiring.IDEMPOTENCY, wiring.HISTORY):
        with suppress(ResourceExistsError):
            _open_table(name).create_table()
        copies[name] = _open_table(name + _COPY)
        copies[name].create_table()
        for entity in _open_table(name).list_entities():
            copies[name].create_entity(entity)
    return copies


def _open_table(name: str) -> TableClient:
    text = wiring.settings().storage_connection or ""
    return TableClient.from_connection_string(text, name)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
