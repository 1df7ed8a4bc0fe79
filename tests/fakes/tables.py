"""
A table in memory, with the answers and limits of Azure Table Storage.

Limits: https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model,
https://learn.microsoft.com/rest/api/storageservices/querying-tables-and-entities and
https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions.
"""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from jit.domain.errors import Defect, StateConflict
from jit.storage.table import ROW_KEY, Op, Page, Row, Verb, Where
from tests.fakes.calls import Calls

PAGE = 1000
OPERATIONS = 100
COMPARISONS = 15
TEXT_BYTES = 64 * 1024  # UTF-16
ENTITY_BYTES = 1024 * 1024
TRANSACTION_BYTES = 4 * 1024 * 1024
KEY_BYTES = 1024
PROPERTIES = 252
_FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_NAME = re.compile(r"[^\W\d]\w{0,254}")
_RESERVED = {"PartitionKey", ROW_KEY, "Timestamp"}

_Keys = tuple[str, str]
_Rows = dict[_Keys, Row]


class FakeTable:
    """
    A ``Table`` without a service.

    Args:
        clock: The clock of the service, which dates the rows.
        calls: The counter of calls, with hooks.
        name: Comes before the method in the names of the calls: ``state.write``.
        scanned: The number of rows that the service reads for one page. If it is small, a page
            can be short or empty and still have a token, as in the real service.

    Attributes:
        transactions: The row keys of each transaction that was done, in order.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        calls: Calls | None = None,
        name: str = "table",
        scanned: int = PAGE,
    ) -> None:
        """Begin without rows."""
        self._clock = clock
        self._calls = calls or Calls()
        self._name = name
        self._scanned = scanned
        self._rows: _Rows = {}
        self._order: list[_Keys] = []
        self._is_ordered = True
        self._versions = 0
        self._lock = threading.Lock()
        self.transactions: list[tuple[str, ...]] = []

    def get(self, partition: str, key: str) -> Row | None:
        """Return one row; None if there is none."""
        with self._calls.call(f"{self._name}.get"):
            _check_keys(partition, key)
            with self._lock:
                row = self._rows.get((partition, key))
            return None if row is None else self._read(row)

    def query(self, where: Where, *, limit: int = PAGE, token: str | None = None) -> Page:
        """Return one page."""
        with self._calls.call(f"{self._name}.query"):
            _require(_count_comparisons(where) <= COMPARISONS, "a query has 15 comparisons at most")
            begin: _Keys = tuple(json.loads(token)) if token else ("", "")
            with self._lock:
                rows = [self._rows[keys] for keys in self._cut(where, begin)]
            return self._page([row for row in rows if _in_range(row, where)], where, limit)

    def write(self, ops: Sequence[Op]) -> tuple[str, ...]:
        """Do all of *ops*, or nothing."""
        with self._calls.call(f"{self._name}.write"):
            _check(ops)
            with self._lock:
                draft = dict(self._rows)
                etags = tuple(self._apply(op, draft) for op in ops)
                self._is_ordered &= self._rows.keys() == draft.keys()
                self._rows = draft
                self.transactions.append(tuple(op.row.key for op in ops))
            return etags

    def rows(self, prefix: str = "") -> tuple[Row, ...]:
        """Return every row whose key begins with *prefix*; the call is not counted."""
        with self._lock:
            found = [self._rows[keys] for keys in self._list_keys()]
        return tuple(row for row in found if row.key.startswith(prefix))

    def _list_keys(self) -> list[_Keys]:
        """Return the keys of all rows in order; they are sorted once after a row came or went."""
        if not self._is_ordered:
            self._order, self._is_ordered = sorted(self._rows), True
        return self._order

    def _cut(self, where: Where, begin: _Keys) -> Sequence[_Keys]:
        """Return the keys of the partition of *where* from *begin* on; all partitions if none."""
        keys = self._list_keys()
        if where.partition is None:
            return keys[bisect_left(keys, begin) :]
        first = max(begin, (where.partition, where.first))
        last = (where.partition, where.last) if where.last else (f"{where.partition}\0", "")
        return keys[bisect_left(keys, first) : bisect_left(keys, last)]

    def _page(self, rows: Sequence[Row], where: Where, limit: int) -> Page:
        scanned = rows[: self._scanned]
        matching = (index for index, row in enumerate(scanned) if _matches(row, where))
        taken = list(islice(matching, min(limit, PAGE)))
        more = next(matching, len(scanned))
        rest = rows[more] if more < len(rows) else None
        token = json.dumps([rest.partition, rest.key]) if rest is not None else None
        return Page(rows=tuple(self._read(rows[index]) for index in taken), token=token)

    def _read(self, row: Row) -> Row:
        return Row(
            partition=row.partition,
            key=row.key,
            values=row.values,
            etag=row.etag,
            written_at=row.written_at,
            read_at=self._clock().replace(microsecond=0),  # a Date header
        )

    def _apply(self, op: Op, draft: _Rows) -> str:
        keys = (op.row.partition, op.row.key)
        before = draft.get(keys)
        if op.verb is Verb.INSERT:
            if before is not None:
                raise StateConflict("the row exists")
        elif before is None or before.etag != op.row.etag:
            raise StateConflict("the row changed or is gone")
        if op.verb is Verb.DELETE:
            del draft[keys]
            return ""
        self._versions += 1
        etag = f"W/\"datetime'{self._versions}'\""
        partition, key, values = *keys, dict(op.row.values)
        draft[keys] = Row(
            partition=partition, key=key, values=values, etag=etag, written_at=self._clock()
        )
        return etag


def _in_range(row: Row, where: Where) -> bool:
    if where.partition is not None and row.partition != where.partition:
        return False
    return row.key >= where.first and not (where.last and row.key >= where.last)


def _count_comparisons(where: Where) -> int:
    bounds = (where.partition is not None) + bool(where.first) + bool(where.last)
    choices = sum(map(len, where.any_of.values()))
    return bounds + len(where.equal) + len(where.at_most) + choices + len(where.either)


def _matches(row: Row, where: Where) -> bool:
    named = {ROW_KEY: row.key, **row.values}
    if any(named.get(name) not in choice for name, choice in where.any_of.items()):
        return False
    if any(row.values.get(name) != value for name, value in where.equal.items()):
        return False
    either = where.either.items()
    if either and all(row.values.get(name) != value for name, value in either):
        return False
    found = ((row.values.get(name), limit) for name, limit in where.at_most.items())
    return all(isinstance(value, str) and value <= limit for value, limit in found)


def _check(ops: Sequence[Op]) -> None:
    keys = [(op.row.partition, op.row.key) for op in ops]
    _require(0 < len(ops) <= OPERATIONS, "a transaction has 1 to 100 operations")
    _require(len({partition for partition, _ in keys}) == 1, "a transaction has one partition")
    _require(len(set(keys)) == len(keys), "a transaction touches no row twice")
    sizes = [_size(op) for op in ops]
    _require(max(sizes) <= ENTITY_BYTES, "an entity has 1 MiB at most")
    _require(sum(sizes) <= TRANSACTION_BYTES, "a transaction has 4 MiB at most")
    versioned = all(op.row.etag for op in ops if op.verb is not Verb.INSERT)
    _require(versioned, "a write must name the version it saw")


def _size(op: Op) -> int:
    _check_keys(op.row.partition, op.row.key)
    keys = 4 + 2 * (len(op.row.partition) + len(op.row.key))
    if op.verb is Verb.DELETE:
        return keys
    _require(len(op.row.values) <= PROPERTIES, "an entity has 252 properties at most")
    return keys + sum(_properties(op.row.values))


def _properties(values: Mapping[str, str | int | bool]) -> Iterator[int]:
    for name, value in values.items():
        _require(_NAME.fullmatch(name) is not None, "a property's name is an identifier")
        _require(name not in _RESERVED, "the service's own properties are not ours")
        yield 8 + 2 * len(name) + _value_size(value)


def _value_size(value: object) -> int:
    if isinstance(value, str):
        size = len(value.encode("utf-16-le"))
        _require(size <= TEXT_BYTES, "a text has 64 KiB of UTF-16 at most")
        return size + 4
    if not isinstance(value, int):
        raise Defect("a property is text, an integer or a boolean")
    _require(-(2**31) <= value < 2**31, "an integer has 32 bits")
    return 4


def _check_keys(*keys: str) -> None:
    for key in keys:
        _require(_FORBIDDEN.search(key) is None, "a key holds no / \\ # ? and no control character")
        _require(len(key.encode("utf-16-le")) <= KEY_BYTES, "a key has 1 KiB at most")


def _require(held: bool, law: str) -> None:
    if not held:
        raise Defect(law)
