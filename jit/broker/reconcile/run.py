"""
The comparison of all rules of a subscription with all its grants: look, plan, act.

Rules are observed first and grants are read second, because a grant is durable before any of its
rules. Unfinished grants are left to the worker of their policy, which is woken. Rules that closed
grants left behind are removed by ``leftovers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.broker.locks import ComparisonLease, Locks
from jit.broker.network_managers import NetworkManagers
from jit.broker.reconcile.comparison import Comparison, read_comparison
from jit.broker.reconcile.due_work import DueWork
from jit.broker.reconcile.housekeeping import Housekeeping
from jit.broker.reconcile.leftovers import Leftovers
from jit.broker.reconcile.report import report, report_unread_admin
from jit.broker.reconcile.troubles import find_failed_updates, note_refused_version
from jit.broker.reconcile.unseen_grants import find_unseen
from jit.domain.audit.event import list_transitions
from jit.domain.errors import (
    BrokerError,
    PermissionLost,
    Refused,
    StateConflict,
    Unavailable,
    VersionRefused,
)
from jit.domain.grants import lifetime
from jit.domain.model.absence import ABSENT_AFTER
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.model.machine import VirtualMachine
from jit.domain.network_manager.security_admin_rules import KnownAdminRules
from jit.domain.paths.companion_owners import list_owners
from jit.domain.reconcile.observation import Observation, observe_lists
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.observer.subscription import Observer
from jit.storage.inventory_store import InventoryStore
from jit.storage.request_store import RequestStore
from jit.storage.subscription_rows import SubscriptionRow

MOST_DELETED = 500
"""Tombstones that one run deletes."""

_COMPARED_AGAIN = ABSENT_AFTER + timedelta(seconds=5)
"""After this long a second comparison proves if a resource was deleted, or only not listed."""

LearnAdmin = Callable[[Sequence[VirtualMachine]], KnownAdminRules]
"""Returns the security admin rules of the networks of VMs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """
    Compares rules with grants, one subscription at a time.

    Attributes:
        remove_orphans: True if rules that belong to no grant may be removed.
    """

    requests: RequestStore
    inventory: InventoryStore
    observer: Observer
    locks: Locks
    managers: NetworkManagers
    leftovers: Leftovers
    due_work: DueWork
    housekeeping: Housekeeping
    remove_orphans: bool = False

    # ---- a plan ----------------------------------------------------------------------------------

    def make_dry_run(
        self, *, now: datetime, subscriptions: Iterable[str] | None = None
    ) -> tuple[PlanItem, ...]:
        """
        Return the plan of a run without carrying it out.

        A subscription that cannot be read has an item that says so.

        Args:
            now: Aware, UTC.
            subscriptions: The subscriptions to look at; None means all that are compared.

        Raises:
            Unavailable: Storage could not be read.
        """
        chosen = subscriptions
        names = self.due_work.list_subscriptions() if chosen is None else chosen
        return tuple(item for name in names for item in self._plan(name, now))

    def _plan(self, subscription: str, now: datetime) -> Sequence[PlanItem]:
        try:
            observation, _ = self._observe(
                subscription, now, lambda _: self.managers.list_known(subscription)
            )
        except (Unavailable, Refused) as error:
            telemetry.warning("reconcile.unreadable", subscription=subscription)
            return [_make_unreadable_item(subscription, error)]
        return self._read_comparison(subscription, observation, now).plan()

    # ---- a run -----------------------------------------------------------------------------------

    def run(self, subscription: str, *, now: datetime) -> None:
        """
        Compare the rules of a subscription with its grants, and act on the difference.

        Raises:
            Unavailable: Azure or storage could not be read. The host brings the message back, and
                the timer sends another one.
        """
        subscription = subscription.lower()
        if subscription not in self.due_work.list_subscriptions():
            telemetry.warning("reconcile.skipped", subscription=subscription)
            return
        if subscription not in self.due_work.named:
            telemetry.alert("subscription.dropped", subscription=subscription)
        try:
            self._compare_alone(subscription, now)
        finally:
            self.housekeeping.tidy(subscription, now=now)

    def drain(self, subscription: str, *, now: datetime) -> None:
        """Bring the audit chain of a subscription up to date, without a comparison."""
        self.housekeeping.draining.drain(subscription.lower(), now=now)

    def _compare_alone(self, subscription: str, now: datetime) -> None:
        """Compare, unless another instance does so just now: its outcome would be the same."""
        lease = self.locks.claim_comparison(subscription)
        if lease is None:
            telemetry.event("reconcile.overlapped", subscription=subscription)
            return
        reported = None
        try:
            reported = self._compare(subscription, now, lease)
        finally:
            self.locks.release_comparison(lease, reported)

    def _compare(
        self, subscription: str, now: datetime, lease: ComparisonLease
    ) -> frozenset[str] | None:
        """Observe, plan, act; return the reported names, None if nothing could be observed."""
        before = self.due_work.rows.get(subscription)
        try:
            observation, machines = self._observe(
                subscription, now, lambda vms: self._read_due_admin_rules(subscription, vms, now)
            )
        except Refused as error:  # repeating it would not help; time still passes for grants
            self._tell_refused(error, subscription, before, now)
            self.due_work.wake_due(subscription, now)
            return None
        comparison = self._read_comparison(subscription, observation, now)
        plan = comparison.compare()
        known = [comparison.add_others(vm, plan) for vm in machines]
        self.inventory.write_machines(subscription, known, complete=True)
        self.locks.renew_comparison(lease)
        items = plan.items
        reported = report(items, comparison, lease.row.reported)
        reported |= report_unread_admin(observation, subscription, lease.row.reported)
        self._act(items, comparison)
        troubles = find_failed_updates(comparison, before.troubles if before else ())
        unseen = comparison.find_unseen(plan)
        self.due_work.rows.note_comparison(subscription, before, now, troubles, unseen=unseen)
        return reported

    def _tell_refused(
        self, error: Refused, subscription: str, before: SubscriptionRow | None, now: datetime
    ) -> None:
        """Raise the alert for a subscription that could not be read."""
        if not isinstance(error, VersionRefused):
            telemetry.alert("permission.lost", subscription=subscription, code=error.code)
            return
        known = before.troubles if before else ()
        troubles = note_refused_version(error, subscription, known, now)
        self.due_work.rows.note_troubles(subscription, before, now, troubles)

    def _observe(
        self, subscription: str, now: datetime, learn: LearnAdmin
    ) -> tuple[Observation, tuple[VirtualMachine, ...]]:
        snapshot = self.observer.read_advice_snapshot(subscription)
        found = self.observer.build_machines(subscription, snapshot, now=now)
        admin = learn(found)
        machines = self.observer.add_warnings(found, snapshot, admin)
        return observe_lists(snapshot, machines, admin), machines

    def _read_due_admin_rules(
        self, subscription: str, machines: Sequence[VirtualMachine], now: datetime
    ) -> KnownAdminRules:
        return self.managers.read_due(
            subscription,
            machines,
            lambda ids: self.observer.read_admin_rules(ids, now=now),
            now=now,
        )

    def _read_comparison(
        self, subscription: str, observation: Observation, now: datetime
    ) -> Comparison:
        return read_comparison(
            self.requests, subscription, observation, now=now, remove_orphans=self.remove_orphans
        )

    # ---- acting ----------------------------------------------------------------------------------

    def _act(self, items: Sequence[PlanItem], comparison: Comparison) -> None:
        self.leftovers.return_firewalls(comparison)
        changed = self._change_grants(items, comparison)
        rest = self.leftovers.remove(items, comparison)
        self._delete_tombstones(items, comparison)
        self.due_work.wake([*changed, *rest.policies, *comparison.due])
        if rest.again is not None:
            self.due_work.enqueue_comparison(comparison.subscription, rest.again)
        if comparison.has_doubts:
            self.due_work.enqueue_comparison(comparison.subscription, _COMPARED_AGAIN)

    def _change_grants(self, items: Sequence[PlanItem], comparison: Comparison) -> list[str]:
        """Make grants due or closing, as *items* say; unseen ones are due. Return policies."""
        wanted = {item.grant: item for item in items if item.action is not PlanAction.REPORT}
        unseen = {grant.id for grant in find_unseen(comparison, {item.grant for item in items})}
        policies: list[str] = []
        for row in comparison.rows:
            changed = tuple(
                _make_due(grant, comparison.now)
                if grant.id in unseen
                else _change_grant(grant, wanted.get(grant.id), comparison.now)
                for grant in row.grants
            )
            if changed == row.grants:
                continue
            events = list_transitions(row.grants, changed, now=comparison.now)
            try:
                self.requests.save([(row, changed)], events)
            except StateConflict:
                continue  # its worker changes it just now; the next run looks again
            policies.append(row.policy_id)
        return policies

    def _delete_tombstones(self, items: Iterable[PlanItem], comparison: Comparison) -> None:
        """Delete tombstones whose time is over, but not while one of their rules may stand."""
        needed, left = {item.grant for item in items}, comparison.left_companions
        stale = [
            stone
            for stone in comparison.tombstones
            if comparison.is_over(stone)
            and not any(grant.id in needed or _has_left(grant, left) for grant in stone.grants)
        ]
        self.requests.delete_tombstones(stale[:MOST_DELETED])


def _has_left(grant: Grant, left: frozenset[str]) -> bool:
    """Return True if one of the owners *left* is that of a companion of *grant*."""
    return not left.isdisjoint(list_owners(grant))


def _change_grant(grant: Grant, item: PlanItem | None, now: datetime) -> Grant:
    """Return *grant* as its item wants it: closing, or due."""
    if item is None or not grant.live:
        return grant
    if item.action is PlanAction.CLOSE and grant.wants_path and not item.is_decided_later:
        is_widened = item.kind is PlanClass.ALTERED
        note = f"somebody widened rule {item.rule}" if is_widened else item.reason
        return lifetime.begin_closing(grant, CloseReason.FAILED, now, note)
    return _make_due(grant, now)


def _make_due(grant: Grant, now: datetime) -> Grant:
    return replace(grant, next_check_at=min(grant.next_check_at, now))


def _make_unreadable_item(subscription: str, error: BrokerError) -> PlanItem:
    why = "Azure refused to show it" if isinstance(error, Refused) else "no answer"
    if isinstance(error, PermissionLost):
        why = "the broker may not read it"
    return PlanItem(
        action=PlanAction.REPORT,
        kind=PlanClass.MISSING,
        resource=f"/subscriptions/{subscription}",
        reason=f"its rules could not be read ({why}): nothing is known about them",
    )
