"""Warnings about the set-up of just-in-time access for a VM."""

from __future__ import annotations

from collections.abc import Iterator

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.model.machine import LONGEST_NAMES, MachineWarning, VirtualMachine
from jit.domain.values import arm_ids

FIREWALL_CODES = frozenset({"firewall-addresses"})
"""The codes of the warnings that depend on the firewall."""

_WITHOUT_JIT = {"p1": "Plan 1"}
"""
Sub-plans without just-in-time access. No sub-plan at all means the full plan; an unknown sub-plan
gives no warning (Microsoft.Security 2024-01-01, ``PricingProperties.subPlan``).
"""


def find_plan_warnings(plan: Resource | None) -> Iterator[MachineWarning]:
    """
    Yield ``plan-missing`` if Defender's plan is certainly not enough for just-in-time access.

    Args:
        plan: ``pricings/VirtualMachines`` of the subscription. None if it could not be read: then
            there is no warning.

    Source:
        Learn, "Enable just-in-time access on VMs": Defender for Servers Plan 2 is required.
    """
    body = arm_json.properties(plan or {})
    tier = arm_json.text(body, "pricingTier")
    weaker = _WITHOUT_JIT.get(arm_json.text(body, "subPlan").lower())
    has = weaker if tier.lower() == "standard" else "switched off"
    if tier and has:
        yield MachineWarning(
            code="plan-missing",
            detail=f"Defender for Servers is {has} on the subscription, and just-in-time access "
            "needs Plan 2; choose it in Defender for Cloud, under Environment settings",
        )


def find_policy_warnings(vm: VirtualMachine) -> Iterator[MachineWarning]:
    """
    Yield warnings about the region, the name and the rules of the JIT policy of *vm*.

    * ``policy-location``: the policy is in another region than the VM.
    * ``names-too-long``: its name and the VM's name together are longer than Defender accepts.
    * ``policy-not-understood``: a part of it has no clear meaning, so it allows nothing.

    Source:
        Learn, "Enable just-in-time access on VMs" (56 characters); Microsoft.Security 2020-01-01,
        ``ascLocation``: a policy is kept in the region of its VMs.
    """
    policy_id = vm.policy_id or ""
    region = _region(policy_id)
    if region and vm.location and _normalise(region) != _normalise(vm.location):
        yield MachineWarning(
            code="policy-location",
            detail=f"its JIT policy lies in {region}, the VM in {vm.location}; Defender opens "
            "ports of VMs in the policy's own region only: put the VM into a policy there",
        )
    if region and not vm.names_fit:
        yield MachineWarning(
            code="names-too-long",
            detail=f"{vm.name} and {arm_ids.name(policy_id)}, its JIT policy, have over "
            f"{LONGEST_NAMES} characters together, more than Defender takes; use a "
            "policy with a shorter name",
        )
    for fault in vm.policy_faults:
        where = "" if fault.port is None else f"port {fault.port}: "
        yield MachineWarning(
            code="policy-not-understood",
            detail=f"{where}{fault.field} of its JIT policy is not understood: {fault.detail}; "
            "nothing is allowed by it, so correct the policy",
        )


def find_firewall_warnings(
    name: str, addresses: tuple[str, ...], used: str
) -> Iterator[MachineWarning]:
    """
    Yield ``firewall-addresses`` if people could pick the wrong one of a firewall's public IPs.

    Args:
        name: Name of the firewall.
        addresses: Its public IPs, or their names if an address is not known.
        used: The public IP that Defender uses for the VM; empty if Defender does not name it.

    Source:
        https://github.com/MicrosoftDocs/azure-docs/issues/46777 (three addresses, one in use).
    """
    if len(addresses) > 1:
        known = f"Defender uses {used}" if used else "Defender uses one of them"
        yield MachineWarning(
            code="firewall-addresses",
            detail=f"the firewall {name} has the public IPs {', '.join(addresses)}; {known}: "
            "connect to the address that the open grant shows",
        )


def _region(policy_id: str) -> str:
    """Return the region in the id of a JIT policy; empty if the id cannot be read."""
    try:
        return arm_ids.parts(policy_id).get("locations", "")
    except ValueError:
        return ""


def _normalise(location: str) -> str:
    """Return a region's name in the form of ids: ``West Europe`` is ``westeurope``."""
    return location.replace(" ", "").lower()
