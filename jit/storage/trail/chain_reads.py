"""Audit chains: heads, records backwards by windows and forwards by pages, erasure of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jit.domain.audit.chain import Head, Record
from jit.domain.audit.erasure import ErasureOrder
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.table import PAGE, Op, Row, Table, Verb, Where, pack_ops, read_all
from jit.storage.trail.record_rows import (
    HEAD_KEY,
    RECORD_KIND,
    erase_texts,
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

    def erase_window(self, chain: str, first: int, end: int, order: ErasureOrder) -> None:
        """
        Erase the texts that *order* covers in the records from *first* up to *end*.

        A record without texts stays as it is.

        Raises:
            StateConflict: Another instance changed one of them at the same moment.
            Unavailable, Unknown: Storage did not answer.
        """
        where = _select(chain, first, end, {"Actor": order.person_id})
        found = RECORD_KIND.read_all(read_all(self.table, where), _pair_record)
        told = [row for row, record in found if record.texts and order.covers(record.event)]
        for ops in pack_ops(Op(Verb.REPLACE, erase_texts(row)) for row in told):
            self.table.write(ops)

    def list_page(
        self, chain: str, first: int, end: int, budget: QueryBudget, token: str | None
    ) -> tuple[list[Record], str | None]:
        """Return records from *first* up to *end*, by one call, and the token of the next call."""
        page = budget.query(self.table, _select(chain, first, end), token, limit=PAGE)
        return list(RECORD_KIND.read_all(page.rows, parse_record)), page.token


def _pair_record(row: Row) -> tuple[Row, Record]:
    return row, parse_record(row)


def _select(chain: str, first: int, end: int, columns: Mapping[str, str] | None = None) -> Where:
    keys = (make_record_key(first), make_record_key(end))
    return Where(partition=chain, first=keys[0], last=keys[1], equal=columns or {})
