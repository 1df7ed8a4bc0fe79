"""
Leftovers of closed grants: removed under the lease of their policy, after another look.

Single rules of NSGs are removed one by one. While an NSG is busy with one of them, the others wait
for another run (Azure answers 429 ``RetryableErrorDueToAnotherOperation``). It comes soon, also if
the NSG is still being updated then: for as long as Azure may take for a change that it took. Rules
of a firewall are removed in one update of it, and only if the turn on it is free. The first run
that sees the update finished gives the turn back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from jit import telemetry
from jit.broker.azure_changes import Actions
from jit.broker.locks import Locks
from jit.broker.reconcile.comparison import Comparison
from jit.domain.audit.event import Event, build_removal_event
from jit.domain.errors import Refused, Unavailable, Unknown
from jit.domain.grants.timing import TIMES
from jit.domain.model.machine import Via
from jit.domain.paths.rules import PathRule
from jit.domain.reconcile.plan_item import PlanAction, PlanItem
from jit.domain.values import arm_ids
from jit.observer.subscription import Observer
from jit.storage.keys import GRANTS
from jit.storage.outbox import Outbox
from jit.storage.request_store import RequestStore

MOST_REMOVED = 60
"""Rules that one run removes."""

MOST_TOGETHER = 20
"""NSG rules removed under one lease: the lease of a minute must outlast the calls."""

_MORE = timedelta(minutes=1)
_SOON = timedelta(seconds=10)  # a change of one rule takes Azure a few seconds
_WRITTEN = 2 * TIMES[Via.PRIVATE].update  # the longest write of an NSG, and a run before it
_UPDATED = timedelta(minutes=4)  # an update of a firewall takes three to five minutes


@dataclass(slots=True)
class RemovalRest:
    """
    The work that is left after a removal.

    Attributes:
        policies: Policies whose workers may have come while the lease was taken.
        again: The time until the next comparison, if there is a reason for one.
        busy: Keys of NSGs that took no further removal.
        done: Keys of the policies that lost a rule.
    """

    policies: list[str] = field(default_factory=list)
    again: timedelta | None = None
    busy: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)

    def compare_again(self, after: timedelta) -> None:
        """Have the subscription compared again after that time, or earlier."""
        self.again = min(after, self.again or after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Removes rules that a plan names."""

    requests: RequestStore
    outbox: Outbox
    observer: Observer
    actions: Actions
    locks: Locks

    def remove(self, items: Iterable[PlanItem], comparison: Comparison) -> RemovalRest:
        """Remove rules as *items* say; the worker removes the rules of unfinished grants."""
        live = comparison.live
        removals = [
            item
            for item in items
            if item.action is PlanAction.REMOVE_RULE and item.grant not in live
        ]
        rest = RemovalRest()
        for group in _group_items(removals[:MOST_REMOVED]):
            try:
                self._remove_group(group, comparison, rest)
            except (Unavailable, Refused) as error:
                name = comparison.subscription
                telemetry.warning("removal.postponed", subscription=name, reason=str(error))
        if len(removals) > MOST_REMOVED:
            rest.compare_again(_MORE)
        self._wait_for_updates(comparison, rest)
        return rest

    def return_firewalls(self, comparison: Comparison) -> None:
        """End the turns of earlier runs, and lapsed ones, on firewalls that are settled."""
        now = comparison.now
        for firewall in comparison.observed.firewalls.values():
            if firewall.settled:
                self.locks.firewalls.end_update(
                    firewall.id, comparison.holder, firewall.foreign, now
                )

    def _wait_for_updates(self, comparison: Comparison, rest: RemovalRest) -> None:
        """Come again for rules in holders that are being updated; stand in line for a firewall."""
        waiting = comparison.plan_waiting_removals()
        policies = {item.policy_id for item in waiting if not _is_nat(item) and item.policy_id}
        if any(self._has_just_changed(policy_id, comparison) for policy_id in policies):
            rest.compare_again(_SOON)
        for firewall_id in {item.resource for item in waiting if _is_nat(item)}:
            turn = self.locks.firewalls.check(firewall_id, comparison.holder, comparison.now)
            self._wait(firewall_id, comparison)
            if not turn.may_close:  # it must not lie unused when the others have had it
                rest.compare_again(_MORE)

    def _has_just_changed(self, policy_id: str, comparison: Comparison) -> bool:
        """Return True if Azure took a change of a rule a short time ago: its update ends soon."""
        row = self.locks.read_policy(policy_id)
        changed_at = row.changed_at if row is not None else None
        return changed_at is not None and comparison.now - changed_at < _WRITTEN

    def _wait(self, firewall_id: str, comparison: Comparison) -> None:
        self.locks.firewalls.wait(firewall_id, comparison.holder, comparison.now, closing=True)

    def _remove_group(
        self, group: Sequence[PlanItem], comparison: Comparison, rest: RemovalRest
    ) -> None:
        """Remove the rules of *group* whose policies can be claimed."""
        ids = {arm_ids.key(item.policy_id): item.policy_id for item in group if item.policy_id}
        leases = {key: lease for key, id_ in ids.items() if (lease := self.locks.claim(id_))}
        mine = [i for i in group if i.policy_id is None or arm_ids.key(i.policy_id) in leases]
        if len(mine) < len(group):  # a pass has the claim; the timer may find the next one
            rest.compare_again(_MORE)
        try:
            if mine:
                self._remove_claimed(mine, [ids[key] for key in leases], comparison, rest)
        finally:
            for key, lease in leases.items():
                self.locks.keep(lease.note_change(comparison.now if key in rest.done else None))
                rest.policies.append(ids[key])

    def _remove_claimed(
        self,
        items: Sequence[PlanItem],
        policies: Sequence[str],
        comparison: Comparison,
        rest: RemovalRest,
    ) -> None:
        still = self._plan_again(items, policies, comparison)
        for item in still:
            if not _is_nat(item) and arm_ids.key(item.resource) not in rest.busy:
                self._remove_single(item, comparison, rest)
        nats = [item for item in still if _is_nat(item)]
        if nats:
            self._take_firewall(nats, comparison, rest)

    def _remove_single(self, item: PlanItem, comparison: Comparison, rest: RemovalRest) -> None:
        """Remove one NSG rule; leave an NSG alone that is busy or does not answer."""
        self._record([item], comparison)
        errors = self.actions.remove_rules(rule.id for rule in _rules_of([item]))
        if not errors:
            rest.done.add(arm_ids.key(item.policy_id or ""))
        if errors:  # a refusal holds for the whole NSG: a call for each rule would say no more
            rest.busy.add(arm_ids.key(item.resource))
        waits = [error for error in errors if isinstance(error, Unavailable)]
        if waits:
            rest.compare_again(max(_SOON, timedelta(seconds=waits[0].retry_after_seconds)))

    def _record(self, items: Sequence[PlanItem], comparison: Comparison) -> None:
        """Write the removals that are about to be made into the trail, with their reasons."""
        self.outbox.add(
            comparison.subscription, [_removal_event(item, comparison) for item in items]
        )

    def _plan_again(
        self, items: Sequence[PlanItem], policies: Sequence[str], comparison: Comparison
    ) -> list[PlanItem]:
        """Read rules, requests and grants again, plan again, and keep the same removals."""
        again = self.observer.read_again(dict.fromkeys(item.resource for item in items), policies)
        before = comparison.observed
        grants = self.requests.list_readable_grants(comparison.subscription, GRANTS)
        unreadable = comparison.unreadable | grants.unreadable
        fresh = replace(
            comparison,
            rows=grants.drop_machines(unreadable),
            unreadable=unreadable,
            observed=replace(
                before,
                nsgs=again.nsgs,
                firewalls=again.firewalls,
                entries=(*before.entries, *again.entries),  # one that ended since holds once more
            ),
        )
        wanted = {(item.path.id, item.kind) for item in items if item.path is not None}
        return [
            item
            for item in fresh.plan()
            if item.action is PlanAction.REMOVE_RULE
            and item.path is not None
            and (item.path.id, item.kind) in wanted
            and item.grant not in fresh.live
        ]

    def _take_firewall(
        self, items: Sequence[PlanItem], comparison: Comparison, rest: RemovalRest
    ) -> None:
        """Remove rules from a firewall if this comparison gets the turn; else wait in line."""
        turns, resource = self.locks.firewalls, items[0].resource
        if turns.take(resource, comparison.holder, comparison.now, closing=True):
            self._update_firewall(items, comparison, rest)
            return
        self._wait(resource, comparison)
        rest.compare_again(_MORE)

    def _update_firewall(
        self, items: Sequence[PlanItem], comparison: Comparison, rest: RemovalRest
    ) -> None:
        """Remove rules from a firewall; give the turn back if the update did not begin."""
        self._record(items, comparison)
        errors = self.actions.remove_nat_rules(_rules_of(items))
        if errors and not any(isinstance(error, Unknown) for error in errors):
            self.locks.firewalls.return_turn(items[0].resource, comparison.holder)
        else:
            rest.compare_again(_UPDATED)


def _group_items(items: Iterable[PlanItem]) -> Iterator[list[PlanItem]]:
    """Yield NAT rules by firewall, for one update each; the others by policy, a few at a time."""
    groups: dict[tuple[bool, str], list[PlanItem]] = {}
    for item in items:
        name = item.resource if _is_nat(item) else item.policy_id or ""
        groups.setdefault((_is_nat(item), arm_ids.key(name)), []).append(item)
    for (is_nat, _), group in groups.items():
        step = MOST_REMOVED if is_nat else MOST_TOGETHER
        for start in range(0, len(group), step):
            yield group[start : start + step]


def _is_nat(item: PlanItem) -> bool:
    return item.path is not None and item.path.collection is not None


def _rules_of(items: Iterable[PlanItem]) -> list[PathRule]:
    return [item.path for item in items if item.path is not None]


def _removal_event(item: PlanItem, comparison: Comparison) -> Event:
    known = {grant.id: grant for grant in (*comparison.grants, *comparison.closed)}
    sources = list(item.path.sources) if item.path else []
    return build_removal_event(
        known.get(item.grant or ""),
        {**item.doc(), "sources": sources},
        now=comparison.now,
        grant_id=item.grant,
    )
