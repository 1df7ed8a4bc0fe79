"""Reads of audit chains: their heads, records backwards by windows, records forwards by pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jit.domain.audit.chain import Head, Record
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.table import PAGE, Row, Table, Where
from jit.storage.trail.record_rows import (
    HEAD_KEY,
    RECORD_KIND,
    make_record_key,
    parse_record,
    read_head,
)


@dataclass(frozen=True, slots=True)
class ChainReads:
    """Reads ``JitAudit``. A record that this version cannot read is left out, with an alert."""

    table: Table

    def find_head(self, chain: str, budget: QueryBudget) -> Head:
        """Return the end of a chain, by one call; the sequence is 0 if there is no such chain."""
        return read_head(chain, budget.get(self.table, chain, HEAD_KEY))

    def find_record(self, chain: str, sequence: int, budget: QueryBudget) -> Record | None:
        """Return one record, by one call; None if it is missing or unreadable."""
        row = budget.get(self.table, chain, make_record_key(sequence))
        return next(RECORD_KIND.read_all([row] if row else [], parse_record), None)

    def list_window(
        self,
        chain: str,
        first: int,
        end: int,
        budget: QueryBudget,
        columns: Mapping[str, str] | None = None,
    ) -> list[Record]:
        """
        Return the records from *first* up to *end*, which does not belong to them, in their order.

        *columns* are values that columns of a record must have. It is one call, unless the service
        stops early: the newest ones come last, so the window is read to its end.
        """
        found: list[Row] = []
        token: str | None = None
        while True:
            where = _select(chain, first, end, columns)
            page = budget.query(self.table, where, token)
            found += page.rows
            token = page.token
            if token is None:
                return list(RECORD_KIND.read_all(found, parse_record))

    def list_page(
        self, chain: str, first: int, end: int, budget: QueryBudget, token: str | None
    ) -> tuple[list[Record], str | None]:
        """Return records from *first* up to *end*, by one call, and the token of the next call."""
        page = budget.query(self.table, _select(chain, first, end), token, limit=PAGE)
        return list(RECORD_KIND.read_all(page.rows, parse_record)), page.token


def _select(chain: str, first: int, end: int, columns: Mapping[str, str] | None = None) -> Where:
    keys = (make_record_key(first), make_record_key(end))
    return Where(partition=chain, first=keys[0], last=keys[1], equal=columns or {})
