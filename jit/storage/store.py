"""
The broker's memory: requests, grants, inventory, turns, history, over tables.

Every write is a transaction of one partition under the ETags that were read, and carries the
audit rows of what it changes. A write whose answer was lost is resolved by reading.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from jit import telemetry
from jit.domain.audit.event import Event
from jit.domain.errors import Defect, StateConflict, Unknown
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VirtualMachine
from jit.domain.model.request import Request
from jit.domain.values import arm_ids, request_ids
from jit.storage import keys, machine_rows, request_rows
from jit.storage.control_rows import ControlRows
from jit.storage.documents import read_text, write_document
from jit.storage.history import History
from jit.storage.request_rows import DUE_AT, REQUEST_ID
from jit.storage.stored import (
    GrantRow,
    StoredRequest,
    TombstoneRow,
    group_by_machine,
    merge_grants,
    sort_grants,
)
from jit.storage.table import Op, Row, Table, Verb, Where, read_all
from jit.storage.transactions import packed

TOMBSTONE_KEPT = timedelta(days=7)
_NAMED = 5
_made = itertools.count()  # audit rows of this process


class Store:
    """Requests and what belongs to them, in ``JitState`` and ``JitHistory``."""

    def __init__(self, state: Table, history: Table) -> None:
        """Use these two tables."""
        self._state = state
        self.history = History(history)
        self.controls = ControlRows(state)

    # ---- requests --------------------------------------------------------------------------

    def insert(self, request: Request, grants: Sequence[Grant], events: Iterable[Event]) -> bool:
        """
        Store a new request with its grants: all of it or nothing.

        A request that is there already is fine: it is the same one, stored before.

        Returns:
            False where what is stored may be somebody else's version: read it.
        """
        rows = [request_rows.write_request_row(request)]
        rows += [request_rows.write_grants_row(group) for group in group_by_machine(grants)]
        ops = [Op(Verb.INSERT, row) for row in rows]
        ops += [Op(Verb.INSERT, audit_row(rows[0].partition, event)) for event in events]
        try:
            self._state.write(ops)
        except (StateConflict, Unknown):
            if self._state.get(rows[0].partition, rows[0].key) is None:
                raise
            return False
        return True

    def load(self, request_id: str) -> StoredRequest | None:
        """Return a request with its grants, live or from history; None if there is none."""
        parsed = request_ids.parse_request_id(request_id)
        if parsed is None:
            return None
        return self._live(parsed[0], request_id) or self.history.load(*parsed, request_id)

    def _live(self, partition: str, request_id: str) -> StoredRequest | None:
        row = self._state.get(partition, keys.request_key(request_id))
        if row is None:
            return None
        request = request_rows.read_request(row)
        return self.whole(row, request)

    def whole(self, row: Row, request: Request) -> StoredRequest | None:
        """
        Return a live request with its rows of grants, each once; None if it is in history by now.

        Its grants are buried after its row is gone: a row that stands still had all of them.
        """
        prefixes = dict.fromkeys(map(keys.grants_prefix, request.policies))  # not of spellings
        held = tuple(
            item for prefix in prefixes for item in self.grants(row.partition, prefix, request.id)
        )
        grants = tuple(grant for item in held for grant in item.grants)
        found = StoredRequest(request, sort_grants(grants), row, held)
        if found.status is Status.CLOSED and not self.is_live(row.partition, request.id):
            return None  # moved between the two reads, its grants perhaps only in part
        return found

    def grants(
        self, partition: str, prefix: str, request_id: str | None = None
    ) -> tuple[GrantRow, ...]:
        """Return the rows of grants below *prefix*, of one request if given."""
        first, last = keys.key_range(prefix)
        equal = {REQUEST_ID: request_id} if request_id else {}
        where = Where(partition=partition, first=first, last=last, equal=equal)
        return tuple(request_rows.read_grant_row(row) for row in read_all(self._state, where))

    def of_policy(self, policy_id: str) -> tuple[GrantRow, ...]:
        """Return the unfinished grants under a JIT policy."""
        return self.grants(arm_ids.subscription(policy_id), keys.grants_prefix(policy_id))

    def grant_rows(self, policy_id: str) -> Iterator[Row]:
        """Yield a policy's rows of grants unread: their columns tell status and when due."""
        first, last = keys.key_range(keys.grants_prefix(policy_id))
        partition = arm_ids.subscription(policy_id)
        yield from read_all(self._state, Where(partition=partition, first=first, last=last))

    def first_due(self, policy_id: str, now: datetime, *, begun: bool = False) -> Row | None:
        """Return a row of a policy's grants that is due by *now*; *begun*: no new one."""
        first, last = keys.key_range(keys.grants_prefix(policy_id))
        at_most = {request_rows.DUE_AT: keys.write_stamp(now)} | (
            {request_rows.STATUS: request_rows.LAST_BEGUN} if begun else {}
        )
        where = Where(
            partition=arm_ids.subscription(policy_id), first=first, last=last, at_most=at_most
        )
        return next(read_all(self._state, where, 1), None)

    def due(self, partition: str, now: datetime) -> Iterator[Row]:
        """Yield the rows of grants that need somebody by *now*."""
        where = Where(
            partition=partition,
            first="g|",
            last="g}",
            at_most={DUE_AT: keys.write_stamp(now)},
        )
        yield from read_all(self._state, where)

    def save(
        self, changes: Sequence[tuple[GrantRow, Sequence[Grant]]], events: Sequence[Event]
    ) -> tuple[GrantRow, ...]:
        """
        Write changed grants of one partition over the rows they were read from.

        Each row goes in one transaction with the audit rows of its request.

        Returns:
            The rows as written.

        Raises:
            StateConflict: Somebody wrote first; nothing of the failing transaction was written.
        """
        written: list[GrantRow] = []
        waiting = iter(changes)
        for pack in packed(_bundle(held, grants, events) for held, grants in changes):
            ops = [bundle[0] for bundle in pack]
            etags = self._state.write([*ops, *(op for bundle in pack for op in bundle[1:])])
            written += [
                GrantRow(replace(op.row, etag=etag), tuple(grants))
                for op, etag, (_, grants) in zip(ops, etags, waiting, strict=False)
            ]
        return tuple(written)

    def finish(self, whole: StoredRequest, *, now: datetime) -> None:
        """
        Move a closed request to history: insert, forget the request, bury its grants.

        Each step may have happened before; repeating it changes nothing.
        """
        if whole.row is None or whole.status is not Status.CLOSED:
            return
        self.history.remember(whole)
        self._forget(whole.row)
        self.bury(whole.rows, now=now)

    def _forget(self, row: Row) -> None:
        try:
            self._state.write([Op(Verb.DELETE, row)])
        except StateConflict:
            if self._state.get(row.partition, row.key) is not None:
                raise

    def bury(self, rows: Sequence[GrantRow], *, now: datetime) -> None:
        """
        Turn closed rows of grants into tombstones; one that stands already learns what is new.

        Raises:
            StateConflict: Somebody changed a row, or buried it.
        """
        until = now + TOMBSTONE_KEPT
        bundles = [
            _burial(held.row, request_rows.write_tombstone_row(held.row, held.grants, until=until))
            for held in rows
        ]
        for pack in packed(bundles):
            try:
                self._state.write([op for bundle in pack for op in bundle])
            except StateConflict:
                over = [self._over(held, stone, until) for held, stone in pack]
                if over == [list(bundle) for bundle in pack]:
                    raise
                for bundle in over:
                    self._state.write(bundle)

    def _over(self, held: Op, stone: Op, until: datetime) -> list[Op]:
        """Return a burial over the tombstone that stands there, with all that both know."""
        there = self._state.get(stone.row.partition, stone.row.key)
        if there is None:
            return [held, stone]
        grants = merge_grants(
            request_rows.read_tombstone_row(there).grants, request_rows.read_grants(held.row)
        )
        row = request_rows.write_tombstone_row(held.row, grants, until=until)
        return _burial(held.row, replace(row, etag=there.etag))

    def request(self, request_id: str) -> Request | None:
        """Return a live request without its grants."""
        partition, _ = request_ids.parse_request_id(request_id) or ("", None)
        row = self._state.get(partition, keys.request_key(request_id))
        return request_rows.read_request(row) if row else None

    def record(self, partition: str, events: Sequence[Event]) -> None:
        """Record events of a subscription that belong to no request: 1 to 100, all or none."""
        self._state.write([Op(Verb.INSERT, audit_row(partition, event)) for event in events])

    def is_live(self, partition: str, request_id: str) -> bool:
        """Tell whether the request's own row still is among the live ones."""
        return self._state.get(partition, keys.request_key(request_id)) is not None

    def tombstones(self, partition: str, prefix: str) -> tuple[TombstoneRow, ...]:
        """Return the tombstones below *prefix* (``t`` for all of the subscription)."""
        first, last = keys.key_range(prefix)
        where = Where(partition=partition, first=first, last=last)
        return tuple(request_rows.read_tombstone_row(row) for row in read_all(self._state, where))

    def drop(self, rows: Sequence[Row]) -> None:
        """
        Delete rows of one partition in transactions; what is gone already is fine.

        So is what somebody else changed meanwhile: it is not the row that was to go.
        """
        if self._write_cache([Op(Verb.DELETE, row) for row in rows]):
            raise Defect("the table refuses to let go of rows")

    def outbox(self, partition: str, *, limit: int) -> tuple[Row, ...]:
        """Return the oldest audit rows of a subscription that no drainer has taken yet."""
        where = Where(partition=partition, first="a|", last="a}")
        return tuple(islice(read_all(self._state, where, limit), limit))

    def note(self, partition: str, events: Sequence[Event]) -> None:
        """Record events of a subscription that change no row, 100 at most."""
        self._state.write([Op(Verb.INSERT, audit_row(partition, event)) for event in events])

    def has_grants(self, subscription: str) -> bool:
        """Tell whether a subscription has grants that were not moved to history yet."""
        where = Where(partition=subscription, first="g|", last="g}")
        return next(read_all(self._state, where, 1), None) is not None

    # ---- the inventory -----------------------------------------------------------------------

    def machine(self, vm_id: str) -> VirtualMachine | None:
        """Return a VM of the inventory; None if it was never seen."""
        row = self._state.get(arm_ids.subscription(vm_id), keys.machine_key(vm_id))
        return machine_rows.read_machine(row) if row is not None else None

    def machines(self, partition: str) -> tuple[tuple[Row, VirtualMachine], ...]:
        """Return the whole inventory of a subscription."""
        where = Where(partition=partition, first="v|", last="v}")
        return tuple((row, machine_rows.read_machine(row)) for row in read_all(self._state, where))

    def remember_machines(
        self, partition: str, found: Iterable[VirtualMachine], *, complete: bool
    ) -> None:
        """
        Bring the inventory up to date; *complete* drops the VMs that were not found.

        Another instance writing the same row at the same time has read Azure at the same time:
        its row is as good as ours. A VM that no row can hold is left out, with an event: who needs
        it reads Azure, and the others must not wait for it.
        """
        old = {row.key: row for row, _ in self.machines(partition)}
        ops: list[Op] = []
        left_out: list[str] = []
        for vm in found:
            before = old.pop(keys.machine_key(vm.id), None)
            row = machine_rows.write_machine_row(vm, partition, etag=before.etag if before else "")
            if machine_rows.is_too_large(row):
                left_out.append(vm.id)
            ops += _remembering(row, before)
        if complete:
            ops += [Op(Verb.DELETE, row) for row in old.values()]
        left_out += [str(row.values["Vm"]) for row in self._write_cache(ops)]
        if left_out:
            count, examples = len(left_out), left_out[:_NAMED]
            telemetry.warning(
                "machines.not_kept", subscription=partition, count=count, examples=examples
            )

    def _write_cache(self, ops: Sequence[Op]) -> list[Row]:
        """Write rows of which a newer version is as good; return those that the table refuses."""
        refused: list[Row] = []
        for pack in packed([op] for op in ops):
            chunk = [op for bundle in pack for op in bundle]
            try:
                self._state.write(chunk)
            except (StateConflict, Defect):
                refused += [op.row for op in chunk if not self._write_cached(op)]
        return refused

    def _write_cached(self, op: Op) -> bool:
        try:
            self._state.write([op])
        except StateConflict:
            return True  # another instance wrote it just now
        except Defect:
            return False
        return True

    # ---- lists -------------------------------------------------------------------------------

    def live_requests(self, partition: str, *, after: str = "") -> Iterator[tuple[Row, Request]]:
        """Yield the live requests of a subscription, oldest first, those behind *after*."""
        first = f"{keys.request_key(after)}!" if after else "r|"  # "!" sorts before any id
        for row in read_all(self._state, Where(partition=partition, first=first, last="r}")):
            yield row, request_rows.read_request(row)


def _bundle(held: GrantRow, grants: Sequence[Grant], events: Sequence[Event]) -> list[Op]:
    """Return the write of one row of grants, then those of its audit rows."""
    row = request_rows.write_grants_row(grants, held.row)
    names = {grant.id for grant in grants}
    mine = [event for event in events if event.grant_id in names]
    return [
        Op(Verb.REPLACE, row),
        *(Op(Verb.INSERT, audit_row(row.partition, event)) for event in mine),
    ]


def _burial(row: Row, stone: Row) -> list[Op]:
    """Return what puts a tombstone in the place of a row, over the version that it names."""
    return [Op(Verb.DELETE, row), Op(Verb.REPLACE if stone.etag else Verb.INSERT, stone)]


def _remembering(row: Row, before: Row | None) -> list[Op]:
    """Return what brings a VM's row up to date; one that does not fit takes the old one away."""
    if machine_rows.is_too_large(row):
        return [Op(Verb.DELETE, before)] if before is not None else []
    if before is None:
        return [Op(Verb.INSERT, row)]
    same = read_text(before) == read_text(row)
    return [] if same else [Op(Verb.REPLACE, row)]


def audit_row(partition: str, event: Event) -> Row:
    """Return the outbox row of an event; its key sorts by time, then as made, and never repeats."""
    order = f"{next(_made):012d}"  # of one instant, and one process: a cause before its effect
    return Row(
        partition=partition,
        key=f"a|{keys.write_stamp(event.at)}|{order}|{secrets.token_hex(8)}",
        values=write_document(event.doc()),
    )
