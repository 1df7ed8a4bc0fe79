"""Tables of rows with ETags and transactions, as the broker uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from jit.domain.errors import Defect, StateConflict

PAGE = 1000
"""Rows a query returns at most (Learn, "Query timeout and pagination")."""

COMPARISONS = 15
"""Comparisons that the filter of a query has at most (Learn, "Querying tables and entities")."""

ROW_KEY = "RowKey"
"""The name of the key where a query chooses rows by it, as if it were a property."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One entity of a table.

    Attributes:
        partition: PartitionKey.
        key: RowKey.
        values: Properties: strings, integers, booleans. Instants are ISO text, so that text order
            is time order.
        etag: Opaque tag of the version that was read; empty on a row to be inserted.
        written_at: The service's clock when this version was written.
        read_at: The service's clock when it was read.
    """

    partition: str
    key: str
    values: Mapping[str, str | int | bool]
    etag: str = ""
    written_at: datetime | None = None
    read_at: datetime | None = None


class Verb(Enum):
    """The effect of an operation on its row."""

    INSERT = "insert"  # fails if it exists
    REPLACE = "replace"  # fails unless the row still has the etag
    DELETE = "delete"  # the same


@dataclass(frozen=True, slots=True)
class Op:
    """One operation of a transaction; all operations of it share a partition."""

    verb: Verb
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows of a query in key order; *token* continues it, None at its end."""

    rows: tuple[Row, ...]
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """
    The rows that a query selects, in one partition or in all.

    Attributes:
        partition: PartitionKey; None asks every partition.
        first: Smallest RowKey, inclusive.
        last: Largest RowKey, exclusive.
        equal: Properties that must have these values.
        at_most: Text properties that must be at most these values.
        any_of: Properties, or `ROW_KEY`, that must have one of these values.
        either: Properties of which one at least must have its value.

    All together are at most `COMPARISONS`; a partition, a first and a last key are one each.
    """

    partition: str | None = None
    first: str = ""
    last: str = ""
    equal: Mapping[str, str] = field(default_factory=dict)
    at_most: Mapping[str, str] = field(default_factory=dict)
    any_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    either: Mapping[str, str] = field(default_factory=dict)


class Table(Protocol):
    """
    One table with ETags and entity-group transactions.

    Every method raises ``Unavailable`` when the service does not answer or asks to wait, and
    ``Unknown`` when a write may or may not have happened.
    """

    def get(self, partition: str, key: str) -> Row | None:
        """Return one row; None if there is none."""

    def query(self, where: Where, *, limit: int = 1000, token: str | None = None) -> Page:
        """Return one page of at most *limit* rows, a page of 1,000 at most."""

    def write(self, ops: Sequence[Op]) -> tuple[str, ...]:
        """
        Do 1 to 100 operations in one partition: all or nothing.

        Returns:
            The etag of each row as written; an empty string for a deleted one.

        Raises:
            StateConflict: A row exists that should not, has another etag, or is gone.
        """


def read_all(table: Table, where: Where, limit: int = PAGE) -> Iterator[Row]:
    """Yield the rows of *table* that *where* describes; *limit* is that of a page."""
    token: str | None = None
    while True:
        page = table.query(where, limit=limit, token=token)
        yield from page.rows
        token = page.token
        if token is None:
            return


# ---- transactions --------------------------------------------------------------------------------

OPERATIONS = 100
"""The most that a transaction takes (Learn, "Performing entity group transactions")."""

BYTES = 3 * 1024 * 1024
"""Of the 4 MiB that a transaction takes. The rest is for the envelope of each row."""

_MOST_BYTES = 4 * 1024 * 1024 - 64 * 1024
"""The most that one transaction is tried with. Its names of properties need the rest."""

Bundle = Sequence[Op]
"""Operations that belong together: all of them in one transaction."""


def pack_bundles(bundles: Iterable[Bundle]) -> Iterator[list[Bundle]]:
    """
    Yield *bundles* in order, in groups of as many as fit one transaction.

    A bundle that is too large by itself is a group of its own: the service refuses it.
    """
    group: list[Bundle] = []
    count = size = 0
    for bundle in bundles:
        more = sum(map(measure_op, bundle))
        if group and (count + len(bundle) > OPERATIONS or size + more > BYTES):
            yield group
            group, count, size = [], 0, 0
        group.append(bundle)
        count, size = count + len(bundle), size + more
    if group:
        yield group


def pack_ops(ops: Iterable[Op]) -> Iterator[list[Op]]:
    """Yield independent operations in order, in groups that fit one transaction each."""
    for group in pack_bundles([op] for op in ops):
        yield [op for bundle in group for op in bundle]


def is_one_transaction(ops: Sequence[Op]) -> bool:
    """Return True if one transaction can hold operations that cannot be split."""
    return len(ops) <= OPERATIONS and sum(map(measure_op, ops)) <= _MOST_BYTES


def write_replaceable(table: Table, ops: Iterable[Op]) -> list[Row]:
    """
    Write rows of one partition; if somebody else has changed a row, that version stays.

    Returns:
        The rows that the table refuses to hold.
    """
    refused: list[Row] = []
    for group in pack_ops(ops):
        try:
            table.write(group)
        except (StateConflict, Defect):
            refused += [op.row for op in group if not _write_alone(table, op)]
    return refused


def _write_alone(table: Table, op: Op) -> bool:
    """Return False if the table refuses the row; a row that somebody changed meanwhile is fine."""
    try:
        table.write([op])
    except StateConflict:
        return True
    except Defect:
        return False
    return True


def delete_rows(table: Table, rows: Iterable[Row]) -> None:
    """
    Delete rows of one partition; a row that is gone or that somebody changed is left alone.

    Raises:
        Defect: The table refuses to delete a row.
    """
    if write_replaceable(table, [Op(Verb.DELETE, row) for row in rows]):
        raise Defect("the table refuses to delete rows")


def measure_op(op: Op) -> int:
    """Return the bytes of an operation's texts as the service stores them, UTF-16."""
    texts = [op.row.partition, op.row.key]
    if op.verb is not Verb.DELETE:
        texts += [value for value in op.row.values.values() if isinstance(value, str)]
    return 2 * sum(map(len, texts))
