"""
The parts that outlive a process of the broker: its tables, its queues, its Azure.

``BrokerProcess`` is one process: fresh objects over them, built as the composition root does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jit.domain.limits import LIMITS
from jit.interfaces import Arm, JitPolicies, Network
from jit.observer.reads import Reader
from jit.observer.subscription import Observer
from jit.storage.callers.earlier_keys import EarlierKeys
from jit.storage.callers.idempotency_keys import Idempotency
from jit.storage.table import Table
from local.azure.landscape.file import Landscape
from local.azure.simulator import Azure
from local.azure.timeline import Timeline
from local.azure.transport import SimulatorTransport
from tests.builders.stores import MANY, Surroundings, UseCases, stores_over
from tests.crash.call_hooks import CallHooks, Hooked
from tests.crash.queue_model import QueueModel
from tests.fakes.authorization import FakeAuthorization
from tests.fakes.azure import SCOPE, SimulatedIdentity
from tests.fakes.calls import Calls, Counted
from tests.fakes.pools import InlinePool
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
        self.azure.world.options.change({"throttling": False})


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
        self.authorization: Arm = Counted(FakeAuthorization(), self.calls, "rights")
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
        stores = stores_over(parts.hooked_state, parts.history)
        self.requests = stores.requests
        reader = Reader(parts.arm, lambda: parts.network, InlinePool)
        last_known = stores.inventory.list_machines
        self.observer = Observer(parts.arm, lambda: parts.policies, reader, last_known=last_known)
        around = Surroundings(
            observer=lambda: self.observer,
            queues=parts.queues,
            policies=lambda: parts.policies,
            network=lambda: parts.network,
            limits=replace(LIMITS, subscriptions=(PRODUCTION,), **MANY),
            authorization=parts.authorization,
        )
        use_cases = UseCases(stores, around)
        idempotency = Idempotency(parts.hooked_state, EarlierKeys(parts.keys))
        self.acceptance = use_cases.acceptance(idempotency)
        self.request_changes = use_cases.request_changes(idempotency)
        self.worker = use_cases.worker()
        self.due_work = use_cases.due_work()
        self.reconciler = use_cases.reconciler(parts.audit, idempotency)
        self.configurator = use_cases.configurator()
