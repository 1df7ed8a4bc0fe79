"""
The parts that outlive a process of the broker: its tables, its queues, its Azure.

``BrokerProcess`` is one process: fresh objects over them, built as the composition root does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jit.broker.azure_changes import Actions
from jit.broker.configure.configure import Configurator
from jit.broker.locks import Locks
from jit.broker.policy_worker.worker import Worker
from jit.broker.reconcile.run import Reconciler
from jit.broker.requests.accept import Acceptor
from jit.broker.requests.change import Decisions
from jit.domain.limits import LIMITS
from jit.interfaces import Arm, JitPolicies, Network
from jit.observer.subscription import Observer
from jit.storage.audit_chain import Drainer
from jit.storage.idempotency_keys import Idempotency
from jit.storage.store import Store
from jit.storage.table import Table
from local.azure.landscape import Landscape
from local.azure.simulator import Azure
from local.azure.timeline import Timeline
from local.azure.transport import SimulatorTransport
from tests.crash.call_hooks import CallHooks, Hooked
from tests.crash.queue_model import QueueModel
from tests.fakes.azure import SCOPE, SimulatedIdentity
from tests.fakes.calls import Calls, Counted
from tests.fakes.raw_gateways import RawArm, RawNetwork, RawPolicies
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import HOST, LANDSCAPE, PRODUCTION, Sim


def _small_landscape() -> Landscape:
    """Return the landscape with its first subscription only: thousands of runs begin with it."""
    kept = [each for each in LANDSCAPE.subscriptions if each["id"] == PRODUCTION]
    return replace(LANDSCAPE, document={**LANDSCAPE.document, "subscriptions": kept})


SMALL = _small_landscape()


class SmallSimulator(Sim):
    """A simulated Azure of one subscription with five VMs."""

    def __init__(self) -> None:
        """Stop its clock."""
        self.azure = Azure(SMALL, Timeline())
        self.azure.world.timeline.freeze()
        self.control("PUT", "state", {"options": {"throttling": False}})


def _inject_nothing(_name: str, _number: int) -> None:
    """Leave the call alone."""


def _no_wait(_seconds: float) -> None:
    """Repeat a failed connection at once: the waits of the client are not simulated."""


class DurableParts:
    """
    Storage and Azure. Every call to them is counted, and faults can be injected into it.

    Attributes:
        sim: The simulated Azure. Its clock is the clock of the whole run.
        calls: Counts every call; its hooks inject faults.
        state, history, keys, audit: The tables, so that a test can read their rows.
    """

    def __init__(self, hooks: CallHooks) -> None:
        """Begin with empty tables and an unchanged landscape."""
        self.sim: Sim = SmallSimulator()
        self.calls = Calls()
        self.state, self.history, self.keys, self.audit = (
            FakeTable(self.clock, calls=self.calls, name=name)
            for name in ("state", "history", "keys", "audit")
        )
        self.queues = QueueModel(self.clock, self.calls)
        self.hooked_state: Table = Hooked(self.state, "state", hooks)
        who = SimulatedIdentity(self.sim)
        transport = SimulatorTransport(self.sim.azure, sleep=_no_wait)
        arm = RawArm(self.sim)
        policies = RawPolicies(arm, HOST, who, SCOPE, transport=transport)
        network = RawNetwork(arm, HOST, who, SCOPE, transport=transport)
        self.arm: Arm = Counted(arm, self.calls, "arm")
        self.policies: JitPolicies = Counted(
            Hooked(policies, "policies", hooks), self.calls, "policies"
        )
        self.network: Network = Counted(Hooked(network, "network", hooks), self.calls, "network")

    def clock(self) -> datetime:
        """Return now."""
        return self.sim.now

    def stop_faults(self) -> None:
        """Inject no more faults."""
        self.calls.before = self.calls.after = _inject_nothing
        self.sim.azure.world.faults.clear()


class BrokerProcess:
    """One process of the broker."""

    def __init__(self, parts: DurableParts) -> None:
        """Build new objects over *parts*."""
        self.store = Store(parts.hooked_state, parts.history)
        self.observer = Observer(
            parts.arm, lambda: parts.policies, lambda: parts.network, (PRODUCTION,)
        )
        idempotency = Idempotency(parts.keys)
        self.acceptor = Acceptor(self.store, idempotency, lambda: self.observer, LIMITS)
        self.decisions = Decisions(self.store, LIMITS)
        self.worker = Worker(
            self.store,
            self.observer,
            lambda: parts.queues,
            lambda: parts.policies,
            lambda: parts.network,
            LIMITS,
        )
        turns = Locks(self.store)
        self.reconciler = Reconciler(
            store=self.store,
            observer=self.observer,
            actions=Actions(lambda: parts.policies, lambda: parts.network, turns),
            turns=turns,
            queues=lambda: parts.queues,
            drainer=Drainer(self.store, parts.audit),
            idempotency=idempotency,
        )
        self.configurator = Configurator(
            self.store, lambda: self.observer, lambda: parts.policies, lambda: parts.queues
        )
