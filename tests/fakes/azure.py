"""
The broker's own Azure gateways over the simulator, without a socket.

There are no further fakes of Azure: the gateways are the real ones. Changes go through the real SDK
clients on an in-process transport. Reads do so too, unless a test asks for the direct reader, which
is faster.
"""

from __future__ import annotations

import time
from typing import Any

from azure.core.credentials import AccessToken

from jit.domain.network_manager.security_admin_rules import NOTHING_KNOWN
from jit.gateways.arm import ThinArm
from jit.gateways.defender import DefenderPolicies
from jit.gateways.network import AzureNetwork
from jit.interfaces import Arm, JitPolicies, Network
from jit.observer.reads import Reader
from jit.observer.subscription import KnownAdmin, LastKnown, Observer
from local.azure.transport import SimulatorTransport
from tests.fakes.calls import Calls, Counted
from tests.fakes.pools import InlinePool
from tests.fakes.raw_gateways import RawArm, RawNetwork, RawPolicies
from tests.local.azure.sim import HOST, Sim

SCOPE = "https://management.azure.com/.default"


class SimulatedIdentity:
    """A credential of one of the landscape's principals; the broker unless a person is given."""

    def __init__(self, sim: Sim, person: str = "broker") -> None:
        """*sim* issues the tokens."""
        self._sim = sim
        self._person = person

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return a new token, valid for an hour of wall time."""
        return AccessToken(self._sim.token(self._person), int(time.time()) + 3600)


class Overslept(AssertionError):
    """A client wanted to wait inside a call; only the queue may wait."""


def refuse_to_sleep(seconds: float) -> None:
    """Fail the test if its client waits."""
    raise Overslept(f"{seconds} seconds")


class SimulatedAzure:
    """
    Real gateways over a simulated Azure.

    Attributes:
        sim: The simulator, with its clock, faults and log.
        calls: Counts every call of ``arm``, ``policies`` and ``network``.
    """

    def __init__(
        self,
        sim: Sim,
        calls: Calls | None = None,
        *,
        person: str = "broker",
        endpoint: str = HOST,
        transport: Any = None,
        direct: bool = False,
    ) -> None:
        """
        Build the three gateways.

        Args:
            sim: The simulated Azure.
            calls: The counter of calls; a new one if None.
            person: The principal that calls.
            endpoint: The address of ARM.
            transport: The transport of the SDK clients; the simulator in this process if None.
            direct: True if reads call the simulator without an HTTP client.
        """
        self.sim = sim
        self.calls = calls or Calls()
        over = {"transport": transport or SimulatorTransport(sim.azure, sleep=refuse_to_sleep)}
        to = (endpoint, SimulatedIdentity(sim, person), SCOPE)
        raw = RawArm(sim, person)
        arm = raw if direct else ThinArm(*to, **over)
        policies = RawPolicies(raw, *to, **over) if direct else DefenderPolicies(*to, **over)
        network = RawNetwork(raw, *to, **over) if direct else AzureNetwork(*to, **over)
        self.arm: Arm = Counted(arm, self.calls, "arm")
        self.policies: JitPolicies = Counted(policies, self.calls, "policies")
        self.network: Network = Counted(network, self.calls, "network")

    def observer(
        self,
        known_admin: KnownAdmin = lambda _: NOTHING_KNOWN,
        last_known: LastKnown = lambda _: (),
    ) -> Observer:
        """Return an observer of this Azure."""
        reader = Reader(self.arm, lambda: self.network, InlinePool)
        return Observer(self.arm, lambda: self.policies, reader, known_admin, last_known)
