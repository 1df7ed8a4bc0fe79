"""
The broker's own Azure gateways over the simulator, without a socket.

There are no further fakes of Azure: the real SDK clients run here on an in-process transport. So
the tests include translation of errors and paging.
"""

from __future__ import annotations

import time
from typing import Any

from azure.core.credentials import AccessToken

from jit.gateways.arm import ThinArm
from jit.gateways.defender import DefenderPolicies
from jit.gateways.network import AzureNetwork
from jit.interfaces import Arm, JitPolicies, Network
from jit.observer.reads import Reader
from jit.observer.subscription import Observer
from local.azure.transport import SimulatorTransport
from tests.fakes.calls import Calls, Counted
from tests.local.azure.sim import HOST, Sim

SCOPE = "https://management.azure.com/.default"


class SimulatedIdentity:
    """A credential of one of the landscape's principals, by default the broker's own."""

    def __init__(self, sim: Sim, person: str = "broker") -> None:
        """Tokens are issued by *sim* itself."""
        self._sim = sim
        self._person = person

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        """Return a fresh token, good for an hour of wall time."""
        return AccessToken(self._sim.token(self._person), int(time.time()) + 3600)


class Overslept(AssertionError):
    """A client wanted to wait inside a call; waiting is the queue's work."""


def refuse_to_sleep(seconds: float) -> None:
    """Fail the test whose client waits."""
    raise Overslept(f"{seconds} seconds")


class SimulatedAzure:
    """
    Real gateways, simulated Azure.

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
    ) -> None:
        """Build the three gateways as *person*; without a *transport* they need no socket."""
        self.sim = sim
        self.calls = calls or Calls()
        over = {"transport": transport or SimulatorTransport(sim.azure, sleep=refuse_to_sleep)}
        to = (endpoint, SimulatedIdentity(sim, person), SCOPE)
        self.arm: Arm = Counted(ThinArm(*to, **over), self.calls, "arm")
        self.policies: JitPolicies = Counted(DefenderPolicies(*to, **over), self.calls, "policies")
        self.network: Network = Counted(AzureNetwork(*to, **over), self.calls, "network")

    def observer(self) -> Observer:
        """Return an observer of this Azure."""
        reader = Reader(self.arm, lambda: self.network)
        return Observer(self.arm, lambda: self.policies, reader)
