"""
Doubts about the VMs of a JIT policy that an operator changes.

A PUT replaces all VMs of a policy. A policy that is written over an odd answer of Azure would take
the VMs out of their protection that the answer lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jit.domain.azure import arm_json, policy_json
from jit.domain.azure.arm_json import Resource
from jit.domain.model.machine import VirtualMachine
from jit.domain.policy_setup.changes import PolicyPlan, SubscriptionLook
from jit.domain.values import arm_ids

_ENDED = frozenset({"", "Succeeded", "Failed", "Canceled"})
"""States in which Azure changes nothing any more; the first one is no state at all."""
_NAMED = 5


def explain_doubt(
    plan: PolicyPlan, policy: Resource | None, machines: Iterable[VirtualMachine]
) -> str:
    """
    Return the doubt about the VMs that the policy of *plan* names; empty if they are certain.

    They are certain if the answer names each VM that the list of policies had in it, and each other
    one that the inventory has. The inventory may be five minutes old, so the VMs of the plan itself
    need not be as it has them.

    Args:
        plan: The wanted change.
        policy: The policy as it was just read; None if Azure did not find it.
        machines: The inventory.
    """
    unclear = "" if policy is None else _explain_unclear(policy)
    if unclear:
        return unclear
    named = policy_json.group_entries(policy).keys()
    listed = policy_json.group_entries(plan.find_listed()).keys() - {""}
    if lacked := listed - named:
        return f"Azure lists {_name(lacked)} in it, and its answer about the policy does not"
    if lacked := set(_list_others(plan, machines)) - named:
        return (
            f"Azure's answer lacks {_name(lacked)}, which the last comparison found in it; if"
            " somebody took it out elsewhere, the next comparison finds that within five minutes"
        )
    return ""


def find_hidden_homes(vm_id: str, look: SubscriptionLook, known: str | None) -> Iterator[str]:
    """
    Yield the ids of JIT policies that may name a VM although the list of policies does not show it.

    Args:
        vm_id: ARM id.
        look: Its subscription; if a policy of it names the VM, there is no doubt.
        known: The id of the policy that has the VM in the inventory; None if none has it.
    """
    if look.policy_ids_of(vm_id):
        return
    if known is not None:
        yield known
    group, vm = arm_ids.key(vm_id).partition("/providers/")[0] + "/", look.find_machine(vm_id)
    location = f"/locations/{arm_ids.key(vm.location)}/" if vm is not None else "/"
    for policy in look.snapshot.policies:
        policy_id = arm_json.text(policy, "id")
        key = arm_ids.key(policy_id)
        if key.startswith(group) and location in key and _explain_unclear(policy):
            yield policy_id


def _explain_unclear(policy: Resource) -> str:
    """Return the doubt about the list of VMs of *policy*; empty if there is none."""
    if not policy_json.is_readable(policy):
        return "its list of VMs or of requests cannot be read"
    if policy_json.has_nameless_entry(policy):
        return "an item in its list of VMs has no id; if it stays so, correct the policy in Azure"
    is_ended = arm_json.read_provisioning_state(policy) in _ENDED
    return "" if is_ended else "Azure is changing it just now"


def _list_others(plan: PolicyPlan, machines: Iterable[VirtualMachine]) -> Iterator[str]:
    """Yield the keys of the VMs that the inventory has in the policy, without those of *plan*."""
    wanted, policy_key = {arm_ids.key(item.id) for item in plan.wanted}, arm_ids.key(plan.policy_id)
    for vm in machines:
        key = arm_ids.key(vm.id)
        if key not in wanted and arm_ids.key(vm.policy_id or "") == policy_key:
            yield key


def _name(keys: Iterable[str]) -> str:
    """Return the names of some VMs for people."""
    names = sorted(key.rsplit("/", 1)[-1] for key in keys)
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
