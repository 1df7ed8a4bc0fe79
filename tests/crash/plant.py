"""
What outlives a process of the broker: its tables, its queues, its Azure.

``Broker`` is one process: fresh objects over them, as the composition root would build them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jit.domain.limits import LIMITS
from jit.gateways.arm import ThinArm
from jit.interfaces import Arm, JitPolicies, Network
from jit.observer.subscription import Observer
from jit.storage.idempotency_keys import Idempotency
from jit.storage.table import Table
from local.azure.landscape import Landscape
from local.azure.simulator import Azure
from local.azure.timeline import Timeline
from local.azure.transport import SimulatorTransport
from tests.builders.stores import Surroundings, UseCases, stores_over
from tests.crash.light import LightNetwork, LightPolicies
from tests.crash.post import Post
from tests.crash.witness import Witness, Witnessed
from tests.fakes.azure import SCOPE, SimulatedIdentity
from tests.fakes.calls import Calls, Counted
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import HOST, LANDSCAPE, PRODUCTION, Sim


def _small() -> Landscape:
    """Return the landscape's first subscription alone: thousands of lives begin with it."""
    kept = [each for each in LANDSCAPE.subscriptions if each["id"] == PRODUCTION]
    return replace(LANDSCAPE, document={**LANDSCAPE.document, "subscriptions": kept})


SMALL = _small()


class SmallSim(Sim):
    """A simulated Azure of one subscription with five VMs."""

    def __init__(self) -> None:
        """Freeze its clock."""
        self.azure = Azure(SMALL, Timeline())
        self.azure.world.timeline.freeze()
        self.control("PUT", "state", {"options": {"throttling": False}})


def _nothing(_name: str, _number: int) -> None:
    """Strike no call."""


def _no_wait(_seconds: float) -> None:
    """Repeat a failed connection at once: the client's own seconds are not simulated."""


class Plant:
    """
    Storage and Azure, with every call from outside counted, struck, seen.

    Attributes:
        sim: The simulated Azure, whose clock is everybody's.
        calls: Counts every call; its hooks strike.
        state, history, keys, audit: The tables themselves, to look into.
    """

    def __init__(self, witness: Witness) -> None:
        """Begin with empty tables, an untouched landscape."""
        self.sim: Sim = SmallSim()
        self.calls = Calls()
        self.state, self.history, self.keys, self.audit = (
            FakeTable(self.clock, calls=self.calls, name=name)
            for name in ("state", "history", "keys", "audit")
        )
        self.queues = Post(self.clock, self.calls)
        self.seen_state: Table = Witnessed(self.state, "state", witness)
        who = SimulatedIdentity(self.sim)
        transport = SimulatorTransport(self.sim.azure, sleep=_no_wait)
        arm = ThinArm(HOST, who, SCOPE, transport=transport)
        policies = LightPolicies(arm, HOST, who, SCOPE, transport=transport)
        network = LightNetwork(arm, HOST, who, SCOPE, transport=transport)
        self.arm: Arm = Counted(arm, self.calls, "arm")
        self.policies: JitPolicies = Counted(
            Witnessed(policies, "policies", witness), self.calls, "policies"
        )
        self.network: Network = Counted(
            Witnessed(network, "network", witness), self.calls, "network"
        )

    def clock(self) -> datetime:
        """Return now."""
        return self.sim.now

    def calm(self) -> None:
        """Let nothing strike any more."""
        self.calls.before = self.calls.after = _nothing
        self.sim.azure.world.faults.clear()


class Broker:
    """One process of the broker."""

    def __init__(self, plant: Plant) -> None:
        """Build everything anew over *plant*."""
        stores = stores_over(plant.seen_state, plant.history)
        self.requests = stores.requests
        self.observer = Observer(
            plant.arm, lambda: plant.policies, lambda: plant.network, (PRODUCTION,)
        )
        around = Surroundings(
            observer=lambda: self.observer,
            queues=plant.queues,
            policies=lambda: plant.policies,
            network=lambda: plant.network,
            limits=LIMITS,
        )
        use_cases = UseCases(stores, around)
        idempotency = Idempotency(plant.keys)
        self.acceptor = use_cases.acceptor(idempotency)
        self.decisions = use_cases.decisions()
        self.worker = use_cases.worker()
        self.reconciler = use_cases.reconciler(plant.audit, idempotency)
        self.configurator = use_cases.configurator()
