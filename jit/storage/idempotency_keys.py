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
from jit.storage.documents import INSTANT, Column, ColumnMap, RowKind
from jit.storage.keys import write_stamp
from jit.storage.table import Op, Row, Table, Verb, Where

KEPT = timedelta(days=7)
"""How long a caller's own key is remembered."""

KEPT_WITHOUT_KEY = timedelta(minutes=10)
"""How long the same body from the same caller counts as a repetition."""

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
    """

    body_hash: str
    request_id: str
    until: datetime


UNTIL = "Until"

KEY_KIND = RowKind("idempotency keys")
KEY = ColumnMap(
    StoredKey,
    Column("BodyHash", "body_hash"),
    Column("RequestId", "request_id"),
    Column(UNTIL, "until", INSTANT),
)


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


class Idempotency:
    """Keys of callers, in ``JitIdempotency``."""

    def __init__(self, table: Table) -> None:
        """Use *table*."""
        self._table = table

    def begin(
        self, caller: str, key: str | None, body: Mapping[str, object], new_id: str, now: datetime
    ) -> Slot:
        """
        Return the slot of *key*, or of *body* if the caller sent no key.

        Raises:
            Conflict: The key was used with another body.
            Unavailable: Storage did not answer, or the row kept changing.
        """
        digest = _digest(json.dumps(body, sort_keys=True))
        until = now + (KEPT if key is not None else KEPT_WITHOUT_KEY)
        new = StoredKey(body_hash=digest, request_id=new_id, until=until)
        row = write_key(Row(partition=caller, key=_row_key(key, digest), values={}), new)
        for _ in range(_ATTEMPTS):
            slot = self._try(row, new, now)
            if slot is not None:
                return slot
        raise Unavailable("the idempotency key kept changing")

    def find(self, caller: str, key: str | None, body: Mapping[str, object]) -> str | None:
        """Return the id of the request that *key* (or *body*) already stands for, if any."""
        digest = _digest(json.dumps(body, sort_keys=True))
        there = self._table.get(caller, _row_key(key, digest))
        found = read_key(there) if there is not None else None
        return found.request_id if found is not None and found.body_hash == digest else None

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
            detail = "this Idempotency-Key was used with another body"
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
        key = replace(read_key(slot.row), request_id=new_id, until=now + KEPT_WITHOUT_KEY)
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


def _row_key(key: str | None, digest: str) -> str:
    return _digest(f"key {key}" if key is not None else f"body {digest}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
