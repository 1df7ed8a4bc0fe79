"""Lists of names in sentences for people."""

from __future__ import annotations

from collections.abc import Iterable


def list_few(texts: Iterable[str], *, most: int = 5) -> str:
    """
    Return the *texts* as a list in words: ``22, 3389 and 5985``; ``a, b and 7 more``.

    Args:
        texts: Each is named once, in this order.
        most: How many are named; the others are counted.
    """
    found = list(dict.fromkeys(texts))
    named = found if len(found) <= most else [*found[: most - 1], f"{len(found) - most + 1} more"]
    *first, last = named or ["none"]
    return f"{', '.join(first)} and {last}" if first else last
