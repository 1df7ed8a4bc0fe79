"""Stores over two tables, and the use cases over them, as the composition root builds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jit.broker.asked_bars import AskedBars
from jit.broker.auditing.erasures import ErasureWork
from jit.broker.azure_changes import Actions
from jit.broker.barring.bar_changes import BarChanges
from jit.broker.barring.bar_revocation import BarRevocation
from jit.broker.configure.configure import Configurator
from jit.broker.configure.policy_writer import PolicyWriter
from jit.broker.denial_limit import DenialLimit
from jit.broker.locks import Locks
from jit.broker.look_pace import LookPace
from jit.broker.network_managers import NetworkManagers
from jit.broker.policy_worker.archive import Archive
from jit.broker.policy_worker.barred_requests import BarredRequests
from jit.broker.policy_worker.look import Look
from jit.broker.policy_worker.remove_rules import RuleRemover
from jit.broker.policy_worker.send_initiate import InitiateSender
from jit.broker.policy_worker.unentitled_requests import UnentitledRequests
from jit.broker.policy_worker.worker import Worker
from jit.broker.reconcile.draining import Draining
from jit.broker.reconcile.due_work import DueWork
from jit.broker.reconcile.housekeeping import Housekeeping
from jit.broker.reconcile.leftovers import Leftovers
from jit.broker.reconcile.run import Reconciler
from jit.broker.requests.accept import Acceptance
from jit.broker.requests.change import RequestChanges
from jit.broker.requests.fresh_look import FreshLooks
from jit.broker.requests.person_checks import PersonChecks
from jit.broker.requests.queries import Queries
from jit.broker.requests.recorded_changes import RecordedChanges
from jit.broker.rights.asked_rights import AskedRights
from jit.broker.rights.kept_rights import KeptRights
from jit.broker.rights.reading_pace import ReadingPace
from jit.broker.rights.rights_reader import RightsReader
from jit.broker.shared_looks import SharedLooks
from jit.broker.trail import Trail
from jit.domain.limits import Limits
from jit.interfaces import Arm, JitPolicies, Network, Queues
from jit.observer.subscription import Observer
from jit.settings import RequesterRbac
from jit.storage.audit_chain import Drainer
from jit.storage.callers.denial_counts import DenialCounts
from jit.storage.callers.idempotency_keys import Idempotency
from jit.storage.callers.idle_rows import IdleRows
from jit.storage.callers.person_rows import PersonRows
from jit.storage.control_rows import ControlRows
from jit.storage.history import History
from jit.storage.inventory_store import InventoryStore
from jit.storage.lists.request_lists import RequestLists
from jit.storage.moves.closed_requests import ClosedRequests
from jit.storage.networks.admin_rule_rows import AdminRuleRows
from jit.storage.outbox import Outbox
from jit.storage.people.bar_rows import BarRows
from jit.storage.request_store import RequestStore
from jit.storage.subscription_rows import SubscriptionRows
from jit.storage.table import Table
from jit.storage.trail.chain_reads import ChainReads
from jit.storage.trail.erasure_rows import ErasureRows
from jit.storage.trail.history_texts import HistoryTexts
from tests.fakes.authorization import FakeAuthorization
from tests.fakes.pools import InlinePool


@dataclass(frozen=True)
class Stores:
    """Every store of the broker."""

    requests: RequestStore
    closed: ClosedRequests
    lists: RequestLists
    inventory: InventoryStore
    outbox: Outbox
    locks: Locks
    control: ControlRows
    subscriptions: SubscriptionRows
    admin_rules: AdminRuleRows
    bars: BarRows
    denial_counts: DenialCounts
    idle: IdleRows
    people: PersonRows
    erasures: ErasureRows
    history_texts: HistoryTexts


MANY: Mapping[str, Any] = {
    "live_requests": 2_000,
    "live_on_one_port": 2_000,
    "requests_per_day": 2_000,
}
"""Limits of tests in which one person plays many people."""


def _no_pause(_seconds: float) -> None:
    """Try again at once."""


def stores_over(state: Table, history: Table) -> Stores:
    """Return the stores over ``JitState`` and ``JitHistory``."""
    return Stores(
        requests=RequestStore(state, History(history)),
        closed=ClosedRequests(state, history),
        lists=RequestLists(state, history),
        inventory=InventoryStore(state),
        outbox=Outbox(state),
        locks=Locks(ControlRows(state)),
        control=ControlRows(state),
        subscriptions=SubscriptionRows(state),
        admin_rules=AdminRuleRows(state),
        bars=BarRows(state),
        denial_counts=DenialCounts(state),
        idle=IdleRows(state),
        people=PersonRows(state),
        erasures=ErasureRows(state),
        history_texts=HistoryTexts(history),
    )


@dataclass(frozen=True)
class Surroundings:
    """
    Everything outside that the use cases need beside their stores.

    Attributes:
        observer: Called when a use case is built, or at each use; a test may exchange it.
        limits: They name the subscriptions of the settings.
        reads_network_manager, requester_rbac: As in the settings.
        authorization: The lists of Azure that tell the rights of people.
    """

    observer: Callable[[], Observer]
    queues: Queues
    policies: Callable[[], JitPolicies]
    network: Callable[[], Network]
    limits: Limits
    reads_network_manager: bool = True
    authorization: Arm = field(default_factory=FakeAuthorization)
    requester_rbac: RequesterRbac = RequesterRbac.ENFORCE


@dataclass(frozen=True)
class UseCases:
    """The use cases over some stores."""

    stores: Stores
    around: Surroundings

    @cached_property
    def asked_bars(self) -> AskedBars:
        """The bars of this process."""
        return AskedBars(self.stores.bars)

    @cached_property
    def kept_rights(self) -> KeptRights:
        """The rights of people that this process has read."""
        return KeptRights(
            RightsReader(lambda: self.around.authorization, ReadingPace(), InlinePool)
        )

    @property
    def asked_rights(self) -> Callable[[], AskedRights] | None:
        """The rights of people, if they count."""
        mode = self.around.requester_rbac
        if mode is RequesterRbac.OFF:
            return None
        return lambda: AskedRights(self.kept_rights, is_enforced=mode is RequesterRbac.ENFORCE)

    @property
    def actions(self) -> Actions:
        """The changes of Azure."""
        return Actions(self.around.policies, self.around.network, self.stores.locks.firewalls)

    @property
    def managers(self) -> NetworkManagers:
        """The knowledge of security admin rules."""
        return NetworkManagers(
            rows=self.stores.admin_rules, in_use=self.around.reads_network_manager
        )

    @property
    def trail(self) -> Trail:
        """The records of calls that change no row."""
        stores, limits = self.stores, self.around.limits
        denials = DenialLimit(stores.denial_counts, stores.outbox, limits)
        return Trail(stores.outbox, stores.subscriptions, limits, denials)

    @property
    def pace(self) -> LookPace:
        """The pace of looks that callers cause."""
        return LookPace(lambda: self.stores.control)

    @cached_property
    def looks(self) -> SharedLooks:
        """The fresh looks of callers at subscriptions."""
        return SharedLooks(self.stores.inventory, self.pace, self.around.observer)

    def acceptance(self, idempotency: Idempotency) -> Acceptance:
        """Return the use case of ``POST access-requests``."""
        stores, around = self.stores, self.around
        return Acceptance(
            requests=stores.requests,
            inventory=stores.inventory,
            trail=lambda: self.trail,
            subscriptions=stores.subscriptions,
            idempotency=idempotency,
            looks=self.looks,
            people=stores.people,
            limits=around.limits,
            bars=self.asked_bars,
            pause=_no_pause,
            rights=self.asked_rights,
        )

    def request_changes(self, idempotency: Idempotency) -> RecordedChanges:
        """Return revoke and extend."""
        stores, around = self.stores, self.around
        changes = RequestChanges(
            requests=stores.requests,
            inventory=stores.inventory,
            idempotency=idempotency,
            limits=around.limits,
            people=PersonChecks(self.asked_bars, self.asked_rights),
        )
        return RecordedChanges(changes, self.trail)

    def bar_changes(self, idempotency: Idempotency) -> BarChanges:
        """Return the use case of ``barred``."""
        revocation = BarRevocation(
            requests=self.stores.requests,
            changes=self.request_changes(idempotency).changes,
            subscriptions=self.due_work().list_subscriptions,
        )
        return BarChanges(
            rows=self.stores.bars,
            asked=self.asked_bars,
            revocation=revocation,
            limits=self.around.limits,
        )

    def queries(self) -> Queries:
        """Return the reads of callers."""
        stores, around = self.stores, self.around
        return Queries(
            requests=stores.requests,
            lists=stores.lists,
            inventory=stores.inventory,
            subscriptions=stores.subscriptions,
            looks=self.looks,
            named=around.limits.subscriptions,
            rights=self.asked_rights,
        )

    def fresh_looks(self) -> FreshLooks:
        """Return the looks that callers ask for."""
        return FreshLooks(rows=lambda: self.stores.control, queues=lambda: self.around.queues)

    def worker(self) -> Worker:
        """Return the worker of JIT policies."""
        stores, around = self.stores, self.around
        return Worker(
            requests=stores.requests,
            look=Look(
                inventory=stores.inventory,
                observer=around.observer(),
                locks=stores.locks,
                managers=self.managers,
                limits=around.limits,
            ),
            queues=lambda: around.queues,
            locks=stores.locks,
            actions=self.actions,
            initiates=InitiateSender(stores.requests, stores.locks, self.actions),
            remover=RuleRemover(stores.outbox, self.actions),
            archive=Archive(stores.requests, stores.closed, stores.people, stores.locks),
            barred=BarredRequests(self.asked_bars, stores.requests),
            unentitled=UnentitledRequests(
                self.kept_rights if around.requester_rbac is RequesterRbac.ENFORCE else None,
                stores.requests,
            ),
            limits=around.limits,
        )

    def reconciler(
        self, audit: Table, idempotency: Idempotency, *, remove_orphans: bool = False
    ) -> Reconciler:
        """Return the comparison of subscriptions; its chains stand in *audit*."""
        stores, around = self.stores, self.around
        return Reconciler(
            requests=stores.requests,
            inventory=stores.inventory,
            observer=around.observer(),
            locks=stores.locks,
            managers=self.managers,
            leftovers=Leftovers(
                requests=stores.requests,
                outbox=stores.outbox,
                observer=around.observer(),
                actions=self.actions,
                locks=stores.locks,
            ),
            due_work=self.due_work(),
            housekeeping=Housekeeping(
                due_work=self.due_work(),
                draining=Draining(
                    drainer=Drainer(stores.outbox, audit),
                    erasures=ErasureWork(
                        stores.erasures, ChainReads(audit), stores.outbox, stores.history_texts
                    ),
                    locks=stores.locks,
                    due_work=self.due_work(),
                ),
                idempotency=idempotency,
                idle=stores.idle,
            ),
            remove_orphans=remove_orphans,
        )

    def due_work(self) -> DueWork:
        """Return the work of the timers."""
        stores, around = self.stores, self.around
        return DueWork(
            requests=stores.requests,
            rows=stores.subscriptions,
            bars=stores.bars,
            queues=lambda: around.queues,
            named=around.limits.subscriptions,
        )

    def configurator(self) -> Configurator:
        """Return the use case of ``virtual-machines/jit-policy``."""
        stores, around = self.stores, self.around
        return Configurator(
            requests=stores.requests,
            inventory=stores.inventory,
            locks=stores.locks,
            writer=PolicyWriter(stores.outbox, stores.locks, around.policies),
            observer=around.observer,
            queues=lambda: around.queues,
            named=around.limits.subscriptions,
        )
