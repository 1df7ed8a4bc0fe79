"""
Scans of the rows of requests: in the order of their ids, in a bounded number of queries.

A scan asks the service for the rows that the caller may see. If the service has to pass over many
other rows, it may return nothing but the name of the next row, which is somebody else's and none of
the caller's business. Then the scan reads all rows, and goes on behind a round time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from jit.domain.values import request_ids
from jit.storage.lists.machine_names import count_machines
from jit.storage.lists.search import Search, make_bound
from jit.storage.table import Row, Table, Where

_TRIES = 2  # queries for the caller's own rows, before all rows are read
_GRAINS = (
    timedelta(hours=1),
    timedelta(minutes=1),
    timedelta(seconds=1),
    timedelta(milliseconds=1),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Group = Sequence[Row]
"""The row of a request; in history, the rows of its grants follow it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """
    The place of requests in a table.

    Attributes:
        id_part: The part of a row key that is the id of the request.
        holds_grants: True if the rows of grants follow the row of their request.
    """

    id_part: int
    holds_grants: bool

    def read_id(self, row: Row) -> str:
        """Return the id of the request that a row belongs to."""
        return row.key.split("|")[self.id_part]

    def split(self, rows: Iterable[Row]) -> list[Group]:
        """Return rows that follow each other, a group for each request."""
        return [tuple(group) for _, group in groupby(rows, key=self.read_id)]

    def has_all(self, group: Group) -> bool:
        """
        Return True if a group that was read by its columns cannot lack rows.

        An older version wrote rows of grants without the columns of their request.
        """
        if not self.holds_grants or group[0].key != f"{self.read_id(group[0])}|":
            return True  # the last: its own row is written last, so it is not in history yet
        return count_machines(group[0]) == len(group) - 1


LIVE = Layout(id_part=1, holds_grants=False)
FINISHED = Layout(id_part=0, holds_grants=True)


@dataclass(frozen=True, slots=True)
class Span:
    """
    The requests that a scan found, and the id behind which the next one goes on; None at the end.

    That id is `Stretch.reached`.
    """

    groups: tuple[Group, ...]
    reached: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowScan:
    """
    A scan of one partition.

    Attributes:
        where: The partition and the range of keys.
        reserve: Storage calls that the caller needs for what is found.
    """

    table: Table
    where: Where
    layout: Layout
    search: Search
    reserve: int = 0

    def run(self) -> Span:
        """Return the next requests, at least one query further."""
        sought = self.search.sought
        found = self._read_own() if sought.columns or sought.either else None
        return found if found is not None else self._read_all()

    def _read_own(self) -> Span | None:
        """Return the requests that the service selects; None if that does not get anywhere."""
        sought = self.search.sought
        where = replace(self.where, equal=sought.columns, either=sought.either)
        rows: list[Row] = []
        token: str | None = None
        for _ in range(_TRIES):
            page = self.search.budget.query(self.table, where, token)
            rows += page.rows
            token = page.token
            groups = self._split(rows, is_end=token is None)
            if token is None or self._must_stop(groups, spare=1):
                break
        if not all(map(self.layout.has_all, groups)) or (token is not None and not groups):
            return None
        reached = self.layout.read_id(groups[-1][0]) if token is not None else None
        return Span(tuple(self._choose(groups)), reached)

    def _read_all(self) -> Span:
        found: list[Group] = []
        rest: list[Row] = []  # of a request that the next page may have more rows of
        first = last = ""
        token: str | None = None
        while True:
            page = self.search.budget.query(self.table, self.where, token)
            token = page.token
            rows = [*rest, *page.rows]
            groups = self._split(rows, is_end=token is None)
            rest = rows[sum(map(len, groups)) :]
            found += self._choose(groups)
            if token is None:
                return Span(tuple(found), None)
            if groups:
                first, last = (
                    first or self.layout.read_id(groups[0][0]),
                    self.layout.read_id(groups[-1][0]),
                )
            reached = self._find_place(found, first, last)
            if reached is not None and self._must_stop(found):
                return Span(tuple(found), reached)

    def _split(self, rows: Sequence[Row], *, is_end: bool) -> list[Group]:
        """Return the groups that are complete."""
        groups = self.layout.split(rows)
        return groups if is_end or not self.layout.holds_grants else groups[:-1]

    def _choose(self, groups: Iterable[Group]) -> list[Group]:
        return [group for group in groups if self.search.sought.matches(group[0])]

    def _must_stop(self, found: Sequence[Group], spare: int = 0) -> bool:
        needed = spare + (self.reserve if found else 0)
        return len(found) >= self.search.room or self.search.budget.left <= needed

    def _find_place(self, found: Sequence[Group], first: str, last: str) -> str | None:
        """
        Return the place behind which everything up to the request *last* was read.

        Returns:
            *last*, if the caller may see it. Else the later one of a round time and the last own
            request; None if there is no such place behind *first*.
        """
        if self.search.sought.requester is None:
            return last or None
        own = [self.layout.read_id(group[0]) for group in found[-1:]]
        return max([*own, *_find_round_time(first, last)], default=None)


def _find_round_time(first: str, last: str) -> list[str]:
    """
    Return the last full hour behind *first* and up to *last*, in the form of an id.

    If there is none, it is the last full minute, second or millisecond.
    """
    subscription, moment = request_ids.parse_request_id(last) or ("", _EPOCH)
    times = (moment - (moment - _EPOCH) % grain for grain in _GRAINS)
    places = (make_bound(subscription, each) for each in times if subscription)
    return [place for place in places if place > first][:1]
