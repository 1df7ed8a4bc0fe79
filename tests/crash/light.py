"""
The broker's gateways, reading without the models of the SDKs.

What is read comes through the broker's own thin pipeline instead: the gateways throw those models
away, and building them would be a quarter of all the time that thousands of lives take. What
changes something still goes through the SDKs. Errors are translated by the same code either way.
"""

from __future__ import annotations

from typing import Any

from jit.domain.azure.arm_json import Resource
from jit.gateways.arm import ThinArm
from jit.gateways.defender import DefenderPolicies
from jit.gateways.network import AzureNetwork
from tests.local.azure.sim import API

_NETWORK = "2024-07-01"


class LightNetwork(AzureNetwork):
    """A ``Network`` that reads by *arm*."""

    def __init__(self, arm: ThinArm, *to: Any, **over: Any) -> None:
        """The rest is the gateway's own."""
        super().__init__(*to, **over)
        self._arm = arm

    def nsg(self, nsg_id: str) -> Resource:
        """Return an NSG with its rules."""
        return self._arm.get(nsg_id, _NETWORK)

    def firewall(self, firewall_id: str) -> Resource:
        """Return a firewall with its rule collections."""
        return self._arm.get(firewall_id, _NETWORK)


class LightPolicies(DefenderPolicies):
    """A ``JitPolicies`` that reads by *arm*."""

    def __init__(self, arm: ThinArm, *to: Any, **over: Any) -> None:
        """The rest is the gateway's own."""
        super().__init__(*to, **over)
        self._arm = arm

    def get(self, policy_id: str) -> Resource:
        """Return a policy."""
        return self._arm.get(policy_id, API)
