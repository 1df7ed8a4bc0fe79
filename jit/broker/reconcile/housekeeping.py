"""Housekeeping after a comparison: audit chains, rows of dropped subscriptions, old rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from jit.broker.reconcile.draining import Draining
from jit.broker.reconcile.due_work import DueWork
from jit.domain.errors import BrokerError
from jit.storage import keys
from jit.storage.callers.idempotency_keys import Idempotency
from jit.storage.callers.idle_rows import IdleRows
from jit.storage.subscription_rows import SubscriptionRow

ROW_KEPT = timedelta(hours=1)
"""
How long the row of a dropped subscription stays after it was first found without grants.

It is longer than an HTTP call of a process that still has the older settings.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """Does the work that belongs to no grant."""

    due_work: DueWork
    draining: Draining
    idempotency: Idempotency
    idle: IdleRows

    def tidy(self, subscription: str, *, now: datetime) -> None:
        """
        Bring the audit chain of a subscription up to date.

        The first named subscription also stands for the work that belongs to none. If a part fails,
        the other parts are still done.

        Raises:
            BrokerError: The error of the first part that failed.
        """
        parts = self._list_parts(subscription, now)
        errors = [error for part in parts if (error := _try(part)) is not None]
        if errors:
            raise errors[0]

    def _list_parts(self, subscription: str, now: datetime) -> Iterator[Callable[[], object]]:
        yield partial(self.draining.drain, subscription, now=now)
        yield partial(self.idempotency.sweep, subscription, now=now)
        yield partial(self.idle.sweep, subscription, now=now)
        if subscription == self.due_work.named[0]:
            yield partial(self.idempotency.sweep_earlier, now=now)
            yield partial(self.idle.sweep_callers, now=now)
            yield partial(self.draining.drain, keys.PEOPLE, now=now)
            for row in self.due_work.list_dropped():
                yield partial(self._forget_dropped, row, now)

    def _forget_dropped(self, row: SubscriptionRow, now: datetime) -> None:
        """
        Complete the chain of a dropped subscription without grants, then remove its row.

        The row stays until the last idempotency key has run out: the keys are found by it alone.
        """
        if self.due_work.requests.has_grants(row.subscription):
            return
        self.draining.drain(row.subscription, now=now)
        self.idempotency.sweep(row.subscription, now=now)
        if row.dropped_at is None:
            self.due_work.rows.note_dropped(row, now)
        elif now >= row.dropped_at + ROW_KEPT and self._is_complete(row):
            self.due_work.rows.remove(row)

    def _is_complete(self, row: SubscriptionRow) -> bool:
        has_keys = self.idempotency.has_keys(row.subscription)
        return not has_keys and self.draining.is_complete(row.subscription)


def _try(part: Callable[[], object]) -> BrokerError | None:
    """Do *part*; return its error."""
    try:
        part()
    except BrokerError as error:
        return error
    return None
