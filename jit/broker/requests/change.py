"""What people decide about a request that is under way: revoke, extend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.domain.audit.event import Event, transitions
from jit.domain.decision.jit_policy import decide
from jit.domain.decision.verdict import FindingKind
from jit.domain.errors import (
    AccessDenied,
    Conflict,
    Forbidden,
    NotFound,
    StateConflict,
    Unavailable,
)
from jit.domain.grants import admission, lifetime
from jit.domain.limits import Limits
from jit.domain.model.grant import CloseReason, Grant, Status, status_of
from jit.domain.model.machine import VirtualMachine
from jit.domain.model.people import Person, Role
from jit.domain.model.request import Request
from jit.storage.inventory_store import InventoryStore
from jit.storage.request_store import RequestStore
from jit.storage.stored import GrantRow, StoredRequest

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Decided:
    """The request after the decision; *changed* is False where it was already so."""

    whole: StoredRequest
    changed: bool


class Decisions:
    """Applies what people decide."""

    def __init__(self, requests: RequestStore, inventory: InventoryStore, limits: Limits) -> None:
        """*limits* are for deciding again."""
        self._requests = requests
        self._inventory = inventory
        self._limits = limits

    def revoke(self, request_id: str, caller: Person, reason: str | None, now: datetime) -> Decided:
        """
        End a request early: the own one, or any as an operator.

        What cannot be observed gone for an hour or more, an operator may close with a reason as
        ``unverified``; reconcile removes what turns out to be left, once it can be read.

        Raises:
            NotFound: There is no such request, or the caller may not see it.
            Forbidden: They may see it, as approvers and auditors do, and no more.
        """
        whole = self._own(request_id, caller)
        if whole.request.requester.id != caller.id and Role.OPERATOR not in caller.roles:
            raise Forbidden("only its requester or an operator may revoke a request")

        trusted = Role.OPERATOR in caller.roles and bool(reason)

        def change(grant: Grant) -> Grant:
            if trusted and lifetime.may_close_unverified(grant, now=now):
                return lifetime.close_unverified(grant, now)
            if not grant.live or grant.status is Status.CLOSING:
                return grant
            return lifetime.begin_closing(grant, CloseReason.REVOKED, now)

        return self._apply(request_id, caller, change, now, reason)

    def extend(
        self,
        request_id: str,
        caller: Person,
        duration: timedelta,
        reason: str | None,
        now: datetime,
    ) -> Decided:
        """
        Move the ends of the open grants to *duration* from now, within each port's maximum.

        Raises:
            NotFound: There is no such request, or it is somebody else's.
            Forbidden: Somebody else's, and only its requester may keep it open.
            Conflict: Nothing of it is open, or its end has passed, whoever has seen that yet.
            AccessDenied: The policy has no room for it.
        """
        whole = self._own(request_id, caller)
        if whole.request.requester.id != caller.id:
            raise Forbidden("only its requester may extend a request")
        today = tuple(lifetime.advance_by_clock(grant, now=now) for grant in whole.grants)
        if not any(grant.wants_path for grant in today):
            raise Conflict(f"the request is {status_of(today)}; only an open one can be extended")

        def change(grant: Grant) -> Grant:
            lasts = lifetime.advance_by_clock(grant, now=now).wants_path
            return self._extended(grant, duration, now) if lasts else grant

        return self._apply(request_id, caller, change, now, reason)

    def _extended(self, grant: Grant, duration: timedelta, now: datetime) -> Grant:
        """Decide again as for a new grant, and move the end: never beyond the port's maximum."""
        vm = self._machine(grant)
        rule = vm.rule_for(grant.port)
        span = min(duration, rule.max_duration) if rule else duration
        wish = admission.rebuild_request(replace(grant, duration=span))
        findings = decide(wish, {grant.vm_key: vm}, now=now, limits=self._limits)
        denied = tuple(item.violation for item in findings if item.kind is FindingKind.POLICY)
        if denied:
            raise AccessDenied("the JIT policy no longer allows this access", denied)
        end = (now + span).replace(microsecond=0)
        if grant.expires_at is not None and end <= grant.expires_at:
            return grant
        return replace(
            grant, expires_at=end, latest_end=max(end, grant.latest_end), next_check_at=now
        )

    def _machine(self, grant: Grant) -> VirtualMachine:
        vm = self._inventory.find_machine(grant.vm_id)
        if vm is None:
            raise AccessDenied("the virtual machine is no longer known")
        return vm

    def _own(self, request_id: str, caller: Person) -> StoredRequest:
        whole = self._requests.load(request_id)
        if whole is None or not may_see(whole.request, caller):
            raise NotFound(f"there is no request {request_id}")
        return whole

    def _apply(
        self,
        request_id: str,
        caller: Person,
        change: Callable[[Grant], Grant],
        now: datetime,
        reason: str | None,
    ) -> Decided:
        """Change the grants under the ETags read; read and decide again where somebody wrote."""
        for _ in range(_ATTEMPTS):
            whole = self._own(request_id, caller)
            try:
                return self._once(whole, caller, change, now, reason)
            except StateConflict:
                continue
        raise Unavailable("the request kept changing")

    def _once(
        self,
        whole: StoredRequest,
        caller: Person,
        change: Callable[[Grant], Grant],
        now: datetime,
        reason: str | None,
    ) -> Decided:
        rows = [(held, tuple(change(grant) for grant in held.grants)) for held in whole.rows]
        changes = [(held, after) for held, after in rows if after != held.grants]
        if not changes:
            return Decided(whole, changed=False)
        events = self._events(changes, caller, now, reason)
        self._requests.save(changes, events)
        for event in events:
            telemetry.event(event.what, grant_id=event.grant_id, request_id=event.request_id)
        after = {grant.id: grant for _, grants in rows for grant in grants}
        grants = tuple(after[grant.id] for grant in whole.grants)
        return Decided(StoredRequest(whole.request, grants), changed=True)

    @staticmethod
    def _events(
        changes: Sequence[tuple[GrantRow, Sequence[Grant]]],
        caller: Person,
        now: datetime,
        reason: str | None,
    ) -> list[Event]:
        before = [grant for held, _ in changes for grant in held.grants]
        after = [grant for _, grants in changes for grant in grants]
        events = transitions(before, after, actor=caller.id, now=now)
        return [replace(event, facts={**event.facts, "reason": reason}) for event in events]


def may_see(request: Request, caller: Person) -> bool:
    """Tell whether *caller* may see a request: the own one, or all as more than a requester."""
    if request.requester.id == caller.id:
        return True
    return bool(caller.roles & {Role.OPERATOR, Role.AUDITOR, Role.APPROVER})
