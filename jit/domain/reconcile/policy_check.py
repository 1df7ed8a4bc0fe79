"""The comparison of live grants with their JIT policies, which somebody may have narrowed."""

from __future__ import annotations

from datetime import datetime

from jit.domain.decision.standing_access import find_denials, find_earlier_end
from jit.domain.model.grant import Grant
from jit.domain.model.machine import PolicyField, VirtualMachine
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.domain.values import arm_ids
from jit.domain.values.times import format_instant


def plan_outside(grant: Grant, vm: VirtualMachine, *, now: datetime) -> PlanItem | None:
    """
    Return the item of a grant that its JIT policy no longer allows, or for so long no more.

    The worker of the policy reads it once more before it ends anything.

    Args:
        grant: One that wants a path.
        vm: Its VM, as the lists show it. If these may lack something, or name several policies,
            nothing is planned.
        now: Aware, UTC.
    """
    if vm.is_in_doubt or vm.find_policy_fault(None, PolicyField.ENTRIES) is not None:
        return None
    entry = _find_entry(grant, vm)
    if why_not := find_denials(grant, entry):
        return _item(grant, PlanAction.CLOSE, "; ".join(each.detail for each in why_not))
    end = find_earlier_end(grant, entry, now=now)
    if end is None:
        return None
    reason = f"its JIT policy lets it last until {format_instant(end)}"
    return _item(grant, PlanAction.REOPEN, reason)


def _find_entry(grant: Grant, vm: VirtualMachine) -> PolicyEntry | None:
    """Return the entry of *vm* in the policy of *grant*; None if that is not the VM's policy."""
    if arm_ids.key(vm.policy_id or "") != arm_ids.key(grant.policy_id):
        return None
    return PolicyEntry(ports=vm.ports, faults=vm.policy_faults)


def _item(grant: Grant, action: PlanAction, reason: str) -> PlanItem:
    return PlanItem(
        action=action,
        kind=PlanClass.OUTSIDE,
        resource=grant.vm_id,
        grant=grant.id,
        reason=reason,
        policy_id=grant.policy_id,
        is_decided_later=True,
    )
