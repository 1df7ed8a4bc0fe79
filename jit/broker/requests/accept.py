"""
Acceptance of access requests: decide, store, answer.

An accepted request needs no call to Azure: the inventory decides. Azure is asked only before a
denial is returned. Each grant is decided again on fresh data before it opens.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from jit import telemetry
from jit.broker.asked_bars import AskedBars
from jit.broker.requests.acceptance.judgement import Judge, Judgement
from jit.broker.requests.acceptance.own_limits import OwnLimits
from jit.broker.requests.acceptance.repetitions import Repetition, Repetitions
from jit.broker.requests.acceptance.turns import Turns
from jit.broker.requests.new_grants import (
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
)
from jit.broker.requests.own_requests import OwnRequests, name_own_requests
from jit.broker.shared_looks import SharedLooks
from jit.domain.audit.event import Event
from jit.domain.decision.verdict import Finding, FindingKind, sort_findings
from jit.domain.errors import (
    CannotTell,
    Conflict,
    Defect,
    StateConflict,
    Unavailable,
    Unknown,
)
from jit.domain.limits import Limits, bound_violations
from jit.domain.model.grant import Grant
from jit.domain.model.request import AccessRequest, Decision, Request
from jit.domain.requests.submission import Submission
from jit.domain.values import arm_ids, request_ids
from jit.storage.callers.idempotency_keys import Idempotency
from jit.storage.callers.key_rows import RepeatableCall
from jit.storage.callers.person_rows import PersonRows, PersonState, claim_request
from jit.storage.inventory_store import InventoryStore
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest, sort_grants
from jit.storage.subscription_rows import SubscriptionRows
from jit.storage.table import Op, Row

if TYPE_CHECKING:  # loaded if a call is denied, or if the rights of people in Azure count
    from jit.broker.requests.acceptance.denials import Denials
    from jit.broker.rights.asked_rights import AskedRights
    from jit.broker.trail import Trail

_ATTEMPTS = 6  # each one is lost to another call of the same person that was stored first
_PAUSE = 0.025  # seconds; the pause before attempt n takes up to 2**n of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """
    Accepts or denies access requests.

    Attributes:
        people: They count the requests of each person.
        bars: A request of a barred person is denied before any policy is asked.
        turns: Calls of one person are counted and stored one after the other in this process.
        pause: Waits some seconds before another attempt.
        rights: None if the rights of people in Azure do not count.
    """

    requests: RequestStore
    inventory: InventoryStore
    trail: Callable[[], Trail]
    subscriptions: SubscriptionRows
    idempotency: Idempotency
    people: PersonRows
    looks: SharedLooks
    limits: Limits
    bars: AskedBars
    pause: Callable[[float], None]
    turns: Turns = field(default_factory=Turns)
    rights: Callable[[], AskedRights] | None = None

    @property
    def judge(self) -> Judge:
        """The one who decides by inventory and policy."""
        return Judge(self.inventory, self.looks, self.bars, self.limits, self.rights)

    @property
    def repetitions(self) -> Repetitions:
        """The stored requests that calls ask for again."""
        return Repetitions(self.requests, self.idempotency)

    @property
    def denials(self) -> Denials:
        """The answers to calls that are denied: they are loaded for such a call."""
        from jit.broker.requests.acceptance.denials import Denials

        return Denials(self.trail(), self.limits)

    @property
    def own_limits(self) -> OwnLimits:
        """The limits of the person who asks."""
        return OwnLimits(self.people, self.requests, self.limits)

    def preview(self, submission: Submission, *, now: datetime) -> Decision:
        """
        Decide without storing a request.

        If other people's access stands in the way, the answer tells of it, so it is recorded.

        Raises:
            InvalidRequest: The body is faulty, so there is no request to decide about.
        """
        access = submission.draft.request
        if access is None:
            raise self.denials.refuse_body(submission)
        try:
            findings = self._find_findings(submission, access, now)
        except Unknown as error:  # nothing of this call was written
            raise Unavailable("storage did not answer") from error
        violations = bound_violations([finding.violation for finding in findings], self.limits)
        held = [each.violation for each in findings if each.kind is FindingKind.OCCUPIED]
        if held:
            self.denials.record_preview(violations, held, submission, now)
        return Decision(allowed=not violations, rule=RULE, errors=violations)

    def _find_findings(
        self, submission: Submission, access: AccessRequest, now: datetime
    ) -> tuple[Finding, ...]:
        """Return the reasons for which the request would be refused *now*."""
        judgement, requester = self.judge.judge(submission, now), submission.requester
        if judgement.is_about_caller:
            return judgement.findings
        person = self.people.read(arm_ids.subscription(access.machines[0].id), requester.id)
        return self._plan_grants("preview", access, judgement, submission, person, now)[0]

    def accept(self, submission: Submission, *, now: datetime) -> StoredRequest:
        """
        Store the request, or return the request that it repeats.

        Raises:
            Rejected: The body, the policy or another grant forbids it. Each fault is named.
            Unavailable: Storage failed, so the outcome is unknown. Repeat with the same key.
        """
        access = submission.draft.request
        if access is None:
            return self._repeat_or_refuse(submission, now)
        call = _name_call(submission, access.machines[0].id)
        known = self.repetitions.find_earlier(call, now)
        if known is not None:
            return known
        found = Repetition()
        for attempt in range(_ATTEMPTS):
            if attempt and found.over is None:
                self.pause(random.uniform(0, _PAUSE * 2**attempt))  # noqa: S311 # no secret
            stored = self._decide_and_store(submission, access, call, found.over, now)
            if stored is not None:
                return stored
            found = self.repetitions.find(call, now)
            if found.request is not None:
                return found.request
        raise Unavailable("other requests of yours kept coming first")

    def _decide_and_store(
        self,
        submission: Submission,
        access: AccessRequest,
        call: RepeatableCall,
        over: Row | None,
        now: datetime,
    ) -> StoredRequest | None:
        """
        Decide, then store the request with its key; return None if another call stored first.

        A call that would be denied may be a repetition. So the key is read before Azure is asked,
        and again before the denial.

        Args:
            submission: The request as it came in.
            access: Its body, which has no fault.
            call: It, as its key names it.
            over: The row of the key, if it does not answer any more.
            now: Aware, UTC.
        """
        judgement = self.judge.judge_kept(submission, now)
        if not judgement.is_final:
            known = self.repetitions.find(call, now).request
            if known is not None:
                return known
            judgement = self.judge.judge_anew(submission, now)
        if judgement.is_about_caller:
            return self._repeat_or_deny(judgement.findings, submission, call, now)
        try:
            judgement = self.judge.add_rights(judgement, submission, now)
        except CannotTell as error:
            return self._repeat_uncounted(call, error, now)
        with self.turns.take(submission.requester.id):
            return self._count_and_store(submission, access, call, judgement, over, now)

    def _count_and_store(
        self,
        submission: Submission,
        access: AccessRequest,
        call: RepeatableCall,
        judgement: Judgement,
        over: Row | None,
        now: datetime,
    ) -> StoredRequest | None:
        """
        Compare with other requests, then store; return None if another call stored first.

        Calls of one person take turns here: storage is asked, and never Azure. The rows of the
        person are read first and written last, so the limits hold between processes, too.
        """
        new_id = request_ids.make_request_id(call.subscription, now, secrets.token_bytes(10))
        try:
            person = self.people.read(call.subscription, submission.requester.id)
            findings, grants = self._plan_grants(new_id, access, judgement, submission, person, now)
        except CannotTell as error:
            return self._repeat_uncounted(call, error, now)
        if findings:
            return self._repeat_or_deny(findings, submission, call, now)
        claims = (
            *self.idempotency.claim(call, new_id, now, over),
            *claim_request(person, new_id, now, counts_today=not submission.is_on_behalf),
        )
        request = build_request(access, grants, submission, now)
        event = build_acceptance_event(request, grants, now, judgement.rights)
        return self._store(request, grants, event, claims, now)

    def _repeat_uncounted(
        self, call: RepeatableCall, error: CannotTell, now: datetime
    ) -> StoredRequest:
        """Return the request that *call* repeats: it needs no count. Else raise *error*."""
        with suppress(Defect):  # the rows that cannot be read may be its own
            known = self.repetitions.find(call, now).request
            if known is not None:
                return known
        raise error

    def _plan_grants(
        self,
        request_id: str,
        access: AccessRequest,
        judgement: Judgement,
        submission: Submission,
        person: PersonState,
        now: datetime,
    ) -> tuple[tuple[Finding, ...], list[Grant]]:
        """Return the reasons to refuse; or the grants, given the others on their VM ports."""
        counts_today = not submission.is_on_behalf
        full = self.own_limits.find_full_counts(person, now, counts_today=counts_today)
        findings = (*full, *judgement.findings)
        own = OwnRequests(self.requests, submission.caller)
        if any(finding.kind is not FindingKind.OCCUPIED for finding in findings):
            return sort_findings(findings), []
        machines, starts_at = judgement.machines, max(access.starts_at or now, now)
        grants = build_grants(request_id, access, machines, starts_at=starts_at, now=now)
        others = list_other_grants(grants, self.requests, counted=bool(person.places))
        full = sort_findings(self.own_limits.find_full_ports(access, person, others, now))
        if findings:
            return (*full, *name_own_requests(findings, access, others, own)), []
        findings = (
            *full,
            *find_other_families(grants, others, own),
            *find_crowded_ports(grants, others),
        )
        return findings, announce_handovers(grants, machines, others, now=now)

    # ---- denials -------------------------------------------------------------------------------

    def _repeat_or_refuse(self, submission: Submission, now: datetime) -> StoredRequest:
        """Answer a late repetition as before, although its start is in the past by now."""
        machines = submission.draft.machines
        call = _name_call(submission, machines[0].id if machines else "")
        with suppress(Conflict):
            known = self.repetitions.find_earlier(call, now) or (
                self.repetitions.find(call, now).request if machines else None
            )
            if known is not None:
                return known
        raise self.denials.refuse_body(submission)

    def _repeat_or_deny(
        self,
        findings: Sequence[Finding],
        submission: Submission,
        call: RepeatableCall,
        now: datetime,
    ) -> StoredRequest:
        """Return the request that *call* repeats; if there is none, deny it for *findings*."""
        known = self.repetitions.find(call, now).request
        if known is not None:
            return known
        new_id = request_ids.make_request_id(call.subscription, now, secrets.token_bytes(10))
        raise self.denials.record_denial(findings, submission, new_id, now)

    # ---- storage -------------------------------------------------------------------------------

    def _store(
        self,
        request: Request,
        grants: Sequence[Grant],
        event: Event,
        claims: Sequence[Op],
        now: datetime,
    ) -> StoredRequest | None:
        """
        Store an allowed request with its grants and its *claims*, all of it or nothing.

        Returns:
            None if another call has changed a row of *claims* meanwhile.
        """
        self.subscriptions.ensure(arm_ids.subscription(grants[0].vm_id), now)
        try:
            is_new = self.requests.insert(request, grants, [event], claims)
        except StateConflict:
            return None
        known = None if is_new else self.requests.load(request.id)
        if known is not None:
            return known
        telemetry.event("request.accepted", request_id=request.id, grants=len(grants))
        return StoredRequest(request, sort_grants(grants))


def _name_call(submission: Submission, vm_id: str) -> RepeatableCall:
    """Return *submission* as its caller may repeat it, about the subscription of a VM."""
    return RepeatableCall(
        caller=submission.caller.id,
        subscription=arm_ids.subscription(vm_id) if vm_id else "",
        key=submission.key,
        body=submission.body,
    )
