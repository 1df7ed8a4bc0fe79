"""
A page of the audit trail in a short trail and in one ten times as long: the memory that it takes.

The page looks for a person who is in no record, so it reads as much as a page may. The table makes
its rows when they are asked for: memory is that of the page.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.benchmarks.trail.audit_verify import CHAIN, make_trail
from bench.measures.figures import Figure, Goal, round_value
from jit.broker.auditing.chains import Chains
from jit.broker.auditing.record_pages import RecordPages
from jit.domain.audit.chain import Head, Record
from jit.domain.audit.record_filter import RecordFilter
from jit.storage.subscription_rows import SubscriptionRows
from jit.storage.table import Op, Page, Row, Where
from jit.storage.trail.chain_reads import ChainReads
from jit.storage.trail.record_rows import HEAD_KEY, write_head_row, write_record_row

SHORT, LONG = 10_000, 100_000
_GROWTH = 1.1


def audit_page_memory_ratio(short: int = SHORT, long: int = LONG) -> Iterator[Figure]:
    """Yield the most memory of a page in the *long* trail, to that in the *short* one."""
    _measure_page(short)  # the first one loads modules
    few, many = _measure_page(short), _measure_page(long)
    yield Figure(
        name="audit_page_memory_ratio",
        value=many / few,
        unit=f"memory of a page among {long} records, to that among {short}",
        goal=Goal(at_most=_GROWTH),
        details={"megabytes": [round_value(few / 2**20), round_value(many / 2**20)]},
    )


@dataclass(frozen=True)
class _MadeTable:
    """A table with a trail of *count* records, all like one."""

    count: int
    record: Record

    def get(self, partition: str, key: str) -> Row | None:
        if key != HEAD_KEY:
            return None
        return write_head_row(Head(chain=partition, sequence=self.count, hash=self.record.hash))

    def query(self, where: Where, *, limit: int = 1000, token: str | None = None) -> Page:
        first, end = (int(key.partition("|")[2]) for key in (where.first, where.last))
        numbers = range(first, min(end, first + limit, self.count + 1))
        rows = (write_record_row(replace(self.record, sequence=number)) for number in numbers)
        return Page(rows=tuple(rows), token=token)

    def write(self, ops: Sequence[Op]) -> tuple[str, ...]:
        raise NotImplementedError(f"a page writes nothing: {ops}")


def _measure_page(count: int) -> int:
    """Return the bytes that a page takes at most."""
    table = _MadeTable(count, next(make_trail(1)))
    chains = Chains(reads=ChainReads(table), subscriptions=SubscriptionRows(table), named=[])
    pages, wanted = RecordPages(chains), RecordFilter(chain=CHAIN, person="nobody")
    tracemalloc.start()
    pages.list_page(wanted)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most
