"""Reading a table to its end, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator

from jit.interfaces import Row, Table, Where

PAGE = 1000
"""Rows a query returns at most (Learn, "Query timeout and pagination")."""


def every(table: Table, where: Where, limit: int = PAGE) -> Iterator[Row]:
    """Yield the rows of *table* that *where* describes; *limit* is that of a page."""
    token: str | None = None
    while True:
        page = table.query(where, limit=limit, token=token)
        yield from page.rows
        token = page.token
        if token is None:
            return
