"""Chains in a table, as the drainer writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jit.broker.auditing.chains import Chains
from jit.domain.audit import chain
from jit.domain.audit.chain import Record
from jit.storage.subscription_rows import SubscriptionRows
from jit.storage.table import Op, Verb
from jit.storage.trail.chain_reads import ChainReads
from jit.storage.trail.record_rows import write_head_row, write_record_row
from tests.builders.exports import an_event, make_records
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

HERE, ELSEWHERE = "5c0ffee0-0000-4000-8000-000000000001", "5c0ffee0-0000-4000-8000-000000000002"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class StoredTrail:
    """
    Chains in a table.

    Attributes:
        calls: Counts the calls to the tables.
        scanned: Rows that the service reads for one page of a query.
    """

    def __init__(self, named: Sequence[str] = (HERE, ELSEWHERE), *, scanned: int = 1000) -> None:
        """Begin without a record; *named* are the subscriptions of the settings."""
        self.calls = Calls()
        clock = FakeClock(NOON)
        self.audit = FakeTable(clock, calls=self.calls, name="audit", scanned=scanned)
        self.state = FakeTable(clock, calls=self.calls, name="state")
        self.reads = ChainReads(self.audit)
        self.chains = Chains(
            reads=self.reads, subscriptions=SubscriptionRows(self.state), named=named
        )

    def store(
        self, events: Iterable[dict[str, Any]], *, name: str = HERE, minutes: Sequence[int] = ()
    ) -> list[Record]:
        """Store a chain of these events; *minutes* are the times of its records, after noon."""
        told = list(events)
        times = [NOON + timedelta(minutes=m) for m in minutes or range(1, len(told) + 1)]
        records = make_records(told, name=name, times=times)
        ops = [Op(Verb.INSERT, write_record_row(each)) for each in records]
        for start in range(0, len(ops), 50):
            self.audit.write(ops[start : start + 50])
        if records:
            self.audit.write([Op(Verb.INSERT, write_head_row(chain.head_of(records[-1])))])
        return records

    def store_many(self, count: int, *, name: str = HERE, **event: Any) -> list[Record]:
        """Store a chain of so many events."""
        return self.store((an_event(number) | event for number in range(1, count + 1)), name=name)
