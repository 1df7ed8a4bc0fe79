"""
Erasure of a person's texts: the order in each chain, and the work on it.

An order is stored with its record. The texts go once that record is in the chain, window by window,
each under the ETag of its record. After a crash the work goes on at the progress in the order's
row, and passes over erased records. The order stays for some minutes, and until all events from
before it are in the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from jit import telemetry
from jit.broker.auditing.chains import Chains
from jit.domain.audit.erasure import ErasureOrder, WantedErasure, build_erasure_event
from jit.domain.errors import StateConflict
from jit.domain.model.people import Person
from jit.storage import keys
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.outbox import Outbox
from jit.storage.trail.chain_reads import ChainReads
from jit.storage.trail.erasure_rows import ErasureRows, StoredOrder
from jit.storage.trail.history_texts import HistoryTexts

WINDOW = 1000
"""Records that are looked through at once."""

WINDOWS = 10
"""Windows and months in one call. The next call goes on."""

MONTHS = 36
"""Months of history that are looked through, back from that of the order."""

ORDER_LASTS = timedelta(minutes=11)
"""So much later a call from before an order may write its event: a function has ten minutes."""

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Erasures:
    """Orders erasures in all chains."""

    rows: ErasureRows
    chains: Chains

    def write_orders(self, wanted: WantedErasure, operator: Person, now: datetime) -> list[str]:
        """
        Store an order in each chain, and return the names of the chains.

        Raises:
            Unavailable: Storage did not answer; the orders so far stand. Repeat the call.
        """
        order = ErasureOrder(person_id=wanted.person_id, at=now)
        event = build_erasure_event(wanted, operator, now=now)
        names = self.chains.list_names()
        for name in names:
            _try_again(partial(self.rows.add, name, order, event))
        telemetry.event("erasure.ordered", person_id=wanted.person_id, chains=len(names))
        return names


@dataclass(frozen=True, slots=True)
class ErasureWork:
    """Works on the orders of one chain; the lease of its outbox must be held."""

    rows: ErasureRows
    reads: ChainReads
    outbox: Outbox
    history: HistoryTexts

    def has_orders(self, chain: str) -> bool:
        """Return True if an order of a chain is not done."""
        return self.rows.has_orders(chain)

    def work(self, chain: str, *, now: datetime) -> bool:
        """
        Erase texts, as much as one call takes; return True if a next call would get further.

        Raises:
            StateConflict: A new order came meanwhile, or another instance works too.
            Unavailable, Unknown: Storage did not answer; nothing is done twice.
        """
        left = WINDOWS
        for stored in self.rows.list_few(chain):
            if self.outbox.has_changes_until(chain, stored.order.at):
                continue  # its own record may not be in the chain yet
            budget = QueryBudget()
            head = self.reads.find_head(chain, budget).sequence
            while stored.order.reached < head:
                if left == 0:
                    return True
                left -= 1
                stored = self._erase_window(chain, stored, head)  # noqa: PLW2901 - one order
            while stored.order.months < MONTHS and chain != keys.PEOPLE:
                if left == 0:
                    return True
                left -= 1
                stored = self._erase_month(chain, stored)  # noqa: PLW2901 - one order
            is_over = now >= stored.order.at + ORDER_LASTS
            if is_over and not self.outbox.has_refusals_until(chain, stored.order.at):
                self.rows.delete(stored)
                person = stored.order.person_id
                telemetry.event("erasure.finished", person_id=person, chain=chain)
        return False

    def _erase_window(self, chain: str, stored: StoredOrder, head: int) -> StoredOrder:
        """Erase the texts of one window, then write the progress."""
        order = stored.order
        end = min(order.reached + WINDOW, head) + 1
        self.reads.erase_window(chain, order.reached + 1, end, order)
        return self.rows.note(stored, reached=end - 1)

    def _erase_month(self, chain: str, stored: StoredOrder) -> StoredOrder:
        """Erase the texts of one month of history, then write the progress."""
        order = stored.order
        year, month = divmod(order.at.year * 12 + order.at.month - 1 - order.months, 12)
        self.history.erase_month(chain, datetime(year, month + 1, 1, tzinfo=UTC), order)
        return self.rows.note(stored, months=order.months + 1)


def _try_again(act: Callable[[], None]) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            return act()
        except StateConflict:
            if attempt == _ATTEMPTS - 1:
                raise
    return None
