"""
The grants of live requests, read for many requests at once if the service gets on.

Grants stand by policy and machine, and the requests of a page may be under many policies. A query
that has to pass over many rows may end early. So there are three ways, from the widest query to the
narrowest: all grants of a small subscription, the grants of some requests, those of one request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jit.domain.model.request import Request
from jit.storage import keys
from jit.storage.lists.machine_names import list_machine_hashes
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.request_rows import REQUEST_ID
from jit.storage.table import COMPARISONS, Row, Table, Where

RESERVE = 4
"""Storage calls with which the grants of a request with a few machines can be read."""

_AT_ONCE = COMPARISONS - 3  # requests whose grants one query reads: a range takes three
_MACHINES = 4  # of one request, each with a query of its own
_BEHIND = "}"  # behind each character of a hash, and behind the bar that follows it


@dataclass(frozen=True, slots=True)
class Candidate:
    """A live request that may be wanted, with its row."""

    row: Row
    request: Request


@dataclass(frozen=True, slots=True)
class LiveGrants:
    """Reads the rows of the grants of requests in one subscription."""

    state: Table
    partition: str
    budget: QueryBudget

    def read(
        self, wanted: Sequence[Candidate], *, must: bool
    ) -> Iterator[tuple[Candidate, Sequence[Row]]]:
        """Yield requests with their rows until the budget is used up; at least one if it *must*."""
        done = 0
        for chunk, rows in self._read_together(wanted):
            yield from _join(chunk, rows)
            done += len(chunk)
        for candidate in wanted[done:]:
            ranges = self._list_ranges(candidate)
            if self.budget.left < len(ranges) and (done or not must):
                return
            yield candidate, [row for where in ranges for row in self._read_all(where)]
            done += 1

    def _read_together(
        self, wanted: Sequence[Candidate]
    ) -> Iterator[tuple[Sequence[Candidate], Sequence[Row]]]:
        """Yield requests and their rows, as many as one query reads together."""
        alone = sum(len(self._list_ranges(each)) for each in wanted[: RESERVE + 1])
        if alone <= RESERVE or self.budget.left <= RESERVE:
            return
        rows = self._read_once(self._build_where(*keys.key_range(keys.GRANTS)))
        if rows is not None:
            yield wanted, rows
            return
        for start in range(0, len(wanted), _AT_ONCE):
            chunk = wanted[start : start + _AT_ONCE]
            rows = self._read_once(self._select(chunk)) if self.budget.left > 0 else None
            if rows is None:
                return
            yield chunk, rows

    def _select(self, chunk: Sequence[Candidate]) -> Where:
        prefixes = [each for item in chunk for each in _list_prefixes(item.request)]
        first, _ = keys.key_range(min(prefixes, default=keys.GRANTS))
        _, last = keys.key_range(max(prefixes, default=keys.GRANTS))
        return self._build_where(first, last, *(item.request for item in chunk))

    def _list_ranges(self, candidate: Candidate) -> list[Where]:
        """Return the queries for the grants of one request, as narrow as its row allows."""
        prefixes = _list_prefixes(candidate.request)
        machines = list_machine_hashes(candidate.row)
        bounds = [keys.key_range(prefix) for prefix in prefixes]
        if len(prefixes) == 1 and 0 < len(machines) <= _MACHINES:
            begins = [f"{prefixes[0]}|{each}" for each in machines]
            bounds = [(begin, f"{begin}{_BEHIND}") for begin in begins]
        return [self._build_where(first, last, candidate.request) for first, last in bounds]

    def _build_where(self, first: str, last: str, *requests: Request) -> Where:
        ids = {REQUEST_ID: [request.id for request in requests]} if requests else {}
        return Where(partition=self.partition, first=first, last=last, any_of=ids)

    def _read_once(self, where: Where) -> Sequence[Row] | None:
        """Return the rows of one query; None if there are more."""
        page = self.budget.query(self.state, where)
        return page.rows if page.token is None else None

    def _read_all(self, where: Where) -> list[Row]:
        page = self.budget.query(self.state, where)
        rows = [*page.rows]
        while page.token is not None:
            page = self.budget.query(self.state, where, page.token)
            rows += page.rows
        return rows


def _list_prefixes(request: Request) -> list[str]:
    """Return the prefixes of the keys of a request's grants, each once: ids differ in case."""
    return list(dict.fromkeys(map(keys.grants_prefix, request.policies)))


def _join(
    wanted: Sequence[Candidate], rows: Sequence[Row]
) -> Iterator[tuple[Candidate, Sequence[Row]]]:
    by_request: dict[object, list[Row]] = {}
    for row in rows:
        by_request.setdefault(row.values.get(REQUEST_ID), []).append(row)
    for each in wanted:
        yield each, by_request.get(each.request.id, ())
