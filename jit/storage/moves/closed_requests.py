"""
Closed requests move to history, several at a time.

Alone, the move of a request costs nine calls of storage. The requests of a crowd on one VM port end
together. So they move together: two queries for each dozen, and a few transactions for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from jit.domain.errors import Defect, StateConflict, Unknown
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.history import write_history_rows
from jit.storage.request_rows import REQUEST_KIND, parse_request, write_tombstone_row
from jit.storage.request_store import TOMBSTONE_KEPT
from jit.storage.stored import GrantRow, StoredRequest, sort_grants
from jit.storage.table import (
    COMPARISONS,
    ROW_KEY,
    Bundle,
    Op,
    Row,
    Table,
    Verb,
    Where,
    delete_rows,
    is_one_transaction,
    pack_bundles,
    read_all,
)

_AT_ONCE = COMPARISONS - 3  # keys of a query, beside its partition and its range


class ClosedRequests:
    """Closed requests, each with its rows of grants under one JIT policy."""

    def __init__(self, state: Table, history: Table) -> None:
        """Move requests from *state* to *history*."""
        self._state = state
        self._history = history

    def move(self, groups: Sequence[Sequence[GrantRow]], *, now: datetime) -> Iterator[str]:
        """
        Move requests; yield the id of each one that moved, as soon as it has.

        First the places among their persons' live requests are deleted: history may be away. Then
        the requests are inserted into history, and their rows are exchanged for tombstones.

        Each request whose id does not come must move alone: it has grants under another policy, or
        cannot be read, or is too large for one transaction, or somebody wrote a row of it, or the
        answer of the table was lost.

        Args:
            groups: For each request, all its rows of grants under a policy. All are closed.
            now: Aware, UTC.

        Raises:
            Unavailable: Storage did not answer. Each request is live, or in history, or both.
        """
        partition = groups[0][0].row.partition
        whole = [each for each in self._read(partition, groups) if _has_one_exchange(each, now)]
        places = self._find_rows(partition, map(_name_place, whole))
        delete_rows(self._state, places.values())
        kept = set(_write_apart(self._history, map(_insert_in_history, whole)))
        there = (stored for stored in whole if stored.request.id in kept)
        yield from _write_apart(self._state, (_exchange_rows(each, now) for each in there))

    def _read(
        self, partition: str, groups: Sequence[Sequence[GrantRow]]
    ) -> Iterator[StoredRequest]:
        """Yield the requests that are live, can be read, and have no grants but *groups*."""
        by_key = {keys.request_key(rows[0].request_id): tuple(rows) for rows in groups}
        for row in self._find_rows(partition, by_key).values():
            rows = by_key[row.key]
            try:
                request = REQUEST_KIND.read(row, parse_request)
            except Defect:  # it moves alone, which raises the alert
                continue
            policies = set(map(arm_ids.key, request.policies))
            if policies == {arm_ids.key(rows[0].policy_id)}:
                grants = sort_grants(grant for each in rows for grant in each.grants)
                yield StoredRequest(request, grants, row, rows)

    def _find_rows(self, partition: str, wanted: Iterable[str]) -> dict[str, Row]:
        """Return the rows that are there by their keys."""
        ordered = sorted(wanted)
        found: dict[str, Row] = {}
        for first in range(0, len(ordered), _AT_ONCE):
            some = ordered[first : first + _AT_ONCE]
            where = Where(
                partition=partition, first=some[0], last=f"{some[-1]} ", any_of={ROW_KEY: some}
            )
            found |= {row.key: row for row in read_all(self._state, where)}
        return found


def _insert_in_history(stored: StoredRequest) -> tuple[str, Bundle]:
    """Return a request's id with the inserts of its rows into history, its own row last."""
    own, *grants = write_history_rows(stored)
    return stored.request.id, [Op(Verb.INSERT, row) for row in (*grants, own)]


def _name_place(stored: StoredRequest) -> str:
    return keys.own_request_key(stored.request.requester.id, stored.request.id)


def _has_one_exchange(stored: StoredRequest, now: datetime) -> bool:
    """Return True if one transaction can exchange the rows of a request."""
    _, exchange = _exchange_rows(stored, now)
    return is_one_transaction(exchange)


def _exchange_rows(stored: StoredRequest, now: datetime) -> tuple[str, Bundle]:
    """Return a request's id with the operations that put tombstones in place of its rows."""
    gone = (stored.row, *(each.row for each in stored.rows))
    stones = (
        write_tombstone_row(each.row, each.grants, until=now + TOMBSTONE_KEPT)
        for each in stored.rows
    )
    deletes = [Op(Verb.DELETE, row) for row in gone if row is not None]
    return stored.request.id, [*deletes, *(Op(Verb.INSERT, stone) for stone in stones)]


def _write_apart(table: Table, bundles: Iterable[tuple[str, Bundle]]) -> Iterator[str]:
    """
    Write *bundles*, by the ids of their requests, as many in a transaction as fit.

    Yields the ids of the bundles that were written. If somebody wrote a row of a bundle, or the
    table refuses one, nothing of its transaction is. If the answer was lost, it may be.
    """
    by_partition: dict[str, list[tuple[str, Bundle]]] = {}
    for item in bundles:
        by_partition.setdefault(item[1][0].row.partition, []).append(item)
    for items in by_partition.values():
        ids = iter([request_id for request_id, _ in items])
        for pack in pack_bundles(bundle for _, bundle in items):
            some = [next(ids) for _ in pack]
            try:
                table.write([op for bundle in pack for op in bundle])
            except (StateConflict, Unknown, Defect):
                continue
            yield from some
