"""Pages of the live grants of a subscription, row by row, each with its request."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jit.domain.errors import Defect
from jit.domain.model.grant import Grant
from jit.domain.model.request import Request
from jit.storage import keys
from jit.storage.documents import alert_unreadable
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.request_rows import REQUEST_KIND, parse_request, read_grants
from jit.storage.table import Page, Row, Table, Where

LEAST = 4
"""Storage calls with which a page gets somewhere."""

_FOR_GRANTS = 3  # the part for the grants, and for requests that are read by their keys


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGrants:
    """
    One row of grants: those of a request on one VM.

    Attributes:
        place: The part of the row's key behind which a list goes on.
        request_id: The request, as the key names it.
        vm_id: ARM id of the VM, as the column has it; empty if it has none.
        grants: None if this version cannot read them.
        request: None if this version cannot read it, or if it was not needed.
    """

    place: str
    request_id: str
    vm_id: str
    grants: tuple[Grant, ...] | None
    request: Request | None

    @property
    def may_have_path(self) -> bool:
        """True if somebody may get in; also if nobody knows."""
        return self.grants is None or any(grant.may_have_path for grant in self.grants)


def read_grant_page(
    state: Table, partition: str, after: str, budget: QueryBudget
) -> tuple[list[ListedGrants], str | None]:
    """
    Return the next rows of live grants, in the order of their keys, with their requests.

    Requests are read first: the grants of a request that ended meanwhile are closed by then. A
    request that is still missing is read by its key. If a subscription has thousands of requests,
    only a part of them is read together, and a page may be short.

    Args:
        state: The table ``JitState``.
        partition: The subscription.
        after: The place behind which the rows begin; empty at the beginning.
        budget: At least `LEAST` calls.

    Returns:
        The rows, and the place behind which the next ones begin; None at the end.
    """
    requests = _read_requests(state, partition, budget)
    page = _read_rows(state, partition, after, budget)
    found: list[ListedGrants] = []
    for row in page.rows:
        listed = _read_row(row)
        if listed.may_have_path and listed.request_id not in requests:
            if budget.left <= 0 and found:
                return found, found[-1].place
            requests[listed.request_id] = _find_request(state, partition, listed, budget)
        found.append(replace(listed, request=requests.get(listed.request_id)))
    return found, found[-1].place if found and page.token is not None else None


def _read_requests(state: Table, partition: str, budget: QueryBudget) -> dict[str, Request | None]:
    """Return live requests by id, as many as the budget allows; None for an unreadable one."""
    first, last = keys.key_range(keys.REQUESTS)
    where = Where(partition=partition, first=first, last=last)
    found: dict[str, Request | None] = {}
    token: str | None = None
    while True:
        page = budget.query(state, where, token)
        found |= {row.key.removeprefix(first): _read_request(row) for row in page.rows}
        token = page.token
        if token is None or budget.left <= _FOR_GRANTS:
            return found


def _read_rows(state: Table, partition: str, after: str, budget: QueryBudget) -> Page:
    """Return a page of rows; an empty one is the last."""
    first, last = keys.key_range(keys.GRANTS)
    begin = f"{first}{after}!" if after else first  # "!" is below any character of an id
    where = Where(partition=partition, first=begin, last=last)
    page = budget.query(state, where)
    while not page.rows and page.token is not None:
        page = budget.query(state, where, page.token)
    return page


def _read_row(row: Row) -> ListedGrants:
    _, place = row.key.split("|", 1)
    return ListedGrants(
        place=place,
        request_id=place.rpartition("|")[2],
        vm_id=str(row.values.get("Vm", "")),
        grants=_read_grants(row),
        request=None,
    )


def _read_grants(row: Row) -> tuple[Grant, ...] | None:
    try:
        return read_grants(row)
    except Defect as error:
        alert_unreadable(row, error)
        return None


def _read_request(row: Row) -> Request | None:
    return next(REQUEST_KIND.read_all([row], parse_request), None)


def _find_request(
    state: Table, partition: str, listed: ListedGrants, budget: QueryBudget
) -> Request | None:
    row = budget.get(state, partition, keys.request_key(listed.request_id))
    return _read_request(row) if row is not None else None
