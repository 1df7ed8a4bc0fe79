"""
One JIT policy, replaced: written, read back, compared, every step in the trail.

There is no ETag and no answer to rely on: what counts is what is read afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jit import telemetry
from jit.broker.locks import Locks, PolicyLease
from jit.domain.audit.event import Event
from jit.domain.azure import policy_json
from jit.domain.azure.arm_json import Resource
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
from jit.domain.model.people import Person
from jit.domain.policy_setup.changes import PolicyPlan
from jit.domain.values import arm_ids
from jit.interfaces import JitPolicies
from jit.storage.outbox import Outbox

REFUSED = "refused-by-azure"
DIFFERS = "policy-differs"

_TOLD = 8_000  # characters of an entry that go into the trail; a table's text holds 32,768


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of one policy under a claim; None is a policy that does not exist."""

    plan: PolicyPlan
    claim: PolicyLease
    caller: Person
    now: datetime
    before: Resource | None
    after: Resource | None


class PolicyWriter:
    """Reads policies, carries out changes of them."""

    def __init__(self, outbox: Outbox, locks: Locks, policies: Callable[[], JitPolicies]) -> None:
        """*policies* builds its client when first called."""
        self._outbox = outbox
        self._locks = locks
        self._policies = policies

    def read(self, plan: PolicyPlan) -> Resource | None:
        """Return the policy of *plan* as it is now; None if there is none."""
        with azure(plan.label, plan.faults):
            return self._read(plan.policy_id)

    def write(self, change: Change) -> Resource | None:
        """
        Write the policy, read it back, compare; return what was read.

        Raises:
            InvalidRequest: Azure refuses what it says.
            Conflict: What Azure holds afterwards is not what was written.
            AccessDenied: Azure does not let the broker do it.
            Unavailable: An answer is missing, or the claim was lost. Repeat.
        """
        self._record(change, "policy.change_began")
        plan = change.plan
        with self._failing(change), azure(plan.label, plan.faults):
            self._check_claim(change)
            answered = self._write(plan.policy_id, change.after)
            found = self._read(plan.policy_id)
            self._compare(change, found, answered=answered)
        self._record(change, "policy.changed")
        telemetry.event("policy.changed", policy_id=plan.policy_id, machines=len(plan.wanted))
        return found

    def _read(self, policy_id: str) -> Resource | None:
        try:
            return self._policies().get(policy_id)
        except Gone:
            return None

    def _check_claim(self, change: Change) -> None:
        """Stop if reading took longer than the lease: somebody else may be acting already."""
        if not self._locks.is_held(change.claim):
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

    def _compare(self, change: Change, found: Resource | None, *, answered: bool) -> None:
        plan, unlike = change.plan, policy_json.find_differences(change.after, found)
        if not unlike:
            return
        if not answered:
            raise Unknown(f"Azure did not answer; {plan.label} may still change")
        telemetry.alert("policy.differs", policy_id=plan.policy_id, machines=list(unlike))
        names = ", ".join(vm_id.rsplit("/", 1)[-1] for vm_id in unlike)
        detail = f"{plan.label} is not what was written; it differs about {names}"
        raise Conflict(detail, plan.faults(DIFFERS, detail))

    @contextmanager
    def _failing(self, change: Change) -> Iterator[None]:
        """Note in the trail that a change failed, or that nobody knows."""
        try:
            yield
        except (Rejected, Unavailable) as error:
            self._record(change, "policy.change_failed", reason=str(error))
            raise

    def _record(self, change: Change, what: str, **facts: str) -> None:
        """Record one event a VM: who changed what, from what, to what."""
        plan, old, new = (
            change.plan,
            *map(policy_json.entries_by_machine, (change.before, change.after)),
        )
        events = [
            Event(
                at=change.now,
                what=what,
                actor=change.caller.id,
                request_id="",
                facts={
                    "policyId": plan.policy_id,
                    "virtualMachineId": item.id,
                    "before": _told(old.get(arm_ids.key(item.id))),
                    "after": _told(new.get(arm_ids.key(item.id))),
                    **facts,
                },
            )
            for item in plan.wanted
        ]
        self._outbox.add(arm_ids.subscription(plan.policy_id), events)


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
def azure(thing: str, faults: Callable[[str, str], tuple[Violation, ...]]) -> Iterator[None]:
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
