"""Finished requests, by subscription and the month in which they were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from jit.domain.errors import StateConflict, Unknown
from jit.domain.values import request_ids
from jit.storage import keys
from jit.storage.request_rows import read_grants, read_request, write_grants, write_request
from jit.storage.stored import StoredRequest, group_by_machine, sort_grants
from jit.storage.table import Op, Row, Table, Verb, Where, read_all
from jit.storage.transactions import packed


class History:
    """The table ``JitHistory``."""

    def __init__(self, table: Table) -> None:
        """Keep requests in *table*."""
        self._table = table

    def load(self, partition: str, created: datetime, request_id: str) -> StoredRequest | None:
        """Return a finished request; None if there is none of that id."""
        first, last = keys.key_range(request_id)
        rows = read_all(
            self._table,
            Where(partition=history_partition(partition, created), first=first, last=last),
        )
        return whole_from_history(list(rows))

    def remember(self, whole: StoredRequest) -> None:
        """
        Keep a closed request; one that is there already is the same, kept before.

        A large one takes several transactions, its own row in the last: until then it is not
        there, and still among the live ones.
        """
        request, *grants = history_rows(whole)
        for pack in packed([Op(Verb.INSERT, row)] for row in (*grants, request)):
            self._insert([op for bundle in pack for op in bundle])

    def _insert(self, ops: Sequence[Op]) -> None:
        try:
            self._table.write(ops)
        except (StateConflict, Unknown):
            missing = [op for op in ops if self._table.get(op.row.partition, op.row.key) is None]
            if len(missing) == len(ops):
                raise
            if missing:
                self._table.write(missing)

    def month(self, partition: str, month: datetime, *, after: str = "") -> Iterator[StoredRequest]:
        """Yield the finished requests of a subscription that were created in one month."""
        first = keys.keys_after(after) if after else ""
        rows = read_all(
            self._table, Where(partition=history_partition(partition, month), first=first)
        )
        group: list[Row] = []
        for row in rows:
            if group and _request_key(row) != _request_key(group[0]):
                yield from filter(None, (whole_from_history(group),))
                group = []
            group.append(row)
        yield from filter(None, (whole_from_history(group),))


def history_partition(subscription: str, moment: datetime) -> str:
    """Return the partition of requests whose ids were made in *moment*'s month."""
    return f"{subscription}|{moment:%Y-%m}"


def history_rows(whole: StoredRequest) -> list[Row]:
    """
    Return the rows of a finished request: itself first, then its grants, a row a VM.

    Their month is that of the id, because whoever looks them up has nothing else.
    """
    created = whole.request.created_at
    home = history_partition(*(request_ids.parse_request_id(whole.request.id) or ("", created)))
    rows = [
        Row(
            partition=home,
            key=f"{whole.request.id}|",
            values=write_request(whole.request),
        )
    ]
    for number, group in enumerate(group_by_machine(whole.grants)):
        key = f"{whole.request.id}|{number:03d}"
        rows.append(Row(partition=home, key=key, values=write_grants(group)))
    return rows


def whole_from_history(rows: Sequence[Row]) -> StoredRequest | None:
    """Read what ``history_rows`` wrote; None where there is nothing, or not all of it yet."""
    if not rows or rows[0].key != _request_key(rows[0]):  # its own row is written last
        return None
    request = read_request(rows[0])
    grants = tuple(grant for row in rows[1:] for grant in read_grants(row))
    return StoredRequest(request, sort_grants(grants))


def _request_key(row: Row) -> str:
    return f"{row.key.split('|', 1)[0]}|"
