"""
The worker of a JIT policy: one pass does everything that is due.

A message says only that the policy has work. The pass claims the policy, reads its grants, looks
at Azure and lets ``jit.domain.grants.step`` decide. It stores the outcome under the ETags it read,
then acts, and stores the answers as well. If a pass dies anywhere, the next message or the timer
begins another one, which comes to the same end.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from jit import messages, telemetry
from jit.broker.azure_changes import Actions
from jit.broker.locks import Locks, PolicyLease, find_gathering_time, is_message_expected
from jit.broker.policy_worker.archive import Archive
from jit.broker.policy_worker.barred_requests import BarredRequests
from jit.broker.policy_worker.complete_looks import find_opened_machines, find_opening_machines
from jit.broker.policy_worker.due_grants import (
    choose_closing,
    choose_due,
    list_held_back,
    list_next_work,
)
from jit.broker.policy_worker.look import Look, build_blind_view
from jit.broker.policy_worker.neighbours import find_neighbours, find_remaining_rules
from jit.broker.policy_worker.pass_state import Pass
from jit.broker.policy_worker.remove_rules import RuleRemover
from jit.broker.policy_worker.send_initiate import InitiateSender
from jit.broker.policy_worker.take_turns import (
    find_closed_first,
    return_turns,
    take_turns,
    wait_for_turns,
)
from jit.broker.policy_worker.unentitled_requests import UnentitledRequests
from jit.domain.errors import BrokerError, Refused, Unavailable
from jit.domain.grants import lifetime
from jit.domain.grants.lifetime import has_asked_azure
from jit.domain.grants.policy_view import PolicyView
from jit.domain.grants.step import Step, run_step
from jit.domain.limits import Limits
from jit.domain.model.grant import Grant
from jit.domain.paths.admin_check import find_bypass
from jit.domain.paths.machine_view import MachineView
from jit.domain.values import arm_ids
from jit.interfaces import Queues
from jit.storage import keys
from jit.storage.request_rows import GrantSummary
from jit.storage.request_store import RequestStore

_LONGEST_DELAY = timedelta(minutes=10)
_LONGEST_REST = timedelta(minutes=1)
_SOONEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """
    Makes passes over JIT policies.

    Attributes:
        queues: Built when first called: its SDK is slow.
    """

    requests: RequestStore
    look: Look
    queues: Callable[[], Queues]
    locks: Locks
    actions: Actions
    initiates: InitiateSender
    remover: RuleRemover
    archive: Archive
    barred: BarredRequests
    unentitled: UnentitledRequests
    limits: Limits

    def work(self, policy_id: str, *, now: datetime, look: str | None = None) -> None:
        """
        Do everything that is due for a policy; *look* names a request with paths to look at.

        A look serves the wishes of other callers too.

        Raises:
            Unavailable: Storage or the policy could not be read. The host brings the message back,
                and the timer sends another one.
        """
        first = self.requests.find_due(policy_id, now)
        if look is None and (first is None or self._is_left_to_message(policy_id, first, now)):
            return
        lease = self.locks.claim(policy_id)
        if lease is None:
            return  # its owner looks once more after giving it back
        if lease.row.not_before is not None and lease.row.not_before > now:
            self.locks.keep(lease)  # it rests after a failure; a message or the timer comes later
            return
        self._send_next_message(self._run_pass(policy_id, lease, now, look))

    def _is_left_to_message(self, policy_id: str, first: GrantSummary, now: datetime) -> bool:
        """Return True if only new grants wait, and an expected message will gather them."""
        row = self.locks.read_policy(policy_id) if first.is_new else None
        if row is None or not is_message_expected(row):
            return False
        return self.requests.find_due(policy_id, now, begun=True) is None

    def _run_pass(
        self, policy_id: str, lease: PolicyLease, now: datetime, look: str | None
    ) -> Pass:
        subscription, prefix = arm_ids.subscription(policy_id), keys.tombstones_prefix(policy_id)
        grants = self.requests.list_policy_grants(policy_id)
        tombstones = self.requests.list_tombstones(subscription, prefix)
        state = Pass(
            policy_id=policy_id,
            now=now,
            lease=lease,
            rows=grants.rows,
            tombstones=tombstones.rows,
            unreadable=grants.unreadable,
            unknown_past=tombstones.unreadable,
            look=look,
            wishes=self.locks.list_wishes(policy_id) if look is not None else frozenset(),
        )
        failed = True
        try:
            self._do_due_work(state)
            failed = False
        finally:
            self.locks.release(
                lease.note_change(now if state.busy.took_change else None).note_answered(
                    state.answered
                ),
                not_before=now + _rest_after_failure(lease) if failed else None,
                asks_from=state.asks_from,
                attempts=lease.row.attempts + 1 if state.asks_from or failed else 0,
                initiated=state.initiated,
                missing=state.missing,
            )
        return state

    def _do_due_work(self, state: Pass) -> None:
        """Close grants that must close, store and send that; then judge all others that are due."""
        if closing := choose_closing(state):
            state.readings.may_begin = False  # no end waits for them
            self._advance(closing, state)
            state.readings.may_begin = True
        self.archive.move_closed(state)
        if held := list_held_back(state):
            self._let_time_pass(held, state)
        chosen = choose_due(state)
        if chosen:
            self._advance(chosen, state)
            self.archive.move_closed(state)
        if state.outage is not None:  # the policy rests, as after any pass that failed
            raise state.outage

    def _advance(self, chosen: Sequence[Grant], state: Pass) -> None:
        """
        Look, decide, tell, store, act.

        Some alerts need facts that are gone once the outcome is stored: nobody looks at a closed
        grant again. If the pass dies in between, the next one tells it once more.
        """
        view = self._observe(chosen, state)
        if complete := find_opening_machines(chosen, view, state.now):
            view = self._observe(chosen, state, complete)
        step, view = self._decide(chosen, view, state)
        while incomplete := find_opened_machines(chosen, step.grants) - view.read_completely:
            complete |= incomplete
            step, view = self._decide(chosen, self._observe(chosen, state, complete), state)
        step = self._wait_for_turns(chosen, step, view, state)
        paced = lifetime.pace_removals(step.grants, state.lease.row.changed_at, now=state.now)
        step = replace(step, grants=paced)
        _report(step, state)
        _report_left_open(chosen, step, view)
        state.save(self.requests, {grant.id: grant for grant in step.grants}, chosen)
        self._act(step, view, state)

    # ---- looking and deciding --------------------------------------------------------------------

    def _observe(
        self, grants: Sequence[Grant], state: Pass, complete: frozenset[str] = frozenset()
    ) -> PolicyView:
        """
        Look at everything that *grants* depend on.

        Raises:
            Unavailable: Azure did not answer. The ends that come with time are stored first.
        """
        try:
            view = self.look.observe(grants, state, complete=complete)
            view = self.barred.ask(grants, view, state)
            return self.unentitled.ask(grants, view, state)
        except Refused as error:  # repeating it would not help
            telemetry.alert("permission.lost", policy_id=state.policy_id, code=error.code)
            return build_blind_view(grants, "the broker may not read its JIT policy")
        except Unavailable:
            self._let_time_pass(choose_due(state), state)
            raise

    def _let_time_pass(self, grants: Sequence[Grant], state: Pass) -> None:
        """Begin to close the grants that have come to their end or their deadline."""
        view = build_blind_view(grants, "Azure does not answer")
        step = self._run_step(grants, view, initiate_id=_make_initiate_id(), state=state)
        before = {grant.id: grant.status for grant in grants}
        late = {grant.id: grant for grant in step.grants if grant.status is not before[grant.id]}
        state.save(self.requests, late, grants)

    def _decide(
        self, grants: Sequence[Grant], view: PolicyView, state: Pass
    ) -> tuple[Step, PolicyView]:
        """Decide by the turns on firewalls that the step gets."""
        decide = partial(self._run_step, grants, initiate_id=_make_initiate_id(), state=state)
        step = decide(view)
        remaining = find_remaining_rules(_list_closed(grants, step, view), step.grants)
        if neighbours := find_neighbours(self.requests, (*step.removals, *remaining), grants):
            view = replace(view, neighbours=neighbours)
            step = decide(view)
        if (sure := self.unentitled.ask_again(step.asks, grants, view, state)) is not view:
            view, step = sure, decide(sure)
        return take_turns(self.locks.firewalls, step, view, state, decide)

    def _wait_for_turns(
        self, grants: Sequence[Grant], step: Step, view: PolicyView, state: Pass
    ) -> Step:
        """Stand in line for the firewalls that *step* may not change yet; return the step."""
        decide = partial(self._run_step, grants, initiate_id=_make_initiate_id(), state=state)
        return wait_for_turns(self.locks.firewalls, step, view, state, decide)

    def _run_step(
        self, grants: Sequence[Grant], view: PolicyView, *, initiate_id: str, state: Pass
    ) -> Step:
        return run_step(grants, view, now=state.now, initiate_id=initiate_id, limits=self.limits)

    # ---- acting ----------------------------------------------------------------------------------

    def _act(self, step: Step, view: PolicyView, state: Pass) -> None:
        errors = self.actions.remove_rules(step.companion_removals, state.busy)
        errors += self.remover.remove(step.removals, state)
        if step.asks:
            self.initiates.send(step.asks, state)
        if self.look.may_open(state):
            recorded = {id_ for g in state.grants if g.wants_path for id_ in g.footprint.companions}
            wanted = [each for each in step.companions if each.rule_id in recorded]
            errors += self.actions.add_companions(wanted, state.busy)  # not of refused grants
        self._note_refusals(errors, state)
        state.closed_first |= find_closed_first(step, state.now)
        return_turns(self.locks.firewalls, step, view, state, errors)
        waits = [error for error in errors if isinstance(error, Unavailable)]
        if waits:
            seconds = min(error.retry_after_seconds for error in waits)
            telemetry.warning("action.postponed", policy_id=state.policy_id, seconds=seconds)

    def _note_refusals(self, errors: Iterable[BrokerError], state: Pass) -> None:
        """Tell in the notes of the grants that Azure refuses to add or to remove a rule."""
        refused = {
            error.resource_id: error.code or str(error.azure_status)
            for error in errors
            if isinstance(error, Refused)
        }
        if not refused:
            return
        live = [grant for grant in state.grants if grant.live]
        changed = {grant.id: lifetime.note_refusals(grant, refused) for grant in live}
        state.save(self.requests, changed, live)

    # ---- the next pass ---------------------------------------------------------------------------

    def _send_next_message(self, state: Pass) -> None:
        """
        After giving the policy back, look once more: a request may have come in meanwhile.

        It knows when its own rows are due. Grants that are held back do not count: the next pass
        would come at once, again and again.
        """
        policy_id, now = state.policy_id, state.now
        control = self.locks.read_policy(policy_id)
        if control is None:
            return
        found = self.requests.summarize_due(policy_id, now + state.lease.find_length(control))
        rows = list_next_work(state, found)
        if not rows:
            return
        has_new = any(row.is_new for row in rows if row.due_at <= now)
        first = min(row.due_at for row in rows)
        quiet = timedelta(seconds=find_gathering_time(control) if has_new else 0)
        delay = max(first - now, _SOONEST, quiet, (control.not_before or now) - now)
        if delay > _LONGEST_DELAY:
            return
        if has_new:
            self.locks.note_message(control, delay)
        self.queues().send(messages.POLICY, messages.policy(policy_id), delay=delay)


def _report(step: Step, state: Pass) -> None:
    """Raise an alert for each way in that nobody asked for, and for each VM left unjudged."""
    for item in step.withdrawals:
        telemetry.alert(
            "companion.withdrawn",
            grant_id=item.grant_id,
            resource_id=item.way.firewall_id,
            rule=item.way.rule,
            reason=item.way.title,
        )
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


def _report_left_open(before: Iterable[Grant], step: Step, view: PolicyView) -> None:
    """Raise an alert for each path that is closed here and that a rule of others leaves open."""
    for grant, machine in _list_closed(before, step, view):
        ways = (find_bypass(grant, machine), step.left_open.get(grant.id, ""))
        if found := "; ".join(filter(None, ways)):
            telemetry.alert(
                "access.left_open", grant_id=grant.id, resource_id=grant.vm_id, reason=found
            )


def _list_closed(
    before: Iterable[Grant], step: Step, view: PolicyView
) -> list[tuple[Grant, MachineView]]:
    """Return the grants that may have had a path and that *step* closes, each with its VM."""
    live = {grant.id for grant in before if has_asked_azure(grant)}
    closed = (grant for grant in step.grants if not grant.live and grant.id in live)
    seen = ((grant, view.machines.get(grant.vm_key)) for grant in closed)
    return [(grant, machine) for grant, machine in seen if machine is not None]


def _rest_after_failure(lease: PolicyLease) -> timedelta:
    """Return the rest of a policy after a failed pass: at most a minute, a revocation may wait."""
    return min(_LONGEST_REST, lifetime.pace_retries(lease.row.attempts + 1))


def _make_initiate_id() -> str:
    """Return 26 characters of base32: 128 random bits."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
