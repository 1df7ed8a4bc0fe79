"""
The broker's gateways, which read without the models of the SDKs.

Reads go through the broker's own thin pipeline. The gateways discard the SDK models, and building
them would take a quarter of the time of thousands of runs. Changes still go through the SDKs. The
same code translates errors in both cases.
"""

from __future__ import annotations

from typing import Any

from jit.domain.azure.arm_json import Resource
from jit.gateways.arm import ThinArm
from jit.gateways.defender import DefenderPolicies
from jit.gateways.network import AzureNetwork
from tests.local.azure.sim import API

_NETWORK = "2024-07-01"


class RawNetwork(AzureNetwork):
    """A ``Network`` that reads through *arm*."""

    def __init__(self, arm: ThinArm, *to: Any, **over: Any) -> None:
        """The other arguments are those of the gateway."""
        super().__init__(*to, **over)
        self._arm = arm

    def nsg(self, nsg_id: str) -> Resource:
        """Return an NSG with its rules."""
        return self._arm.get(nsg_id, _NETWORK)

    def firewall(self, firewall_id: str) -> Resource:
        """Return a firewall with its rule collections."""
        return self._arm.get(firewall_id, _NETWORK)


class RawPolicies(DefenderPolicies):
    """A ``JitPolicies`` that reads through *arm*."""

    def __init__(self, arm: ThinArm, *to: Any, **over: Any) -> None:
        """The other arguments are those of the gateway."""
        super().__init__(*to, **over)
        self._arm = arm

    def get(self, policy_id: str) -> Resource:
        """Return a policy."""
        return self._arm.get(policy_id, API)
