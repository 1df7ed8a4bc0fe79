"""
The work of the timers: they find due work and send messages, and do nothing else.

No message is needed for anything to happen: the timers alone bring all work back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jit import messages
from jit.domain.values import arm_ids
from jit.interfaces import Queues
from jit.storage import keys
from jit.storage.people.bar_rows import BarRows
from jit.storage.request_store import RequestStore
from jit.storage.subscription_rows import SubscriptionRow, SubscriptionRows


@dataclass(frozen=True, slots=True, kw_only=True)
class DueWork:
    """
    Finds due work in the subscriptions of the broker, and sends messages for it.

    Attributes:
        queues: Built when first called: its SDK is slow.
        named: The ids of the settings, at least one.
    """

    requests: RequestStore
    rows: SubscriptionRows
    bars: BarRows
    queues: Callable[[], Queues]
    named: tuple[str, ...]

    # ---- subscriptions ---------------------------------------------------------------------------

    def list_subscriptions(self) -> tuple[str, ...]:
        """
        Return the ids of the subscriptions to compare.

        They are the named ones, then the dropped ones with grants that are not closed: their paths
        must still end, and an operator must hear of them.
        """
        dropped = (row.subscription for row in self.list_dropped())
        return (*self.named, *(each for each in dropped if self.requests.has_grants(each)))

    def list_dropped(self) -> list[SubscriptionRow]:
        """Return the rows of subscriptions that the settings no longer name."""
        rows = self.rows.read().subscriptions
        return [row for row in rows if row.subscription not in self.named]

    # ---- messages --------------------------------------------------------------------------------

    def tick(self, *, now: datetime) -> None:
        """
        Wake the worker of each policy with due work, have outboxes drained, write the tick.

        Azure is not asked: the settings and the rows name the subscriptions.
        """
        state = self.rows.read()
        known = [row.subscription for row in state.subscriptions]
        for subscription in dict.fromkeys((*self.named, *known)):
            self.wake_due(subscription, now)
            if self.requests.has_events(subscription):
                self.enqueue_drain(subscription)
        self._wake_bars()
        for subscription in {*self.named}.difference(known):
            self.rows.ensure(subscription, now)
        self.rows.note_tick(state.tick, now)

    def _wake_bars(self) -> None:
        """Have the audit rows of bars drained, and revocations finished that died half-way."""
        if self.requests.has_events(keys.PEOPLE):
            self.enqueue_drain(keys.PEOPLE)
        if any(bar.revoking for bar in self.bars.read().known):
            self.queues().send(messages.RECONCILE, messages.revoke_barred(self.named[0]))

    def wake_due(self, subscription: str, now: datetime) -> None:
        """Wake the worker of each policy of a subscription with due work."""
        self.wake(row.policy_id for row in self.requests.list_due(subscription, now))

    def wake(self, policies: Iterable[str]) -> None:
        """Send one message for each policy."""
        for policy_id in {arm_ids.key(each): each for each in policies}.values():
            self.queues().send(messages.POLICY, messages.policy(policy_id))

    def enqueue_comparisons(self) -> None:
        """Send one message for each subscription to compare."""
        for subscription in self.list_subscriptions():
            self.enqueue_comparison(subscription)

    def enqueue_comparison(self, subscription: str, delay: timedelta = timedelta(0)) -> None:
        """Send a message for the comparison of a subscription."""
        text = messages.reconcile(subscription)
        self.queues().send(messages.RECONCILE, text, delay=delay)

    def enqueue_drain(self, subscription: str) -> None:
        """Send a message for the audit outbox of a subscription."""
        self.queues().send(messages.RECONCILE, messages.drain(subscription))
