"""
The same request twice is one grant; the same key with another body is an error.

The row of a key stands in the partition of its subscription, in the transaction that stores its
request. So both are there or neither is, and of several calls with one key the first one stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from jit.domain.errors import StateConflict, Unavailable, Unknown
from jit.storage import keys
from jit.storage.callers.earlier_keys import EarlierKeys
from jit.storage.callers.key_rows import (
    ENDING_KIND,
    KEY_KIND,
    RepeatableCall,
    StoredKey,
    make_digest,
    make_key,
    parse_ending,
    parse_key,
    read_key,
    write_ending,
    write_key,
)
from jit.storage.table import Op, Row, Table, Verb, Where, pack_bundles, read_all

_ATTEMPTS = 3
_SWEPT = 200  # ends of keys; one read for each key


@dataclass(frozen=True, slots=True)
class Slot:
    """
    The row of the key of an extension.

    Attributes:
        repeated: True if an earlier call began the extension.
        is_earlier: True if an older version wrote the row.
        ending: The end of the key, if this call wrote both; else the sweep finds it.
    """

    row: Row
    repeated: bool
    is_earlier: bool = False
    ending: Row | None = None

    @property
    def begun_at(self) -> datetime | None:
        """When the first call with the key began, if this is known."""
        return read_key(self.row).begun_at

    @property
    def mark(self) -> str:
        """16 digits that tell this call, with its repetitions, from every other call."""
        return make_digest(f"{self.row.key} {self.begun_at}")[:16]


class Idempotency:
    """Keys of callers, in ``JitState``; those of an older version in `EarlierKeys`."""

    def __init__(self, state: Table, earlier: EarlierKeys) -> None:
        """Keep keys in *state*, and honour *earlier* ones."""
        self._state = state
        self._earlier = earlier

    # ---- asking: the key is stored with its request ----------------------------------------------

    def find(self, call: RepeatableCall) -> tuple[Row, StoredKey] | None:
        """
        Return the key of *call* as it is stored, if it is. It may have run out.

        Raises:
            Defect: This version cannot read the row.
        """
        row = self._state.get(call.subscription, call.row_key)
        return (row, read_key(row)) if row is not None else None

    def find_earlier(self, call: RepeatableCall, now: datetime) -> StoredKey | None:
        """
        Return the key of *call*, if an older version stored it and it has not run out.

        Raises:
            Conflict: The key was used with another body.
        """
        found = self._earlier.find(call, now)
        return found[1] if found is not None else None

    def claim(
        self, call: RepeatableCall, request_id: str, now: datetime, over: Row | None = None
    ) -> tuple[Op, ...]:
        """
        Return the operations that store the key of *call* for a request; the key's row is first.

        Args:
            call: Not a repetition.
            request_id: The request that the same transaction stores.
            now: Aware, UTC.
            over: The row of the key as it was read, if it does not answer any more.
        """
        place = over or Row(partition=call.subscription, key=call.row_key, values={})
        row = write_key(place, make_key(call, request_id, now))
        verb = Verb.REPLACE if over is not None else Verb.INSERT
        return Op(verb, row), Op(Verb.INSERT, write_ending(row))

    # ---- extending: the key comes before the changes, which may be several transactions ----------

    def begin(self, call: RepeatableCall, request_id: str, now: datetime) -> Slot:
        """
        Return the slot of the key of *call*, or of its body if the caller sent no key.

        Args:
            call: Maybe a repetition.
            request_id: The request that it changes.
            now: Aware, UTC.

        Raises:
            Conflict: The key was used with another body.
            Unavailable: Storage did not answer, or the row kept changing.
        """
        earlier = self._earlier.find(call, now)
        if earlier is not None:
            return Slot(earlier[0], repeated=True, is_earlier=True)
        over: Row | None = None
        for _ in range(_ATTEMPTS):
            ops = self.claim(call, request_id, now, over)
            with suppress(StateConflict, Unknown):
                row, ending = (
                    replace(op.row, etag=etag)
                    for op, etag in zip(ops, self._state.write(ops), strict=True)
                )
                return Slot(row, repeated=False, ending=ending)
            found = self.find(call)
            if found is not None and not found[1].has_run_out(now):
                found[1].check_body(call)
                return Slot(found[0], repeated=True)
            over = found[0] if found is not None else None
        raise Unavailable("the idempotency key kept changing")

    def forget(self, slot: Slot) -> None:
        """
        Free the key of a call that was refused: the caller may mend the body.

        Its end goes with it: refused calls may be many, and a sweep takes a bounded number.
        """
        if slot.is_earlier:
            self._earlier.forget(slot.row)
            return
        rows = [slot.row] if slot.ending is None else [slot.row, slot.ending]
        self._delete([[Op(Verb.DELETE, row)] for row in rows])

    # ---- keys that have run out ------------------------------------------------------------------

    def sweep(self, partition: str, *, now: datetime) -> int:
        """
        Delete keys of a subscription that have run out, a bounded number.

        The cost depends on how many have run out since the last call, and on nothing else. A key
        that is used anew meanwhile has another ETag and stays.

        Returns:
            The number of ends of keys that were found.
        """
        first, _ = keys.key_range(keys.ENDINGS)
        last = f"{first}{keys.write_stamp(now)}"
        rows = read_all(self._state, Where(partition=partition, first=first, last=last), _SWEPT)
        ends = list(
            islice(ENDING_KIND.read_all(rows, lambda row: (row, parse_ending(row))), _SWEPT)
        )
        by_key: dict[str, list[Row]] = {}
        for row, ending in ends:
            by_key.setdefault(ending.row_key, []).append(row)
        bundles = (
            bundle
            for row_key, found in by_key.items()
            for bundle in self._list_deletions(partition, row_key, found, now)
        )
        for pack in pack_bundles(bundles):
            self._delete(pack)
        return len(ends)

    def has_keys(self, partition: str) -> bool:
        """Return True if keys of a subscription are still remembered."""
        first, last = keys.key_range(keys.ENDINGS)
        rows = read_all(self._state, Where(partition=partition, first=first, last=last), 1)
        return next(rows, None) is not None

    def sweep_earlier(self, *, now: datetime) -> int:
        """Delete keys of an older version that have run out; return how many were found."""
        return self._earlier.sweep(now=now)

    def _list_deletions(
        self, partition: str, row_key: str, ends: list[Row], now: datetime
    ) -> Iterator[list[Op]]:
        """
        Yield the deletions of the *ends* of one key, the first one with that of the key.

        A key that this version cannot read stays with its ends: a newer version finds it by them.
        """
        deletions = [[Op(Verb.DELETE, row)] for row in ends]
        row = self._state.get(partition, row_key)
        if row is not None:
            found = next(KEY_KIND.read_all([row], parse_key), None)
            if found is None:
                return
            if found.has_run_out(now):
                deletions[0].append(Op(Verb.DELETE, row))
        yield from deletions

    def _delete(self, pack: list[Sequence[Op]]) -> None:
        """Do deletions in one transaction; if somebody was quicker with one, each alone."""
        try:
            self._state.write([op for bundle in pack for op in bundle])
        except StateConflict:
            for bundle in pack:
                with suppress(StateConflict):
                    self._state.write(bundle)
