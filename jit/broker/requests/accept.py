"""
Accepting an access request: decide, store, answer.

No Azure call on the way to 202: the inventory decides. Only a denial is checked against Azure
before it is told, and opening decides again on fresh data in any case.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jit import telemetry
from jit.domain.audit.event import Event
from jit.domain.decision.jit_policy import decide, effective_protocol
from jit.domain.decision.verdict import Finding, FindingKind, worst_kind
from jit.domain.errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    Rejected,
    Unavailable,
    Violation,
)
from jit.domain.grants import shared_port
from jit.domain.limits import Limits, bound_violations
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import Via, VirtualMachine
from jit.domain.model.people import Person
from jit.domain.model.request import AccessRequest, Decision, Request, WantedMachine, WantedPort
from jit.domain.requests.submission import Draft, Submission
from jit.domain.values import arm_ids, request_ids
from jit.storage import keys
from jit.storage.idempotency_keys import Idempotency, Slot
from jit.storage.inventory_store import InventoryStore
from jit.storage.outbox import Outbox
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest, group_by_machine
from jit.storage.subscription_rows import SubscriptionRows

if TYPE_CHECKING:  # a first request is answered without loading how to look at Azure
    from jit.observer.subscription import Observer

OPENS_LATEST = timedelta(hours=1)
"""A grant that could not be opened this long after its start is given up."""

_AUDITED = 100  # violations; a row of a table holds 1 MiB

_ATTEMPTS = 10  # each lost to another call with the same key, which took it over
_FEW = 3  # VMs; above, one query for the whole policy is cheaper

RULE = "jit-policy"
"""The rule that allows: being a requester, within the VM's JIT policy."""

_REFUSALS: Mapping[FindingKind, type[Rejected]] = {
    FindingKind.BODY: InvalidRequest,
    FindingKind.POLICY: AccessDenied,
    FindingKind.OCCUPIED: Conflict,
}
_SAID = {
    FindingKind.BODY: "the request breaks the contract",
    FindingKind.POLICY: "the JIT policy does not allow this access",
    FindingKind.OCCUPIED: "somebody else holds this port for now",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptor:
    """
    Takes access requests in.

    Attributes:
        observer: Builds the observer when it is first called: most requests never need it.
    """

    requests: RequestStore
    inventory: InventoryStore
    outbox: Outbox
    subscriptions: SubscriptionRows
    idempotency: Idempotency
    observer: Callable[[], Observer]
    limits: Limits

    def preview(self, submission: Submission, *, now: datetime) -> Decision:
        """
        Decide without storing anything.

        Raises:
            InvalidRequest: The body is faulty: there is nothing to decide about.
        """
        if submission.draft.request is None:
            raise self._refusal(submission, now)
        findings, _, _ = self._decided(submission.draft, now)
        violations = bound_violations([finding.violation for finding in findings], self.limits)
        return Decision(allowed=not violations, rule=RULE, errors=violations)

    def accept(self, submission: Submission, *, now: datetime) -> StoredRequest:
        """
        Store the request, or return the one that it repeats.

        Raises:
            Rejected: The body, the policy or a neighbour forbids it; every fault is named.
            Unavailable: Storage failed: unknown, repeat with the same key.
        """
        wish = submission.draft.request
        if wish is None:
            return self._known_or_refused(submission, now)
        for _ in range(_ATTEMPTS):
            done = self._tried(submission, wish, now)
            if done is not None:
                return done
        raise Unavailable("the idempotency key kept changing")

    def _tried(
        self, submission: Submission, wish: AccessRequest, now: datetime
    ) -> StoredRequest | None:
        """
        Decide and store; None where somebody else took the key over meanwhile.

        A look at Azure takes long enough for the caller to give up and repeat: after one, the key
        must still be ours, or a denial would free the key of what was accepted, and the reverse.
        """
        slot = self._slot(submission, wish, now)
        if slot.repeated:
            known = self.requests.load(slot.request_id)
            return known or self._decided_for(self.idempotency.take(slot), submission, wish, now)
        return self._decided_for(slot, submission, wish, now)

    def _decided_for(
        self, slot: Slot | None, submission: Submission, wish: AccessRequest, now: datetime
    ) -> StoredRequest | None:
        """Decide for the holder of *slot*: store or deny."""
        if slot is None:
            return None
        findings, machines, looked = self._decided(submission.draft, now)
        if findings:
            if not self.idempotency.forget(slot):
                return None
            raise self._denied(findings, (), submission, slot.request_id, now)
        if looked and self.idempotency.take(slot) is None:
            return None
        return self._stored(slot.request_id, wish, machines, submission.caller, now)

    def _slot(self, submission: Submission, wish: AccessRequest, now: datetime) -> Slot:
        new_id = self._new_id(wish, now)
        slot = self.idempotency.begin(
            submission.caller.id, submission.key, submission.body, new_id, now
        )
        if slot.repeated and submission.key is None:
            known = self.requests.load(slot.request_id)
            if known is not None and known.status is Status.CLOSED:
                return self.idempotency.reassign(slot, new_id, now) or slot
        return slot

    def _new_id(self, wish: AccessRequest, now: datetime) -> str:
        subscription = arm_ids.subscription(wish.machines[0].id)
        return request_ids.new_request_id(subscription, now, secrets.token_bytes(10))

    # ---- deciding ----------------------------------------------------------------------------

    def _decided(
        self, draft: Draft, now: datetime
    ) -> tuple[tuple[Finding, ...], Mapping[str, VirtualMachine], bool]:
        """Decide by the inventory; what it denies, by Azure itself: the last tells of the look."""
        machines = self._known(draft)
        findings = decide(draft, machines, now=now, limits=self.limits)
        if not any(finding.kind is not FindingKind.BODY for finding in findings):
            return findings, machines, False
        machines = self._fresh(draft, now)
        return decide(draft, machines, now=now, limits=self.limits), machines, True

    def _known(self, draft: Draft) -> dict[str, VirtualMachine]:
        ids = {arm_ids.key(machine.id): machine.id for machine in draft.machines}
        found = {key: self.inventory.find_machine(vm_id) for key, vm_id in ids.items()}
        return {key: vm for key, vm in found.items() if vm is not None}

    def _fresh(self, draft: Draft, now: datetime) -> dict[str, VirtualMachine]:
        """Read the subscriptions from Azure, and keep what was read."""
        found: dict[str, VirtualMachine] = {}
        for subscription in {arm_ids.subscription(machine.id) for machine in draft.machines}:
            machines, new = self._read(subscription, now)
            if new:  # what was read before may be older than what the inventory holds by now
                self.inventory.write_machines(subscription, machines, complete=True)
            found |= {arm_ids.key(vm.id): vm for vm in machines}
        return found

    def _read(self, subscription: str, now: datetime) -> tuple[tuple[VirtualMachine, ...], bool]:
        """Return the VMs of a subscription, and whether they were read just now."""
        if not self.limits.allows_subscription(subscription):
            return (), False
        return self.observer().read_recent_machines(subscription, now=now)

    def _known_or_refused(self, submission: Submission, now: datetime) -> StoredRequest:
        """A late repetition is answered as before, though its start now lies in the past."""
        found = self.idempotency.find(submission.caller.id, submission.key, submission.body)
        known = self.requests.load(found) if found else None
        if known is None:
            raise self._refusal(submission, now)
        return known

    def _refusal(self, submission: Submission, now: datetime) -> Rejected:
        """Return a problem for a faulty body, with what the policy says about its good parts."""
        try:
            findings, _, _ = self._decided(_of_one_subscription(submission.draft), now)
        except Unavailable:
            findings = ()  # the body is faulty in any case: 400, not 503
        return self._denied(findings, submission.draft.violations, submission, None, now)

    def _denied(
        self,
        findings: Sequence[Finding],
        faults: tuple[Violation, ...],
        submission: Submission,
        request_id: str | None,
        now: datetime,
    ) -> Rejected:
        """Audit a denial and return its problem."""
        kind = FindingKind.BODY if faults else worst_kind(tuple(findings)) or FindingKind.BODY
        found = [*faults, *(finding.violation for finding in findings)]
        violations = bound_violations(found, self.limits)
        if request_id is not None:
            self._audit_denial(request_id, violations, submission, now)
        return _REFUSALS[kind](_SAID[kind], violations, request_id=request_id)

    def _audit_denial(
        self,
        request_id: str,
        violations: Sequence[Violation],
        submission: Submission,
        now: datetime,
    ) -> None:
        facts = {
            "virtualMachines": [machine.id for machine in submission.draft.machines],
            "justification": submission.draft.justification,
            "errors": [violation.doc() for violation in violations[:_AUDITED]],
        }
        event = Event(
            at=now,
            what="request.denied",
            actor=submission.caller.id,
            request_id=request_id,
            facts=facts,
        )
        chain = self._chain_of(request_id)
        self.subscriptions.ensure(chain, now)  # its outbox is found, even if it is dropped later
        self.outbox.add(chain, [event])
        telemetry.event("request.denied", request_id=request_id, reasons=len(violations))

    def _chain_of(self, request_id: str) -> str:
        """
        Return the subscription whose chain records a denial.

        A caller can name any subscription. All denials about others stand in the chain of the first
        one that the operator named.
        """
        named, _ = request_ids.parse_request_id(request_id) or ("", None)
        return named if self.limits.allows_subscription(named) else self.limits.subscriptions[0]

    # ---- storing -----------------------------------------------------------------------------

    def _stored(
        self,
        request_id: str,
        wish: AccessRequest,
        machines: Mapping[str, VirtualMachine],
        caller: Person,
        now: datetime,
    ) -> StoredRequest:
        starts_at = max(wish.starts_at or now, now)
        grants = [
            self._grant(request_id, (index, wanted, port), wish, machines, starts_at, now)
            for index, wanted in enumerate(wish.machines)
            for port in wanted.ports
        ]
        grants = self._announced(grants, machines, now)
        request = Request(
            id=request_id,
            requester=caller,
            justification=wish.justification,
            created_at=_created(request_id, now),
            starts_at=starts_at,
            duration=wish.duration,
            sources=wish.sources,
            policies=_policies(grants),
            decision=Decision(allowed=True, rule=RULE),
            ticket=wish.ticket,
        )
        self.subscriptions.ensure(arm_ids.subscription(grants[0].vm_id), now)
        if not self.requests.insert(request, grants, [_accepted(request, grants, now)]):
            known = self.requests.load(request_id)
            if known is not None:
                return known  # the same call, a moment earlier
        telemetry.event("request.accepted", request_id=request_id, grants=len(grants))
        return StoredRequest(request, tuple(grants))

    def _grant(
        self,
        request_id: str,
        place: tuple[int, WantedMachine, WantedPort],
        wish: AccessRequest,
        machines: Mapping[str, VirtualMachine],
        starts_at: datetime,
        now: datetime,
    ) -> Grant:
        index, wanted, port = place
        vm = machines[arm_ids.key(wanted.id)]
        rule = vm.rule_for(port.number)
        return Grant(
            id=f"{request_id}-{index}-{port.number}",
            request_id=request_id,
            vm_id=vm.id,
            policy_id=vm.policy_id or "",
            port=port.number,
            protocol=(effective_protocol(port.protocol, rule) if rule else None) or "*",
            sources=wish.sources,
            via=vm.via,
            firewall_id=vm.firewall_id if vm.via is Via.FIREWALL else None,
            starts_at=starts_at,
            duration=wish.duration,
            latest_end=starts_at + OPENS_LATEST + wish.duration,
            next_check_at=starts_at,
            status=Status.SCHEDULED if starts_at > now else Status.PENDING,
        )

    def _announced(
        self, grants: Sequence[Grant], machines: Mapping[str, VirtualMachine], now: datetime
    ) -> list[Grant]:
        """Tell at acceptance when the shared path of a VM port will change hands."""
        neighbours = self._neighbours(grants)
        done: list[Grant] = []
        for grant in grants:
            others = neighbours.get((arm_ids.key(grant.vm_id), grant.port), [])
            end = max(grant.starts_at, now) + grant.duration
            vm = machines[arm_ids.key(grant.vm_id)]
            held = next((o.ends_at for o in reversed(vm.occupations) if o.port == grant.port), None)
            when = shared_port.handover(grant, others, end=end, now=now, held=held)
            done.append(replace(grant, handover_at=when))
        return done

    def _neighbours(self, grants: Sequence[Grant]) -> dict[tuple[str, int], list[Grant]]:
        """Return the live grants on the same VM ports; one query a VM, or one a policy."""
        machines = {arm_ids.key(grant.vm_id): grant for grant in grants}
        prefixes = {
            keys.grants_prefix(grant.policy_id, grant.vm_id if len(machines) <= _FEW else None)
            for grant in machines.values()
        }
        partition = arm_ids.subscription(grants[0].vm_id)
        found: dict[tuple[str, int], list[Grant]] = {}
        for prefix in sorted(prefixes):
            for held in self.requests.list_readable_grants(partition, prefix).rows:
                for grant in held.grants:
                    if grant.live:
                        found.setdefault((arm_ids.key(grant.vm_id), grant.port), []).append(grant)
        return found


def _created(request_id: str, now: datetime) -> datetime:
    """Return when a request was first tried, which may be a month ago: its id tells, in ms."""
    _, made = request_ids.parse_request_id(request_id) or ("", now)
    return now if timedelta(0) <= now - made < timedelta(milliseconds=1) else made


def _policies(grants: Sequence[Grant]) -> tuple[str, ...]:
    """Return the ids of the JIT policies of *grants*, each once, however Azure spells it."""
    return tuple({arm_ids.key(grant.policy_id): grant.policy_id for grant in grants}.values())


def _of_one_subscription(draft: Draft) -> Draft:
    """
    Return a faulty draft with those of its VMs that are of the first one's subscription.

    A good request has one subscription; a look at ninety would not make a faulty body better.
    """
    names = {arm_ids.subscription(machine.id) for machine in draft.machines[:1]}
    machines = [each for each in draft.machines if arm_ids.subscription(each.id) in names]
    return replace(draft, machines=tuple(machines))


def _accepted(request: Request, grants: Sequence[Grant], now: datetime) -> Event:
    return Event(
        at=now,
        what="request.accepted",
        actor=request.requester.id,
        request_id=request.id,
        facts={
            "justification": request.justification,
            "ticket": f"{request.ticket.system} {request.ticket.id}" if request.ticket else None,
            "rule": request.decision.rule,
            "sources": [str(source) for source in request.sources],
            "grants": [
                {"virtualMachineId": group[0].vm_id, "ports": [grant.port for grant in group]}
                for group in group_by_machine(grants)
            ],
        },
    )
