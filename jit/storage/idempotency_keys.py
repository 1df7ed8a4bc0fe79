"""
The same request twice is one grant; the same key with another body is an error.

The row of a key is inserted before the request, with the request's id. A second call, in the same
millisecond or after a crash, finishes or returns the request that the first call began.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit.domain.errors import Conflict, StateConflict, Unavailable, Unknown, Violation
from jit.storage.documents import INSTANT, Column, ColumnMap, RowKind, blank
from jit.storage.keys import write_stamp
from jit.storage.table import Op, Row, Table, Verb, Where

KEPT = timedelta(days=7)
"""How long a caller's own key is remembered."""

KEPT_WITHOUT_KEY = timedelta(minutes=10)
"""How long the same body from the same caller counts as a repetition."""

_KEPT_EXTENSION = timedelta(minutes=5)
_ATTEMPTS = 3
_SWEPT = 200  # rows; one call each, because callers are many and their rows few
_SWEPT_PAGES = 20  # a filter on a property makes pages short, or empty


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """
    A key as it is stored.

    Attributes:
        body_hash: SHA-256 of the body that the key was first used with, in hexadecimal.
        request_id: The request that the key stands for.
        until: When the key runs out.
        begun_at: When the call with it began; None if an older version wrote the key.
    """

    body_hash: str
    request_id: str
    until: datetime
    begun_at: datetime | None = None


UNTIL = "Until"

KEY_KIND = RowKind("idempotency keys")
KEY = ColumnMap(
    StoredKey,
    Column("BodyHash", "body_hash"),
    Column("RequestId", "request_id"),
    Column(UNTIL, "until", INSTANT),
    Column("BegunAt", "begun_at", blank(INSTANT), default=None),
)


@dataclass(frozen=True, slots=True)
class Use:
    """
    The kind of call that a key is for: one key of a caller may stand for a call of each kind.

    Attributes:
        name: Different for each kind.
        kept_without_key: How long the same body from the same caller counts as a repetition.
    """

    name: str
    kept_without_key: timedelta


ASKING = Use("", KEPT_WITHOUT_KEY)
"""The use of a key for ``POST access-requests``."""


def make_extension_use(request_id: str) -> Use:
    """Return the use of a key for extensions of a request."""
    return Use(f"extend {request_id} ", _KEPT_EXTENSION)


@dataclass(frozen=True, slots=True)
class RepeatableCall:
    """
    A call that its caller may repeat.

    Attributes:
        caller: Object id.
        key: The caller's ``Idempotency-Key``, if sent.
        body: As JSON; the order of its members does not matter.
    """

    caller: str
    key: str | None
    body: Mapping[str, object]
    use: Use = ASKING

    @property
    def body_hash(self) -> str:
        """SHA-256 of the body, in hexadecimal."""
        return _digest(json.dumps(self.body, sort_keys=True))

    @property
    def row_key(self) -> str:
        """The row key of the call's key, or of its body without one."""
        key = f"body {self.body_hash}" if self.key is None else f"key {self.key}"
        return _digest(f"{self.use.name}{key}")

    def find_end(self, now: datetime) -> datetime:
        """Return when the key runs out that is first used *now*."""
        return now + (self.use.kept_without_key if self.key is None else KEPT)


def read_key(row: Row) -> StoredKey:
    """
    Return the key of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return KEY_KIND.read(row, lambda stored: KEY.read(stored.values))


def write_key(place: Row, key: StoredKey) -> Row:
    """Return the row of a key, over the version *place*."""
    return replace(place, values=KEY_KIND.add_format(KEY.write(key)))


@dataclass(frozen=True, slots=True)
class Slot:
    """
    The row of a key, and the id of the request that it stands for.

    Attributes:
        repeated: True if an earlier call began the request.
    """

    request_id: str
    row: Row
    repeated: bool

    @property
    def begun_at(self) -> datetime | None:
        """When the first call with the key began, if this is known."""
        return read_key(self.row).begun_at

    @property
    def mark(self) -> str:
        """16 digits that tell this call, with its repetitions, from every other call."""
        return _digest(f"{self.row.key} {self.begun_at}")[:16]


class Idempotency:
    """Keys of callers, in ``JitIdempotency``."""

    def __init__(self, table: Table) -> None:
        """Use *table*."""
        self._table = table

    def begin(self, call: RepeatableCall, new_id: str, now: datetime) -> Slot:
        """
        Return the slot of the key of *call*, or of its body if the caller sent no key.

        Args:
            call: Maybe a repetition.
            new_id: The request that the key stands for, if the key is new.
            now: Aware, UTC.

        Raises:
            Conflict: The key was used with another body.
            Unavailable: Storage did not answer, or the row kept changing.
        """
        new = StoredKey(
            body_hash=call.body_hash, request_id=new_id, until=call.find_end(now), begun_at=now
        )
        row = write_key(Row(partition=call.caller, key=call.row_key, values={}), new)
        for _ in range(_ATTEMPTS):
            slot = self._try(row, new, now)
            if slot is not None:
                return slot
        raise Unavailable("the idempotency key kept changing")

    def find(self, call: RepeatableCall) -> str | None:
        """Return the id of the request that the key of *call* already stands for, if any."""
        there = self._table.get(call.caller, call.row_key)
        found = read_key(there) if there is not None else None
        return found.request_id if found and found.body_hash == call.body_hash else None

    def _try(self, row: Row, new: StoredKey, now: datetime) -> Slot | None:
        try:
            (etag,) = self._table.write([Op(Verb.INSERT, row)])
            return Slot(new.request_id, replace(row, etag=etag), repeated=False)
        except (StateConflict, Unknown):
            there = self._table.get(row.partition, row.key)
        if there is None:
            return None
        found = read_key(there)
        if found.until < now:
            return self._renew(replace(row, etag=there.etag))
        if found.body_hash != new.body_hash:
            detail = (
                f"this Idempotency-Key was used with another body, for request {found.request_id}:"
                " send that body, or another key"
            )
            raise Conflict(detail, (Violation("#", "idempotency-key-reused", detail),))
        return Slot(found.request_id, there, repeated=True)

    def _renew(self, row: Row) -> Slot | None:
        """Write a row over the version that it names; None if somebody else wrote it first."""
        try:
            (etag,) = self._table.write([Op(Verb.REPLACE, row)])
        except StateConflict:
            return None
        return Slot(read_key(row).request_id, replace(row, etag=etag), repeated=False)

    def take(self, slot: Slot) -> Slot | None:
        """
        Take a slot over to decide under it; None if somebody was quicker, or freed it.

        Write the row unchanged. The new ETag makes any later write of the previous owner fail.
        """
        return self._renew(slot.row)

    def reassign(self, slot: Slot, new_id: str, now: datetime) -> Slot | None:
        """Let a slot whose request has ended stand for a new one; None if somebody was quicker."""
        until = now + KEPT_WITHOUT_KEY
        key = replace(read_key(slot.row), request_id=new_id, until=until, begun_at=now)
        return self._renew(write_key(slot.row, key))

    def sweep(self, *, now: datetime) -> int:
        """
        Delete keys that have run out, a bounded number; return how many were found.

        A key that is taken over meanwhile has another ETag and stays.
        """
        where = Where(at_most={UNTIL: write_stamp(now)})
        found: list[Row] = []
        token: str | None = None
        for _ in range(_SWEPT_PAGES):
            page = self._table.query(where, limit=_SWEPT, token=token)
            found += page.rows
            token = page.token
            if token is None or len(found) >= _SWEPT:
                break
        for row in found:
            self._delete(row)
        return len(found)

    def _delete(self, row: Row) -> bool:
        try:
            self._table.write([Op(Verb.DELETE, row)])
        except StateConflict:
            return False  # renewed, or deleted by another process
        return True

    def forget(self, slot: Slot) -> bool:
        """
        Free the key of a request that was refused: the caller may mend the body.

        Returns:
            False if another call took the key over meanwhile.
        """
        return self._delete(slot.row)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
