"""
Earlier keys: those that an older version wrote, in the table ``JitIdempotency``.

They are honoured until they run out, at most seven days after the update. Nothing is written there
any more, so the table is soon empty; while it is, nobody reads it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from jit.domain.errors import StateConflict
from jit.domain.values import request_ids
from jit.storage.callers.key_rows import UNTIL, RepeatableCall, StoredKey, read_key
from jit.storage.keys import write_stamp
from jit.storage.table import Op, Row, Table, Verb, Where

_EMPTY_FOR = timedelta(minutes=1)
"""So long an empty table counts as empty: a process of the older version may still write."""

_SWEPT = 200  # rows; one call each, because callers are many and their rows few
_SWEPT_PAGES = 20  # a filter on a property makes pages short, or empty


class EarlierKeys:
    """Keys in ``JitIdempotency``, in the partition of their caller."""

    def __init__(self, table: Table) -> None:
        """Use *table*."""
        self._table = table
        self._empty_until: datetime | None = None

    def find(self, call: RepeatableCall, now: datetime) -> tuple[Row, StoredKey] | None:
        """
        Return the key of *call*, if one was written for its subscription and has not run out.

        Raises:
            Conflict: The key was used with another body.
            Defect: This version cannot read the row.
        """
        if self._is_empty(now):
            return None
        row = self._table.get(call.caller, call.digest)
        if row is None:
            return None
        found = read_key(row)
        owner, _ = request_ids.parse_request_id(found.request_id) or ("", None)
        if found.has_run_out(now) or owner != call.subscription:
            return None
        found.check_body(call)
        return row, found

    def _is_empty(self, now: datetime) -> bool:
        """Return True if the table has no rows; an empty one is asked once a minute."""
        if self._empty_until is not None and now < self._empty_until:
            return True
        page = self._table.query(Where(), limit=1)
        if page.rows or page.token is not None:
            return False
        self._empty_until = now + _EMPTY_FOR
        return True

    def forget(self, row: Row) -> None:
        """Free a key, unless somebody changed its row."""
        self._delete(row)

    def sweep(self, *, now: datetime) -> int:
        """Delete keys that have run out, a bounded number; return how many were found."""
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

    def _delete(self, row: Row) -> None:
        try:
            self._table.write([Op(Verb.DELETE, row)])
        except StateConflict:
            return  # renewed, or deleted by another process
