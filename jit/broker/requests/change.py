"""Changes of a request that people make: revoke it, extend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.broker.requests.lookup import find_visible
from jit.broker.requests.new_grants import list_other_grants
from jit.domain.audit.event import Event, list_transitions
from jit.domain.decision.jit_policy import decide
from jit.domain.decision.verdict import FindingKind
from jit.domain.errors import AccessDenied, Conflict, Forbidden, StateConflict, Unavailable
from jit.domain.grants import admission, lifetime, shared_port
from jit.domain.limits import Limits
from jit.domain.model.grant import CloseReason, Grant, Status, status_of
from jit.domain.model.people import Person, Role
from jit.domain.values import arm_ids
from jit.storage.inventory_store import InventoryStore
from jit.storage.request_store import RequestStore
from jit.storage.stored import GrantRow, StoredRequest

_ATTEMPTS = 3

GrantChange = Callable[[Grant], Grant]
"""Returns the grant as it shall be; the same grant if nothing changes."""


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The request after a change; *changed* is False if it was so before."""

    stored: StoredRequest
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestChanges:
    """
    Changes requests.

    Attributes:
        limits: An extension is decided again by them.
    """

    requests: RequestStore
    inventory: InventoryStore
    limits: Limits

    def revoke(
        self, request_id: str, caller: Person, reason: str | None, now: datetime
    ) -> ChangeResult:
        """
        End a request early: a requester the own request, an operator any.

        If a grant could not be observed gone for an hour or more, an operator may close it with a
        reason as ``unverified``. Once its rules can be read again, reconcile removes the rest.

        Raises:
            NotFound: There is no such request, or the caller may not see it.
            Forbidden: The caller may see it, as approvers and auditors do, but not revoke it.
        """
        stored = find_visible(self.requests, request_id, caller)
        if stored.request.requester.id != caller.id and Role.OPERATOR not in caller.roles:
            raise Forbidden("only its requester or an operator may revoke a request")
        may_give_up = Role.OPERATOR in caller.roles and bool(reason)

        def change(grant: Grant) -> Grant:
            if may_give_up and lifetime.may_close_unverified(grant, now=now):
                return lifetime.close_unverified(grant, now)
            if not grant.live or grant.status is Status.CLOSING:
                return grant
            return lifetime.begin_closing(grant, CloseReason.REVOKED, now)

        return self._change(request_id, caller, change, now, reason)

    def extend(
        self,
        request_id: str,
        caller: Person,
        duration: timedelta,
        reason: str | None,
        now: datetime,
    ) -> ChangeResult:
        """
        Move the ends of the open grants to *duration* from now, within each port's maximum.

        Raises:
            NotFound: There is no such request, or the caller may not see it.
            Forbidden: It is another person's: only its requester may keep it open.
            Conflict: No grant of it is open, or their ends have passed.
            AccessDenied: The policy does not allow it any more.
        """
        stored = find_visible(self.requests, request_id, caller)
        if stored.request.requester.id != caller.id:
            raise Forbidden("only its requester may extend a request")
        today = tuple(lifetime.advance_by_clock(grant, now=now) for grant in stored.grants)
        if not any(grant.wants_path for grant in today):
            raise Conflict(f"the request is {status_of(today)}; only an open one can be extended")

        def change(grant: Grant) -> Grant:
            is_open = lifetime.advance_by_clock(grant, now=now).wants_path
            return self._extend(grant, duration, now) if is_open else grant

        return self._change(request_id, caller, change, now, reason)

    def _extend(self, grant: Grant, duration: timedelta, now: datetime) -> Grant:
        """Decide again as for a new grant, and move the end: never beyond the port's maximum."""
        vm = self.inventory.find_machine(grant.vm_id)
        if vm is None:
            raise AccessDenied("the virtual machine is no longer known")
        rule = vm.find_rule(grant.port)
        span = min(duration, rule.max_duration) if rule else duration
        access = admission.rebuild_request(replace(grant, duration=span))
        findings = decide(access, {arm_ids.key(grant.vm_id): vm}, now=now, limits=self.limits)
        denied = tuple(item.violation for item in findings if item.kind is FindingKind.POLICY)
        if denied:
            raise AccessDenied("the JIT policy no longer allows this access", denied)
        end = (now + span).replace(microsecond=0)
        if grant.expires_at is not None and end <= grant.expires_at:
            return grant
        extended = replace(
            grant, expires_at=end, latest_end=max(end, grant.latest_end), next_check_at=now
        )
        others = list_other_grants([extended], self.requests).get(grant.vm_port, ())
        if shared_port.find_other_family(extended, others) is not None:
            raise Conflict(f"port {grant.port} is promised to addresses of the other IP version")
        return extended

    def _change(
        self,
        request_id: str,
        caller: Person,
        change: GrantChange,
        now: datetime,
        reason: str | None,
    ) -> ChangeResult:
        """Change the grants under the ETags read; if somebody wrote, read and decide again."""
        for _ in range(_ATTEMPTS):
            stored = find_visible(self.requests, request_id, caller)
            try:
                return self._change_once(stored, caller, change, now, reason)
            except StateConflict:
                continue
        raise Unavailable("the request kept changing")

    def _change_once(
        self,
        stored: StoredRequest,
        caller: Person,
        change: GrantChange,
        now: datetime,
        reason: str | None,
    ) -> ChangeResult:
        rows = [(row, tuple(change(grant) for grant in row.grants)) for row in stored.rows]
        changes = [(row, after) for row, after in rows if after != row.grants]
        if not changes:
            return ChangeResult(stored, changed=False)
        events = _change_events(changes, caller, now, reason)
        self.requests.save(changes, events)
        for event in events:
            telemetry.event(event.what, grant_id=event.grant_id, request_id=event.request_id)
        after = {grant.id: grant for _, grants in rows for grant in grants}
        grants = tuple(after[grant.id] for grant in stored.grants)
        return ChangeResult(StoredRequest(stored.request, grants), changed=True)


def _change_events(
    changes: Sequence[tuple[GrantRow, Sequence[Grant]]],
    caller: Person,
    now: datetime,
    reason: str | None,
) -> list[Event]:
    before = [grant for row, _ in changes for grant in row.grants]
    after = [grant for _, grants in changes for grant in grants]
    events = list_transitions(before, after, actor=caller.id, now=now)
    return [replace(event, facts={**event.facts, "reason": reason}) for event in events]
