"""Crowds of requests: thousands of rows, written without accepting each."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.people import Person
from jit.domain.model.request import Ticket
from jit.domain.values import request_ids
from jit.storage.history import write_history_rows
from jit.storage.lists.machine_names import MACHINES, name_machines
from jit.storage.request_rows import write_grants_row, write_request_row
from jit.storage.stored import StoredRequest
from jit.storage.table import Op, Row, Table, Verb
from tests.builders.grants import a_grant_of, a_request

SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
POLICY = f"{GROUP}/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"
MINE = Person(id="a11ce", name="alice@example.com", roles=frozenset({"Jit.Requester"}))
OTHER = Person(id="da7e", name="dave@example.com", roles=frozenset({"Jit.Requester"}))
OPERATOR = Person(id="01ga", name="olga@example.com", roles=frozenset({"Jit.Operator"}))


def a_vm_of(number: int) -> str:
    """Return the id of a virtual machine."""
    return f"{GROUP}/Microsoft.Compute/virtualMachines/web{number:02d}"


def a_whole_request(
    at: datetime,
    person: Person = MINE,
    *,
    number: int = 1,
    vms: int = 1,
    ticket: str | None = None,
    status: Status = Status.OPEN,
) -> StoredRequest:
    """Return a request with an own grant on each of some machines."""
    request = replace(
        a_request(at, POLICY, number=number),
        requester=person,
        ticket=Ticket(system="servicenow", id=ticket) if ticket else None,
    )
    reason = CloseReason.EXPIRED if status is Status.CLOSED else None
    grants = (
        a_grant_of(request, a_vm_of(number + i), index=i, status=status, close_reason=reason)
        for i in range(vms)
    )
    return StoredRequest(request, tuple(grants))


def list_live_rows(whole: StoredRequest) -> list[Row]:
    """Return the rows of a live request, as acceptance writes them."""
    own = name_machines(write_request_row(whole.request), (each.vm_id for each in whole.grants))
    return [own, *(write_grants_row([grant]) for grant in whole.grants)]


def list_old_rows(whole: StoredRequest, *, finished: bool = False) -> list[Row]:
    """Return the rows of a request as the version before wrote them: without its machines."""
    rows = write_history_rows(whole) if finished else list_live_rows(whole)
    own = {name: value for name, value in rows[0].values.items() if name != MACHINES}
    others = [_drop_columns(row) if finished else row for row in rows[1:]]
    return [replace(rows[0], values=own), *others]


def _drop_columns(row: Row) -> Row:
    kept = {
        name: value for name, value in row.values.items() if name not in {"Requester", "Ticket"}
    }
    return replace(row, values=kept)


def list_strangers(
    count: int, *, end: datetime, every: timedelta, finished: bool = False
) -> Iterator[Row]:
    """Yield the rows of another person's requests; only their ids differ."""
    like = a_whole_request(end, OTHER)
    rows = write_history_rows(close(like)) if finished else list_live_rows(like)
    for number in range(count):
        at, random = end - every * (count - number), number.to_bytes(10, "big")
        request_id = request_ids.make_request_id(SUBSCRIPTION, at, random)
        for row in rows:
            values = {name: _put_id(value, like, request_id) for name, value in row.values.items()}
            yield replace(row, key=_put_id(row.key, like, request_id), values=values)


def _put_id(value: Any, like: StoredRequest, request_id: str) -> Any:
    return value.replace(like.request.id, request_id) if isinstance(value, str) else value


def close(whole: StoredRequest) -> StoredRequest:
    """Return a request whose grants are closed."""
    closed = (
        replace(grant, status=Status.CLOSED, close_reason=CloseReason.EXPIRED)
        for grant in whole.grants
    )
    return StoredRequest(whole.request, tuple(closed))


def insert_rows(table: Table, rows: Iterable[Row]) -> None:
    """Insert rows, a hundred at once."""
    homes: dict[str, list[Op]] = {}
    for row in rows:
        homes.setdefault(row.partition, []).append(Op(Verb.INSERT, row))
    for ops in homes.values():
        for start in range(0, len(ops), 100):
            table.write(ops[start : start + 100])
