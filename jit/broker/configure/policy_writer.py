"""
One JIT policy, replaced: written, read back, compared, every step in the trail.

There is no ETag, and an answer can get lost. Only the policy that is read afterwards counts.
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

_AGAIN = 10  # seconds
_LONGEST = 8_000  # characters of an entry that go into the trail; a table's text holds 32,768


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of one policy under a lease; None is a policy that does not exist."""

    plan: PolicyPlan
    lease: PolicyLease
    caller: Person
    now: datetime
    before: Resource | None
    after: Resource | None


class PolicyWriter:
    """Reads policies and changes them."""

    def __init__(self, outbox: Outbox, locks: Locks, policies: Callable[[], JitPolicies]) -> None:
        """*policies* builds its client when first called."""
        self._outbox = outbox
        self._locks = locks
        self._policies = policies

    def read(self, plan: PolicyPlan) -> Resource | None:
        """Return the policy of *plan* as it is now; None if there is none."""
        with translate_refusals(f"read {plan.label}", plan.list_faults, plan.policy_id):
            return self._read(plan.policy_id)

    def write(self, change: Change) -> Resource | None:
        """
        Write the policy, read it back and compare it; return the policy as it was read.

        Raises:
            InvalidRequest: Azure refuses the content.
            Conflict: The policy in Azure differs from the written one afterwards.
            AccessDenied: Azure does not let the broker make the change.
            Unavailable: An answer is missing, or the lease was lost. Repeat the call.
        """
        self._record(change, "policy.change_began")
        plan, act = change.plan, f"change {change.plan.label}"
        refusals = translate_refusals(act, plan.list_faults, plan.policy_id)
        with self._record_failure(change), refusals:
            self._check_lease(change)
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

    def _check_lease(self, change: Change) -> None:
        """Stop if reading took longer than the lease: somebody else may be acting already."""
        if not self._locks.is_held(change.lease):
            raise Unavailable(f"{change.plan.label} was taken over", retry_after_seconds=1)

    def _write(self, policy_id: str, after: Resource | None) -> bool:
        """Write; return False if Azure did not answer, so that only reading back can tell."""
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
        if found is not None and not policy_json.is_readable(found):
            raise Unavailable(f"{plan.label} could not be read back", retry_after_seconds=_AGAIN)
        if not unlike:
            return
        if not answered:
            raise Unknown(f"Azure did not answer; {plan.label} may still change")
        telemetry.alert("policy.differs", policy_id=plan.policy_id, machines=list(unlike))
        names = ", ".join(vm_id.rsplit("/", 1)[-1] for vm_id in unlike)
        detail = f"{plan.label} is not what was written; it differs about {names}"
        raise Conflict(detail, plan.list_faults(DIFFERS, detail))

    @contextmanager
    def _record_failure(self, change: Change) -> Iterator[None]:
        """Write into the trail that a change failed, or that its outcome is unknown."""
        try:
            yield
        except (Rejected, Unavailable) as error:
            self._record(change, "policy.change_failed", reason=str(error))
            raise

    def _record(self, change: Change, what: str, **facts: str) -> None:
        """Record one event for each VM: the caller, and the ports before and after."""
        plan, old, new = (
            change.plan,
            *map(policy_json.group_entries, (change.before, change.after)),
        )
        events = [
            Event(
                at=change.now,
                what=what,
                actor=change.caller.id,
                actor_name=change.caller.name,
                request_id="",
                facts={
                    "policyId": plan.policy_id,
                    "virtualMachineId": item.id,
                    "before": _shorten_ports(old.get(arm_ids.key(item.id))),
                    "after": _shorten_ports(new.get(arm_ids.key(item.id))),
                    **facts,
                },
            )
            for item in plan.wanted
        ]
        self._outbox.add(arm_ids.subscription(plan.policy_id), events)


def _shorten_ports(entry: Resource | None) -> Any:
    """Return the ports of an entry for the trail; a digest if they are too long for a row."""
    if entry is None:
        return None
    ports = entry.get("ports")
    text = json.dumps(ports, sort_keys=True)
    if len(text) <= _LONGEST:
        return ports
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "characters": len(text)}


@contextmanager
def translate_refusals(
    act: str, faults: Callable[[str, str], tuple[Violation, ...]], policy_id: str | None = None
) -> Iterator[None]:
    """
    Turn a refusal of Azure into a problem in the broker's words, with Azure's code.

    Args:
        act: What Azure refuses, for people: ``change JIT policy default of rg-web``.
        faults: Returns the violations for a code and a detail.
        policy_id: The policy that is read or changed; None if it is another resource.
    """
    try:
        yield
    except PermissionLost as error:
        telemetry.alert("permission.lost", **_locate(error, policy_id), code=error.code)
        detail = f"Azure does not let the broker {act}: its role or a Defender plan is missing"
        raise AccessDenied(detail, faults(REFUSED, detail)) from error
    except Refused as error:
        telemetry.warning("policy.refused", **_locate(error, policy_id), code=error.code)
        detail = f"Azure refused to {act} ({error.code or error.azure_status})"
        raise InvalidRequest(detail, faults(REFUSED, detail)) from error


def _locate(error: Refused, policy_id: str | None) -> dict[str, str]:
    """Return the resource of a refusal, under the name by which the queries of events group it."""
    return {"resource_id": error.resource_id} if policy_id is None else {"policy_id": policy_id}
