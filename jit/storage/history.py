"""Finished requests, by subscription and the month of their creation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jit.domain.errors import StateConflict, Unknown
from jit.domain.values import request_ids
from jit.storage import keys
from jit.storage.lists.machine_names import name_machines
from jit.storage.request_rows import (
    CALLER,
    REQUESTER,
    TICKET,
    read_grants,
    read_request,
    write_grants,
    write_request,
)
from jit.storage.stored import StoredRequest, group_by_machine, sort_grants
from jit.storage.table import Op, Row, Table, Verb, Where, pack_ops, read_all


class History:
    """The table ``JitHistory``."""

    def __init__(self, table: Table) -> None:
        """Keep requests in *table*."""
        self._table = table

    def load(self, partition: str, created: datetime, request_id: str) -> StoredRequest | None:
        """
        Return a finished request; None if history has no such id.

        Raises:
            Defect: This version cannot read a row of it.
        """
        first, last = keys.key_range(request_id)
        home = build_month_partition(partition, created)
        return read_history_rows(
            list(read_all(self._table, Where(partition=home, first=first, last=last)))
        )

    def write(self, stored: StoredRequest) -> None:
        """
        Keep a closed request; if it is there already, it is the same, kept before.

        A large request takes several transactions. The last one holds its own row: until then the
        request is not in history, and still among the live ones.
        """
        request, *grants = write_history_rows(stored)
        for ops in pack_ops(Op(Verb.INSERT, row) for row in (*grants, request)):
            self._insert(ops)

    def _insert(self, ops: Sequence[Op]) -> None:
        try:
            self._table.write(ops)
        except (StateConflict, Unknown):
            missing = [op for op in ops if self._table.get(op.row.partition, op.row.key) is None]
            if len(missing) == len(ops):
                raise
            if missing:
                self._table.write(missing)


def build_month_partition(subscription: str, moment: datetime) -> str:
    """Return the partition of requests whose ids were made in the month of *moment*."""
    return f"{subscription}|{moment:%Y-%m}"


def write_history_rows(stored: StoredRequest) -> list[Row]:
    """
    Return the rows of a finished request: its own first, then its grants, a row a VM.

    Their month is that of the id, because a look-up knows nothing else. All have the columns by
    which a list chooses, so that one query returns a request with its grants.
    """
    request = stored.request
    created = request_ids.parse_request_id(request.id) or ("", request.created_at)
    home = build_month_partition(*created)
    own = Row(partition=home, key=f"{request.id}|", values=write_request(request))
    rows = [name_machines(own, (grant.vm_id for grant in stored.grants))]
    names = (REQUESTER, CALLER, TICKET)
    same = {name: own.values[name] for name in names if name in own.values}
    for number, group in enumerate(group_by_machine(stored.grants)):
        key = f"{request.id}|{number:03d}"
        rows.append(Row(partition=home, key=key, values={**same, **write_grants(group)}))
    return rows


def read_history_rows(rows: Sequence[Row]) -> StoredRequest | None:
    """
    Read the rows of ``write_history_rows``; None if there are none, or not all of them yet.

    Raises:
        Defect: This version cannot read one of them.
    """
    if not has_own_row(rows):
        return None
    grants = tuple(grant for row in rows[1:] for grant in read_grants(row))
    return StoredRequest(read_request(rows[0]), sort_grants(grants))


def has_own_row(rows: Sequence[Row]) -> bool:
    """Return False if the request is not in history yet: its own row is written last."""
    return bool(rows) and rows[0].key.endswith("|")
