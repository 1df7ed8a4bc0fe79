"""
The composition root: every part of the broker is built here, once, on first use.

No SDK is imported when this module is: the HTTP path must not pay for the clients of the workers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from threading import Lock
from typing import TYPE_CHECKING

from jit.settings import RequesterRbac, Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from jit.broker.asked_bars import AskedBars
    from jit.broker.auditing.chains import Chains
    from jit.broker.auditing.erasures import Erasures
    from jit.broker.auditing.record_pages import RecordPages
    from jit.broker.azure_changes import Actions
    from jit.broker.barring.bar_changes import BarChanges
    from jit.broker.call_counts import CallCounts
    from jit.broker.configure.configure import Configurator
    from jit.broker.health import HealthCheck
    from jit.broker.locks import Locks
    from jit.broker.look_pace import LookPace
    from jit.broker.network_managers import NetworkManagers
    from jit.broker.policy_worker.worker import Worker
    from jit.broker.reconcile.dry_run import DryRuns
    from jit.broker.reconcile.due_work import DueWork
    from jit.broker.reconcile.run import Reconciler
    from jit.broker.requests.accept import Acceptance
    from jit.broker.requests.fresh_look import FreshLooks
    from jit.broker.requests.queries import Queries
    from jit.broker.requests.recorded_changes import RecordedChanges
    from jit.broker.rights.asked_rights import AskedRights
    from jit.broker.rights.kept_rights import KeptRights
    from jit.broker.shared_looks import SharedLooks
    from jit.broker.trail import Trail
    from jit.interfaces import Arm, JitPolicies, Network, Queues
    from jit.observer.subscription import Observer
    from jit.storage.callers.idempotency_keys import Idempotency
    from jit.storage.callers.person_rows import PersonRows
    from jit.storage.control_rows import ControlRows
    from jit.storage.inventory_store import InventoryStore
    from jit.storage.moves.closed_requests import ClosedRequests
    from jit.storage.outbox import Outbox
    from jit.storage.people.bar_rows import BarRows
    from jit.storage.request_store import RequestStore
    from jit.storage.subscription_rows import SubscriptionRows
    from jit.storage.table import Table
    from jit.storage.trail.erasure_rows import ErasureRows

_FIRST_USE = Lock()  # `cache` alone may build twice if two threads come at once

STATE, IDEMPOTENCY, HISTORY, AUDIT = "JitState", "JitIdempotency", "JitHistory", "JitAudit"


clock: Callable[[], datetime] = partial(datetime.now, UTC)
"""The one seam of the clock: a host with another clock replaces it before the first call."""


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return Settings.from_env(os.environ)


@cache
def call_counts() -> CallCounts:
    """Return the counts of the callers' calls at this instance."""
    from jit.broker.call_counts import CallCounts

    return CallCounts(settings().limits)


@cache
def credential() -> TokenCredential:
    """Return the broker's managed identity."""
    from jit.gateways.managed_identity import ManagedIdentity

    return ManagedIdentity(settings().client_id)


@cache
def table(name: str) -> Table:
    """Return a table of the storage account."""
    from azure.data.tables import TableClient

    from jit.gateways.table_storage import TIMING, StorageTable

    if text := settings().storage_connection:
        client = TableClient.from_connection_string(text, name, **TIMING)
    else:
        endpoint = f"https://{settings().storage_account}.table.core.windows.net"
        client = TableClient(endpoint, name, credential=credential(), **TIMING)
    return StorageTable(client)


@cache
def queues() -> Queues:
    """Return the queues, for messages with a delay."""
    from jit.gateways.queue_storage import StorageQueues

    where = settings()
    return StorageQueues.build(where.storage_connection, where.storage_account, credential)


@cache
def quick_queues() -> Queues:
    """Return the queues, for a message that a caller waits for and that may be lost."""
    from jit.gateways.queue_storage import QUICK, StorageQueues

    where = settings()
    return StorageQueues.build(where.storage_connection, where.storage_account, credential, QUICK)


@cache
def arm() -> Arm:
    """Return the thin reader of Azure Resource Manager."""
    from jit.gateways.arm import ThinArm

    return ThinArm(settings().arm_endpoint, credential(), settings().arm_scope)


@cache
def policies() -> JitPolicies:
    """Return Defender's JIT policies."""
    from jit.gateways.defender import DefenderPolicies

    return DefenderPolicies(settings().arm_endpoint, credential(), settings().arm_scope)


@cache
def network() -> Network:
    """Return NSGs and firewalls."""
    from jit.gateways.network import AzureNetwork

    return AzureNetwork(settings().arm_endpoint, credential(), settings().arm_scope)


@cache
def requests() -> RequestStore:
    """Return the requests with their grants."""
    from jit.storage.history import History
    from jit.storage.request_store import RequestStore

    return RequestStore(table(STATE), History(table(HISTORY)))


@cache
def inventory() -> InventoryStore:
    """Return the virtual machines as last seen."""
    from jit.storage.inventory_store import InventoryStore

    return InventoryStore(table(STATE))


@cache
def outbox() -> Outbox:
    """Return the audit outbox."""
    from jit.storage.outbox import Outbox

    return Outbox(table(STATE))


@cache
def trail() -> Trail:
    """Return the records of calls that change no row."""
    from jit.broker.denial_limit import DenialLimit
    from jit.broker.trail import Trail
    from jit.storage.callers.denial_counts import DenialCounts

    limits = settings().limits
    denials = DenialLimit(DenialCounts(table(STATE)), outbox(), limits)
    return Trail(outbox(), subscription_rows(), limits, denials)


@cache
def control_rows() -> ControlRows:
    """Return the rows that control who works on what."""
    from jit.storage.control_rows import ControlRows

    return ControlRows(table(STATE))


@cache
def locks() -> Locks:
    """Return the locks on policies, firewalls and comparisons."""
    from jit.broker.locks import Locks

    return Locks(control_rows())


@cache
def actions() -> Actions:
    """Return the changes of Azure."""
    from jit.broker.azure_changes import Actions

    return Actions(policies, network, locks().firewalls)


@cache
def subscription_rows() -> SubscriptionRows:
    """Return the rows of the subscriptions."""
    from jit.storage.subscription_rows import SubscriptionRows

    return SubscriptionRows(table(STATE))


@cache
def bar_rows() -> BarRows:
    """Return the rows of bars."""
    from jit.storage.people.bar_rows import BarRows

    return BarRows(table(STATE))


@cache
def asked_bars() -> AskedBars:
    """Return the bars, as they are asked before access is given."""
    from jit.broker.asked_bars import AskedBars

    return AskedBars(bar_rows())


@cache
def closed_requests() -> ClosedRequests:
    """Return the move of closed requests to history."""
    from jit.storage.moves.closed_requests import ClosedRequests

    return ClosedRequests(table(STATE), table(HISTORY))


@cache
def kept_rights() -> KeptRights:
    """Return the rights of people in Azure, as this process has read them."""
    from jit.broker.rights.kept_rights import KeptRights
    from jit.broker.rights.reading_pace import ReadingPace
    from jit.broker.rights.rights_reader import RightsReader

    return KeptRights(RightsReader(arm, ReadingPace()))


@cache
def asked_rights() -> AskedRights:
    """Return the rights of people in Azure, as they are asked before access is given."""
    from jit.broker.rights.asked_rights import AskedRights

    return AskedRights(kept_rights(), is_enforced=_are_rights_enforced())


def _are_rights_enforced() -> bool:
    return settings().requester_rbac is RequesterRbac.ENFORCE


def _rights_if_they_count() -> Callable[[], AskedRights] | None:
    """Return a function for the rights of people; nothing of it is loaded before it is called."""
    return None if settings().requester_rbac is RequesterRbac.OFF else asked_rights


@cache
def person_rows() -> PersonRows:
    """Return the rows that count the requests of each person."""
    from jit.storage.callers.person_rows import PersonRows

    return PersonRows(table(STATE))


@cache
def managers() -> NetworkManagers:
    """Return the knowledge of security admin rules."""
    from jit.broker.network_managers import NetworkManagers
    from jit.storage.networks.admin_rule_rows import AdminRuleRows

    return NetworkManagers(
        rows=AdminRuleRows(table(STATE)), in_use=settings().reads_network_manager
    )


@cache
def observer() -> Observer:
    """Return the observer of Azure."""
    from jit.observer.reads import Reader
    from jit.observer.subscription import Observer

    reader, known = Reader(arm(), network), managers().list_known
    return Observer(arm(), policies, reader, known, inventory().list_machines)


@cache
def idempotency() -> Idempotency:
    """Return the keys of callers."""
    from jit.storage.callers.earlier_keys import EarlierKeys
    from jit.storage.callers.idempotency_keys import Idempotency

    return Idempotency(table(STATE), EarlierKeys(table(IDEMPOTENCY)))


@cache
def look_pace() -> LookPace:
    """Return the pace of looks that callers cause."""
    from jit.broker.look_pace import LookPace

    return LookPace(control_rows)


@cache
def shared_looks() -> SharedLooks:
    """Return the fresh looks at subscriptions for callers."""
    from jit.broker.shared_looks import SharedLooks

    return SharedLooks(inventory(), look_pace(), observer)


@cache
def acceptance() -> Acceptance:
    """Return the use case of ``POST access-requests``."""
    from jit.broker.requests.accept import Acceptance

    return Acceptance(
        requests=requests(),
        inventory=inventory(),
        trail=trail,
        subscriptions=subscription_rows(),
        idempotency=idempotency(),
        people=person_rows(),
        looks=shared_looks(),
        limits=settings().limits,
        bars=asked_bars(),
        pause=time.sleep,
        rights=_rights_if_they_count(),
    )


@cache
def request_changes() -> RecordedChanges:
    """Return the use cases of revoke and extend."""
    from jit.broker.requests.change import RequestChanges
    from jit.broker.requests.person_checks import PersonChecks
    from jit.broker.requests.recorded_changes import RecordedChanges

    changes = RequestChanges(
        requests=requests(),
        inventory=inventory(),
        idempotency=idempotency(),
        limits=settings().limits,
        people=PersonChecks(asked_bars(), _rights_if_they_count()),
    )
    return RecordedChanges(changes, trail())


@cache
def bar_changes() -> BarChanges:
    """Return the use case of ``barred``."""
    from jit.broker.barring.bar_changes import BarChanges
    from jit.broker.barring.bar_revocation import BarRevocation

    revocation = BarRevocation(
        requests=requests(),
        changes=request_changes().changes,
        subscriptions=due_work().list_subscriptions,
    )
    return BarChanges(
        rows=bar_rows(), asked=asked_bars(), revocation=revocation, limits=settings().limits
    )


@cache
def queries() -> Queries:
    """Return the reads of callers."""
    from jit.broker.requests.queries import Queries
    from jit.storage.lists.request_lists import RequestLists

    return Queries(
        requests=requests(),
        lists=RequestLists(table(STATE), table(HISTORY)),
        inventory=inventory(),
        subscriptions=subscription_rows(),
        looks=shared_looks(),
        named=settings().subscriptions,
        rights=_rights_if_they_count(),
    )


@cache
def chains() -> Chains:
    """Return the chains of the audit trail."""
    from jit.broker.auditing.chains import Chains
    from jit.storage.trail.chain_reads import ChainReads

    return Chains(
        reads=ChainReads(table(AUDIT)),
        subscriptions=subscription_rows(),
        named=settings().subscriptions,
    )


@cache
def erasure_rows() -> ErasureRows:
    """Return the orders to erase texts."""
    from jit.storage.trail.erasure_rows import ErasureRows

    return ErasureRows(table(STATE))


@cache
def erasures() -> Erasures:
    """Return the use case of ``audit/erasures``."""
    from jit.broker.auditing.erasures import Erasures

    return Erasures(erasure_rows(), chains())


@cache
def record_pages() -> RecordPages:
    """Return the list of audit records."""
    from jit.broker.auditing.record_pages import RecordPages

    return RecordPages(chains())


@cache
def fresh_looks() -> FreshLooks:
    """Return the use case of a caller who asks for the state of an open path."""
    from jit.broker.requests.fresh_look import FreshLooks

    return FreshLooks(rows=control_rows, queues=quick_queues)


@cache
def worker() -> Worker:
    """Return the worker of the queue ``jit-policy``."""
    from jit.broker.policy_worker.archive import Archive
    from jit.broker.policy_worker.barred_requests import BarredRequests
    from jit.broker.policy_worker.look import Look
    from jit.broker.policy_worker.remove_rules import RuleRemover
    from jit.broker.policy_worker.send_initiate import InitiateSender
    from jit.broker.policy_worker.unentitled_requests import UnentitledRequests
    from jit.broker.policy_worker.worker import Worker

    return Worker(
        requests=requests(),
        look=Look(
            inventory=inventory(),
            observer=observer(),
            locks=locks(),
            managers=managers(),
            limits=settings().limits,
        ),
        queues=queues,
        locks=locks(),
        actions=actions(),
        initiates=InitiateSender(requests(), locks(), actions()),
        remover=RuleRemover(outbox(), actions()),
        archive=Archive(requests(), closed_requests(), person_rows(), locks()),
        barred=BarredRequests(asked_bars(), requests()),
        unentitled=UnentitledRequests(
            kept_rights() if _are_rights_enforced() else None, requests()
        ),
        limits=settings().limits,
    )


@cache
def configurator() -> Configurator:
    """Return the use case of ``virtual-machines/jit-policy``."""
    from jit.broker.configure.configure import Configurator
    from jit.broker.configure.policy_writer import PolicyWriter

    return Configurator(
        requests=requests(),
        inventory=inventory(),
        locks=locks(),
        writer=PolicyWriter(outbox(), locks(), policies),
        observer=observer,
        queues=queues,
        named=settings().subscriptions,
    )


@cache
def due_work() -> DueWork:
    """Return the use case of the timers."""
    from jit.broker.reconcile.due_work import DueWork

    return DueWork(
        requests=requests(),
        rows=subscription_rows(),
        bars=bar_rows(),
        queues=queues,
        named=settings().subscriptions,
    )


@cache
def reconciler() -> Reconciler:
    """Return the use case of the queue ``jit-reconcile``."""
    from jit.broker.auditing.erasures import ErasureWork
    from jit.broker.reconcile.draining import Draining
    from jit.broker.reconcile.housekeeping import Housekeeping
    from jit.broker.reconcile.leftovers import Leftovers
    from jit.broker.reconcile.run import Reconciler
    from jit.storage.audit_chain import Drainer
    from jit.storage.callers.idle_rows import IdleRows
    from jit.storage.trail.history_texts import HistoryTexts

    return Reconciler(
        requests=requests(),
        inventory=inventory(),
        observer=observer(),
        locks=locks(),
        managers=managers(),
        leftovers=Leftovers(
            requests=requests(),
            outbox=outbox(),
            observer=observer(),
            actions=actions(),
            locks=locks(),
        ),
        due_work=due_work(),
        housekeeping=Housekeeping(
            due_work=due_work(),
            draining=Draining(
                drainer=Drainer(outbox(), table(AUDIT)),
                erasures=ErasureWork(
                    erasure_rows(), chains().reads, outbox(), HistoryTexts(table(HISTORY))
                ),
                locks=locks(),
                due_work=due_work(),
            ),
            idempotency=idempotency(),
            idle=IdleRows(table(STATE)),
        ),
        remove_orphans=settings().remove_orphans,
    )


@cache
def dry_runs() -> DryRuns:
    """Return the use case of an operator who wants a plan."""
    from jit.broker.reconcile.dry_run import DryRuns

    return DryRuns(reconciler(), look_pace())


def health() -> HealthCheck:
    """Return the use case of ``health``: one for all threads, else each would look on its own."""
    with _FIRST_USE:
        return _health()


@cache
def _health() -> HealthCheck:
    from jit.broker.health import HealthCheck

    return HealthCheck(
        subscription_rows,
        lambda: observer().list_readable(),
        settings().subscriptions,
        settings().authentication_fault,
    )
