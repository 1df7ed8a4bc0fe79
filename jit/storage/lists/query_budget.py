"""The budget of a page: the storage calls that may still be made for it."""

from __future__ import annotations

from dataclasses import dataclass

from jit.storage.table import PAGE, Page, Row, Table, Where

PAGE_QUERIES = 12
"""Storage calls for one page of a list, at most."""


@dataclass(slots=True)
class QueryBudget:
    """
    Counts the storage calls for one page.

    Attributes:
        left: The calls that are left; below zero if a page had to go on to get anywhere.
    """

    left: int = PAGE_QUERIES

    def query(
        self, table: Table, where: Where, token: str | None = None, *, limit: int = PAGE
    ) -> Page:
        """Return one page of a query, which costs one call."""
        self.left -= 1
        return table.query(where, limit=limit, token=token)

    def get(self, table: Table, partition: str, key: str) -> Row | None:
        """Return one row, which costs one call."""
        self.left -= 1
        return table.get(partition, key)
