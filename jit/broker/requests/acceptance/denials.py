"""Denials: the problem of a call that is denied, and its record in the trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from jit.broker.requests.new_request import describe_preview, describe_refusal
from jit.broker.trail import Trail
from jit.domain.decision.verdict import Finding, FindingKind, find_worst_kind
from jit.domain.errors import (
    AccessDenied,
    Conflict,
    Forbidden,
    InvalidRequest,
    LimitReached,
    Rejected,
    Violation,
)
from jit.domain.limits import Limits, bound_violations
from jit.domain.requests.submission import Submission
from jit.domain.values import arm_ids, request_ids

_REFUSALS: Mapping[FindingKind, type[Rejected]] = {
    FindingKind.BODY: InvalidRequest,
    FindingKind.BARRED: AccessDenied,
    FindingKind.ROLE: Forbidden,
    FindingKind.RIGHTS: AccessDenied,
    FindingKind.POLICY: AccessDenied,
    FindingKind.OCCUPIED: Conflict,
}
_DETAILS = {
    FindingKind.BODY: "the request breaks the contract",
    FindingKind.BARRED: "this person may get no access",
    FindingKind.ROLE: "the app roles of the caller do not allow this request",
    FindingKind.LIMIT: "this person has reached a limit",
    FindingKind.RIGHTS: "this person's roles in Azure do not give this access",
    FindingKind.POLICY: "the JIT policy does not allow this access",
    FindingKind.OCCUPIED: "somebody else holds this port for now",
}


class Denials(NamedTuple):
    """Turns findings into problems, and records them."""

    trail: Trail
    limits: Limits

    def refuse_body(self, submission: Submission) -> InvalidRequest:
        """Return the problem of a faulty body: its faults alone, for no policy was asked."""
        violations = bound_violations(submission.draft.violations, self.limits)
        return InvalidRequest(_DETAILS[FindingKind.BODY], violations)

    def record_denial(
        self, findings: Sequence[Finding], submission: Submission, request_id: str, now: datetime
    ) -> Rejected:
        """
        Return the problem of a denial, recorded in the trail.

        Raises:
            LimitReached: The caller was denied too often in an hour.
        """
        kind = find_worst_kind(tuple(findings)) or FindingKind.BODY
        violations = bound_violations([finding.violation for finding in findings], self.limits)
        why = _DETAILS[kind]
        refusal = describe_refusal("request.denied", submission, request_id, why, violations)
        subscription, _ = request_ids.parse_request_id(request_id) or ("", None)
        recorded = self.trail.record_refusal(subscription, refusal, now=now)
        if kind is not FindingKind.LIMIT:
            return _REFUSALS[kind](why, violations, request_id=recorded)
        wait = max(finding.wait_seconds for finding in findings)
        return LimitReached(why, violations, request_id=recorded, retry_after_seconds=wait)

    def record_preview(
        self,
        violations: Sequence[Violation],
        held: Sequence[Violation],
        submission: Submission,
        now: datetime,
    ) -> None:
        """
        Record a dry run that other people's access stops: its answer tells of that access.

        *held* are the reasons that are other people's access; *violations* are all, as answered.
        """
        refusal = describe_preview(submission, _DETAILS[FindingKind.OCCUPIED], violations, held)
        subscription = arm_ids.subscription(submission.draft.machines[0].id)
        self.trail.record_refusal(subscription, refusal, now=now)
