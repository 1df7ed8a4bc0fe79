"""The live grants of a subscription with the requests that a caller may see, for a list of VMs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jit.domain.model.grant import Grant
from jit.domain.model.request import Request
from jit.storage import keys
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.lists.search import name_own_columns
from jit.storage.request_rows import (
    GRANTS_KIND,
    REQUEST_KIND,
    parse_grant_row,
    parse_request,
    read_by_machine,
)
from jit.storage.table import Row, Table, Where


@dataclass(frozen=True, slots=True)
class LiveAccess:
    """
    Grants that are not in history yet, and their requests.

    Attributes:
        grants: Those that this version can read.
        requests: By id; without the requests that the caller may not see.
    """

    grants: tuple[Grant, ...]
    requests: Mapping[str, Request]


def read_live_access(
    state: Table, partition: str, requester: str | None, budget: QueryBudget
) -> LiveAccess:
    """
    Return the live grants of a subscription, and their requests: a query for a thousand of each.

    Args:
        state: The table ``JitState``.
        partition: The subscription.
        requester: Object id of the person whose requests are read, those that the person made for
            others as well; None means all requests.
        budget: It may be below zero in the end: a part of the access would be a wrong answer.
    """
    first, last = keys.key_range(keys.GRANTS)
    where = Where(partition=partition, first=first, last=last)
    rows = read_by_machine(GRANTS_KIND, _read(state, where, budget), parse_grant_row)
    first, last = keys.key_range(keys.REQUESTS)
    either = name_own_columns(requester)
    where = Where(partition=partition, first=first, last=last, either=either)
    requests = REQUEST_KIND.read_all(_read(state, where, budget), parse_request)
    return LiveAccess(
        grants=tuple(grant for _, each in rows.by_machine for grant in each.grants),
        requests={item.id: item for item in requests},
    )


def _read(state: Table, where: Where, budget: QueryBudget) -> Iterator[Row]:
    token: str | None = None
    while True:
        page = budget.query(state, where, token)
        yield from page.rows
        token = page.token
        if token is None:
            return
