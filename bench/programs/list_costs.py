"""
A process that lists requests page by page, and counts the storage calls of each page.

Usage: ``python -m bench.programs.list_costs <n> <machines>``. Alice asks for some virtual machines.
Then the program writes *n* live requests and as many finished ones of people who do not call. Dave,
who never asked, Alice and the operator Olga list them. It prints a JSON object: for each of the
three, lists of ``calls`` and ``seconds``, one item a page, and the number of ``found`` requests.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import islice

import azure.functions as func
from azure.data.tables import TableClient

from bench.measures.processes import MeasurementFailed
from bench.measures.table_calls import Call, Recorder
from bench.programs.first_answer import Out
from bench.stack import landscapes
from bench.traffic import access_requests
from jit import wiring
from jit.domain.model.grant import CloseReason, Status
from jit.domain.values import request_ids
from jit.gateways.table_storage import StorageTable
from jit.storage.history import write_history_rows
from jit.storage.lists.machine_names import name_machines
from jit.storage.request_rows import write_grants_row, write_request_row
from jit.storage.stored import StoredRequest
from jit.storage.table import Op, Row, Table, Verb
from jit.triggers.requests import create_access_request, list_access_requests

_ACCEPTED = 202
_URL = "http://127.0.0.1:7071/api/access-requests"
_TRANSACTION = 100
_EVERY = timedelta(seconds=30)
_OWN = 5
_CALLERS = {"dave": {}, "alice": {}, "olga": {"status": "opening"}}


def main(count: int, machines: int) -> None:
    """Fill the tables, walk through the lists, print the costs."""
    calls: list[Call] = []
    wiring.table = cache(lambda name: _open_recorded_table(name, calls))
    like, *_ = [_accept_one(number, machines) for number in range(_OWN)]
    _write(wiring.STATE, _list_live(like, count))
    _write(wiring.HISTORY, _list_finished(like, count))
    costs = {person: _walk(person, query, calls) for person, query in _CALLERS.items()}
    print(json.dumps(costs))


def _accept_one(number: int, machines: int) -> StoredRequest:
    body = access_requests.make_body([landscapes.machine(0, number, machines)])
    request = func.HttpRequest(
        method="POST",
        url=_URL,
        headers=access_requests.make_headers(f"own-{number}"),
        body=json.dumps(body).encode(),
    )
    answer = create_access_request(req=request, work=Out())
    stored = wiring.requests().load(json.loads(answer.get_body()).get("id", ""))
    if answer.status_code != _ACCEPTED or stored is None:
        raise MeasurementFailed(f"{answer.status_code}: {answer.get_body()!r}")
    return stored


# ---- the requests of others ----------------------------------------------------------------------


def _list_live(like: StoredRequest, count: int) -> Iterator[Row]:
    for whole in _make_crowd(like, count):
        vm_ids = [grant.vm_id for grant in whole.grants]
        yield name_machines(write_request_row(whole.request), vm_ids)
        yield write_grants_row(whole.grants)


def _list_finished(like: StoredRequest, count: int) -> Iterator[Row]:
    for whole in _make_crowd(like, count):
        closed = tuple(
            replace(grant, status=Status.CLOSED, close_reason=CloseReason.EXPIRED)
            for grant in whole.grants
        )
        yield from write_history_rows(StoredRequest(whole.request, closed))


def _make_crowd(like: StoredRequest, count: int) -> Iterator[StoredRequest]:
    """Yield requests of one month, before that of *like*, each of another person."""
    for number in range(count):
        created = like.request.created_at - _EVERY * (count - number)
        new_id = request_ids.make_request_id(
            landscapes.SUBSCRIPTION, created, secrets.token_bytes(10)
        )
        person = replace(like.request.requester, id=f"crowd-{number}")
        request = replace(like.request, id=new_id, requester=person, created_at=created)
        grants = tuple(
            replace(grant, id=grant.id.replace(like.request.id, new_id), request_id=new_id)
            for grant in like.grants
        )
        yield StoredRequest(request, grants)


def _write(name: str, rows: Iterator[Row]) -> None:
    """Insert *rows*; neighbours of one partition share a transaction."""
    table = StorageTable(_open_table(name))
    homes: dict[str, list[Op]] = {}
    for row in rows:
        homes.setdefault(row.partition, []).append(Op(Verb.INSERT, row))
    for ops in homes.values():
        waiting = iter(ops)
        while chunk := list(islice(waiting, _TRANSACTION)):
            table.write(chunk)


# ---- the lists -----------------------------------------------------------------------------------


def _walk(person: str, query: dict[str, str], calls: list[Call]) -> dict[str, object]:
    """Return the calls and the seconds of each page, and the number of requests on all pages."""
    counts: list[int] = []
    seconds: list[float] = []
    found = 0
    token: str | None = ""
    while token is not None:
        calls.clear()
        began = time.perf_counter()
        value, token = _read_page(person, query, token)
        seconds.append(time.perf_counter() - began)
        counts.append(len(calls))
        found += len(value)
    return {"calls": counts, "seconds": seconds, "found": found}


def _read_page(person: str, query: dict[str, str], token: str) -> tuple[list[object], str | None]:
    more = {"continuationToken": token} if token else {}
    request = func.HttpRequest(
        method="GET",
        url=_URL,
        headers=access_requests.make_headers("unused", person),
        params=query | more,
        body=b"",
    )
    page = json.loads(list_access_requests(req=request).get_body())
    return page["value"], page["continuationToken"]


def _open_recorded_table(name: str, calls: list[Call]) -> Table:
    client = _open_table(name)
    return StorageTable(Recorder(client, calls))  # type: ignore[arg-type] # the same methods


def _open_table(name: str) -> TableClient:
    text = wiring.settings().storage_connection or ""
    return TableClient.from_connection_string(text, name)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
