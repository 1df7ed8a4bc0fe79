"""
Changes of JIT policies for the VMs that a caller names.

A PUT replaces all VMs of a policy, and there is no ETag. So each policy is read, merged and written
under its own lease, which keeps the worker and other instances away. Then it is read back and
compared. Nothing is written over an answer that may lack VMs. The whole request is checked before
anything is written; repeating it is harmless.

A change that only narrows a policy is made at any time. Live grants that it leaves outside end by
the worker of the policy. Any other change waits until no grant has a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit import messages, telemetry
from jit.broker.configure.outside_grants import make_outside_due
from jit.broker.configure.policy_writer import Change, PolicyWriter, translate_refusals
from jit.broker.locks import Locks, PolicyLease
from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.errors import Conflict, InvalidRequest, Rejected, Unavailable, Violation
from jit.domain.inventory import topology
from jit.domain.inventory.last_known import keep_last_known
from jit.domain.limits import bound_violations
from jit.domain.model.machine import MachinePolicy, Support, VirtualMachine
from jit.domain.model.people import Person
from jit.domain.policy_setup import changes, doubts, narrowing
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
_DOUBT_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """
    One policy after the change.

    Attributes:
        policy_id: ARM id; None for VMs that were in no policy, and still are in none.
        action: The change that was made.
        machines: The VMs of the request as they are now, without VMs that no longer exist.
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
        Give each VM the named port rules: in the policy that holds it, else in ``default``.

        Raises:
            InvalidRequest: The VMs are of several subscriptions. Or a VM is unknown, unsupported,
                not watched, or its name is too long. Or Azure refuses the content. Every fault is
                named.
            Conflict: Access under one of the policies is live, and the change does more than narrow
                that policy. Or the policy in Azure differs from the written one afterwards.
            AccessDenied: Azure does not let the broker make the change.
            Unavailable: Somebody works on the policy, an answer is missing, or an answer leaves it
                open which VMs a policy names. Repeat the call.
        """
        _refuse_faults(changes.find_subscription_faults(wanted))
        looks = self._look(wanted, now)
        _refuse_faults([fault for item in wanted for fault in changes.find_put_faults(item, looks)])
        plans = changes.plan_put(wanted, looks)
        self._refuse_hidden(
            looks, {item.id: plan.policy_id for plan in plans for item in plan.wanted}
        )
        return self._carry_out(plans, caller, now)

    def delete(
        self, unwanted: Sequence[MachinePolicy], caller: Person, *, now: datetime
    ) -> tuple[Configured, ...]:
        """
        Take VMs out of their policies; a policy without VMs is deleted.

        A VM in no policy is left as it is. A VM that no longer exists can be taken out.

        Raises:
            InvalidRequest: Neither Azure nor a policy knows a VM, or a VM is not watched.
            Conflict: The same as for ``put``, like the other errors.
        """
        looks = self._look(unwanted, now)
        _refuse_faults(
            [fault for item in unwanted for fault in changes.find_delete_faults(item, looks)]
        )
        self._refuse_hidden(looks, {item.id: "" for item in unwanted})
        done = self._carry_out(changes.plan_delete(unwanted, looks), caller, now)
        free = tuple(_list_free(unwanted, looks))
        rest = Configured(policy_id=None, action=PolicyAction.UNCHANGED, machines=free)
        return (*done, rest) if free else done

    def _look(self, items: Iterable[MachinePolicy], now: datetime) -> SubscriptionLooks:
        asked = {arm_ids.subscription(item.id) for item in items}
        with translate_refusals("read the subscription", lambda *_: ()):
            observer = self.observer()
            found = {name: observer.read_snapshot(name) for name in asked & {*self.named}}
        return {
            name: SubscriptionLook(s, topology.build_machines(s, now=now))
            for name, s in found.items()
        }

    def _refuse_hidden(self, looks: SubscriptionLooks, homes: Mapping[str, str]) -> None:
        """Refuse VMs that may be in a policy where the list does not show them."""
        for vm_id, home in homes.items():
            look = looks[arm_ids.subscription(vm_id)]
            if look.policy_ids_of(vm_id):
                continue
            vm = self.inventory.find_machine(vm_id)
            for policy_id in doubts.find_hidden_homes(vm_id, look, vm.policy_id if vm else None):
                if arm_ids.key(policy_id) != arm_ids.key(home):
                    detail = (
                        f"nothing was changed: {arm_ids.name(vm_id)} may be in JIT policy"
                        f" {policy_id}, although Azure does not list it there now;"
                        " the next comparison, within five minutes, looks again"
                    )
                    raise Unavailable(detail, retry_after_seconds=_DOUBT_SECONDS)

    def _carry_out(
        self, plans: Sequence[PolicyPlan], caller: Person, now: datetime
    ) -> tuple[Configured, ...]:
        """Check all plans, then carry out each; a failed one does not stop the others."""
        self._refuse_live([plan for plan in plans if not _is_narrowing(plan, plan.find_listed())])
        done: list[Configured] = []
        failed: list[Rejected | Unavailable] = []
        for plan in plans:
            try:
                done.append(self._configure_alone(plan, caller, now))
            except (Rejected, Unavailable) as error:
                failed.append(error)
        if failed:
            raise _sum_up(failed, len(plans))
        return tuple(done)

    def _refuse_live(self, plans: Iterable[PolicyPlan]) -> None:
        faults = [fault for plan in plans for fault in self._find_live(plan)]
        if faults:
            detail = "a JIT policy can only be narrowed while access under it is live"
            raise Conflict(detail, bound_violations(faults))

    def _find_live(self, plan: PolicyPlan) -> Iterator[Violation]:
        for row in self.requests.list_grants(*_grants_of(plan.policy_id)):
            yield from plan.find_conflicts(row.grants)

    # ---- one policy ------------------------------------------------------------------------------

    def _configure_alone(self, plan: PolicyPlan, caller: Person, now: datetime) -> Configured:
        lease = self.locks.claim(plan.policy_id)
        if lease is None:
            raise Unavailable(f"{plan.label} is busy", retry_after_seconds=_BUSY_SECONDS)
        try:
            return self._configure(plan, lease, caller, now)
        finally:
            self.locks.keep(lease)
            self._wake_worker(plan.policy_id)

    def _wake_worker(self, policy_id: str) -> None:
        """Wake the worker for requests that came in meanwhile: it leaves a claimed policy alone."""
        if not self.requests.has_grants(*_grants_of(policy_id)):
            return
        try:
            self.queues().send(messages.POLICY, messages.policy(policy_id))
        except Unavailable:  # only a hint: the timer finds the work
            telemetry.warning("message.not_sent", policy_id=policy_id)

    def _configure(
        self, plan: PolicyPlan, lease: PolicyLease, caller: Person, now: datetime
    ) -> Configured:
        before = self.writer.read(plan)
        if before is None and plan.find_listed() is not None:
            # The list had it. If it exists, a new policy would replace the VMs of others.
            raise Unavailable(f"{plan.label} has just vanished", retry_after_seconds=_BUSY_SECONDS)
        why = doubts.explain_doubt(plan, before, self._list_known(plan))
        if why:
            detail = f"{plan.label} was not changed: {why}"
            raise Unavailable(detail, retry_after_seconds=_DOUBT_SECONDS)
        after = plan.apply_to(before)
        if not narrowing.is_narrowing(before, after):
            self._refuse_live([plan])  # again: from here on, no pass opens anything under it
        action = changes.find_action(before, after)
        found = before
        if action is not PolicyAction.UNCHANGED:
            make_outside_due(self.requests, plan.policy_id, after, now=now)
            change = Change(
                plan=plan, lease=lease, caller=caller, now=now, before=before, after=after
            )
            found = self.writer.write(change)
        machines = self._update_inventory(plan, found, now)
        return Configured(policy_id=plan.policy_id, action=action, machines=machines)

    def _list_known(self, plan: PolicyPlan) -> tuple[VirtualMachine, ...]:
        return self.inventory.list_machines(arm_ids.subscription(plan.policy_id))

    def _update_inventory(
        self, plan: PolicyPlan, found: Resource | None, now: datetime
    ) -> tuple[VirtualMachine, ...]:
        """Bring the VMs of the plan up to date, so that a request right after it is accepted."""
        snapshot, wanted = plan.look.snapshot, {arm_ids.key(item.id) for item in plan.wanted}
        others = [p for p in snapshot.policies if not plan.is_of(p)]
        now_there = replace(
            snapshot,
            machines=[
                vm for vm in snapshot.machines if arm_ids.key(arm_json.text(vm, "id")) in wanted
            ],
            policies=[*others, *([found] if found is not None else [])],
        )
        fresh = topology.build_machines(now_there, now=now)
        known = [vm for each in fresh.values() if (vm := self.inventory.find_machine(each.id))]
        # the policy was read back, so it is known; only a path may be hidden by a short list
        last = [replace(vm, policy_id=None) for vm in known]
        found = keep_last_known(fresh, now_there, last, now=now)
        machines = tuple(_keep_warnings(vm, known) for vm in found.values())
        deleted = [
            vm for each in wanted - fresh.keys() if (vm := self.inventory.find_machine(each))
        ]
        left = [_take_out(vm) for vm in deleted]
        partition = arm_ids.subscription(plan.policy_id)
        self.inventory.write_machines(partition, [*machines, *left], complete=False)
        return machines


def _take_out(vm: VirtualMachine) -> VirtualMachine:
    """Return a VM that is in no list any more, and that its JIT policy does not name either."""
    faults = vm.reasons if vm.support is Support.UNSUPPORTED else ()
    support, reasons = topology.judge_support(None, faults)
    return replace(vm, policy_id=None, ports=(), policy_faults=(), support=support, reasons=reasons)


def _keep_warnings(vm: VirtualMachine, known: Iterable[VirtualMachine]) -> VirtualMachine:
    """Return *vm* with the advice and the Bastions that are *known* from the last full look."""
    last = next((each for each in known if arm_ids.key(each.id) == arm_ids.key(vm.id)), None)
    if last is None:
        return vm
    return replace(vm, warnings=last.warnings, obstacles=last.obstacles, bastions=last.bastions)


def _refuse_faults(faults: Sequence[Violation]) -> None:
    if faults:
        raise InvalidRequest("not all of these VMs can be configured", bound_violations(faults))


def _list_free(
    unwanted: Iterable[MachinePolicy], looks: SubscriptionLooks
) -> Iterator[VirtualMachine]:
    """Yield the VMs that are in no policy."""
    for item in unwanted:
        look = looks[arm_ids.subscription(item.id)]
        vm = look.find_machine(item.id)
        if vm is not None and not look.policy_ids_of(item.id):
            yield vm


def _grants_of(policy_id: str) -> tuple[str, str]:
    return arm_ids.subscription(policy_id), keys.grants_prefix(policy_id)


def _is_narrowing(plan: PolicyPlan, policy: Resource | None) -> bool:
    """Return True if *plan* only narrows *policy*."""
    return narrowing.is_narrowing(policy, plan.apply_to(policy))


def _sum_up(failed: Sequence[Rejected | Unavailable], plans: int) -> Rejected | Unavailable:
    """Return one error for all unchanged policies; an outage comes before a refusal."""
    if plans == 1:
        return failed[0]
    reasons = "; ".join(dict.fromkeys(str(error) for error in failed))
    done = plans - len(failed)
    detail = f"{done} of {plans} JIT policies are as asked, the others not: {reasons}"
    waits = [error for error in failed if isinstance(error, Unavailable)]
    if waits:
        seconds = max(error.retry_after_seconds for error in waits)
        return Unavailable(detail, retry_after_seconds=seconds)
    rejected = [error for error in failed if isinstance(error, Rejected)]
    faults = tuple(fault for error in rejected for fault in error.violations)
    return type(rejected[0])(detail, bound_violations(faults))
