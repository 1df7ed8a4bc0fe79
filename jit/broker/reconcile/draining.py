"""Draining an audit outbox into its chain, by message after message until it is empty."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
    locks: Locks
    due_work: DueWork

    def drain(self, subscription: str, *, now: datetime) -> None:
        """
        Append the events that wait, as many as one call takes; if more wait, send a message.

        An outbox that lets nothing out, because this version cannot read its rows, gets no message.

        Raises:
            Unavailable: Storage did not answer. The timer ``tick`` sends a message again.
        """
        if self.drainer.is_complete(subscription):
            return
        lease = self.locks.claim_drain(subscription)
        if lease is None:
            return
        try:
            swept = self.drainer.sweep(subscription, now=now)
            done = self.drainer.drain(subscription, now=now)
        finally:
            self.locks.release_comparison(lease)
        if swept == MOST_SWEPT or (done and self.drainer.has_more(subscription)):
            self.due_work.enqueue_drain(subscription)
