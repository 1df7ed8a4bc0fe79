"""Changes of a request that people make: revoke it, extend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.broker.requests.lookup import find_visible
from jit.broker.requests.new_grants import Machines, OtherGrants, list_other_grants
from jit.broker.requests.no_change import check_step, explain_not_open, explain_revoked
from jit.broker.requests.own_requests import OwnRequests
from jit.broker.requests.person_checks import PersonChecks
from jit.domain.audit.event import Event, list_transitions
from jit.domain.decision.extension import check_extension, explain_unlisted, find_new_end
from jit.domain.decision.jit_policy import VM_NOT_FOUND, decide
from jit.domain.decision.verdict import FindingKind
from jit.domain.errors import (
    AccessDenied,
    Conflict,
    Forbidden,
    InvalidRequest,
    Rejected,
    StateConflict,
    Unavailable,
    Violation,
)
from jit.domain.grants import admission, lifetime, shared_port
from jit.domain.limits import Limits, bound_violations
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.model.people import Person, Role
from jit.domain.requests.extension_body import Extension
from jit.domain.requests.revocation import Revocation, find_outside
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import ROOT
from jit.storage.callers.idempotency_keys import Idempotency
from jit.storage.callers.key_rows import RepeatableCall, make_extension_use
from jit.storage.inventory_store import InventoryStore
from jit.storage.request_store import RequestStore
from jit.storage.stored import GrantRow, StoredRequest

_ATTEMPTS, _KEPT_MARKS = 3, 8
_UNTIL_LISTED = 60  # a comparison lists again so soon

GrantChange = Callable[[Grant], Grant]
"""Returns the grant as it shall be; the same grant if nothing changes."""


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """
    The request after a change.

    Attributes:
        changed: False if nothing changed. A repetition with an ``Idempotency-Key`` is answered as
            its first call: True.
        why: Why nothing changed, if there is more to say.
    """

    stored: StoredRequest
    changed: bool
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestChanges:
    """
    Changes requests.

    Attributes:
        idempotency: An extension that is repeated is done once.
        limits: An extension is decided again by them.
        people: An extension is refused if its person may get no access any more.
    """

    requests: RequestStore
    inventory: InventoryStore
    idempotency: Idempotency
    limits: Limits
    people: PersonChecks

    def revoke(
        self, request_id: str, caller: Person, revocation: Revocation, now: datetime
    ) -> ChangeResult:
        """
        End a request, or a part of it, early: its requester, its caller, or an operator any.

        If a grant could not be observed gone for an hour or more, an operator may close it with a
        reason as ``unverified``. Once its rules can be read again, reconcile removes the rest.

        Raises:
            NotFound: There is no such request, or the caller may not see it.
            Forbidden: The caller may see it, as approvers and auditors do, but not revoke it.
            InvalidRequest: It names a VM or a port that is not in the request.
        """
        stored = find_visible(self.requests, request_id, caller)
        if not stored.request.is_own_of(caller) and Role.OPERATOR not in caller.roles:
            raise Forbidden("only its requester, its caller or an operator may revoke a request")
        outside = tuple(find_outside(revocation, stored.grants))
        if outside:
            raise InvalidRequest("a part of this is not in the request", outside)
        by_operator = Role.OPERATOR in caller.roles and bool(revocation.reason)
        may_give_up = by_operator and revocation.may_give_up

        def change(grant: Grant) -> Grant:
            if not revocation.covers(grant):
                return grant
            after = _end(grant, now, may_give_up=may_give_up)
            if after is grant:
                return grant
            by = Person(id=caller.id, name=caller.name)
            return replace(after, closed_by=by, close_reason_text=revocation.reason)

        done = self._change(request_id, caller, change, now, revocation.reason)
        if done.changed:
            return done
        meant = filter(revocation.covers, done.stored.grants)
        return replace(done, why=explain_revoked(meant, caller))

    def extend(
        self, request_id: str, caller: Person, extension: Extension, now: datetime
    ) -> ChangeResult:
        """
        Move the ends of the open grants to the wanted duration from now.

        A repetition of the call changes nothing: it gets the first answer. If the first call died
        before it had stored everything, its repetition does the rest, with the first call's end.

        Raises:
            NotFound: There is no such request, or the caller may not see it.
            Forbidden: It is another person's: only its requester may keep it open.
            Conflict: No grant of it is open, no end would move by a step, the extension before is
                on its way, or the key was used otherwise.
            AccessDenied: The policy does not allow it, or access would last too long.
            Unavailable: The request kept changing, storage did not answer, or the last lists of
                Azure lacked a VM or its JIT policy. `CannotTell` if bars or
                rights could not be read.
        """
        stored = find_visible(self.requests, request_id, caller)
        if stored.request.requester.id != caller.id:
            raise Forbidden("only its requester may extend a request: ask for access of your own")
        call = RepeatableCall(
            caller=caller.id,
            subscription=arm_ids.subscription(stored.request.policies[0]),
            key=extension.key,
            body=extension.body,
            use=make_extension_use(stored.request.id),
        )
        slot = self.idempotency.begin(call, stored.request.id, now)
        move = _Move(slot.mark, slot.begun_at or now, extension.duration, repeated=slot.repeated)
        for _ in range(_ATTEMPTS):
            stored = find_visible(self.requests, request_id, caller)
            try:
                return self._extend(stored, caller, extension, move, now)
            except StateConflict:  # somebody wrote, or the answer to our write was lost
                continue
            except Rejected:
                if move.is_in(find_visible(self.requests, request_id, caller).grants):
                    continue  # another instance did it meanwhile: the key keeps its answer
                self.idempotency.forget(slot)
                raise
        raise Unavailable("the request kept changing")

    def _extend(
        self,
        stored: StoredRequest,
        caller: Person,
        extension: Extension,
        move: _Move,
        now: datetime,
    ) -> ChangeResult:
        """Decide about the grants as they were just read, and move the ends of these alone."""
        is_done, grants = move.is_in(stored.grants), _list_open(stored, now)
        left = [grant for grant in grants if move.is_for(grant)]
        if not left and not is_done:
            raise Conflict(self._explain_not_open(stored, caller, now))
        machines = self._find_machines(left)
        others = list_other_grants(left, self.requests) if left else {}
        lost = self.people.find_denials(stored.request, caller, machines, now)
        denials = {each.id: (*lost, *self._find_denials(each, machines, move)) for each in left}
        faults = [each for found in denials.values() for each in found]
        if faults and not is_done:
            violations = bound_violations(list(dict.fromkeys(faults)), self.limits)
            raise AccessDenied("this access may not stay open for that long", violations)
        if not is_done:
            check_step(left, others, move.duration, since=move.since, now=now)
        wanted = {grant_id for grant_id, found in denials.items() if not found}

        def change(grant: Grant) -> Grant:
            return _move_end(grant, move, others, now) if grant.id in wanted else grant

        done = self._change_once(stored, caller, change, now, extension.reason)
        if done.changed:
            return done
        is_answered = move.repeated and extension.key is None
        return ChangeResult(stored, changed=not is_answered)

    def _explain_not_open(self, stored: StoredRequest, caller: Person, now: datetime) -> str:
        """Return why nothing can be extended, and which request of the caller has the port."""
        others = list_other_grants(stored.grants, self.requests)
        live = [grant for each in stored.grants for grant in others.get(each.vm_port, ())]
        own = OwnRequests(self.requests, caller).find(
            grant for grant in live if grant.request_id != stored.request.id
        )
        return explain_not_open(stored.grants, own, now)

    def _find_machines(self, grants: Iterable[Grant]) -> Machines:
        """Return the VMs of *grants* that the inventory knows: one read for each VM."""
        ids = {grant.vm_key: grant.vm_id for grant in grants}
        found = {key: self.inventory.find_machine(vm_id) for key, vm_id in ids.items()}
        return {key: vm for key, vm in found.items() if vm is not None}

    def _find_denials(self, grant: Grant, machines: Machines, move: _Move) -> Iterator[Violation]:
        """Yield the reasons why an open grant may not last as long as *move* wants."""
        duration, now = move.duration, move.since
        vm = machines.get(grant.vm_key)
        if vm is None:
            name = arm_ids.name(grant.vm_id)
            yield Violation(ROOT, VM_NOT_FOUND, f"{name} is no longer known")
            return
        if why := explain_unlisted(vm) or admission.explain_unread_bastion(grant, vm, now):
            raise Unavailable(why, retry_after_seconds=_UNTIL_LISTED)
        rule = vm.find_rule(grant.port)
        yield from check_extension(grant, rule, duration, now=now, limits=self.limits)
        span = min(duration, rule.max_duration) if rule else duration
        lost = admission.find_lost_bastion(grant, vm)
        yield from (replace(violation, pointer=ROOT) for violation in lost)
        if lost:
            return
        access = admission.rebuild_request(replace(grant, duration=span))
        seen = {grant.vm_key: admission.narrow_bastions(grant, vm)}
        for finding in decide(access, seen, now=now, limits=self.limits):
            if finding.kind is FindingKind.POLICY:
                yield replace(finding.violation, pointer=ROOT)

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


@dataclass(frozen=True, slots=True)
class _Move:
    """
    The move of ends that one extension wants, with all its repetitions.

    Attributes:
        mark: Tells it from every other extension; each grant that it has moved carries it.
        since: When its first call began.
        duration: From then to the new end.
        repeated: True if another call of it began before this one.
    """

    mark: str
    since: datetime
    duration: timedelta
    repeated: bool

    def is_in(self, grants: Iterable[Grant]) -> bool:
        """Return True if the move is stored in one of *grants*, at least."""
        return any(self.mark in grant.extensions for grant in grants)

    def is_for(self, grant: Grant) -> bool:
        """Return True if *grant* was admitted before the first call, and was not moved yet."""
        began = grant.admitted_at
        if began is None or self.mark in grant.extensions:
            return False
        return began < self.since or (began == self.since and not self.repeated)


def _move_end(grant: Grant, move: _Move, others: OtherGrants, now: datetime) -> Grant:
    """Return *grant* with a later end; the same grant if it lasts until then already."""
    end = find_new_end(move.duration, now=move.since)
    if grant.expires_at is not None and end <= grant.expires_at:
        return grant
    extended = replace(
        lifetime.announce_gap(grant, lifetime.find_gap(grant, now=now), now=now),
        expires_at=end,
        latest_end=max(end, grant.latest_end),
        next_check_at=now,
        extensions=(*grant.extensions, move.mark)[-_KEPT_MARKS:],
        extended_at=now,
    )
    if shared_port.find_other_family(extended, others.get(grant.vm_port, ())) is not None:
        raise Conflict(f"port {grant.port} is promised to addresses of the other IP version")
    return extended


def _end(grant: Grant, now: datetime, *, may_give_up: bool) -> Grant:
    """Return *grant* as a person ends it; the same grant if it ends or has ended already."""
    if may_give_up and lifetime.may_close_unverified(grant, now=now):
        return lifetime.close_unverified(grant, now)
    if not grant.live or grant.status is Status.CLOSING:
        return grant
    return lifetime.begin_closing(grant, CloseReason.REVOKED, now)


def _list_open(stored: StoredRequest, now: datetime) -> tuple[Grant, ...]:
    """Return the grants that still have a path *now*."""
    today = (lifetime.advance_by_clock(grant, now=now) for grant in stored.grants)
    return tuple(grant for grant in today if grant.wants_path)


def _change_events(
    changes: Sequence[tuple[GrantRow, Sequence[Grant]]],
    caller: Person,
    now: datetime,
    reason: str | None,
) -> list[Event]:
    before = [grant for row, _ in changes for grant in row.grants]
    after = [grant for _, grants in changes for grant in grants]
    events = list_transitions(before, after, actor=caller.id, now=now)
    return [replace(event, actor_name=caller.name, texts={"reason": reason}) for event in events]
