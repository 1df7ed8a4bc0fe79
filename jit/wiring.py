"""
The composition root: who is who, built once, on first use.

Nothing here imports an SDK at import time: the HTTP path must not pay for the workers' clients.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from jit.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from jit.broker.accept import Acceptor
    from jit.broker.configure import Configurator
    from jit.broker.decisions import Decisions
    from jit.broker.health import HealthCheck
    from jit.broker.reconcile import Reconciler
    from jit.broker.views import Views
    from jit.broker.worker import Worker
    from jit.interfaces import Arm, JitPolicies, Network, Queues, Table
    from jit.observer import Observer
    from jit.store import Store

STATE, IDEMPOTENCY, HISTORY, AUDIT = "JitState", "JitIdempotency", "JitHistory", "JitAudit"


def _utc_now() -> datetime:
    return datetime.now(UTC)


clock: Callable[[], datetime] = _utc_now
"""The one clock seam: whoever runs the app on another clock replaces it before the first call."""


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return Settings.from_env(os.environ)


@cache
def credential() -> TokenCredential:
    """Return the broker's managed identity."""
    from jit.gateways.identity import ManagedIdentity

    return ManagedIdentity(settings().client_id)


@cache
def table(name: str) -> Table:
    """Return a table of the storage account."""
    from azure.data.tables import TableClient

    from jit.gateways.tables import TIMING, StorageTable

    if settings().storage_connection:
        client = TableClient.from_connection_string(
            settings().storage_connection or "", name, **TIMING
        )
    else:
        endpoint = f"https://{settings().storage_account}.table.core.windows.net"
        client = TableClient(endpoint, name, credential=credential(), **TIMING)
    return StorageTable(client)


@cache
def queues() -> Queues:
    """Return the queues, for messages with a delay."""
    from azure.storage.queue import QueueClient

    from jit.gateways.queues import TIMING, StorageQueues

    def make(name: str) -> QueueClient:
        if settings().storage_connection:
            return QueueClient.from_connection_string(
                settings().storage_connection or "", name, **TIMING
            )
        endpoint = f"https://{settings().storage_account}.queue.core.windows.net"
        return QueueClient(endpoint, name, credential=credential(), **TIMING)

    return StorageQueues(make)


@cache
def arm() -> Arm:
    """Return the thin reader of Azure Resource Manager."""
    from jit.gateways.arm import ThinArm

    return ThinArm(settings().arm_endpoint, credential(), settings().arm_scope)


@cache
def policies() -> JitPolicies:
    """Return Defender's JIT policies."""
    from jit.gateways.jit_policies import DefenderPolicies

    return DefenderPolicies(settings().arm_endpoint, credential(), settings().arm_scope)


@cache
def network() -> Network:
    """Return NSGs and firewalls."""
    from jit.gateways.network import AzureNetwork

    return AzureNetwork(settings().arm_endpoint, credential(), settings().arm_scope)


@cache
def store() -> Store:
    """Return the broker's memory."""
    from jit.store import Store

    return Store(table(STATE), table(HISTORY))


@cache
def observer() -> Observer:
    """Return the broker's eyes on Azure."""
    from jit.observer import Observer

    return Observer(arm(), policies, network, settings().subscriptions)


@cache
def acceptor() -> Acceptor:
    """Return the use case of ``POST access-requests``."""
    from jit.broker.accept import Acceptor
    from jit.broker.idempotency import Idempotency

    return Acceptor(store(), Idempotency(table(IDEMPOTENCY)), observer, settings().limits)


@cache
def decisions() -> Decisions:
    """Return the use cases of revoke and extend."""
    from jit.broker.decisions import Decisions

    return Decisions(store(), settings().limits)


@cache
def views() -> Views:
    """Return the reads."""
    from jit.broker.views import Views

    return Views(store(), observer)


@cache
def worker() -> Worker:
    """Return the worker of the queue ``jit-policy``."""
    from jit.broker.worker import Worker

    return Worker(store(), observer(), queues, policies, network, settings().limits)


@cache
def configurator() -> Configurator:
    """Return the use case of ``virtual-machines/jit-policy``."""
    from jit.broker.configure import Configurator

    return Configurator(store(), observer, policies, queues)


@cache
def reconciler() -> Reconciler:
    """Return the use case of the timers and of the queue ``jit-reconcile``."""
    from jit.broker.actions import Actions
    from jit.broker.audit import Drainer
    from jit.broker.idempotency import Idempotency
    from jit.broker.reconcile import Reconciler
    from jit.broker.turns import Turns

    turns = Turns(store())
    return Reconciler(
        store=store(),
        observer=observer(),
        actions=Actions(policies, network, turns),
        turns=turns,
        queues=queues,
        drainer=Drainer(store(), table(AUDIT)),
        idempotency=Idempotency(table(IDEMPOTENCY)),
        remove_orphans=settings().remove_orphans,
    )


@cache
def health() -> HealthCheck:
    """Return the use case of ``health``."""
    from jit.broker.health import HealthCheck

    return HealthCheck(lambda: table(STATE), lambda: observer().readable())
