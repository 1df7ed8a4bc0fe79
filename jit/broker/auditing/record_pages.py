"""
Pages of records, newest first.

A page reads the chains backwards, window by window, and merges up to five of them by the time of
the record. With more chains, the next five follow after the last record of these. A page costs a
bounded number of storage calls, however long the chains are. So it may be empty and still have a
next page.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from jit.broker.auditing.chains import Chains
from jit.domain.audit.chain import Record
from jit.domain.audit.record_filter import RecordFilter
from jit.storage.keys import write_stamp
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.trail.chain_reads import ChainReads

PAGE = 100
"""Records of a page, at most."""

GROUP = 5
"""Chains that are merged: each costs a read of its head, and a query at least."""

_WIDE, _NARROW = 500, PAGE  # records of a window; many of a wide one may not be wanted
_SKEW = timedelta(hours=1)  # an event is not later than its record, but by the clocks of instances


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """
    The place at which a page ended.

    Attributes:
        behind: The chains with these names, and those before in the order of names, are done.
        ends: For each chain of the group, the sequence below which the next page begins. It is
            empty before the first page of a group.
    """

    behind: str = ""
    ends: tuple[tuple[str, int], ...] = ()


BEGINNING = RecordPlace()


@dataclass(frozen=True, slots=True)
class RecordPages:
    """The list of records."""

    chains: Chains

    def list_page(
        self, wanted: RecordFilter, *, begin: RecordPlace = BEGINNING
    ) -> tuple[list[Record], RecordPlace | None]:
        """
        Return a page of records, and the place at which the next page begins.

        The pages lack records that are appended after the first page of their chain.

        Returns:
            At most 100 records; None instead of a place if there is no next page.
        """
        budget = QueryBudget()
        names = [wanted.chain] if wanted.chain else self._list_names(budget)
        rest = [name for name in names if name > begin.behind]
        group = [name for name, _ in begin.ends] or rest[:GROUP]
        cursors = self._open(group, begin, wanted, budget)
        found = _merge(cursors, budget)
        if not all(cursor.is_at_end for cursor in cursors):
            return found, RecordPlace(begin.behind, tuple(each.place for each in cursors))
        last = max(group, default="")
        has_more = any(name > last for name in rest)
        return found, RecordPlace(last) if has_more else None

    def _list_names(self, budget: QueryBudget) -> list[str]:
        budget.left -= 1
        return self.chains.list_names()

    def _open(
        self, group: Sequence[str], begin: RecordPlace, wanted: RecordFilter, budget: QueryBudget
    ) -> list[_Cursor]:
        ends, reads = dict(begin.ends), self.chains.reads
        if not ends:
            ends = {name: reads.find_head(name, budget).sequence + 1 for name in group}
        return [_Cursor(reads, wanted, name, end) for name, end in ends.items()]


@dataclass(slots=True)
class _Cursor:
    """
    A walk through one chain, backwards.

    Attributes:
        end: Everything from this sequence on was read.
        held: Wanted records that were read and are not on a page yet, newest first.
    """

    reads: ChainReads
    wanted: RecordFilter
    chain: str
    end: int
    held: deque[Record] = field(default_factory=deque)

    @property
    def is_at_end(self) -> bool:
        return not self.held and self.end <= 1

    @property
    def place(self) -> tuple[str, int]:
        return self.chain, self.held[0].sequence + 1 if self.held else self.end

    def read_window(self, budget: QueryBudget) -> None:
        """Read the next older records; if all of them are too old, the chain is at its end."""
        width = _WIDE if self.wanted.is_selective else _NARROW
        first, since = max(1, self.end - width), self.wanted.since
        found = self.reads.list_window(self.chain, first, self.end, budget, self.wanted.columns)
        self.held.extend(each for each in reversed(found) if self.wanted.matches(each))
        self.end = first
        if since is not None and found and found[0].recorded_at < write_stamp(since - _SKEW):
            self.end = 1


def _merge(cursors: Sequence[_Cursor], budget: QueryBudget) -> list[Record]:
    """Return the newest records of all cursors, at most `PAGE`, as far as the budget goes."""
    found: list[Record] = []
    while len(found) < PAGE:
        for cursor in cursors:
            while not cursor.held and not cursor.is_at_end:
                if budget.left <= 0:
                    return found
                cursor.read_window(budget)
        first = max(
            (cursor for cursor in cursors if cursor.held),
            key=lambda cursor: cursor.held[0].recorded_at,
            default=None,
        )
        if first is None:
            break
        found.append(first.held.popleft())
    return found
