"""
JIT policies, changed for the VMs that a caller names.

A PUT replaces all VMs of a policy and there is no ETag: each policy is read, merged and written
under its own claim, which keeps the worker and other instances away, then read back and compared.
The whole request is checked before anything is written; repeating it is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit import messages, telemetry
from jit.broker.configure.policy_writer import Change, PolicyWriter, azure
from jit.broker.locks import Locks, PolicyLease
from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.errors import Conflict, InvalidRequest, Rejected, Unavailable, Violation
from jit.domain.inventory import topology
from jit.domain.limits import bound_violations
from jit.domain.model.machine import MachinePolicy, VirtualMachine
from jit.domain.model.people import Person
from jit.domain.policy_setup import changes
from jit.domain.policy_setup.changes import (
    PolicyAction,
    PolicyPlan,
    SubscriptionLook,
    SubscriptionLooks,
)
from jit.domain.values import arm_ids
from jit.interfaces import Queues
from jit.observer.subscription import Observer
from jit.storage import keys
from jit.storage.inventory_store import InventoryStore
from jit.storage.request_store import RequestStore

_BUSY_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """
    One policy after the change.

    Attributes:
        policy_id: ARM id; None for VMs that were, and stay, in no policy.
        action: What became of it.
        machines: Those of the request, as they are now; without VMs that no longer exist.
    """

    policy_id: str | None
    action: PolicyAction
    machines: tuple[VirtualMachine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configurator:
    """
    Puts VMs under just-in-time access, and takes them out of it.

    Attributes:
        observer: Builds the observer when it is first called: its clients are slow to import.
        queues: The same for the queues.
        named: The ids of the subscriptions in the settings.
    """

    requests: RequestStore
    inventory: InventoryStore
    locks: Locks
    writer: PolicyWriter
    observer: Callable[[], Observer]
    queues: Callable[[], Queues]
    named: Sequence[str]

    def put(
        self, wanted: Sequence[MachinePolicy], caller: Person, *, now: datetime
    ) -> tuple[Configured, ...]:
        """
        Give each VM the port rules it names: in the policy that holds it, else in ``default``.

        Raises:
            InvalidRequest: The VMs are of several subscriptions; a VM is unknown, unsupported, not
                watched, or its name too long; or Azure refuses what it says. Every fault is named.
            Conflict: Access under one of the policies is live, scheduled access included; or what
                Azure holds afterwards is not what was written.
            AccessDenied: Azure does not let the broker do it.
            Unavailable: Somebody works on the policy, or an answer is missing. Repeat.
        """
        _check(changes.subscription_faults(wanted))
        looks = self._look(wanted, now)
        _check([fault for item in wanted for fault in changes.put_faults(item, looks)])
        return self._carry_out(changes.put_plans(wanted, looks), caller, now)

    def delete(
        self, unwanted: Sequence[MachinePolicy], caller: Person, *, now: datetime
    ) -> tuple[Configured, ...]:
        """
        Take VMs out of their policies; a policy without VMs is deleted.

        A VM in no policy is left as it is; one that no longer exists can be taken out.

        Raises:
            InvalidRequest: A VM is known neither to Azure nor to a policy, or not watched.
            Conflict: As for `put`; so are the others.
        """
        looks = self._look(unwanted, now)
        _check([fault for item in unwanted for fault in changes.delete_faults(item, looks)])
        done = self._carry_out(changes.delete_plans(unwanted, looks), caller, now)
        free = tuple(_free(unwanted, looks))
        rest = Configured(policy_id=None, action=PolicyAction.UNCHANGED, machines=free)
        return (*done, rest) if free else done

    def _look(self, items: Iterable[MachinePolicy], now: datetime) -> SubscriptionLooks:
        asked = {arm_ids.subscription(item.id) for item in items}
        with azure("the subscription", lambda *_: ()):
            observer = self.observer()
            found = {name: observer.read_snapshot(name) for name in asked & {*self.named}}
        return {
            name: SubscriptionLook(s, topology.build_machines(s, now=now))
            for name, s in found.items()
        }

    def _carry_out(
        self, plans: Sequence[PolicyPlan], caller: Person, now: datetime
    ) -> tuple[Configured, ...]:
        """Check all plans, then do each; one that fails does not stop the others."""
        self._refuse_live(plans)
        done: list[Configured] = []
        failed: list[Rejected | Unavailable] = []
        for plan in plans:
            try:
                done.append(self._claimed(plan, caller, now))
            except (Rejected, Unavailable) as error:
                failed.append(error)
        if failed:
            raise _summed(failed, len(plans))
        return tuple(done)

    def _refuse_live(self, plans: Iterable[PolicyPlan]) -> None:
        faults = [fault for plan in plans for fault in self._live(plan)]
        if faults:
            detail = "a JIT policy cannot be changed while access under it is live"
            raise Conflict(detail, bound_violations(faults))

    def _live(self, plan: PolicyPlan) -> Iterator[Violation]:
        partition, prefix = _grants_of(plan.policy_id)
        for held in self.requests.list_grants(partition, prefix):
            yield from plan.conflict(held.grants)

    # ---- one policy ------------------------------------------------------------------------------

    def _claimed(self, plan: PolicyPlan, caller: Person, now: datetime) -> Configured:
        claim = self.locks.claim(plan.policy_id)
        if claim is None:
            raise Unavailable(f"{plan.label} is busy", retry_after_seconds=_BUSY_SECONDS)
        try:
            return self._configured(plan, claim, caller, now)
        finally:
            self.locks.keep(claim)
            self._wake(plan.policy_id)

    def _wake(self, policy_id: str) -> None:
        """Bring the worker to what came in meanwhile: it leaves a claimed policy alone."""
        if not self.requests.has_grants(*_grants_of(policy_id)):
            return
        try:
            self.queues().send(messages.POLICY, messages.policy(policy_id))
        except Unavailable:  # only a hint: the timer finds the work
            telemetry.warning("message.not_sent", policy_id=policy_id)

    def _configured(
        self, plan: PolicyPlan, claim: PolicyLease, caller: Person, now: datetime
    ) -> Configured:
        self._refuse_live([plan])  # again: from here on nobody opens anything under it
        before = self.writer.read(plan)
        if before is None and any(_is(p, plan.policy_id) for p in plan.look.snapshot.policies):
            # Written anew it would lose the VMs of others, should it be there after all.
            raise Unavailable(f"{plan.label} has just vanished", retry_after_seconds=_BUSY_SECONDS)
        after = plan.apply_to(before)
        action = changes.find_action(before, after)
        found = before
        if action is not PolicyAction.UNCHANGED:
            change = Change(
                plan=plan, claim=claim, caller=caller, now=now, before=before, after=after
            )
            found = self.writer.write(change)
        machines = self._remember(plan, found, now)
        return Configured(policy_id=plan.policy_id, action=action, machines=machines)

    def _remember(
        self, plan: PolicyPlan, found: Resource | None, now: datetime
    ) -> tuple[VirtualMachine, ...]:
        """Bring the inventory of the plan's VMs up to date, so that a request right after works."""
        snapshot, keys = plan.look.snapshot, {arm_ids.key(item.id) for item in plan.wanted}
        others = [p for p in snapshot.policies if not _is(p, plan.policy_id)]
        now_there = replace(
            snapshot,
            machines=[
                vm for vm in snapshot.machines if arm_ids.key(arm_json.text(vm, "id")) in keys
            ],
            policies=[*others, *([found] if found is not None else [])],
        )
        fresh = topology.build_machines(now_there, now=now).values()
        machines = tuple(self._with_warnings(vm) for vm in fresh)
        partition = arm_ids.subscription(plan.policy_id)
        self.inventory.write_machines(partition, machines, complete=False)
        return machines

    def _with_warnings(self, vm: VirtualMachine) -> VirtualMachine:
        """Keep the warnings that the last full look found."""
        known = self.inventory.find_machine(vm.id)
        return replace(vm, warnings=known.warnings) if known is not None else vm


def _check(faults: Sequence[Violation]) -> None:
    if faults:
        raise InvalidRequest("not all of these VMs can be configured", bound_violations(faults))


def _free(unwanted: Iterable[MachinePolicy], looks: SubscriptionLooks) -> Iterator[VirtualMachine]:
    """Yield the VMs that are in no policy."""
    for item in unwanted:
        look = looks[arm_ids.subscription(item.id)]
        vm = look.machine(item.id)
        if vm is not None and not look.policy_ids_of(item.id):
            yield vm


def _grants_of(policy_id: str) -> tuple[str, str]:
    return arm_ids.subscription(policy_id), keys.grants_prefix(policy_id)


def _is(policy: Resource, policy_id: str) -> bool:
    return arm_ids.key(arm_json.text(policy, "id")) == arm_ids.key(policy_id)


def _summed(failed: Sequence[Rejected | Unavailable], plans: int) -> Rejected | Unavailable:
    """Return one error for all policies that were not changed; waiting comes before repairing."""
    if plans == 1:
        return failed[0]
    said = "; ".join(dict.fromkeys(str(error) for error in failed))
    detail = f"{plans - len(failed)} of {plans} JIT policies are as asked, the others not: {said}"
    waits = [error for error in failed if isinstance(error, Unavailable)]
    if waits:
        seconds = max(error.retry_after_seconds for error in waits)
        return Unavailable(detail, retry_after_seconds=seconds)
    rejected = [error for error in failed if isinstance(error, Rejected)]
    faults = tuple(fault for error in rejected for fault in error.violations)
    return type(rejected[0])(detail, bound_violations(faults))
