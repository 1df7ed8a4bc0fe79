"""
A request to configure JIT: which policies it changes, how, what stands against it.

A VM belongs in the policy that names it, else in ``default`` of its resource group with its
location: Defender accepts it in no other place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jit.domain.azure import arm_json, policy_json
from jit.domain.azure.arm_json import Resource
from jit.domain.decision.jit_policy import VM_NOT_FOUND, VM_UNSUPPORTED
from jit.domain.errors import Violation
from jit.domain.inventory.topology import Snapshot
from jit.domain.model.grant import Grant
from jit.domain.model.machine import MachinePolicy, Support, VirtualMachine
from jit.domain.policy_setup import naming
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import at

NAMES_TOO_LONG = "names-too-long"
NOT_WATCHED = "not-watched"
GRANT_LIVE = "grant-live"
SUBSCRIPTIONS_DIFFER = "subscriptions-differ"


class PolicyAction(StrEnum):
    """What becomes of a policy."""

    CREATED = "created"
    WRITTEN = "written"
    DELETED = "deleted"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class SubscriptionLook:
    """
    A subscription as it was when the request was checked.

    Attributes:
        snapshot: All of it.
        machines: Its VMs by `armid.key`.
    """

    snapshot: Snapshot
    machines: Mapping[str, VirtualMachine]

    def machine(self, vm_id: str) -> VirtualMachine | None:
        """Return a VM in whatever case *vm_id* is written; None if there is none."""
        return self.machines.get(arm_ids.key(vm_id))

    def holders(self, vm_id: str) -> list[str]:
        """Return the ids of the policies that name a VM, which may be gone itself."""
        held = policy_json.find_policies(self.snapshot.policies, vm_id)
        return [arm_json.text(policy, "id") for policy in held]

    def home(self, vm: VirtualMachine) -> str:
        """Return the id of the policy that a VM belongs in, as Azure spells it if it exists."""
        if vm.policy_id is not None:
            return vm.policy_id
        wanted = naming.default_id(vm)
        known = (arm_json.text(policy, "id") for policy in self.snapshot.policies)
        return next((item for item in known if arm_ids.key(item) == arm_ids.key(wanted)), wanted)


SubscriptionLooks = Mapping[str, SubscriptionLook]
"""By lower-case subscription id: those that the broker looks after."""


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """
    What shall become of one policy.

    Attributes:
        policy_id: ARM id; there may be no such policy yet.
        look: Its subscription.
        wanted: At least one VM; one without ports shall leave the policy.
    """

    policy_id: str
    look: SubscriptionLook
    wanted: tuple[MachinePolicy, ...]

    @property
    def label(self) -> str:
        """The policy in words."""
        name, group = arm_ids.name(self.policy_id), arm_ids.resource_group(self.policy_id)
        return f"JIT policy {name} of {group}"

    def applied_to(self, policy: Resource | None) -> Resource | None:
        """Return what the policy shall be, from what it is; None where it shall not exist."""
        kept = policy
        if policy is not None:
            kept = policy_json.remove_machines(policy, [w.id for w in self.wanted if not w.ports])
        rules = {self._spelled(w.id): w.ports for w in self.wanted if w.ports}
        result = policy_json.set_port_rules(kept, rules)
        return result if policy_json.entries_by_machine(result) else None

    def _spelled(self, vm_id: str) -> str:
        """Return a VM's id as Azure spells it, not as the caller does."""
        vm = self.look.machine(vm_id)
        return vm.id if vm is not None else vm_id

    def faults(self, code: str, detail: str, vm_id: str | None = None) -> tuple[Violation, ...]:
        """Return a violation at every VM of the plan; at *vm_id* alone if that is one of them."""
        here = [w for w in self.wanted if vm_id and arm_ids.key(w.id) == arm_ids.key(vm_id)]
        return tuple(Violation(at(w.pointer, "id"), code, detail) for w in (here or self.wanted))

    def conflict(self, grants: Sequence[Grant]) -> tuple[Violation, ...]:
        """Return what forbids the change: those of *grants*, of one VM, that are live."""
        live = [grant for grant in grants if grant.live]
        if not live:
            return ()
        ports = ", ".join(f"{grant.port} ({grant.status})" for grant in live)
        name, request = arm_ids.name(live[0].vm_id), live[0].request_id
        detail = f"{name} has access under this policy: port {ports} of request {request}"
        return self.faults(GRANT_LIVE, detail, live[0].vm_id)


def subscription_faults(wanted: Sequence[MachinePolicy]) -> tuple[Violation, ...]:
    """Return a violation for each VM that is not in the subscription of the first one."""
    first = arm_ids.subscription(wanted[0].id)
    detail = "all VMs of a change are of one subscription"
    return tuple(
        Violation(at(item.pointer, "id"), SUBSCRIPTIONS_DIFFER, detail)
        for item in wanted
        if arm_ids.subscription(item.id) != first
    )


def put_faults(wanted: MachinePolicy, looks: SubscriptionLooks) -> Iterator[Violation]:
    """Yield what stands against putting a VM under just-in-time access."""
    here, look = at(wanted.pointer, "id"), looks.get(arm_ids.subscription(wanted.id))
    vm = look.machine(wanted.id) if look is not None else None
    if look is None:
        yield _not_watched(here)
    elif vm is None:
        yield _not_found(here, wanted)
    elif vm.support is Support.UNSUPPORTED:
        why = "; ".join(vm.reasons)
        yield Violation(here, VM_UNSUPPORTED, f"{vm.name} cannot be served: {why}")
    elif naming.names_length(look.home(vm), vm.id) > naming.LONGEST_NAMES:
        longest, policy = naming.LONGEST_NAMES, arm_ids.name(look.home(vm))
        detail = f"{vm.name} and {policy}, its JIT policy, have over {longest} characters together"
        yield Violation(here, NAMES_TOO_LONG, detail)


def delete_faults(unwanted: MachinePolicy, looks: SubscriptionLooks) -> Iterator[Violation]:
    """Yield what stands against taking a VM out; a policy may still name one that is gone."""
    here, look = at(unwanted.pointer, "id"), looks.get(arm_ids.subscription(unwanted.id))
    if look is None:
        yield _not_watched(here)
    elif look.machine(unwanted.id) is None and not look.holders(unwanted.id):
        yield _not_found(here, unwanted)


def _not_watched(here: str) -> Violation:
    return Violation(here, NOT_WATCHED, "the broker does not look after this subscription")


def _not_found(here: str, item: MachinePolicy) -> Violation:
    detail = f"{arm_ids.name(item.id)} is not among the VMs the broker sees"
    return Violation(here, VM_NOT_FOUND, detail)


def put_plans(wanted: Iterable[MachinePolicy], looks: SubscriptionLooks) -> list[PolicyPlan]:
    """Return a plan for each policy; the VMs must be without `put_faults`."""
    pairs = []
    for item in wanted:
        look = looks[arm_ids.subscription(item.id)]
        vm = look.machines[arm_ids.key(item.id)]
        pairs.append((look.home(vm), item))
    return _plans(pairs, looks)


def delete_plans(unwanted: Iterable[MachinePolicy], looks: SubscriptionLooks) -> list[PolicyPlan]:
    """Return a plan for each policy that names one of the VMs."""
    pairs = [
        (policy_id, item)
        for item in unwanted
        for policy_id in looks[arm_ids.subscription(item.id)].holders(item.id)
    ]
    return _plans(pairs, looks)


def _plans(
    pairs: Iterable[tuple[str, MachinePolicy]], looks: SubscriptionLooks
) -> list[PolicyPlan]:
    ids: dict[str, str] = {}
    groups: dict[str, list[MachinePolicy]] = {}
    for policy_id, item in pairs:
        ids.setdefault(arm_ids.key(policy_id), policy_id)
        groups.setdefault(arm_ids.key(policy_id), []).append(item)
    return [
        PolicyPlan(ids[key], looks[arm_ids.subscription(key)], tuple(group))
        for key, group in groups.items()
    ]


def action(before: Resource | None, after: Resource | None) -> PolicyAction:
    """Return what turns *before* into *after*; nothing where both say the same about the VMs."""
    if not policy_json.find_differences(before, after):
        return PolicyAction.UNCHANGED
    if before is None:
        return PolicyAction.CREATED
    return PolicyAction.WRITTEN if after is not None else PolicyAction.DELETED
