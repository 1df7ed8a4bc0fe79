"""
All rules of a subscription against all its grants: look, plan, act.

Rules are observed first and grants read second: a grant is durable before any of its rules. What
concerns unfinished grants is left to their policy's worker, which is told to look at once. What
closed grants left behind is removed by ``leftovers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import messages, telemetry
from jit.broker.locks import ComparisonLease, Locks
from jit.broker.reconcile.comparison import Comparison, compare
from jit.broker.reconcile.leftovers import Leftovers
from jit.broker.reconcile.report import say
from jit.domain.audit.event import transitions
from jit.domain.errors import BrokerError, PermissionLost, Refused, StateConflict, Unavailable
from jit.domain.grants import lifetime
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.model.machine import VirtualMachine
from jit.domain.reconcile.observation import Observation, observe_lists
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.domain.values import arm_ids
from jit.interfaces import Queues
from jit.observer.subscription import Observer
from jit.storage.audit_chain import Drainer
from jit.storage.idempotency_keys import Idempotency
from jit.storage.inventory_store import InventoryStore
from jit.storage.request_store import RequestStore
from jit.storage.subscription_rows import SubscriptionRow, SubscriptionRows

DROPPED = 500
"""Tombstones dropped in one run."""

DROPPED_KEPT = timedelta(hours=1)
"""Time that the row of a dropped subscription outlasts its last comparison: longer than an HTTP
call of a process that still has the older settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """
    Compares rules with grants, a subscription at a time.

    Attributes:
        queues: Built when first called: its SDK is slow.
        named: The ids of the settings, at least one.
        remove_orphans: Whether rules that no grant accounts for may be removed.
    """

    requests: RequestStore
    inventory: InventoryStore
    subscription_rows: SubscriptionRows
    observer: Observer
    turns: Locks
    leftovers: Leftovers
    queues: Callable[[], Queues]
    drainer: Drainer
    idempotency: Idempotency
    named: tuple[str, ...]
    remove_orphans: bool = False

    # ---- timers: look and enqueue ------------------------------------------------------------

    def subscriptions(self) -> tuple[str, ...]:
        """
        Return the ids of the subscriptions to compare.

        They are the named ones, then the dropped ones with grants that are not closed: their paths
        must still end, and an operator must hear of them.
        """
        dropped = (item.subscription for item in self._dropped())
        return (*self.named, *(each for each in dropped if self.requests.has_grants(each)))

    def _dropped(self) -> list[SubscriptionRow]:
        """Return the rows of subscriptions that the settings no longer name."""
        rows = self.subscription_rows.read().subscriptions
        return [item for item in rows if item.subscription not in self.named]

    def enqueue_all(self) -> None:
        """Ask for a comparison of every subscription."""
        for subscription in self.subscriptions():
            self.queues().send(messages.RECONCILE, messages.reconcile(subscription))

    def tick(self, *, now: datetime) -> None:
        """
        Wake the worker of every policy that has something due: no message is ever needed.

        Azure is not asked: the settings and the rows name the subscriptions.
        """
        state = self.subscription_rows.read()
        known = [item.subscription for item in state.subscriptions]
        for subscription in dict.fromkeys((*self.named, *known)):
            self._wake_due(subscription, now)
        for subscription in {*self.named}.difference(known):
            self.subscription_rows.ensure(subscription, now)
        self.subscription_rows.note_tick(state.tick, now)

    def _wake_due(self, subscription: str, now: datetime) -> None:
        self._wake(row.policy_id for row in self.requests.list_due(subscription, now))

    def _wake(self, policies: Iterable[str]) -> None:
        """Send one message a policy."""
        for policy_id in {arm_ids.key(item): item for item in policies}.values():
            self.queues().send(messages.POLICY, messages.policy(policy_id))

    # ---- one subscription ----------------------------------------------------------------------

    def dry_run(
        self, *, now: datetime, subscriptions: Iterable[str] | None = None
    ) -> tuple[PlanItem, ...]:
        """
        Return what a run would do, without doing it; a subscription that cannot be read says so.

        Args:
            now: Aware, UTC.
            subscriptions: Those to look at; all that the broker looks after if None.

        Raises:
            Unavailable: Storage could not be read.
        """
        names = self.subscriptions() if subscriptions is None else subscriptions
        return tuple(item for name in names for item in self._planned(name, now))

    def _planned(self, subscription: str, now: datetime) -> Sequence[PlanItem]:
        try:
            found, _ = self._observe(subscription, now)
        except (Unavailable, Refused) as error:
            telemetry.warning("reconcile.unreadable", subscription=subscription)
            return [_unreadable(subscription, error)]
        return self._comparison(subscription, found, now).plan()

    def run(self, subscription: str, *, now: datetime) -> None:
        """
        Compare a subscription's rules with its grants, and act on the difference.

        Raises:
            Unavailable: Azure or storage could not be read; the host brings the message back, and
                the timer would too.
        """
        subscription = subscription.lower()
        if subscription not in self.subscriptions():
            telemetry.warning("reconcile.skipped", subscription=subscription)
            return
        if subscription not in self.named:
            telemetry.alert("subscription.dropped", subscription=subscription)
        try:
            self._compare(subscription, now)
        finally:
            self._tidy(subscription, now)

    def _compare(self, subscription: str, now: datetime) -> None:
        """Compare unless another instance is at it just now: its outcome would be the same."""
        lease = self.turns.claim_comparison(subscription)
        if lease is None:
            telemetry.event("reconcile.overlapped", subscription=subscription)
            return
        reported = None
        try:
            reported = self._compared(subscription, now, lease)
        finally:
            self.turns.release_comparison(lease, reported)

    def _compared(
        self, subscription: str, now: datetime, lease: ComparisonLease
    ) -> frozenset[str] | None:
        """Observe, plan, act; return what was told, None if nothing could be observed."""
        before = self.subscription_rows.get(subscription)
        try:
            found, machines = self._observe(subscription, now)
        except Refused as error:  # repeating it would not help; time still passes for grants
            telemetry.alert("permission.lost", subscription=subscription, code=error.code)
            self._wake_due(subscription, now)
            return None
        self.inventory.write_machines(subscription, machines, complete=True)
        self.turns.renew_comparison(lease)
        comparison = self._comparison(subscription, found, now)
        items = comparison.plan()
        told = say(items, comparison, lease.row.reported)
        self._act(items, comparison)
        self.subscription_rows.note_comparison(subscription, before, now)
        return told

    def _observe(
        self, subscription: str, now: datetime
    ) -> tuple[Observation, tuple[VirtualMachine, ...]]:
        snapshot = self.observer.read_advice_snapshot(subscription)
        machines = self.observer.build_machines(snapshot, now=now)
        return observe_lists(snapshot, machines), machines

    def _comparison(self, subscription: str, found: Observation, now: datetime) -> Comparison:
        return compare(
            self.requests, subscription, found, now=now, remove_orphans=self.remove_orphans
        )

    def _act(self, items: Sequence[PlanItem], comparison: Comparison) -> None:
        self.leftovers.return_turns(comparison)
        woken = self._tell(items, comparison)
        done = self.leftovers.remove(items, comparison)
        self._forget(items, comparison)
        self._wake([*woken, *done.policies, *comparison.due])
        if done.again is not None:
            text = messages.reconcile(comparison.subscription)
            self.queues().send(messages.RECONCILE, text, delay=done.again)

    def _tell(self, items: Iterable[PlanItem], comparison: Comparison) -> list[str]:
        """Make unfinished grants due that their worker should look at; return their policies."""
        wanted = {item.grant: item for item in items if item.action is not PlanAction.REPORT}
        woken: list[str] = []
        for held in comparison.rows:
            told = tuple(
                _told(grant, wanted.get(grant.id), comparison.now) for grant in held.grants
            )
            if told == held.grants:
                continue
            events = transitions(held.grants, told, now=comparison.now)
            try:
                self.requests.save([(held, told)], events)
            except StateConflict:
                continue  # its worker is at it just now; the next run looks again
            woken.append(held.grants[0].policy_id)
        return woken

    # ---- housekeeping --------------------------------------------------------------------------

    def _forget(self, items: Iterable[PlanItem], comparison: Comparison) -> None:
        """Drop tombstones whose time is over, but not while a rule of theirs still stands."""
        needed = {item.grant for item in items}
        stale = [
            held
            for held in comparison.tombstones
            if held.until <= comparison.now and not any(grant.id in needed for grant in held.grants)
        ]
        self.requests.delete_tombstones(stale[:DROPPED])

    def _tidy(self, subscription: str, now: datetime) -> None:
        """Bring the audit chain up to date; the first does what belongs to no subscription."""
        self.drainer.drain(subscription, now=now)
        if subscription == self.named[0]:
            self._forget_dropped(now)
            self.idempotency.sweep(now=now)

    def _forget_dropped(self, now: datetime) -> None:
        """Complete the chains of dropped subscriptions without grants, then remove their rows."""
        for item in self._dropped():
            if self.requests.has_grants(item.subscription):
                continue
            drained = self.drainer.drain(item.subscription, now=now)
            if not drained and _is_over(item, now):
                self.subscription_rows.remove(item)


def _is_over(item: SubscriptionRow, now: datetime) -> bool:
    """Return True if no process can still accept a request there under older settings."""
    last = item.compared_at or item.since
    return last is None or now >= last + DROPPED_KEPT


def _told(grant: Grant, item: PlanItem | None, now: datetime) -> Grant:
    """Return *grant* as its item wants it: on its way out, or due."""
    if item is None or not grant.live:
        return grant
    if item.action is PlanAction.CLOSE and grant.wants_path:
        widened = item.kind is PlanClass.ALTERED
        note = f"somebody widened rule {item.rule}" if widened else item.reason
        return lifetime.begin_closing(grant, CloseReason.FAILED, now, note)
    return replace(grant, next_check_at=min(grant.next_check_at, now))


def _unreadable(subscription: str, error: BrokerError) -> PlanItem:
    what = "the broker may not read it" if isinstance(error, PermissionLost) else "no answer"
    return PlanItem(
        action=PlanAction.REPORT,
        kind=PlanClass.MISSING,
        resource=f"/subscriptions/{subscription}",
        reason=f"its rules could not be read ({what}): nothing is known about them",
    )
