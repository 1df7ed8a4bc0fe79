"""Operations in groups that a transaction of Table Storage can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from jit.domain.errors import Defect, StateConflict
from jit.storage.table import Op, Row, Table, Verb

OPERATIONS = 100
"""The most that a transaction takes (Learn, "Performing entity group transactions")."""

BYTES = 3 * 1024 * 1024
"""Of the 4 MiB that a transaction takes. The rest is for the envelope of each row."""

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
        more = sum(map(_size, bundle))
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


def _size(op: Op) -> int:
    """Return the bytes of an operation's texts as the service stores them, UTF-16."""
    texts = [op.row.partition, op.row.key]
    if op.verb is not Verb.DELETE:
        texts += [value for value in op.row.values.values() if isinstance(value, str)]
    return 2 * sum(map(len, texts))
