"""Rows of several live requests, read with as few storage calls as their ids allow."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from jit.domain.model.request import Request
from jit.domain.values import request_ids
from jit.storage import keys
from jit.storage.request_rows import REQUEST_KIND, parse_request
from jit.storage.table import PAGE, Row, Table, Where

FEW = 4
"""So many requests are read one by one: a query may return rows of others, too."""


def read_requests(table: Table, ids: Collection[str]) -> dict[str, Request | None]:
    """
    Return live requests without their grants, by id; None for one that is gone or unreadable.

    People who ask at the same time have ids that follow each other. So one query gets most of them:
    a page from the first id on. The rest is read one by one.

    Args:
        table: ``JitState``.
        ids: Ids of requests of one subscription.
    """
    rows: dict[str, Row] = {}
    if len(ids) > FEW:
        rows = {row.key: row for row in _query(table, ids)}
    found: dict[str, Request | None] = {}
    for request_id in ids:
        partition, key = _read_partition(request_id), keys.request_key(request_id)
        row = rows.get(key) or table.get(partition, key)
        found[request_id] = next(REQUEST_KIND.read_all([row] if row else [], parse_request), None)
    return found


def _query(table: Table, ids: Iterable[str]) -> tuple[Row, ...]:
    """Return a page of the rows of live requests from the first to the last of *ids*."""
    wanted = sorted(ids)
    first, last = keys.request_key(wanted[0]), keys.request_key(wanted[-1])
    where = Where(partition=_read_partition(wanted[0]), first=first, last=f"{last}~")
    return table.query(where, limit=PAGE).rows


def _read_partition(request_id: str) -> str:
    return (request_ids.parse_request_id(request_id) or ("", None))[0]
