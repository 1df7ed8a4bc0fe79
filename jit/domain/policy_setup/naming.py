"""Names of JIT policies."""

from __future__ import annotations

from jit.domain.model.machine import VirtualMachine
from jit.domain.values import arm_ids

DEFAULT = "default"
"""The policy that the portal creates. We create it too if a VM has no policy."""

LONGEST_NAMES = 56
"""
The longest names of a policy and a VM together, in characters.

Source: https://learn.microsoft.com/azure/defender-for-cloud/just-in-time-access-usage
"""


def build_default_id(vm: VirtualMachine) -> str:
    """Return the id of the policy ``default`` of a VM's resource group and location."""
    group = arm_ids.key(vm.id).index("/providers/")
    location = vm.location.replace(" ", "").lower()
    return (
        f"{vm.id[:group]}/providers/Microsoft.Security/locations/{location}"
        f"/jitNetworkAccessPolicies/{DEFAULT}"
    )


def measure_names(policy_id: str, vm_id: str) -> int:
    """Return the number of characters that `LONGEST_NAMES` limits."""
    return len(arm_ids.name(policy_id)) + len(arm_ids.name(vm_id))
