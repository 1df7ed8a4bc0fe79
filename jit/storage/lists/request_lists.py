"""
Lists of requests: the live ones of a subscription, and the finished ones of a month.

They stand apart from the store, because accepting a request lists none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from jit.domain.errors import Defect
from jit.storage import keys
from jit.storage.documents import alert_unreadable
from jit.storage.history import build_month_partition, has_own_row, read_history_rows
from jit.storage.lists.grant_pages import ListedGrants, read_grant_page
from jit.storage.lists.live_access import LiveAccess, read_live_access
from jit.storage.lists.live_rows import list_live
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.lists.row_scan import FINISHED, RowScan
from jit.storage.lists.search import Search, Stretch
from jit.storage.request_rows import read_request
from jit.storage.stored import StoredRequest
from jit.storage.table import Row, Table, Where


class RequestLists:
    """Lists of the tables ``JitState`` and ``JitHistory``."""

    def __init__(self, state: Table, history: Table) -> None:
        """Read unfinished requests from *state*, closed ones from *history*."""
        self._state = state
        self._history = history

    def list_live(self, partition: str, search: Search) -> Stretch:
        """Return the live requests of a subscription that are wanted, oldest first."""
        return list_live(self._state, partition, search)

    def read_live_access(
        self, partition: str, requester: str | None, budget: QueryBudget
    ) -> LiveAccess:
        """Return the live grants of a subscription, and the requests of one person or of all."""
        return read_live_access(self._state, partition, requester, budget)

    def read_grant_page(
        self, partition: str, after: str, budget: QueryBudget
    ) -> tuple[list[ListedGrants], str | None]:
        """Return the next live grants of a subscription with their requests, and the next place."""
        return read_grant_page(self._state, partition, after, budget)

    def list_month(self, partition: str, month: datetime, search: Search) -> Stretch:
        """Return the finished requests of a subscription, created in one month, that are wanted."""
        sought = search.sought
        after = keys.keys_after(search.after) if search.after else ""
        where = Where(
            partition=build_month_partition(partition, month),
            first=max(after, sought.find_first_id(partition)),
            last=sought.find_last_id(partition),
        )
        span = RowScan(table=self._history, where=where, layout=FINISHED, search=search).run()
        found: list[StoredRequest] = []
        for rows in span.groups:
            found += _read_wanted(rows, search)
            if len(found) == search.room:
                return Stretch(tuple(found), FINISHED.read_id(rows[0]))
        return Stretch(tuple(found), span.reached)


def _read_wanted(rows: Sequence[Row], search: Search) -> Iterator[StoredRequest]:
    """Yield the request of *rows* if it is wanted, is wholly there, and can be read."""
    if not has_own_row(rows):
        return
    try:
        found = read_history_rows(rows) if search.fits_request(read_request(rows[0])) else None
    except Defect as error:
        alert_unreadable(rows[0], error)
        return
    if found is not None and search.fits(found):
        yield found
