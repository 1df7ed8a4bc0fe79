"""Stores over two tables, and the use cases over them, as the composition root builds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jit.broker.azure_changes import Actions
from jit.broker.configure.configure import Configurator
from jit.broker.configure.policy_writer import PolicyWriter
from jit.broker.locks import Locks
from jit.broker.policy_worker.archive import Finisher
from jit.broker.policy_worker.remove_rules import Remover
from jit.broker.policy_worker.send_initiate import Initiator
from jit.broker.policy_worker.worker import Worker
from jit.broker.reconcile.leftovers import Leftovers
from jit.broker.reconcile.run import Reconciler
from jit.broker.requests.accept import Acceptor
from jit.broker.requests.change import Decisions
from jit.broker.requests.queries import Views
from jit.domain.limits import Limits
from jit.interfaces import JitPolicies, Network, Queues
from jit.observer.subscription import Observer
from jit.storage.audit_chain import Drainer
from jit.storage.control_rows import ControlRows
from jit.storage.history import History
from jit.storage.idempotency_keys import Idempotency
from jit.storage.inventory_store import InventoryStore
from jit.storage.outbox import Outbox
from jit.storage.request_store import RequestStore
from jit.storage.subscription_rows import SubscriptionRows
from jit.storage.table import Table


@dataclass(frozen=True)
class Stores:
    """Every store of the broker."""

    requests: RequestStore
    inventory: InventoryStore
    outbox: Outbox
    locks: Locks
    subscriptions: SubscriptionRows


def stores_over(state: Table, history: Table) -> Stores:
    """Return the stores over ``JitState`` and ``JitHistory``."""
    return Stores(
        requests=RequestStore(state, History(history)),
        inventory=InventoryStore(state),
        outbox=Outbox(state),
        locks=Locks(ControlRows(state)),
        subscriptions=SubscriptionRows(state),
    )


@dataclass(frozen=True)
class Surroundings:
    """
    Everything outside that the use cases need beside their stores.

    Attributes:
        observer: Called when a use case is built, or at each use; a test may exchange it.
        limits: They name the subscriptions of the settings.
    """

    observer: Callable[[], Observer]
    queues: Queues
    policies: Callable[[], JitPolicies]
    network: Callable[[], Network]
    limits: Limits


@dataclass(frozen=True)
class UseCases:
    """The use cases over some stores."""

    stores: Stores
    around: Surroundings

    @property
    def actions(self) -> Actions:
        """The changes of Azure."""
        return Actions(self.around.policies, self.around.network, self.stores.locks)

    def acceptor(self, idempotency: Idempotency) -> Acceptor:
        """Return the use case of ``POST access-requests``."""
        stores, around = self.stores, self.around
        return Acceptor(
            requests=stores.requests,
            inventory=stores.inventory,
            outbox=stores.outbox,
            subscriptions=stores.subscriptions,
            idempotency=idempotency,
            observer=around.observer,
            limits=around.limits,
        )

    def decisions(self) -> Decisions:
        """Return revoke and extend."""
        return Decisions(self.stores.requests, self.stores.inventory, self.around.limits)

    def views(self) -> Views:
        """Return the reads."""
        stores, around = self.stores, self.around
        return Views(
            stores.requests,
            stores.inventory,
            stores.subscriptions,
            around.observer,
            around.limits.subscriptions,
        )

    def worker(self) -> Worker:
        """Return the worker of JIT policies."""
        stores, around = self.stores, self.around
        return Worker(
            requests=stores.requests,
            inventory=stores.inventory,
            observer=around.observer(),
            queues=lambda: around.queues,
            locks=stores.locks,
            actions=self.actions,
            initiator=Initiator(stores.requests, stores.locks, self.actions),
            remover=Remover(stores.outbox, self.actions),
            finisher=Finisher(stores.requests, stores.locks),
            limits=around.limits,
        )

    def reconciler(
        self, audit: Table, idempotency: Idempotency, *, remove_orphans: bool = False
    ) -> Reconciler:
        """Return the comparison of subscriptions, with its timers."""
        stores, around = self.stores, self.around
        return Reconciler(
            requests=stores.requests,
            inventory=stores.inventory,
            subscription_rows=stores.subscriptions,
            observer=around.observer(),
            turns=stores.locks,
            leftovers=Leftovers(
                stores.requests, stores.outbox, around.observer(), self.actions, stores.locks
            ),
            queues=lambda: around.queues,
            drainer=Drainer(stores.outbox, audit),
            idempotency=idempotency,
            named=around.limits.subscriptions,
            remove_orphans=remove_orphans,
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
