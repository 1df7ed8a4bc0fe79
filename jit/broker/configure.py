"""
JIT policies, changed for the VMs that a caller names.

A PUT replaces all VMs of a policy and there is no ETag: each policy is read, merged and written
under its own claim, which keeps the worker and other instances away, then read back and compared.
The whole request is checked before anything is written; repeating it is harmless.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jit import messages, records, telemetry
from jit.broker.turns import Claim, Turns
from jit.domain import armid, configuration, protection, topology
from jit.domain.audit import Event
from jit.domain.configuration import Action, Look, Looks, Plan
from jit.domain.errors import (
    AccessDenied,
    Conflict,
    Gone,
    InvalidRequest,
    PermissionLost,
    Refused,
    Rejected,
    Unavailable,
    Unknown,
    Violation,
)
from jit.domain.intake import MachinePolicy, bounded
from jit.domain.model import Person, VirtualMachine
from jit.domain.topology import Resource
from jit.interfaces import JitPolicies, Queues
from jit.observer import Observer
from jit.store import Store

REFUSED = "refused-by-azure"
DIFFERS = "policy-differs"

_BUSY_SECONDS = 10
_TOLD = 8_000  # characters of an entry that go into the trail; a table's text holds 32,768


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
    action: Action
    machines: tuple[VirtualMachine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A change of one policy under a claim; None is a policy that does not exist."""

    plan: Plan
    claim: Claim
    caller: Person
    now: datetime
    before: Resource | None
    after: Resource | None


class Configurator:
    """Puts VMs under just-in-time access, and takes them out of it."""

    def __init__(
        self,
        store: Store,
        observer: Callable[[], Observer],
        policies: Callable[[], JitPolicies],
        queues: Callable[[], Queues],
    ) -> None:
        """Clients with slow imports are built when first called."""
        self._store = store
        self._observer = observer
        self._policies = policies
        self._queues = queues
        self._turns = Turns(store)

    def put(
        self, wanted: Sequence[MachinePolicy], caller: Person, *, now: datetime
    ) -> tuple[Configured, ...]:
        """
        Give each VM the port rules it names: in the policy that holds it, else in ``default``.

        Raises:
            InvalidRequest: A VM is unknown, unsupported, not watched, or its name too long; or
                Azure refuses what it says. Every fault is named.
            Conflict: Access under one of the policies is live, scheduled access included; or what
                Azure holds afterwards is not what was written.
            AccessDenied: Azure does not let the broker do it.
            Unavailable: Somebody works on the policy, or an answer is missing. Repeat.
        """
        looks = self._look(wanted, now)
        _check([fault for item in wanted for fault in configuration.put_faults(item, looks)])
        return self._carry_out(configuration.put_plans(wanted, looks), caller, now)

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
        _check([fault for item in unwanted for fault in configuration.delete_faults(item, looks)])
        done = self._carry_out(configuration.delete_plans(unwanted, looks), caller, now)
        free = tuple(_free(unwanted, looks))
        rest = Configured(policy_id=None, action=Action.UNCHANGED, machines=free)
        return (*done, rest) if free else done

    def _look(self, items: Iterable[MachinePolicy], now: datetime) -> Looks:
        asked = {armid.subscription(item.id) for item in items}
        with _azure("the subscription", lambda *_: ()):
            observer = self._observer()
            found = {name: observer.snapshot(name) for name in asked & {*observer.watched()}}
        return {name: Look(s, topology.machines(s, now=now)) for name, s in found.items()}

    def _carry_out(
        self, plans: Sequence[Plan], caller: Person, now: datetime
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

    def _refuse_live(self, plans: Iterable[Plan]) -> None:
        faults = [fault for plan in plans for fault in self._live(plan)]
        if faults:
            detail = "a JIT policy cannot be changed while access under it is live"
            raise Conflict(detail, bounded(faults))

    def _live(self, plan: Plan) -> Iterator[Violation]:
        partition, prefix = _grants_of(plan.policy_id)
        for held in self._store.grants(partition, prefix):
            yield from plan.conflict(held.grants)

    # ---- one policy ------------------------------------------------------------------------------

    def _claimed(self, plan: Plan, caller: Person, now: datetime) -> Configured:
        claim = self._turns.claim(plan.policy_id)
        if claim is None:
            raise Unavailable(f"{plan.label} is busy", retry_after_seconds=_BUSY_SECONDS)
        try:
            return self._configured(plan, claim, caller, now)
        finally:
            self._turns.release(claim, not_before=claim.not_before, attempts=claim.attempts)
            self._wake(plan.policy_id)

    def _wake(self, policy_id: str) -> None:
        """Bring the worker to what came in meanwhile: it leaves a claimed policy alone."""
        if not self._store.grants(*_grants_of(policy_id)):
            return
        try:
            self._queues().send(messages.POLICY, messages.policy(policy_id))
        except Unavailable:  # only a hint: the timer finds the work
            telemetry.warning("message.not_sent", policy_id=policy_id)

    def _configured(self, plan: Plan, claim: Claim, caller: Person, now: datetime) -> Configured:
        self._refuse_live([plan])  # again: from here on nobody opens anything under it
        with _azure(plan.label, plan.faults):
            before = self._read(plan.policy_id)
        after = plan.applied_to(before)
        action = configuration.action(before, after)
        found = before
        if action is not Action.UNCHANGED:
            change = _Change(
                plan=plan, claim=claim, caller=caller, now=now, before=before, after=after
            )
            found = self._changed(change)
        machines = self._remember(plan, found, now)
        return Configured(policy_id=plan.policy_id, action=action, machines=machines)

    def _read(self, policy_id: str) -> Resource | None:
        try:
            return self._policies().get(policy_id)
        except Gone:
            return None

    def _changed(self, change: _Change) -> Resource | None:
        """Write the policy, read it back, compare; every step stands in the trail."""
        self._record(change, "policy.change_began")
        self._check_claim(change)
        plan = change.plan
        with self._failing(change), _azure(plan.label, plan.faults):
            answered = self._write(plan.policy_id, change.after)
            found = self._read(plan.policy_id)
            self._compare(change, found, answered=answered)
        self._record(change, "policy.changed")
        telemetry.event("policy.changed", policy_id=plan.policy_id, machines=len(plan.wanted))
        return found

    def _check_claim(self, change: _Change) -> None:
        """Stop if reading took longer than the lease: somebody else may be acting already."""
        row = change.claim.row
        now_there = self._store.control(row.partition, row.key)
        if now_there is None or now_there.etag != row.etag:
            raise Unavailable(f"{change.plan.label} was taken over", retry_after_seconds=1)

    def _write(self, policy_id: str, after: Resource | None) -> bool:
        """Write, and tell whether Azure answered; if it did not, reading back tells."""
        try:
            if after is None:
                self._policies().delete(policy_id)
            else:
                self._policies().replace(policy_id, after)
        except Unknown:
            return False
        return True

    def _compare(self, change: _Change, found: Resource | None, *, answered: bool) -> None:
        plan, unlike = change.plan, protection.unlike(change.after, found)
        if not unlike:
            return
        if not answered:
            raise Unknown(f"Azure did not answer; {plan.label} may still change")
        telemetry.alert("policy.differs", policy_id=plan.policy_id, machines=list(unlike))
        names = ", ".join(armid.name(vm_id) for vm_id in unlike if vm_id)
        detail = f"{plan.label} is not what was written; it differs about {names}"
        raise Conflict(detail, plan.faults(DIFFERS, detail))

    @contextmanager
    def _failing(self, change: _Change) -> Iterator[None]:
        """Note in the trail that a change failed, or that nobody knows."""
        try:
            yield
        except (Rejected, Unavailable) as error:
            self._record(change, "policy.change_failed", reason=str(error))
            raise

    def _record(self, change: _Change, what: str, **facts: str) -> None:
        """Record one event a VM: who changed what, from what, to what."""
        plan, old, new = change.plan, *map(protection.entries, (change.before, change.after))
        events = [
            Event(
                at=change.now,
                what=what,
                actor=change.caller.id,
                request_id="",
                facts={
                    "policyId": plan.policy_id,
                    "virtualMachineId": item.id,
                    "before": _told(old.get(armid.key(item.id))),
                    "after": _told(new.get(armid.key(item.id))),
                    **facts,
                },
            )
            for item in plan.wanted
        ]
        self._store.record(armid.subscription(plan.policy_id), events)

    def _remember(
        self, plan: Plan, found: Resource | None, now: datetime
    ) -> tuple[VirtualMachine, ...]:
        """Bring the inventory of the plan's VMs up to date, so that a request right after works."""
        snapshot, keys = plan.look.snapshot, {armid.key(item.id) for item in plan.wanted}
        others = [p for p in snapshot.policies if not _is(p, plan.policy_id)]
        now_there = replace(
            snapshot,
            machines=[vm for vm in snapshot.machines if armid.key(topology.text(vm, "id")) in keys],
            policies=[*others, *([found] if found is not None else [])],
        )
        fresh = topology.machines(now_there, now=now).values()
        machines = tuple(self._with_warnings(vm) for vm in fresh)
        partition = armid.subscription(plan.policy_id)
        self._store.remember_machines(partition, machines, complete=False)
        return machines

    def _with_warnings(self, vm: VirtualMachine) -> VirtualMachine:
        """Keep the warnings that the last full look found."""
        known = self._store.machine(vm.id)
        return replace(vm, warnings=known.warnings) if known is not None else vm


def _check(faults: Sequence[Violation]) -> None:
    if faults:
        raise InvalidRequest("not all of these VMs can be configured", bounded(faults))


def _free(unwanted: Iterable[MachinePolicy], looks: Looks) -> Iterator[VirtualMachine]:
    """Yield the VMs that are in no policy."""
    for item in unwanted:
        look = looks[armid.subscription(item.id)]
        vm = look.machine(item.id)
        if vm is not None and not look.holders(item.id):
            yield vm


def _grants_of(policy_id: str) -> tuple[str, str]:
    return armid.subscription(policy_id), records.grants_prefix(policy_id)


def _is(policy: Resource, policy_id: str) -> bool:
    return armid.key(topology.text(policy, "id")) == armid.key(policy_id)


def _told(entry: Resource | None) -> Any:
    """Return an entry's ports for the trail; a digest of what a row could not hold."""
    if entry is None:
        return None
    ports = entry.get("ports")
    text = json.dumps(ports, sort_keys=True)
    if len(text) <= _TOLD:
        return ports
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "characters": len(text)}


@contextmanager
def _azure(thing: str, faults: Callable[[str, str], tuple[Violation, ...]]) -> Iterator[None]:
    """Tell the caller what Azure refused; the words are ours, its code is told."""
    try:
        yield
    except PermissionLost as error:
        telemetry.alert("permission.lost", resource=thing, code=error.code)
        detail = f"Azure does not let the broker at {thing}: its role or a Defender plan is missing"
        raise AccessDenied(detail, faults(REFUSED, detail)) from error
    except Refused as error:
        telemetry.warning("policy.refused", resource=thing, code=error.code)
        detail = f"Azure refused the change of {thing} ({error.code or error.azure_status})"
        raise InvalidRequest(detail, faults(REFUSED, detail)) from error


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
    return type(rejected[0])(detail, bounded(faults))
