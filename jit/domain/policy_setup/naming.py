"""Names of JIT policies."""

from __future__ import annotations

from jit.domain.model.machine import VirtualMachine
from jit.domain.values import arm_ids

DEFAULT = "default"
"""The policy that the portal creates, and we where a VM has none."""

LONGEST_NAMES = 56
"""
What the names of a policy and of a VM may have together, in characters.

Source: https://learn.microsoft.com/azure/defender-for-cloud/just-in-time-access-usage
"""


def default_id(vm: VirtualMachine) -> str:
    """Return the id of the policy ``default`` of a VM's resource group and location."""
    group = vm.id.lower().index("/providers/")
    location = vm.location.replace(" ", "").lower()
    return (
        f"{vm.id[:group]}/providers/Microsoft.Security/locations/{location}"
        f"/jitNetworkAccessPolicies/{DEFAULT}"
    )


def names_length(policy_id: str, vm_id: str) -> int:
    """Return what counts against `LONGEST_NAMES`."""
    return len(arm_ids.name(policy_id)) + len(arm_ids.name(vm_id))
