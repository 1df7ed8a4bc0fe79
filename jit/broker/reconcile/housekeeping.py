"""Housekeeping after a comparison: audit chains, rows of dropped subscriptions, old keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from jit.broker.reconcile.due_work import DueWork
from jit.storage.audit_chain import Drainer
from jit.storage.idempotency_keys import Idempotency
from jit.storage.subscription_rows import SubscriptionRow

ROW_KEPT = timedelta(hours=1)
"""
How long the row of a dropped subscription outlasts its last comparison.

It is longer than an HTTP call of a process that still has the older settings.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """Does the work that belongs to no grant."""

    due_work: DueWork
    drainer: Drainer
    idempotency: Idempotency

    def tidy(self, subscription: str, *, now: datetime) -> None:
        """
        Bring the audit chain of a subscription up to date.

        The first named subscription also stands for the work that belongs to none.
        """
        self.drainer.drain(subscription, now=now)
        if subscription == self.due_work.named[0]:
            self._forget_dropped(now)
            self.idempotency.sweep(now=now)

    def _forget_dropped(self, now: datetime) -> None:
        """Complete the chains of dropped subscriptions without grants, then remove their rows."""
        for row in self.due_work.list_dropped():
            if self.due_work.requests.has_grants(row.subscription):
                continue
            self.drainer.drain(row.subscription, now=now)
            if _is_over(row, now) and self.drainer.is_complete(row.subscription):
                self.due_work.rows.remove(row)


def _is_over(row: SubscriptionRow, now: datetime) -> bool:
    """Return True if no process can still accept a request there under older settings."""
    last = row.compared_at or row.since
    return last is None or now >= last + ROW_KEPT
