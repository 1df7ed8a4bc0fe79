"""
A request to configure JIT: which policies it changes, how, what stands against it.

A VM belongs in the policy that names it, else in ``default`` of its resource group with its
location: Defender accepts it in no other place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jit.domain import armid, protection, topology
from jit.domain.errors import Violation
from jit.domain.model import Grant, Support, VirtualMachine
from jit.domain.policy import VM_NOT_FOUND, VM_UNSUPPORTED
from jit.domain.requests.bodies import MachinePolicy
from jit.domain.topology import Resource, Snapshot
from jit.domain.values.json_pointer import at

NAMES_TOO_LONG = "names-too-long"
NOT_WATCHED = "not-watched"
GRANT_LIVE = "grant-live"


class Action(StrEnum):
    """What becomes of a policy."""

    CREATED = "created"
    WRITTEN = "written"
    DELETED = "deleted"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Look:
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
        return self.machines.get(armid.key(vm_id))

    def holders(self, vm_id: str) -> list[str]:
        """Return the ids of the policies that name a VM, which may be gone itself."""
        held = protection.holders(self.snapshot.policies, vm_id)
        return [topology.text(policy, "id") for policy in held]

    def home(self, vm: VirtualMachine) -> str:
        """Return the id of the policy that a VM belongs in, as Azure spells it if it exists."""
        if vm.policy_id is not None:
            return vm.policy_id
        wanted = protection.default_id(vm)
        known = (topology.text(policy, "id") for policy in self.snapshot.policies)
        return next((item for item in known if armid.key(item) == armid.key(wanted)), wanted)


Looks = Mapping[str, Look]
"""By lower-case subscription id: those that the broker looks after."""


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What shall become of one policy.

    Attributes:
        policy_id: ARM id; there may be no such policy yet.
        look: Its subscription.
        wanted: At least one VM; one without ports shall leave the policy.
    """

    policy_id: str
    look: Look
    wanted: tuple[MachinePolicy, ...]

    @property
    def label(self) -> str:
        """The policy in words."""
        name, group = armid.name(self.policy_id), armid.resource_group(self.policy_id)
        return f"JIT policy {name} of {group}"

    def applied_to(self, policy: Resource | None) -> Resource | None:
        """Return what the policy shall be, from what it is; None where it shall not exist."""
        kept = policy
        if policy is not None:
            kept = protection.reduced(policy, [w.id for w in self.wanted if not w.ports])
        rules = {self._spelled(w.id): w.ports for w in self.wanted if w.ports}
        result = protection.merged(kept, rules)
        return result if protection.entries(result) else None

    def _spelled(self, vm_id: str) -> str:
        """Return a VM's id as Azure spells it, not as the caller does."""
        vm = self.look.machine(vm_id)
        return vm.id if vm is not None else vm_id

    def faults(self, code: str, detail: str, vm_id: str | None = None) -> tuple[Violation, ...]:
        """Return a violation at every VM of the plan; at *vm_id* alone if that is one of them."""
        here = [w for w in self.wanted if vm_id and armid.key(w.id) == armid.key(vm_id)]
        return tuple(Violation(at(w.pointer, "id"), code, detail) for w in (here or self.wanted))

    def conflict(self, grants: Sequence[Grant]) -> tuple[Violation, ...]:
        """Return what forbids the change: those of *grants*, of one VM, that are live."""
        live = [grant for grant in grants if grant.live]
        if not live:
            return ()
        ports = ", ".join(f"{grant.port} ({grant.status})" for grant in live)
        name, request = armid.name(live[0].vm_id), live[0].request_id
        detail = f"{name} has access under this policy: port {ports} of request {request}"
        return self.faults(GRANT_LIVE, detail, live[0].vm_id)


def put_faults(wanted: MachinePolicy, looks: Looks) -> Iterator[Violation]:
    """Yield what stands against putting a VM under just-in-time access."""
    here, look = at(wanted.pointer, "id"), looks.get(armid.subscription(wanted.id))
    vm = look.machine(wanted.id) if look is not None else None
    if look is None:
        yield _not_watched(here)
    elif vm is None:
        yield _not_found(here, wanted)
    elif vm.support is Support.UNSUPPORTED:
        why = "; ".join(vm.reasons)
        yield Violation(here, VM_UNSUPPORTED, f"{vm.name} cannot be served: {why}")
    elif protection.names_length(look.home(vm), vm.id) > protection.LONGEST_NAMES:
        longest, policy = protection.LONGEST_NAMES, armid.name(look.home(vm))
        detail = f"{vm.name} and {policy}, its JIT policy, have over {longest} characters together"
        yield Violation(here, NAMES_TOO_LONG, detail)


def delete_faults(unwanted: MachinePolicy, looks: Looks) -> Iterator[Violation]:
    """Yield what stands against taking a VM out; a policy may still name one that is gone."""
    here, look = at(unwanted.pointer, "id"), looks.get(armid.subscription(unwanted.id))
    if look is None:
        yield _not_watched(here)
    elif look.machine(unwanted.id) is None and not look.holders(unwanted.id):
        yield _not_found(here, unwanted)


def _not_watched(here: str) -> Violation:
    return Violation(here, NOT_WATCHED, "the broker does not look after this subscription")


def _not_found(here: str, item: MachinePolicy) -> Violation:
    detail = f"{armid.name(item.id)} is not among the VMs the broker sees"
    return Violation(here, VM_NOT_FOUND, detail)


def put_plans(wanted: Iterable[MachinePolicy], looks: Looks) -> list[Plan]:
    """Return a plan for each policy; the VMs must be without `put_faults`."""
    pairs = []
    for item in wanted:
        look = looks[armid.subscription(item.id)]
        vm = look.machines[armid.key(item.id)]
        pairs.append((look.home(vm), item))
    return _plans(pairs, looks)


def delete_plans(unwanted: Iterable[MachinePolicy], looks: Looks) -> list[Plan]:
    """Return a plan for each policy that names one of the VMs."""
    pairs = [
        (policy_id, item)
        for item in unwanted
        for policy_id in looks[armid.subscription(item.id)].holders(item.id)
    ]
    return _plans(pairs, looks)


def _plans(pairs: Iterable[tuple[str, MachinePolicy]], looks: Looks) -> list[Plan]:
    ids: dict[str, str] = {}
    groups: dict[str, list[MachinePolicy]] = {}
    for policy_id, item in pairs:
        ids.setdefault(armid.key(policy_id), policy_id)
        groups.setdefault(armid.key(policy_id), []).append(item)
    return [
        Plan(ids[key], looks[armid.subscription(key)], tuple(group))
        for key, group in groups.items()
    ]


def action(before: Resource | None, after: Resource | None) -> Action:
    """Return what turns *before* into *after*; nothing where both say the same about the VMs."""
    if not protection.unlike(before, after):
        return Action.UNCHANGED
    if before is None:
        return Action.CREATED
    return Action.WRITTEN if after is not None else Action.DELETED
