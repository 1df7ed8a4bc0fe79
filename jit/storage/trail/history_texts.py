"""
Texts of people in ``JitHistory``: their erasure, a month at a time.

Names, the justification and the ticket of a finished request give way to one word. Ids, times,
sources and reasons of the broker stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jit.domain.audit.erasure import ErasureOrder
from jit.domain.model.grant import Grant
from jit.domain.values.request_ids import parse_request_id
from jit.storage.documents import DOCUMENT
from jit.storage.history import build_month_partition
from jit.storage.request_rows import (
    GRANTS_KIND,
    REQUEST_KIND,
    REQUESTER,
    TICKET,
    parse_grants,
    parse_request,
    write_grants,
    write_request,
)
from jit.storage.table import Op, Row, Table, Verb, Where, pack_ops, read_all

ERASED = "(erased)"
"""In the place of a name and of a justification."""


@dataclass(frozen=True, slots=True)
class HistoryTexts:
    """The texts of ``JitHistory``."""

    table: Table

    def erase_month(self, subscription: str, month: datetime, order: ErasureOrder) -> None:
        """
        Erase the texts of the person in the requests that were made in a month.

        A row without texts of the person stays as it is. A row that this version cannot read is
        left, with an alert.

        Raises:
            StateConflict: Another instance changed one of them at the same moment.
            Unavailable, Unknown: Storage did not answer.
        """
        partition = build_month_partition(subscription, month)
        where = Where(partition=partition, equal={REQUESTER: order.person_id})
        rows = (row for row in read_all(self.table, where) if _is_covered(row, order))
        changed = [erased for row in rows for erased in _erase(row, order)]
        for ops in pack_ops(Op(Verb.REPLACE, row) for row in changed):
            self.table.write(ops)


def _is_covered(row: Row, order: ErasureOrder) -> bool:
    """Return True if the request of *row* was made before the order; its id has the time."""
    found = parse_request_id(row.key.partition("|")[0])
    return found is not None and found[1] <= order.at


def _erase(row: Row, order: ErasureOrder) -> Iterator[Row]:
    """Yield *row* without texts of the person, if it has any."""
    kind, erase = (REQUEST_KIND, _erase_request) if row.key.endswith("|") else _OF_GRANTS
    for values in kind.read_all([row], lambda each: erase(each, order)):
        kept = {name: each for name, each in row.values.items() if not name.startswith(DOCUMENT)}
        erased = replace(row, values={**kept, **values})
        if erased.values != row.values:
            yield erased


def _erase_request(row: Row, _order: ErasureOrder) -> dict[str, Any]:
    request = parse_request(row)
    person = replace(request.requester, name=ERASED, display_name=None)
    return write_request(replace(request, requester=person, justification=ERASED, ticket=None))


def _erase_grants(row: Row, order: ErasureOrder) -> dict[str, Any]:
    grants = parse_grants(row)
    return {TICKET: "", **write_grants([_erase_end(grant, order) for grant in grants])}


def _erase_end(grant: Grant, order: ErasureOrder) -> Grant:
    """Return *grant* without the name and the reason of its person, if they ended it."""
    if grant.closed_by is None or grant.closed_by.id != order.person_id:
        return grant
    person = replace(grant.closed_by, name=ERASED)
    return replace(grant, closed_by=person, close_reason_text=None)


_OF_GRANTS = (GRANTS_KIND, _erase_grants)
