"""Draining an audit outbox into its chain, and erasing texts, by message after message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jit.broker.auditing.erasures import ErasureWork
from jit.broker.locks import Locks
from jit.broker.reconcile.due_work import DueWork
from jit.storage.audit_chain import Drainer
from jit.storage.outbox import MOST_SWEPT


@dataclass(frozen=True, slots=True)
class Draining:
    """
    Brings chains up to date.

    One instance at a time drains an outbox. A second one would only lose the head of the chain
    again and again.
    """

    drainer: Drainer
    erasures: ErasureWork
    locks: Locks
    due_work: DueWork

    def is_complete(self, subscription: str) -> bool:
        """Return True if no event waits, none is counted, and no texts are to be erased."""
        is_drained = self.drainer.is_complete(subscription)
        return is_drained and not self.erasures.has_orders(subscription)

    def drain(self, subscription: str, *, now: datetime) -> None:
        """
        Append the events that wait, as many as one call takes, then erase the texts of orders.

        If more is to be done, it sends a message.

        An outbox that lets nothing out, because this version cannot read its rows, gets no message.

        Raises:
            Unavailable: Storage did not answer. The timer ``tick`` sends a message again.
        """
        if self.is_complete(subscription):
            return
        lease = self.locks.claim_drain(subscription)
        if lease is None:
            return
        try:
            swept = self.drainer.sweep(subscription, now=now)
            done = self.drainer.drain(subscription, now=now)
            has_more = self.erasures.work(subscription, now=now)
        finally:
            self.locks.release_comparison(lease)
        if has_more or swept == MOST_SWEPT or (done and self.drainer.has_more(subscription)):
            self.due_work.enqueue_drain(subscription)
