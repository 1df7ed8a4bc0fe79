"""Names of JIT policies."""

from __future__ import annotations

from jit.domain.model.machine import VirtualMachine
from jit.domain.values import arm_ids

DEFAULT = "default"
"""The policy that the portal creates. We create it too if a VM has no policy."""


def build_default_id(vm: VirtualMachine) -> str:
    """Return the id of the policy ``default`` of a VM's resource group and location."""
    group = arm_ids.key(vm.id).index("/providers/")
    location = vm.location.replace(" ", "").lower()
    return (
        f"{vm.id[:group]}/providers/Microsoft.Security/locations/{location}"
        f"/jitNetworkAccessPolicies/{DEFAULT}"
    )
