"""Pasts for the benchmarks: paths really opened, and a history of requests that never were."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from itertools import islice

from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes
from bench.stack.simulator import Simulator
from bench.traffic import access_requests
from jit import wiring
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.model.people import Person, Role
from jit.domain.requests.access_body import read_access_request
from jit.domain.requests.submission import Submission
from jit.domain.values import arm_ids, request_ids
from jit.storage.history import write_history_rows
from jit.storage.stored import StoredRequest
from jit.storage.table import Op, Verb

PERSON = Person(
    id="a11ce000-0000-4000-8000-000000000001", name="alice", roles=frozenset({Role.REQUESTER})
)
_MONTHS = 12
_TRANSACTION = 100
_OPENS_SECONDS = 120
_LOOK_SECONDS = 0.2


def open_paths(simulator: Simulator, groups: Sequence[Sequence[str]]) -> list[StoredRequest]:
    """
    Open both ports of the machines of each group, a request each, as the broker does.

    Args:
        simulator: Its clock is moved on until all is open.
        groups: VM ids, 90 at most each, all of one subscription.

    Raises:
        MeasurementFailed: They did not open.
    """
    asked = [ask(machines) for machines in groups]
    deadline = time.monotonic() + _OPENS_SECONDS
    while time.monotonic() < deadline:
        for policy in {policy for whole in asked for policy in whole.request.policies}:
            wiring.worker().work(policy, now=wiring.clock())
        known = [wiring.requests().load(whole.request.id) for whole in asked]
        opened = [whole for whole in known if whole is not None and _is_open(whole)]
        if len(opened) == len(asked):
            return opened
        simulator.advance("PT5S")
        time.sleep(_LOOK_SECONDS)  # gathering requests follows the storage service's own clock
    raise MeasurementFailed(f"{len(asked)} requests did not open")


def ask(machines: Sequence[str], ports: Sequence[int] = landscapes.PORTS) -> StoredRequest:
    """Ask for *ports* of each of *machines*, as one request."""
    body = access_requests.make_body(machines, ports)
    limits, now = wiring.settings().limits, wiring.clock()
    draft = read_access_request(body, now=now, limits=limits)
    submission = Submission(draft=draft, body=body, key=secrets.token_hex(8), caller=PERSON)
    return wiring.acceptance().accept(submission, now=now)


def _is_open(whole: StoredRequest) -> bool:
    return all(grant.status is Status.OPEN for grant in whole.grants)


def write_history(like: StoredRequest, rows: int) -> None:
    """Write *rows* rows of history: requests for one VM, like one of *like*'s, of the last year."""
    table = wiring.table(wiring.HISTORY)
    now = wiring.clock()
    pasts = [
        _make_month(like, now - timedelta(days=30 * month), rows // _MONTHS + 1)
        for month in range(_MONTHS)
    ]
    left = rows
    for past in pasts:
        ops = islice(past, left)
        while chunk := list(islice(ops, _TRANSACTION)):
            table.write(chunk)
            left -= len(chunk)


def _make_month(like: StoredRequest, when: datetime, rows: int) -> Iterator[Op]:
    """Yield inserts of at least *rows* rows, all of one month."""
    month = when.replace(day=1)
    subscription = arm_ids.subscription(like.grants[0].vm_id)
    made = 0
    while made < rows:
        created = month + timedelta(seconds=made)
        new_id = request_ids.make_request_id(subscription, created, secrets.token_bytes(10))
        finished = [
            Op(Verb.INSERT, row)
            for row in write_history_rows(_make_finished(like, new_id, created))
        ]
        yield from finished
        made += len(finished)


def _make_finished(like: StoredRequest, request_id: str, created: datetime) -> StoredRequest:
    request = replace(like.request, id=request_id, created_at=created, starts_at=created)
    return StoredRequest(request, (_make_closed(like.grants[0], request_id, created),))


def _make_closed(like: Grant, request_id: str, created: datetime) -> Grant:
    end = created + like.duration
    return replace(
        like,
        id=f"{request_id}-0-{like.port}",
        request_id=request_id,
        sources=(ip_network(access_requests.SOURCE),),
        status=Status.CLOSED,
        close_reason=CloseReason.EXPIRED,
        starts_at=created,
        expires_at=end,
        closed_at=end,
    )
