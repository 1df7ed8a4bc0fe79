"""
The broker's memory: requests, grants, inventory, turns, history, over tables.

Every write is a transaction of one partition under the ETags that were read, and carries the
audit rows of what it changes. A write whose answer was lost is resolved by reading.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from jit import records, telemetry
from jit.domain import armid
from jit.domain.audit import Event
from jit.domain.errors import Defect, StateConflict, Unknown
from jit.domain.model import Grant, Request, Status, VirtualMachine
from jit.history import History
from jit.interfaces import Op, Row, Table, Verb, Where
from jit.scan import every
from jit.whole import Held, Whole, by_machine, in_order

TOMBSTONE_KEPT = timedelta(days=7)
_OPERATIONS = 100  # the most that a transaction takes
_CHARACTERS = 1_500_000  # of the rows of one; the service takes 4 MiB
_NAMED = 5
_CHUNK = 45  # a delete and an insert each, below the 100 operations of a transaction
_made = itertools.count()  # audit rows of this process


class Store:
    """Requests and what belongs to them, in ``JitState`` and ``JitHistory``."""

    def __init__(self, state: Table, history: Table) -> None:
        """Use these two tables."""
        self._state = state
        self.history = History(history)

    # ---- requests --------------------------------------------------------------------------

    def insert(self, request: Request, grants: Sequence[Grant], events: Iterable[Event]) -> bool:
        """
        Store a new request with its grants: all of it or nothing.

        A request that is there already is fine: it is the same one, stored before.

        Returns:
            False where what is stored may be somebody else's version: read it.
        """
        rows = [records.request_row(request)]
        rows += [records.grants_row(group) for group in by_machine(grants)]
        ops = [Op(Verb.INSERT, row) for row in rows]
        ops += [Op(Verb.INSERT, audit_row(rows[0].partition, event)) for event in events]
        try:
            self._state.write(ops)
        except (StateConflict, Unknown):
            if self._state.get(rows[0].partition, rows[0].key) is None:
                raise
            return False
        return True

    def load(self, request_id: str) -> Whole | None:
        """Return a request with its grants, live or from history; None if there is none."""
        parsed = armid.parse_request_id(request_id)
        if parsed is None:
            return None
        return self._live(parsed[0], request_id) or self.history.load(*parsed, request_id)

    def _live(self, partition: str, request_id: str) -> Whole | None:
        row = self._state.get(partition, records.request_key(request_id))
        if row is None:
            return None
        request = records.request_of(json.loads(str(row.values["Doc"])))
        return self.whole(row, request)

    def whole(self, row: Row, request: Request) -> Whole:
        """Return a live request together with its rows of grants."""
        held = tuple(
            item
            for policy in request.policies
            for item in self.grants(row.partition, records.grants_prefix(policy), request.id)
        )
        grants = tuple(grant for item in held for grant in item.grants)
        return Whole(request, in_order(grants), row, held)

    def grants(
        self, partition: str, prefix: str, request_id: str | None = None
    ) -> tuple[Held, ...]:
        """Return the rows of grants below *prefix*, of one request if given."""
        first, last = records.span(prefix)
        equal = {"Request": request_id} if request_id else {}
        where = Where(partition=partition, first=first, last=last, equal=equal)
        return tuple(Held(row, records.grants_of(row)) for row in every(self._state, where))

    def of_policy(self, policy_id: str) -> tuple[Held, ...]:
        """Return the unfinished grants under a JIT policy."""
        return self.grants(armid.subscription(policy_id), records.grants_prefix(policy_id))

    def grant_rows(self, policy_id: str) -> Iterator[Row]:
        """Yield a policy's rows of grants unread: their columns tell status and when due."""
        first, last = records.span(records.grants_prefix(policy_id))
        partition = armid.subscription(policy_id)
        yield from every(self._state, Where(partition=partition, first=first, last=last))

    def first_due(self, policy_id: str, now: datetime, *, begun: bool = False) -> Row | None:
        """Return a row of a policy's grants that is due by *now*; *begun*: no new one."""
        first, last = records.span(records.grants_prefix(policy_id))
        at_most = {"DueAt": records.stamp(now)} | ({"Status": records.LAST_BEGUN} if begun else {})
        where = Where(
            partition=armid.subscription(policy_id), first=first, last=last, at_most=at_most
        )
        return next(every(self._state, where, 1), None)

    def due(self, partition: str, now: datetime) -> Iterator[Row]:
        """Yield the rows of grants that need somebody by *now*."""
        where = Where(
            partition=partition, first="g|", last="g}", at_most={"DueAt": records.stamp(now)}
        )
        yield from every(self._state, where)

    def save(
        self, changes: Sequence[tuple[Held, Sequence[Grant]]], events: Sequence[Event]
    ) -> tuple[Held, ...]:
        """
        Write changed grants of one partition over the rows they were read from.

        Each row goes in one transaction with the audit rows of its request.

        Returns:
            The rows as written.

        Raises:
            StateConflict: Somebody wrote first; nothing of the failing transaction was written.
        """
        written: list[Held] = []
        for chunk in _chunks(changes, events):
            ops = [
                Op(Verb.REPLACE, records.grants_row(grants, held.row))
                for (held, grants), _ in chunk
            ]
            audits = [
                Op(Verb.INSERT, audit_row(ops[0].row.partition, event))
                for _, group in chunk
                for event in group
            ]
            etags = self._state.write([*ops, *audits])
            written += [
                Held(replace(op.row, etag=etag), tuple(grants))
                for op, etag, ((_, grants), _) in zip(ops, etags, chunk, strict=False)
            ]
        return tuple(written)

    def finish(self, whole: Whole, *, now: datetime) -> None:
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

    def bury(self, rows: Sequence[Held], *, now: datetime) -> None:
        """Turn closed rows of grants into tombstones."""
        for start in range(0, len(rows), _CHUNK):
            ops: list[Op] = []
            for held in rows[start : start + _CHUNK]:
                stone = records.tombstone_row(held.row, held.grants, until=now + TOMBSTONE_KEPT)
                ops += [Op(Verb.DELETE, held.row), Op(Verb.INSERT, stone)]
            self._state.write(ops)

    def request(self, request_id: str) -> Request | None:
        """Return a live request without its grants."""
        partition, _ = armid.parse_request_id(request_id) or ("", None)
        row = self._state.get(partition, records.request_key(request_id))
        return records.request_of(json.loads(str(row.values["Doc"]))) if row else None

    def audit(self, request_id: str, event: Event) -> None:
        """
        Record an event that changes no row.

        The subscription of a refused request may be any that a caller could think of: those never
        looked after share one outbox, for nobody drains so many.
        """
        named, _ = armid.parse_request_id(request_id) or ("", None)
        partition = named if self.knows(named) else records.ELSEWHERE
        self._state.write([Op(Verb.INSERT, audit_row(partition, event))])

    def record(self, partition: str, events: Sequence[Event]) -> None:
        """Record events of a subscription that belong to no request: 1 to 100, all or none."""
        self._state.write([Op(Verb.INSERT, audit_row(partition, event)) for event in events])

    def is_live(self, partition: str, request_id: str) -> bool:
        """Tell whether the request's own row still is among the live ones."""
        return self._state.get(partition, records.request_key(request_id)) is not None

    def tombstones(self, partition: str, prefix: str) -> tuple[Held, ...]:
        """Return the tombstones below *prefix* (``t`` for all of the subscription)."""
        first, last = records.span(prefix)
        where = Where(partition=partition, first=first, last=last)
        return tuple(Held(row, records.grants_of(row)) for row in every(self._state, where))

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
        return tuple(islice(every(self._state, where, limit), limit))

    def note(self, partition: str, events: Sequence[Event]) -> None:
        """Record events of a subscription that change no row, 100 at most."""
        self._state.write([Op(Verb.INSERT, audit_row(partition, event)) for event in events])

    # ---- subscriptions -----------------------------------------------------------------------

    def known(self) -> tuple[str, ...]:
        """Return the subscriptions looked after so far: wherever there are grants, and more."""
        where = Where(partition=records.KNOWN)
        return tuple(str(row.values["Subscription"]) for row in every(self._state, where))

    def knows(self, subscription: str) -> bool:
        """Tell whether a subscription has been looked after so far."""
        row = records.known_row(subscription)
        return self._state.get(row.partition, row.key) is not None

    def know(self, subscription: str) -> None:
        """Remember for good that a subscription is looked after."""
        if self.knows(subscription):
            return
        try:
            self._state.write([Op(Verb.INSERT, records.known_row(subscription))])
        except StateConflict:
            return  # another instance, a moment earlier

    def has_grants(self, subscription: str) -> bool:
        """Tell whether a subscription has grants that were not moved to history yet."""
        where = Where(partition=subscription, first="g|", last="g}")
        return next(every(self._state, where, 1), None) is not None

    # ---- the inventory -----------------------------------------------------------------------

    def machine(self, vm_id: str) -> VirtualMachine | None:
        """Return a VM of the inventory; None if it was never seen."""
        row = self._state.get(armid.subscription(vm_id), records.machine_key(vm_id))
        return records.machine_of(row) if row is not None else None

    def machines(self, partition: str) -> tuple[tuple[Row, VirtualMachine], ...]:
        """Return the whole inventory of a subscription."""
        where = Where(partition=partition, first="v|", last="v}")
        return tuple((row, records.machine_of(row)) for row in every(self._state, where))

    def remember_machines(
        self, partition: str, found: Iterable[VirtualMachine], *, complete: bool
    ) -> None:
        """
        Bring the inventory up to date; *complete* drops the VMs that were not found.

        Another instance writing the same row at the same time has read Azure at the same time:
        its row is as good as ours. A VM that no row can hold is left out, with an event: who needs
        it reads Azure, and the others must not wait for it.
        """
        self.know(partition)  # before anything can be accepted there: the timer looks where we know
        old = {row.key: row for row, _ in self.machines(partition)}
        ops: list[Op] = []
        left_out: list[str] = []
        for vm in found:
            before = old.pop(records.machine_key(vm.id), None)
            row = records.machine_row(vm, partition, etag=before.etag if before else "")
            if not records.fits(row):
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
        for chunk in _transactions(ops):
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

    # ---- rows of control ---------------------------------------------------------------------

    def control(self, partition: str, key: str) -> Row | None:
        """Return a controller or turn row."""
        return self._state.get(partition, key)

    def put_control(self, row: Row) -> Row:
        """Insert or replace a controller or turn row under its ETag; return it as written."""
        verb = Verb.REPLACE if row.etag else Verb.INSERT
        (etag,) = self._state.write([Op(verb, row)])
        return replace(row, etag=etag)

    # ---- lists -------------------------------------------------------------------------------

    def live_requests(self, partition: str, *, after: str = "") -> Iterator[tuple[Row, Request]]:
        """Yield the live requests of a subscription, oldest first, those behind *after*."""
        first = f"{records.request_key(after)}!" if after else "r|"  # "!" sorts before any id
        for row in every(self._state, Where(partition=partition, first=first, last="r}")):
            yield row, records.request_of(json.loads(str(row.values["Doc"])))


_Change = tuple[tuple[Held, Sequence[Grant]], list[Event]]


def _chunks(
    changes: Sequence[tuple[Held, Sequence[Grant]]], events: Sequence[Event]
) -> Iterator[list[_Change]]:
    """Yield changes with their events in groups that fit a transaction."""
    chunk: list[_Change] = []
    size = 0
    for held, grants in changes:
        names = {grant.id for grant in grants}
        mine = [event for event in events if event.grant_id in names]
        if chunk and size + 1 + len(mine) > _OPERATIONS:
            yield chunk
            chunk, size = [], 0
        chunk.append(((held, grants), mine))
        size += 1 + len(mine)
    if chunk:
        yield chunk


def _remembering(row: Row, before: Row | None) -> list[Op]:
    """Return what brings a VM's row up to date; one that does not fit takes the old one away."""
    if not records.fits(row):
        return [Op(Verb.DELETE, before)] if before is not None else []
    if before is None:
        return [Op(Verb.INSERT, row)]
    same = records.document(before) == records.document(row)
    return [] if same else [Op(Verb.REPLACE, row)]


def _transactions(ops: Sequence[Op]) -> Iterator[list[Op]]:
    """Yield operations in groups that fit a transaction, by number and by size."""
    chunk: list[Op] = []
    size = 0
    for op in ops:
        length = sum(len(str(value)) for value in op.row.values.values())
        if chunk and (len(chunk) == _OPERATIONS or size + length > _CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(op)
        size += length
    if chunk:
        yield chunk


def audit_row(partition: str, event: Event) -> Row:
    """Return the outbox row of an event; its key sorts by time, then as made, and never repeats."""
    order = f"{next(_made):012d}"  # of one instant, and one process: a cause before its effect
    return Row(
        partition=partition,
        key=f"a|{records.stamp(event.at)}|{order}|{secrets.token_hex(8)}",
        values={"Doc": json.dumps(event.doc())},
    )
