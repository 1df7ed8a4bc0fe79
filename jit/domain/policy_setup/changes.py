"""
Changes of JIT policies that an operator asks for: the plan, and the reasons to refuse it.

A VM belongs in the policy that names it. If no policy names it, it belongs in ``default`` of its
resource group and location: Defender accepts it in no other place.
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
from jit.domain.model.machine import (
    LONGEST_NAMES,
    MachinePolicy,
    Support,
    VirtualMachine,
    measure_names,
)
from jit.domain.policy_setup import naming
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import at

NAMES_TOO_LONG = "names-too-long"
NOT_WATCHED = "not-watched"
GRANT_LIVE = "grant-live"
SUBSCRIPTIONS_DIFFER = "subscriptions-differ"


class PolicyAction(StrEnum):
    """The effect of a plan on its policy."""

    CREATED = "created"
    WRITTEN = "written"
    DELETED = "deleted"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class SubscriptionLook:
    """
    A subscription as read when the request was checked.

    Attributes:
        snapshot: All its resources.
        machines: Its VMs by `arm_ids.key`.
    """

    snapshot: Snapshot
    machines: Mapping[str, VirtualMachine]

    def find_machine(self, vm_id: str) -> VirtualMachine | None:
        """Return a VM, or None; the case of *vm_id* does not matter."""
        return self.machines.get(arm_ids.key(vm_id))

    def policy_ids_of(self, vm_id: str) -> list[str]:
        """Return the ids of the policies that name a VM; the VM may not exist any more."""
        found = policy_json.find_policies(self.snapshot.policies, vm_id)
        return [arm_json.text(policy, "id") for policy in found]

    def choose_policy(self, vm: VirtualMachine) -> str:
        """Return the id of the policy that a VM belongs in, spelled as in Azure if it exists."""
        if vm.policy_id is not None:
            return vm.policy_id
        wanted = naming.build_default_id(vm)
        known = (arm_json.text(policy, "id") for policy in self.snapshot.policies)
        return next((item for item in known if arm_ids.key(item) == arm_ids.key(wanted)), wanted)


SubscriptionLooks = Mapping[str, SubscriptionLook]
"""The subscriptions that the broker serves, by lower-case id."""


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """
    The wanted change of one policy.

    Attributes:
        policy_id: ARM id; the policy may not exist yet.
        look: Its subscription.
        wanted: At least one VM; a VM without ports shall leave the policy.
    """

    policy_id: str
    look: SubscriptionLook
    wanted: tuple[MachinePolicy, ...]

    @property
    def label(self) -> str:
        """Name of the policy for people."""
        name, group = arm_ids.name(self.policy_id), arm_ids.resource_group(self.policy_id)
        return f"JIT policy {name} of {group}"

    def is_of(self, policy: Resource) -> bool:
        """Return True if *policy* is the one to change."""
        return arm_ids.key(arm_json.text(policy, "id")) == arm_ids.key(self.policy_id)

    def find_listed(self) -> Resource | None:
        """Return the policy as the list had it; None if it had none."""
        return next(filter(self.is_of, self.look.snapshot.policies), None)

    def apply_to(self, policy: Resource | None) -> Resource | None:
        """Return the policy after the change; None if it shall not exist."""
        kept = policy
        if policy is not None:
            kept = policy_json.remove_machines(policy, [w.id for w in self.wanted if not w.ports])
        rules = {self._find_azure_id(w.id): w.ports for w in self.wanted if w.ports}
        result = policy_json.set_port_rules(kept, rules)
        return result if policy_json.group_entries(result) else None

    def _find_azure_id(self, vm_id: str) -> str:
        """Return the id of a VM as Azure spells it; the caller may spell it differently."""
        vm = self.look.find_machine(vm_id)
        return vm.id if vm is not None else vm_id

    def list_faults(
        self, code: str, detail: str, vm_id: str | None = None
    ) -> tuple[Violation, ...]:
        """Return a violation at every VM of the plan, or only at *vm_id* if the plan has it."""
        here = [w for w in self.wanted if vm_id and arm_ids.key(w.id) == arm_ids.key(vm_id)]
        return tuple(Violation(at(w.pointer, "id"), code, detail) for w in (here or self.wanted))

    def find_conflicts(self, grants: Sequence[Grant]) -> tuple[Violation, ...]:
        """
        Return the violations if some of *grants* have or may get a path; all are on one VM.

        A booking does not count: it is decided again when it opens.
        """
        live = [grant for grant in grants if grant.may_have_path]
        if not live:
            return ()
        ports = ", ".join(f"{grant.port} ({grant.status})" for grant in live)
        name, request = arm_ids.name(live[0].vm_id), live[0].request_id
        detail = f"{name} has access under this policy: port {ports} of request {request}"
        return self.list_faults(GRANT_LIVE, detail, live[0].vm_id)


def find_subscription_faults(wanted: Sequence[MachinePolicy]) -> tuple[Violation, ...]:
    """Return a violation for each VM that is not in the subscription of the first one."""
    first = arm_ids.subscription(wanted[0].id)
    detail = "all VMs of a change are of one subscription"
    return tuple(
        Violation(at(item.pointer, "id"), SUBSCRIPTIONS_DIFFER, detail)
        for item in wanted
        if arm_ids.subscription(item.id) != first
    )


def find_put_faults(wanted: MachinePolicy, looks: SubscriptionLooks) -> Iterator[Violation]:
    """Yield the reasons against putting a VM under just-in-time access."""
    here, look = at(wanted.pointer, "id"), looks.get(arm_ids.subscription(wanted.id))
    vm = look.find_machine(wanted.id) if look is not None else None
    if look is None:
        yield _refuse_unwatched(here)
    elif vm is None:
        yield _refuse_missing(here, wanted)
    elif vm.support is Support.UNSUPPORTED:
        why = "; ".join(vm.reasons)
        yield Violation(here, VM_UNSUPPORTED, f"{vm.name} cannot be served: {why}")
    elif measure_names(look.choose_policy(vm), vm.id) > LONGEST_NAMES:
        longest, policy = LONGEST_NAMES, arm_ids.name(look.choose_policy(vm))
        detail = f"{vm.name} and {policy}, its JIT policy, have over {longest} characters together"
        yield Violation(here, NAMES_TOO_LONG, detail)


def find_delete_faults(unwanted: MachinePolicy, looks: SubscriptionLooks) -> Iterator[Violation]:
    """Yield the reasons against taking a VM out; the VM may be gone if a policy still names it."""
    here, look = at(unwanted.pointer, "id"), looks.get(arm_ids.subscription(unwanted.id))
    if look is None:
        yield _refuse_unwatched(here)
    elif look.find_machine(unwanted.id) is None and not look.policy_ids_of(unwanted.id):
        yield _refuse_missing(here, unwanted)


def _refuse_unwatched(here: str) -> Violation:
    return Violation(here, NOT_WATCHED, "the broker does not look after this subscription")


def _refuse_missing(here: str, item: MachinePolicy) -> Violation:
    detail = f"{arm_ids.name(item.id)} is not among the VMs the broker sees"
    return Violation(here, VM_NOT_FOUND, detail)


def plan_put(wanted: Iterable[MachinePolicy], looks: SubscriptionLooks) -> list[PolicyPlan]:
    """Return a plan for each policy; the VMs must be without `put_faults`."""
    pairs = []
    for item in wanted:
        look = looks[arm_ids.subscription(item.id)]
        vm = look.machines[arm_ids.key(item.id)]
        pairs.append((look.choose_policy(vm), item))
    return _group_by_policy(pairs, looks)


def plan_delete(unwanted: Iterable[MachinePolicy], looks: SubscriptionLooks) -> list[PolicyPlan]:
    """Return a plan for each policy that names one of the VMs."""
    pairs = [
        (policy_id, item)
        for item in unwanted
        for policy_id in looks[arm_ids.subscription(item.id)].policy_ids_of(item.id)
    ]
    return _group_by_policy(pairs, looks)


def _group_by_policy(
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


def find_action(before: Resource | None, after: Resource | None) -> PolicyAction:
    """Return the action from *before* to *after*; none if both have the same port rules."""
    if not policy_json.find_differences(before, after):
        return PolicyAction.UNCHANGED
    if before is None:
        return PolicyAction.CREATED
    return PolicyAction.WRITTEN if after is not None else PolicyAction.DELETED
