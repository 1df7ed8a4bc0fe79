"""
Requests with their grants, from acceptance to history.

Each write is a transaction of one partition under the ETags that were read, and carries the audit
rows of the change. If the answer to a write was lost, a read tells whether it happened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jit.domain.audit.event import Event
from jit.domain.errors import StateConflict, TooLarge, Unknown
from jit.domain.model.grant import Grant, Status
from jit.domain.model.request import Request
from jit.domain.values import arm_ids, request_ids
from jit.storage import keys
from jit.storage.history import History
from jit.storage.lists.machine_names import name_machines
from jit.storage.lists.request_batches import read_requests
from jit.storage.request_rows import (
    CALLER,
    DUE_AT,
    GRANTS_KIND,
    LAST_BEGUN,
    REQUEST_ID,
    REQUESTER,
    STATUS,
    TOMBSTONE_KIND,
    GrantSummary,
    parse_grant_row,
    parse_summary,
    parse_tombstone_row,
    read_by_machine,
    read_grant_row,
    read_request,
    read_tombstone_row,
    write_grants_row,
    write_request_row,
    write_tombstone_row,
)
from jit.storage.stored import (
    GrantRow,
    ReadableRows,
    StoredRequest,
    TombstoneRow,
    group_by_machine,
    merge_grants,
    sort_grants,
)
from jit.storage.table import (
    PAGE,
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
from jit.storage.trail.event_rows import pack_changes, write_event_row

TOMBSTONE_KEPT = timedelta(days=7)


class RequestStore:
    """Requests, grants and tombstones in ``JitState``, finished requests in ``JitHistory``."""

    def __init__(self, state: Table, history: History) -> None:
        """Keep unfinished requests in *state*; move closed ones to *history*."""
        self._state = state
        self.history = history

    # ---- requests --------------------------------------------------------------------------------

    def insert(
        self,
        request: Request,
        grants: Sequence[Grant],
        events: Iterable[Event],
        claims: Sequence[Op] = (),
    ) -> bool:
        """
        Store a new request with its grants: all of it or nothing.

        *claims* are operations on other rows of its caller, which stand first.

        Returns:
            False if the request was stored before: the answer to an earlier write was lost.

        Raises:
            StateConflict: Somebody else wrote a row of *claims* first. Nothing was stored.
            TooLarge: One transaction cannot hold it. Letters beyond ASCII take six times the room.
        """
        rows = [name_machines(write_request_row(request), (grant.vm_id for grant in grants))]
        rows += [write_grants_row(group) for group in group_by_machine(grants)]
        rows += [write_event_row(rows[0].partition, event) for event in events]
        ops = [*claims, *(Op(Verb.INSERT, row) for row in rows)]
        if not is_one_transaction(ops):
            raise TooLarge(
                "this is too much to store at once: send some machines as another request"
            )
        try:
            self._state.write(ops)
        except (StateConflict, Unknown):
            if self._state.get(rows[0].partition, rows[0].key) is None:
                raise
            return False
        return True

    def load(self, request_id: str) -> StoredRequest | None:
        """
        Return a request with its grants, live or from history; None if there is none.

        Raises:
            Defect: This version cannot read a row of it.
        """
        parsed = request_ids.parse_request_id(request_id)
        if parsed is None:
            return None
        row = self._state.get(parsed[0], keys.request_key(request_id))
        live = self._load_live(row, read_request(row)) if row is not None else None
        return live or self.history.load(*parsed, request_id)

    def _load_live(self, row: Row, request: Request) -> StoredRequest | None:
        """
        Return a live request with its rows of grants, each once; None if it is in history by now.

        Grants become tombstones after the row of their request is gone. So a row that is still
        there after the grants were read had all of them.
        """
        prefixes = dict.fromkeys(map(keys.grants_prefix, request.policies))  # ids differ in case
        rows = tuple(
            each for prefix in prefixes for each in self.list_grants(row.partition, prefix, request)
        )
        grants = tuple(grant for each in rows for grant in each.grants)
        found = StoredRequest(request, sort_grants(grants), row, rows)
        if found.status is Status.CLOSED and not self.is_live(row.partition, request.id):
            return None  # moved between the two reads, its grants perhaps only in part
        return found

    def find_request(self, request_id: str) -> Request | None:
        """Return a live request without its grants; None if this version cannot read it."""
        return self.find_requests([request_id])[request_id]

    def find_requests(self, ids: Collection[str]) -> Mapping[str, Request | None]:
        """Return such requests of one subscription by id, with few storage calls."""
        return read_requests(self._state, ids)

    def is_live(self, partition: str, request_id: str) -> bool:
        """Return True if the request's own row still is among the live ones."""
        return self._state.get(partition, keys.request_key(request_id)) is not None

    def list_ids_of(self, partition: str, person_id: str) -> frozenset[str]:
        """Return the ids of the live requests of one person in a subscription: one query."""
        first, last = keys.key_range(keys.REQUESTS)
        rows = self._read(partition, first, last, equal={REQUESTER: person_id})
        return frozenset(row.key.removeprefix(first) for row in rows)

    def list_ids_by(self, partition: str, person_id: str) -> frozenset[str]:
        """Return the ids of the live requests that a person has or has made: one query."""
        first, last = keys.key_range(keys.REQUESTS)
        either = {REQUESTER: person_id, CALLER: person_id}
        rows = read_all(
            self._state, Where(partition=partition, first=first, last=last, either=either)
        )
        return frozenset(row.key.removeprefix(first) for row in rows)

    # ---- grants ----------------------------------------------------------------------------------

    def list_grants(
        self, partition: str, prefix: str, request: Request | None = None
    ) -> tuple[GrantRow, ...]:
        """
        Return the rows of grants below *prefix*, of one request if given.

        Raises:
            Defect: This version cannot read one of them.
        """
        equal = {REQUEST_ID: request.id} if request else {}
        first, last = keys.key_range(prefix)
        return tuple(map(read_grant_row, self._read(partition, first, last, equal=equal)))

    def list_readable_grants(self, partition: str, prefix: str) -> ReadableRows[GrantRow]:
        """Return the rows of grants below *prefix*, without VMs that have an unreadable row."""
        rows = self._read(partition, *keys.key_range(prefix))
        return read_by_machine(GRANTS_KIND, rows, parse_grant_row)

    def list_policy_grants(self, policy_id: str) -> ReadableRows[GrantRow]:
        """Return the unfinished grants under a JIT policy, without VMs with an unreadable row."""
        partition = arm_ids.subscription(policy_id)
        return self.list_readable_grants(partition, keys.grants_prefix(policy_id))

    def has_grants(self, partition: str, prefix: str = keys.GRANTS) -> bool:
        """Return True if there are rows of grants below *prefix* that are not in history yet."""
        first, last = keys.key_range(prefix)
        return next(self._read(partition, first, last, limit=1), None) is not None

    def has_events(self, partition: str) -> bool:
        """Return True if audit rows of a subscription wait for their place in the chain."""
        first, last = keys.key_range(keys.OUTBOX)
        return next(self._read(partition, first, last, limit=1), None) is not None

    def summarize_due(self, policy_id: str, now: datetime) -> ReadableRows[GrantSummary]:
        """Return the columns of the rows of a policy's grants that are due by *now*."""
        first, last = keys.key_range(keys.grants_prefix(policy_id))
        at_most = {DUE_AT: keys.write_stamp(now)}
        rows = self._read(arm_ids.subscription(policy_id), first, last, at_most=at_most)
        return read_by_machine(GRANTS_KIND, rows, parse_summary)

    def find_due(
        self, policy_id: str, now: datetime, *, begun: bool = False
    ) -> GrantSummary | None:
        """Return a row of a policy's grants that is due by *now*; *begun* leaves new ones out."""
        first, last = keys.key_range(keys.grants_prefix(policy_id))
        at_most = {DUE_AT: keys.write_stamp(now)} | ({STATUS: LAST_BEGUN} if begun else {})
        rows = self._read(arm_ids.subscription(policy_id), first, last, at_most=at_most, limit=1)
        return next(GRANTS_KIND.read_all(rows, parse_summary), None)

    def list_due(self, partition: str, now: datetime) -> Iterator[GrantSummary]:
        """Yield the rows of grants that need work by *now*."""
        first, last = keys.key_range(keys.GRANTS)
        rows = self._read(partition, first, last, at_most={DUE_AT: keys.write_stamp(now)})
        yield from GRANTS_KIND.read_all(rows, parse_summary)

    def save(
        self, changes: Sequence[tuple[GrantRow, Sequence[Grant]]], events: Sequence[Event]
    ) -> tuple[GrantRow, ...]:
        """
        Write changed grants of one partition over the rows they were read from.

        Each row goes in one transaction with its audit rows. Several events share an audit row.

        Returns:
            The rows as written.

        Raises:
            StateConflict: Somebody wrote first; nothing of the failing transaction was written.
        """
        written: list[GrantRow] = []
        waiting = iter(changes)
        partition = changes[0][0].row.partition if changes else ""
        for ops, audit in pack_changes(_replace_rows(changes, events), partition):
            etags = self._state.write([*ops, *(Op(Verb.INSERT, row) for row in audit)])
            written += [
                GrantRow(replace(op.row, etag=etag), tuple(grants))
                for op, etag, (_, grants) in zip(ops, etags, waiting, strict=False)
            ]
        return tuple(written)

    # ---- the end ---------------------------------------------------------------------------------

    def archive(self, stored: StoredRequest, *, now: datetime) -> None:
        """
        Move a closed request: insert it into history, delete its row, write its tombstones.

        Each step may have happened before; repeating it changes nothing.
        """
        if stored.row is None or stored.status is not Status.CLOSED:
            return
        self.history.write(stored)
        self._delete(stored.row)
        self.write_tombstones(stored.rows, now=now)

    def _delete(self, row: Row) -> None:
        try:
            self._state.write([Op(Verb.DELETE, row)])
        except StateConflict:
            if self._state.get(row.partition, row.key) is not None:
                raise

    def write_tombstones(self, rows: Sequence[GrantRow], *, now: datetime) -> None:
        """
        Replace closed rows of grants by tombstones; one that is there already is merged.

        Raises:
            StateConflict: Somebody changed a row, or replaced it.
        """
        until = now + TOMBSTONE_KEPT
        bundles = [
            _exchange(each.row, write_tombstone_row(each.row, each.grants, until=until))
            for each in rows
        ]
        for pack in pack_bundles(bundles):
            try:
                self._state.write([op for bundle in pack for op in bundle])
            except StateConflict:
                merged = [self._merge(closed, stone, until) for closed, stone in pack]
                if merged == [list(bundle) for bundle in pack]:
                    raise
                for bundle in merged:
                    self._state.write(bundle)

    def _merge(self, closed: Op, stone: Op, until: datetime) -> list[Op]:
        """Return the exchange over the tombstone that is there, with the ids of both."""
        there = self._state.get(stone.row.partition, stone.row.key)
        if there is None:
            return [closed, stone]
        older, newer = read_tombstone_row(there).grants, read_grant_row(closed.row).grants
        row = write_tombstone_row(closed.row, merge_grants(older, newer), until=until)
        return _exchange(closed.row, replace(row, etag=there.etag))

    def list_tombstones(self, partition: str, prefix: str) -> ReadableRows[TombstoneRow]:
        """Return the tombstones below *prefix*, without VMs that have an unreadable one."""
        rows = self._read(partition, *keys.key_range(prefix))
        return read_by_machine(TOMBSTONE_KIND, rows, parse_tombstone_row)

    def delete_tombstones(self, stones: Iterable[TombstoneRow]) -> None:
        """Delete tombstones of one partition; a tombstone that somebody changed stays."""
        delete_rows(self._state, [stone.row for stone in stones])

    def _read(
        self,
        partition: str,
        first: str,
        last: str,
        *,
        limit: int = PAGE,
        **filters: Mapping[str, str],
    ) -> Iterator[Row]:
        where = Where(partition=partition, first=first, last=last, **filters)
        return read_all(self._state, where, limit)


def _replace_rows(
    changes: Iterable[tuple[GrantRow, Sequence[Grant]]], events: Iterable[Event]
) -> Iterator[tuple[Op, list[Event]]]:
    """Yield the write of each row of grants, with the events that are about these grants."""
    told: dict[str | None, list[Event]] = {}
    for event in events:
        told.setdefault(event.grant_id, []).append(event)
    for before, grants in changes:
        own = [event for grant in grants for event in told.get(grant.id, ())]
        yield Op(Verb.REPLACE, write_grants_row(grants, before.row)), own


def _exchange(row: Row, stone: Row) -> list[Op]:
    """Return the operations that replace a row of grants by its tombstone."""
    return [Op(Verb.DELETE, row), Op(Verb.REPLACE if stone.etag else Verb.INSERT, stone)]
