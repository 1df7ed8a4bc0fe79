"""
Acceptance of access requests: decide, store, answer.

An accepted request needs no call to Azure: the inventory decides. Azure is asked only before a
denial is returned. Each grant is decided again on fresh data before it opens.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jit import telemetry
from jit.broker.requests.new_grants import (
    Machines,
    announce_handovers,
    build_grants,
    find_crowded_ports,
    find_other_families,
    list_other_grants,
)
from jit.broker.requests.new_request import (
    RULE,
    build_acceptance_event,
    build_request,
    describe_refusal,
)
from jit.broker.requests.own_requests import OwnRequests, name_own_requests
from jit.broker.trail import Trail
from jit.domain.decision.jit_policy import decide
from jit.domain.decision.verdict import Finding, FindingKind, find_worst_kind
from jit.domain.errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    Rejected,
    TooLarge,
    Unavailable,
    Unknown,
)
from jit.domain.limits import Limits, bound_violations
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VirtualMachine
from jit.domain.model.people import Person
from jit.domain.model.request import AccessRequest, Decision
from jit.domain.requests.submission import Draft, Submission
from jit.domain.values import arm_ids, request_ids
from jit.storage.idempotency_keys import Idempotency, RepeatableCall, Slot
from jit.storage.inventory_store import InventoryStore
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest, sort_grants
from jit.storage.subscription_rows import SubscriptionRows

if TYPE_CHECKING:  # only denials need it, and its import slows the first request down
    from jit.observer.subscription import Observer

_ATTEMPTS = 10  # each one is lost to another call with the same key that took the key over

_REFUSALS: Mapping[FindingKind, type[Rejected]] = {
    FindingKind.BODY: InvalidRequest,
    FindingKind.POLICY: AccessDenied,
    FindingKind.OCCUPIED: Conflict,
}
_DETAILS = {
    FindingKind.BODY: "the request breaks the contract",
    FindingKind.POLICY: "the JIT policy does not allow this access",
    FindingKind.OCCUPIED: "somebody else holds this port for now",
}


@dataclass(frozen=True, slots=True)
class _Judgement:
    """
    The findings about a draft.

    Attributes:
        findings: Empty if the request is allowed.
        machines: The VMs that the findings are about.
        is_fresh: True if Azure was read: that takes time.
    """

    findings: tuple[Finding, ...]
    machines: Machines
    is_fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """
    Accepts or denies access requests.

    Attributes:
        observer: Builds the observer when it is first called: most requests never need it.
    """

    requests: RequestStore
    inventory: InventoryStore
    trail: Trail
    subscriptions: SubscriptionRows
    idempotency: Idempotency
    observer: Callable[[], Observer]
    limits: Limits

    def preview(self, submission: Submission, *, now: datetime) -> Decision:
        """
        Decide without storing a request.

        If other people's access stands in the way, the answer tells of it, so it is recorded.

        Raises:
            InvalidRequest: The body is faulty, so there is no request to decide about.
        """
        if submission.draft.request is None:
            raise _refuse_body(submission, self.limits)
        try:
            judgement = self._judge(submission.draft, now)
        except Unknown as error:  # only the inventory was written
            raise Unavailable("storage did not answer") from error
        access, caller = submission.draft.request, submission.caller
        findings, _ = self._plan_grants("preview", access, judgement, caller, now)
        violations = bound_violations([finding.violation for finding in findings], self.limits)
        if any(finding.kind is FindingKind.OCCUPIED for finding in findings):
            why = _DETAILS[FindingKind.OCCUPIED]
            refusal = describe_refusal("request.previewed", submission, "", why, violations)
            subscription = arm_ids.subscription(access.machines[0].id)
            self.trail.record_refusal(subscription, refusal, now=now)
        return Decision(allowed=not violations, rule=RULE, errors=violations)

    def accept(self, submission: Submission, *, now: datetime) -> StoredRequest:
        """
        Store the request, or return the request that it repeats.

        Raises:
            Rejected: The body, the policy or another grant forbids it. Each fault is named.
            Unavailable: Storage failed, so the outcome is unknown. Repeat with the same key.
        """
        access = submission.draft.request
        if access is None:
            return self._repeat_or_refuse(submission)
        for _ in range(_ATTEMPTS):
            done = self._try_once(submission, access, now)
            if done is not None:
                return done
        raise Unavailable("the idempotency key kept changing")

    def _try_once(
        self, submission: Submission, access: AccessRequest, now: datetime
    ) -> StoredRequest | None:
        """Decide and store; return None if another call took the key over meanwhile."""
        slot = self._begin_key(submission, access, now)
        if slot.repeated:
            known = self.requests.load(slot.request_id)
            if known is not None:
                return known
            taken = self.idempotency.take(slot)
            if taken is None:
                return None
            return self._decide_and_store(taken, submission, access, now, is_repetition=True)
        return self._decide_and_store(slot, submission, access, now)

    def _begin_key(self, submission: Submission, access: AccessRequest, now: datetime) -> Slot:
        """Return the slot of the key; a closed request no longer answers for its body."""
        subscription = arm_ids.subscription(access.machines[0].id)
        new_id = request_ids.make_request_id(subscription, now, secrets.token_bytes(10))
        slot = self.idempotency.begin(_call_of(submission), new_id, now)
        if slot.repeated and submission.key is None:
            known = self.requests.load(slot.request_id)
            if known is not None and known.status is Status.CLOSED:
                return self.idempotency.reassign(slot, new_id, now) or slot
        return slot

    def _decide_and_store(
        self,
        slot: Slot,
        submission: Submission,
        access: AccessRequest,
        now: datetime,
        *,
        is_repetition: bool = False,
    ) -> StoredRequest | None:
        """
        Store the request under *slot*, or deny it; return None if the slot was taken over.

        Reading Azure can outlast the caller's timeout, and a retry may take over the key. So check
        that the key is still ours before storing or denying. A repetition that is denied because of
        other people's requests leaves the key as it is: they may have come after the first call
        looked for them, and that call may be about to store its request.
        """
        judgement = self._judge(submission.draft, now)
        findings, grants = self._plan_grants(
            slot.request_id, access, judgement, submission.caller, now
        )
        if findings:
            by_others = is_repetition and not judgement.findings
            if not by_others and not self.idempotency.forget(slot):
                return None
            raise self._deny(findings, submission, slot.request_id, now)
        if judgement.is_fresh:
            taken = self.idempotency.take(slot)
            if taken is None:
                return None
            slot = taken
        try:
            return self._store(access, grants, submission.caller, now)
        except TooLarge:
            self.idempotency.forget(slot)
            raise

    def _plan_grants(
        self,
        request_id: str,
        access: AccessRequest,
        judgement: _Judgement,
        caller: Person,
        now: datetime,
    ) -> tuple[tuple[Finding, ...], list[Grant]]:
        """Return the reasons to refuse; or the grants, given the others on their VM ports."""
        findings, own = judgement.findings, OwnRequests(self.requests, caller)
        if any(finding.kind is not FindingKind.OCCUPIED for finding in findings):
            return findings, []
        machines, starts_at = judgement.machines, max(access.starts_at or now, now)
        grants = build_grants(request_id, access, machines, starts_at=starts_at, now=now)
        others = list_other_grants(grants, self.requests)
        if findings:
            return name_own_requests(findings, access, others, own), []
        findings = (
            *find_other_families(grants, others, own),
            *find_crowded_ports(grants, others),
        )
        return findings, announce_handovers(grants, machines, others, now=now)

    # ---- decisions -----------------------------------------------------------------------------

    def _judge(self, draft: Draft, now: datetime) -> _Judgement:
        """Decide by the inventory; if that denies, decide again by Azure."""
        machines = self._find_machines(draft)
        findings = decide(draft, machines, now=now, limits=self.limits)
        if all(finding.kind is FindingKind.BODY for finding in findings):
            return _Judgement(findings, machines, is_fresh=False)
        machines = self._read_machines(draft, now)
        findings = decide(draft, machines, now=now, limits=self.limits)
        return _Judgement(findings, machines, is_fresh=True)

    def _find_machines(self, draft: Draft) -> Machines:
        ids = {arm_ids.key(machine.id): machine.id for machine in draft.machines}
        found = {key: self.inventory.find_machine(vm_id) for key, vm_id in ids.items()}
        return {key: vm for key, vm in found.items() if vm is not None and not vm.is_unlisted}

    def _read_machines(self, draft: Draft, now: datetime) -> Machines:
        """Read the subscriptions of *draft* from Azure into the inventory."""
        subscriptions = {arm_ids.subscription(machine.id) for machine in draft.machines}
        found: dict[str, VirtualMachine] = {}
        for subscription in filter(self.limits.allows_subscription, subscriptions):
            machines, is_new = self.observer().read_recent_machines(subscription, now=now)
            if is_new:  # otherwise the inventory may be newer by now
                self.inventory.write_machines(subscription, machines, complete=True)
            found |= {arm_ids.key(vm.id): vm for vm in machines if not vm.is_unlisted}
        return found

    # ---- denials -------------------------------------------------------------------------------

    def _repeat_or_refuse(self, submission: Submission) -> StoredRequest:
        """Answer a late repetition as before, although its start is in the past by now."""
        request_id = self.idempotency.find(_call_of(submission))
        known = self.requests.load(request_id) if request_id else None
        if known is None:
            raise _refuse_body(submission, self.limits)
        return known

    def _deny(
        self, findings: Sequence[Finding], submission: Submission, request_id: str, now: datetime
    ) -> Rejected:
        """Return the problem of a denial, recorded in the trail."""
        kind = find_worst_kind(tuple(findings)) or FindingKind.BODY
        violations = bound_violations([finding.violation for finding in findings], self.limits)
        why = _DETAILS[kind]
        refusal = describe_refusal("request.denied", submission, request_id, why, violations)
        subscription, _ = request_ids.parse_request_id(request_id) or ("", None)
        recorded = self.trail.record_refusal(subscription, refusal, now=now)
        return _REFUSALS[kind](why, violations, request_id=recorded)

    # ---- storage -------------------------------------------------------------------------------

    def _store(
        self,
        access: AccessRequest,
        grants: Sequence[Grant],
        caller: Person,
        now: datetime,
    ) -> StoredRequest:
        """Store an allowed request with its grants; the same call may have done so before."""
        request = build_request(access, grants, caller, now)
        self.subscriptions.ensure(arm_ids.subscription(grants[0].vm_id), now)
        event = build_acceptance_event(request, grants, now)
        if not self.requests.insert(request, grants, [event]):
            known = self.requests.load(request.id)
            if known is not None:
                return known
        telemetry.event("request.accepted", request_id=request.id, grants=len(grants))
        return StoredRequest(request, sort_grants(grants))


def _call_of(submission: Submission) -> RepeatableCall:
    return RepeatableCall(submission.caller.id, submission.key, submission.body)


def _refuse_body(submission: Submission, limits: Limits) -> Rejected:
    """Return the problem of a faulty body: its faults alone, for no policy was asked."""
    violations = bound_violations(submission.draft.violations, limits)
    return InvalidRequest(_DETAILS[FindingKind.BODY], violations)
