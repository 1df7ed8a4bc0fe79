"""Lists of live requests: chosen by their own rows, then read with their grants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jit.domain.errors import Defect
from jit.domain.model.grant import Status
from jit.storage import keys
from jit.storage.documents import alert_unreadable
from jit.storage.lists.live_grants import RESERVE, Candidate, LiveGrants
from jit.storage.lists.machine_names import count_machines
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.lists.row_scan import LIVE, RowScan
from jit.storage.lists.search import Search, Stretch, make_bound
from jit.storage.request_rows import (
    REQUEST_KIND,
    parse_request,
    read_grant_row,
)
from jit.storage.stored import StoredRequest, sort_grants
from jit.storage.table import Row, Table, Where


def list_live(state: Table, partition: str, search: Search) -> Stretch:
    """
    Return the live requests of a subscription that are wanted, oldest first.

    A request that moves to history meanwhile is left out here, and listed with its month.
    """
    first, last = keys.key_range(keys.REQUESTS)
    after = f"{first}{search.after}!" if search.after else ""  # "!" is below any character of an id
    lowest = f"{first}{search.sought.find_first_id(partition)}"
    highest = f"{first}{search.sought.find_last_id(partition)}"
    where = Where(partition=partition, first=max(after, lowest), last=min(highest, last))
    span = RowScan(table=state, where=where, layout=LIVE, search=search, reserve=RESERVE).run()
    wanted = [each for group in span.groups for each in _read_candidates(group, search)]
    begin = _find_begin(partition, wanted)
    must = begin <= max(search.after, search.sought.find_first_id(partition))
    grants = LiveGrants(state, partition, search.budget)
    found: list[StoredRequest] = []
    looked = 0
    for candidate, rows in grants.read(wanted, must=must):
        if looked and search.budget.left <= 0 and count_machines(candidate.row) is None:
            break  # a row of an older version may take another call
        looked, begin = looked + 1, candidate.request.id
        stored = _build_request(state, candidate, rows, search.budget)
        if stored is not None and search.fits(stored):
            found.append(stored)
        if len(found) == search.room:
            break
    is_done = looked == len(wanted) and len(found) < search.room
    return Stretch(tuple(found), span.reached if is_done else begin)


def _find_begin(partition: str, wanted: Sequence[Candidate]) -> str:
    """Return the place just before the first request; a page that can read none ends there."""
    return next((make_bound(partition, each.request.created_at) for each in wanted), "")


def _read_candidates(group: Sequence[Row], search: Search) -> Iterator[Candidate]:
    for request in REQUEST_KIND.read_all(group, parse_request):
        if search.fits_request(request):
            yield Candidate(group[0], request)


def _build_request(
    state: Table, candidate: Candidate, rows: Sequence[Row], budget: QueryBudget
) -> StoredRequest | None:
    """
    Return a request with its grants; None if it is in history by now, or cannot be read.

    Grants become tombstones after the row of their request is gone. So all grants were read if
    there are as many as the row says, or if it is still there now.
    """
    try:
        read = tuple(map(read_grant_row, rows))
    except Defect as error:
        alert_unreadable(candidate.row, error)
        return None
    grants = tuple(grant for each in read for grant in each.grants)
    found = StoredRequest(candidate.request, sort_grants(grants), candidate.row, read)
    if found.status is not Status.CLOSED or _is_whole(state, candidate.row, len(read), budget):
        return found
    return None


def _is_whole(state: Table, row: Row, read: int, budget: QueryBudget) -> bool:
    """Return True if *read* rows are all grants; a row of an older version does not tell."""
    expected = count_machines(row)
    if expected is not None:
        return read >= expected
    return budget.get(state, row.partition, row.key) is not None
