"""
All rules of a subscription against all its grants: look, plan, act.

Rules are observed first and grants read second: a grant is durable before any of its rules. What
concerns unfinished grants is left to their policy's worker, which is told to look at once. What
closed grants left behind is removed by ``leftovers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit import messages, telemetry
from jit.broker.locks import ComparisonLease, Locks
from jit.broker.reconcile.comparison import Comparison, compare
from jit.broker.reconcile.leftovers import Leftovers
from jit.broker.reconcile.report import say
from jit.domain.audit.event import transitions
from jit.domain.errors import BrokerError, PermissionLost, Refused, StateConflict, Unavailable
from jit.domain.grants import lifetime, widened
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.model.machine import VirtualMachine
from jit.domain.reconcile.observation import Observation, observe_lists
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.domain.values import arm_ids
from jit.interfaces import Queues
from jit.observer.subscription import Observer
from jit.storage.audit_chain import Drainer
from jit.storage.control_rows import SubscriptionList
from jit.storage.idempotency_keys import Idempotency
from jit.storage.inventory_store import InventoryStore
from jit.storage.keys import ELSEWHERE
from jit.storage.request_store import RequestStore

DROPPED = 500
"""Tombstones dropped in one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """
    Compares rules with grants, a subscription at a time.

    Attributes:
        queues: Built when first called: its SDK is slow.
        remove_orphans: Whether rules that no grant accounts for may be removed.
    """

    requests: RequestStore
    inventory: InventoryStore
    subscription_list: SubscriptionList
    observer: Observer
    turns: Locks
    leftovers: Leftovers
    queues: Callable[[], Queues]
    drainer: Drainer
    idempotency: Idempotency
    remove_orphans: bool = False

    # ---- timers: look and enqueue ------------------------------------------------------------

    def subscriptions(self) -> tuple[str, ...]:
        """
        Return the ids of the subscriptions that the broker looks after.

        Where the operator names none, those too that Azure lists no more while grants there are not
        over: what was opened there still has to end, and somebody has to hear of it.
        """
        listed = self.observer.watched()
        return (*listed, *self._vanished(listed))

    def _vanished(self, listed: Sequence[str]) -> tuple[str, ...]:
        known = () if self.observer.named else self.subscription_list.list()
        return tuple(it for it in known if it not in listed and self.requests.has_grants(it))

    def enqueue_all(self) -> None:
        """Ask for a comparison of every subscription."""
        for subscription in self.subscriptions():
            self.queues().send(messages.RECONCILE, messages.reconcile(subscription))

    def tick(self, *, now: datetime) -> None:
        """
        Wake the worker of every policy that has something due: no message is ever needed.

        Azure is not asked where to look, but on the first day: what is due is due, whatever the
        identity may read.
        """
        for subscription in self.observer.named or self.subscription_list.list() or self._unknown():
            self._wake_due(subscription, now)

    def _unknown(self) -> tuple[str, ...]:
        """Return where to look until something is known: an older version wrote no list."""
        return self.observer.watched()

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
            Unavailable: Storage, or the list of subscriptions, could not be read.
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
        subscription, listed = subscription.lower(), self.observer.watched()
        vanished = self._vanished(listed)
        looked_after = (*listed, *vanished)
        if subscription not in looked_after:
            telemetry.warning("reconcile.skipped", subscription=subscription)
            return
        if subscription in vanished:
            telemetry.alert("subscription.vanished", subscription=subscription)
        self.subscription_list.add(
            subscription
        )  # whatever Azure answers: what is due there is ticked
        try:
            self._compare(subscription, now)
        finally:
            self._tidy(subscription, looked_after, now)

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
        return told

    def _observe(
        self, subscription: str, now: datetime
    ) -> tuple[Observation, tuple[VirtualMachine, ...]]:
        snapshot = self.observer.survey(subscription)
        machines = self.observer.inventory(snapshot, now=now)
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

    def _tidy(self, subscription: str, looked_after: Sequence[str], now: datetime) -> None:
        """Bring the audit chain up to date; the first does what belongs to no subscription."""
        self.drainer.drain(subscription, now=now)
        if subscription == min(looked_after):
            self._drain_others(looked_after, now)
            self.idempotency.sweep(now=now)

    def _drain_others(self, looked_after: Sequence[str], now: datetime) -> None:
        """Bring those chains up to date that no comparison stands for."""
        given_up = sorted({*self.subscription_list.list()}.difference(looked_after))
        for name in (ELSEWHERE, *given_up):
            self.drainer.drain(name, now=now)


def _told(grant: Grant, item: PlanItem | None, now: datetime) -> Grant:
    """Return *grant* as its item wants it: on its way out, or due."""
    if item is None or not grant.live:
        return grant
    if item.action is PlanAction.CLOSE and grant.wants_path:
        altered = item.kind is PlanClass.ALTERED
        note = widened.describe(item.rule or "") if altered else item.reason
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
