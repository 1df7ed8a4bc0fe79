"""
The same request twice is one grant; the same key with another body is an error.

The key's row is inserted before the request, with the request's id: whoever comes second, in the
same millisecond or after a crash, finishes or returns what the first began.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from jit.domain.errors import Conflict, StateConflict, Unavailable, Unknown, Violation
from jit.storage.keys import write_stamp
from jit.storage.table import Op, Row, Table, Verb, Where

KEPT = timedelta(days=7)
"""How long a caller's own key is remembered."""

KEPT_WITHOUT_KEY = timedelta(minutes=10)
"""How long the same body from the same caller counts as a repetition."""

_ATTEMPTS = 3
_SWEPT = 200  # rows; one call each, for callers are many and their rows few
_SWEPT_PAGES = 20  # a filter on a property makes pages short, or empty


@dataclass(frozen=True, slots=True)
class Slot:
    """What a key stands for: the id of the request, and whether somebody began it before."""

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
        Return the slot of *key*, or of *body* where the caller sent no key.

        Raises:
            Conflict: The key was used with another body.
            Unavailable: Storage did not answer, or the row kept changing.
        """
        digest = _digest(json.dumps(body, sort_keys=True))
        row = Row(
            partition=caller,
            key=_row_key(key, digest),
            values={
                "BodyHash": digest,
                "RequestId": new_id,
                "Until": write_stamp(now + (KEPT if key is not None else KEPT_WITHOUT_KEY)),
            },
        )
        for _ in range(_ATTEMPTS):
            slot = self._try(row, digest, now)
            if slot is not None:
                return slot
        raise Unavailable("the idempotency key kept changing")

    def find(self, caller: str, key: str | None, body: Mapping[str, object]) -> str | None:
        """Return the id of the request that *key* (or *body*) already stands for, if any."""
        digest = _digest(json.dumps(body, sort_keys=True))
        there = self._table.get(caller, _row_key(key, digest))
        if there is None or there.values["BodyHash"] != digest:
            return None
        return str(there.values["RequestId"])

    def _try(self, row: Row, digest: str, now: datetime) -> Slot | None:
        try:
            (etag,) = self._table.write([Op(Verb.INSERT, row)])
            return Slot(str(row.values["RequestId"]), _tagged(row, etag), repeated=False)
        except (StateConflict, Unknown):
            there = self._table.get(row.partition, row.key)
        if there is None:
            return None
        if str(there.values["Until"]) < write_stamp(now):
            return self._renew(_tagged(row, there.etag))
        if there.values["BodyHash"] != digest:
            detail = "this Idempotency-Key was used with another body"
            raise Conflict(detail, (Violation("#", "idempotency-key-reused", detail),))
        return Slot(str(there.values["RequestId"]), there, repeated=True)

    def _renew(self, row: Row) -> Slot | None:
        """Take over a row that has run out."""
        try:
            (etag,) = self._table.write([Op(Verb.REPLACE, row)])
        except StateConflict:
            return None
        return Slot(str(row.values["RequestId"]), _tagged(row, etag), repeated=False)

    def take(self, slot: Slot) -> Slot | None:
        """
        Take a slot over to decide under it; None if somebody was quicker, or freed it.

        The row says the same as before under a new ETag: whoever held it until now can neither
        free it nor take it back unseen.
        """
        return self._renew(slot.row)

    def replace(self, slot: Slot, new_id: str, now: datetime) -> Slot | None:
        """Let a slot whose request has ended stand for a new one; None if somebody was quicker."""
        until = write_stamp(now + KEPT_WITHOUT_KEY)
        values = {**slot.row.values, "RequestId": new_id, "Until": until}
        row = Row(partition=slot.row.partition, key=slot.row.key, values=values, etag=slot.row.etag)
        return self._renew(row)

    def sweep(self, *, now: datetime) -> int:
        """
        Delete keys that have run out, a bounded number; return how many were found.

        A key that is taken over meanwhile has another ETag and stays.
        """
        where = Where(at_most={"Until": write_stamp(now)})
        found: list[Row] = []
        token: str | None = None
        for _ in range(_SWEPT_PAGES):
            page = self._table.query(where, limit=_SWEPT, token=token)
            found += page.rows
            token = page.token
            if token is None or len(found) >= _SWEPT:
                break
        for row in found:
            self._drop(row)
        return len(found)

    def _drop(self, row: Row) -> bool:
        try:
            self._table.write([Op(Verb.DELETE, row)])
        except StateConflict:
            return False  # renewed, or dropped by somebody else
        return True

    def forget(self, slot: Slot) -> bool:
        """
        Free the key of a request that was refused: the caller may mend the body.

        Returns:
            False where somebody took it over meanwhile: it is theirs.
        """
        return self._drop(slot.row)


def _row_key(key: str | None, digest: str) -> str:
    return _digest(f"key {key}" if key is not None else f"body {digest}")


def _tagged(row: Row, etag: str) -> Row:
    return Row(partition=row.partition, key=row.key, values=row.values, etag=etag)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
