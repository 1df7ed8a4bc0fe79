"""
The worker of a JIT policy: level-triggered, one pass for everything that is due.

A message says only that the policy has work. The pass claims the policy, reads its grants, looks
at Azure, lets ``domain.controller`` decide, stores the outcome under the ETags it read, and only
then acts; what the acts answered is stored as well. A pass that dies anywhere is repeated by the
next message or by the timer, and comes to the same end.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from jit import messages, telemetry
from jit.broker.azure_changes import Actions
from jit.broker.locks import Locks, PolicyLease, is_message_expected, seconds_to_gather
from jit.broker.policy_worker.archive import Finisher
from jit.broker.policy_worker.pass_state import Pass
from jit.broker.policy_worker.remove_rules import Remover
from jit.broker.policy_worker.send_initiate import Initiator
from jit.domain.errors import Refused, Unavailable
from jit.domain.grants import lifetime
from jit.domain.grants.policy_view import PolicyView
from jit.domain.grants.step import Step, run_step
from jit.domain.inventory.deleted_machine import rebuild_machine
from jit.domain.limits import Limits
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VirtualMachine
from jit.domain.values import arm_ids
from jit.interfaces import Queues
from jit.observer.subscription import Observer
from jit.storage import keys
from jit.storage.inventory_store import InventoryStore
from jit.storage.machine_rows import MACHINE
from jit.storage.request_rows import GrantSummary
from jit.storage.request_store import RequestStore

_LONGEST_DELAY = timedelta(minutes=10)
_LONGEST_REST = timedelta(minutes=1)
_SOONEST = timedelta(seconds=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """
    Works JIT policies.

    Attributes:
        queues: Built when first called: its SDK is slow.
    """

    requests: RequestStore
    inventory: InventoryStore
    observer: Observer
    queues: Callable[[], Queues]
    locks: Locks
    actions: Actions
    initiator: Initiator
    remover: Remover
    finisher: Finisher
    limits: Limits

    def work(self, policy_id: str, *, now: datetime) -> None:
        """
        Do everything that is due for a policy.

        Raises:
            Unavailable: Storage or the policy could not be read; the host brings the message
                back, and the timer would too.
        """
        first = self.requests.find_due(policy_id, now)
        if first is None or self._awaited(policy_id, first, now):
            return
        claim = self.locks.claim(policy_id)
        if claim is None:
            return  # its holder looks once more after giving it back
        if _still(claim.row.not_before, now):  # whoever failed is brought back, or the timer comes
            self.locks.keep(claim)
            return
        self._claimed(policy_id, claim, now)
        self._come_back(policy_id, now)

    def _awaited(self, policy_id: str, first: GrantSummary, now: datetime) -> bool:
        """Tell whether only new grants wait, and a message is on its way that will gather them."""
        seen = self.locks.read_policy(policy_id) if first.is_new else None
        if seen is None or not is_message_expected(seen):
            return False
        return self.requests.find_due(policy_id, now, begun=True) is None

    def _claimed(self, policy_id: str, claim: PolicyLease, now: datetime) -> None:
        state = Pass(
            policy_id=policy_id,
            now=now,
            claim=claim,
            rows=self.requests.list_policy_grants(policy_id),
            tombstones=self.requests.list_tombstones(
                arm_ids.subscription(policy_id), keys.tombstones_prefix(policy_id)
            ).rows,
        )
        failed = True
        try:
            self._pass(state)
            failed = False
        finally:
            self.locks.release(
                claim,
                not_before=now + _rest(claim) if failed else None,
                asks_from=state.asks_from,
                attempts=claim.row.attempts + 1 if state.asks_from or failed else 0,
                initiated=state.initiated,
            )

    def _pass(self, state: Pass) -> None:
        self.finisher.finish_closed(state)
        chosen = self._chosen(state)
        if chosen:
            self._shape(chosen, state)
            self.finisher.finish_closed(state)
        if state.outage is not None:  # the policy rests, as after any pass that failed
            raise state.outage

    def _shape(self, chosen: Sequence[Grant], state: Pass) -> None:
        """Look, decide, store, act."""
        step, world = self._decide(chosen, self._seen(chosen, state), state)
        if unsure := _newly_open(chosen, step) - world.read_completely:
            step, world = self._decide(chosen, self._seen(chosen, state, unsure), state)
        state.save(self.requests, {grant.id: grant for grant in step.grants}, chosen)
        for found in step.widenings:
            telemetry.alert(
                "access.widened",
                grant_id=found.grant_id,
                resource_id=found.resource,
                reason=found.reason,
            )
        for vm in step.unreadable:
            telemetry.alert("vm.unreadable", policy_id=state.policy_id, resource_id=vm)
        for vm, error in step.defects.items():
            telemetry.alert("vm.undecided", resource_id=vm, error=error)
        self._act(step, world, state)

    # ---- what the pass is about ------------------------------------------------------------------

    def _chosen(self, state: Pass) -> list[Grant]:
        """Return the live grants of every VM with something due; new ones wait while we gather."""
        gathering = seconds_to_gather(state.claim.row) > 0
        live = [grant for grant in state.grants if grant.live]
        if gathering:
            live = [grant for grant in live if not _new(grant)]
        due = {arm_ids.key(grant.vm_id) for grant in live if grant.next_check_at <= state.now}
        return [grant for grant in live if arm_ids.key(grant.vm_id) in due]

    def _seen(
        self, grants: Sequence[Grant], state: Pass, whole: frozenset[str] = frozenset()
    ) -> PolicyView:
        """
        Look at all that *grants* rest on, and at the *whole* of some VMs, by their keys.

        Raises:
            Unavailable: It could not be read; what time alone decides is stored all the same.
        """
        try:
            known = self._predicted(grants, state)
            undecided = (grant for grant in grants if _undecided(grant, state.now))
            deciding = frozenset(arm_ids.key(grant.vm_id) for grant in undecided)
            return self._world(known, _vanished(grants, known), deciding | whole, state)
        except Refused as error:  # repeating it would not help
            telemetry.alert("permission.lost", policy_id=state.policy_id, code=error.code)
            return _blind(grants, "the broker may not read its JIT policy")
        except Unavailable:
            self._let_time_pass(grants, state)
            raise

    def _let_time_pass(self, grants: Sequence[Grant], state: Pass) -> None:
        """Begin to close what has come to its end, or to its deadline."""
        world = _blind(grants, "Azure does not answer")
        step = run_step(
            grants, world, now=state.now, initiate_id=_new_initiate_id(), limits=self.limits
        )
        before = {grant.id: grant.status for grant in grants}
        late = {grant.id: grant for grant in step.grants if grant.status is not before[grant.id]}
        state.save(self.requests, late, grants)

    def _predicted(self, grants: Sequence[Grant], state: Pass) -> Mapping[str, VirtualMachine]:
        """Return what the inventory knows of the VMs; a VM it lacks refreshes all of it."""
        ids = {arm_ids.key(grant.vm_id): grant.vm_id for grant in grants}
        found = {key: self.inventory.find_machine(vm_id) for key, vm_id in ids.items()}
        if None in found.values():
            partition = arm_ids.subscription(state.policy_id)
            fresh = self.observer.read_machines(partition, now=state.now)
            self.inventory.write_machines(partition, fresh, complete=True)
            found |= {arm_ids.key(vm.id): vm for vm in fresh if arm_ids.key(vm.id) in ids}
        return {key: vm for key, vm in found.items() if vm is not None}

    def _world(
        self,
        known: Mapping[str, VirtualMachine],
        vanished: Mapping[str, VirtualMachine],
        deciding: frozenset[str],
        state: Pass,
    ) -> PolicyView:
        """Look at VMs as they are *known*; what is only remembered decides about nothing new."""
        predicted = {**known, **vanished}
        whole = deciding & known.keys()
        world = self.observer.observe_policy(
            state.policy_id, predicted, deciding=whole, now=state.now
        )
        self._remember(world, known, whole, state)
        unreadable = {**world.unreadable, **dict.fromkeys(vanished, "the VM was not found")}
        firewalls = {vm.firewall_id for vm in predicted.values() if vm.firewall_id}
        free = frozenset(
            arm_ids.key(item)
            for item in firewalls
            if self.locks.may_take_firewall(item, state.policy_id, state.now)
        )
        return replace(
            world,
            unreadable=unreadable,
            read_completely=whole,
            known_initiates=state.known,
            free_firewalls=free,
            asks_from=state.claim.row.asks_from if self._may_open(state) else _NEVER,
        )

    def _may_open(self, state: Pass) -> bool:
        """Return False in a subscription that the settings no longer name: it only closes."""
        return self.limits.allows_subscription(arm_ids.subscription(state.policy_id))

    def _remember(
        self,
        world: PolicyView,
        known: Mapping[str, VirtualMachine],
        deciding: Iterable[str],
        state: Pass,
    ) -> None:
        """Keep what a decision rested on: later passes look where that path leads."""
        read = {key: world.machines[key].vm for key in deciding if key not in world.unreadable}
        fresh = [replace(vm, warnings=known[key].warnings) for key, vm in read.items()]
        changed = [vm for vm in fresh if not _alike(vm, known[arm_ids.key(vm.id)])]
        if changed:
            partition = arm_ids.subscription(state.policy_id)
            self.inventory.write_machines(partition, changed, complete=False)

    def _decide(
        self, grants: Sequence[Grant], world: PolicyView, state: Pass
    ) -> tuple[Step, PolicyView]:
        """Decide; where a firewall's turn was lost just now, decide again without it."""
        initiate_id = _new_initiate_id()
        step = run_step(grants, world, now=state.now, initiate_id=initiate_id, limits=self.limits)
        lost = {
            arm_ids.key(firewall_id)
            for firewall_id in _changes(step)
            if not self.locks.take_firewall(firewall_id, state.policy_id, state.now)
        }
        if lost:
            world = replace(world, free_firewalls=world.free_firewalls - lost)
            step = run_step(
                grants, world, now=state.now, initiate_id=initiate_id, limits=self.limits
            )
        state.turns = world.free_firewalls
        return step, world

    # ---- acting --------------------------------------------------------------------------------

    def _act(self, step: Step, world: PolicyView, state: Pass) -> None:
        errors = self.actions.remove_rules(step.companion_removals)
        if step.asks:
            self.initiator.send(step.asks, state)
        named = {rule for g in state.grants if g.wants_path for rule in g.footprint.companions}
        wishes = [wish for wish in step.companions if wish.rule_id in named]  # not of refused ones
        wishes = wishes if self._may_open(state) else []
        errors += self.actions.add_companions(wishes)
        errors += self.remover.remove(step.removals, state)
        self._give_back(world, step, state)
        waits = [error for error in errors if isinstance(error, Unavailable)]
        if waits:
            seconds = min(error.retry_after_seconds for error in waits)
            telemetry.warning("action.postponed", policy_id=state.policy_id, seconds=seconds)

    def _give_back(self, world: PolicyView, step: Step, state: Pass) -> None:
        """Return the turns of firewalls on which nothing of this policy is under way."""
        busy = {arm_ids.key(firewall_id) for firewall_id in _changes(step)}
        for grant in state.grants:
            if grant.firewall_id and _under_way(grant):
                busy.add(arm_ids.key(grant.firewall_id))
        for view in world.machines.values():
            front = view.firewall
            if front is None or not front.settled or arm_ids.key(front.id) in busy:
                continue
            self.locks.end_update(front.id, state.policy_id, front.foreign)

    # ---- ends ----------------------------------------------------------------------------------

    def _come_back(self, policy_id: str, now: datetime) -> None:
        """After giving the claim back, look once more: a request may have come in meanwhile."""
        rows = self.requests.summarize_policy(policy_id)
        seen = self.locks.read_policy(policy_id)
        if not rows or seen is None:
            return
        is_new = _any_new(rows, now)
        first = min(row.due_at for row in rows)
        quiet = timedelta(seconds=seconds_to_gather(seen) if is_new else 0)
        delay = max(first - now, _SOONEST, quiet, (seen.not_before or now) - now)
        if delay > _LONGEST_DELAY:
            return
        if is_new:
            self.locks.note_message(seen, delay)
        self.queues().send(messages.POLICY, messages.policy(policy_id), delay=delay)


def _blind(grants: Iterable[Grant], why: str) -> PolicyView:
    """Return a world of which nothing is known."""
    unreadable = {arm_ids.key(grant.vm_id): why for grant in grants}
    return PolicyView(found=True, requests=(), machines={}, unreadable=unreadable)


def _vanished(grants: Iterable[Grant], known: Container[str]) -> dict[str, VirtualMachine]:
    """Return VMs that no longer exist, as their grants remember them."""
    groups: dict[str, list[Grant]] = {}
    for grant in grants:
        groups.setdefault(arm_ids.key(grant.vm_id), []).append(grant)
    return {key: rebuild_machine(group) for key, group in groups.items() if key not in known}


def _newly_open(grants: Iterable[Grant], step: Step) -> frozenset[str]:
    """Return the keys of VMs to which a path is about to be called open."""
    before = {grant.id for grant in grants if grant.status is Status.OPEN}
    opened = (g for g in step.grants if g.status is Status.OPEN and g.id not in before)
    return frozenset(arm_ids.key(grant.vm_id) for grant in opened)


def _alike(one: VirtualMachine, other: VirtualMachine) -> bool:
    """Whether the way to both is the same; who is in there, and how ids are spelled, changes."""
    docs = [MACHINE.write(replace(vm, occupations=())) for vm in (one, other)]
    texts = [json.dumps(doc).lower() for doc in docs]
    return texts[0] == texts[1]


def _rest(claim: PolicyLease) -> timedelta:
    """Return how long a policy rests after a pass that failed; a revocation may be waiting."""
    return min(_LONGEST_REST, lifetime.pace_retries(claim.row.attempts + 1))


def _still(moment: datetime | None, now: datetime) -> datetime | None:
    """Return *moment* if it lies ahead."""
    return moment if moment is not None and moment > now else None


def _new(grant: Grant) -> bool:
    return grant.status in {Status.SCHEDULED, Status.PENDING}


def _undecided(grant: Grant, now: datetime) -> bool:
    """Tell whether *grant* is to be decided about: one that starts later must disturb nobody."""
    return lifetime.advance_by_clock(grant, now=now).status is Status.PENDING


def _any_new(rows: Iterable[GrantSummary], now: datetime) -> bool:
    return any(row.is_new for row in rows if row.due_at <= now)


def _under_way(grant: Grant) -> bool:
    return grant.status is Status.OPENING or (
        grant.status is Status.CLOSING and bool(grant.footprint.rules)
    )


def _changes(step: Step) -> set[str]:
    """Return the ids of the firewalls that a step changes."""
    asked = {ask.firewall_id for ask in step.asks if ask.firewall_id}
    return asked | {rule.holder_id for rule in step.removals if rule.collection is not None}


def _new_initiate_id() -> str:
    """Return 26 characters of base32: 128 random bits."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
