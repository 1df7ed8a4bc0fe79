"""Operations in groups that a transaction of Table Storage can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from jit.storage.table import Op, Verb

OPERATIONS = 100
"""The most that a transaction takes (Learn, "Performing entity group transactions")."""

BYTES = 3 * 1024 * 1024
"""Of the 4 MiB that a transaction takes; the rest is for what a request wraps its rows in."""

Bundle = Sequence[Op]
"""Operations that belong together: all of them in one transaction."""


def packed(bundles: Iterable[Bundle]) -> Iterator[list[Bundle]]:
    """
    Yield *bundles* in order, in groups of as many as fit one transaction.

    A bundle that is too much by itself is a group of its own: the service refuses it.
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


def _size(op: Op) -> int:
    """Return the bytes of an operation's texts as the service stores them, UTF-16."""
    texts = [op.row.partition, op.row.key]
    if op.verb is not Verb.DELETE:
        texts += [value for value in op.row.values.values() if isinstance(value, str)]
    return 2 * sum(map(len, texts))
