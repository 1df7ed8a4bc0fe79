"""
What closed grants left behind: removed under the claim of its policy, looked at again just before.

Single rules of NSGs go one by one; while an NSG is busy with one, the others wait for another run
(Azure answers 429 ``RetryableErrorDueToAnotherOperation``). Rules of a firewall go in one update
of it, and only when its turn is free; the turn comes back in the first run that sees the update
finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from jit import telemetry
from jit.broker.azure_changes import Actions
from jit.broker.locks import Locks
from jit.broker.reconcile.comparison import Comparison
from jit.domain.audit.event import BROKER, Event
from jit.domain.errors import Refused, Unavailable, Unknown
from jit.domain.paths.rules import PathRule
from jit.domain.reconcile.plan_item import PlanAction, PlanItem
from jit.domain.values import arm_ids
from jit.observer.subscription import Observer
from jit.storage.keys import GRANTS
from jit.storage.outbox import Outbox
from jit.storage.request_store import RequestStore

REMOVALS = 60
"""Rules removed in one run."""

TOGETHER = 20
"""NSG rules removed under one claim: the lease of a minute must outlast the calls."""

_MORE = timedelta(minutes=1)
_SOON = timedelta(seconds=10)  # a change of one rule takes Azure a few seconds
_UPDATED = timedelta(minutes=4)  # a firewall's update takes three to five minutes


@dataclass(slots=True)
class Done:
    """
    What a removal leaves to do.

    Attributes:
        policies: Whose workers may have come while their claim was taken.
        again: When to compare once more, if there is a reason to.
        busy: Keys of NSGs that took no further removal.
    """

    policies: list[str] = field(default_factory=list)
    again: timedelta | None = None
    busy: set[str] = field(default_factory=set)

    def look_again(self, after: timedelta) -> None:
        """Ask for another comparison, the earliest asked for."""
        self.again = min(after, self.again or after)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Removes rules that a plan names."""

    requests: RequestStore
    outbox: Outbox
    observer: Observer
    actions: Actions
    turns: Locks

    def remove(self, items: Iterable[PlanItem], comparison: Comparison) -> Done:
        """Remove what *items* say, but for what the worker of an unfinished grant removes."""
        live = comparison.live
        doomed = [
            item
            for item in items
            if item.action is PlanAction.REMOVE_RULE and item.grant not in live
        ]
        done = Done()
        for group in _groups(doomed[:REMOVALS]):
            try:
                self._together(group, comparison, done)
            except (Unavailable, Refused) as error:
                name = comparison.subscription
                telemetry.warning("removal.postponed", subscription=name, reason=str(error))
        if len(doomed) > REMOVALS:
            done.look_again(_MORE)
        return done

    def return_turns(self, comparison: Comparison) -> None:
        """Give back the turns of firewalls whose update, begun in an earlier run, is over."""
        for front in comparison.observed.firewalls.values():
            if front.settled:
                self.turns.end_update(front.id, comparison.holder, front.foreign)

    def _together(self, group: Sequence[PlanItem], comparison: Comparison, done: Done) -> None:
        """Remove the rules of *group* whose policies can be claimed."""
        ids = {arm_ids.key(item.policy_id): item.policy_id for item in group if item.policy_id}
        claims = {key: claim for key, item in ids.items() if (claim := self.turns.claim(item))}
        mine = [i for i in group if i.policy_id is None or arm_ids.key(i.policy_id) in claims]
        try:
            if mine:
                self._claimed(mine, [ids[key] for key in claims], comparison, done)
        finally:
            for key, claim in claims.items():
                self.turns.keep(claim)
                done.policies.append(ids[key])

    def _claimed(
        self,
        items: Sequence[PlanItem],
        policies: Sequence[str],
        comparison: Comparison,
        done: Done,
    ) -> None:
        still = self._still(items, policies, comparison)
        for item in still:
            if not _is_nat(item) and arm_ids.key(item.resource) not in done.busy:
                self._single(item, comparison, done)
        nats = [item for item in still if _is_nat(item)]
        if nats and self.turns.take_firewall(nats[0].resource, comparison.holder, comparison.now):
            self._update(nats, comparison, done)

    def _single(self, item: PlanItem, comparison: Comparison, done: Done) -> None:
        """Remove one NSG rule; an NSG that is busy, or does not answer, is left alone for now."""
        self._note([item], comparison)
        errors = self.actions.remove_rules(rule.id for rule in _rules([item]))
        if errors:  # a refusal holds for the whole NSG: asking for each rule would tell nothing new
            done.busy.add(arm_ids.key(item.resource))
        waits = [error for error in errors if isinstance(error, Unavailable)]
        if waits:
            done.look_again(max(_SOON, timedelta(seconds=waits[0].retry_after_seconds)))

    def _note(self, items: Sequence[PlanItem], comparison: Comparison) -> None:
        """Write down what is about to be removed, and why."""
        self.outbox.add(comparison.subscription, [_event(item, comparison) for item in items])

    def _still(
        self, items: Sequence[PlanItem], policies: Sequence[str], comparison: Comparison
    ) -> list[PlanItem]:
        """Read rules, requests and grants again, plan again, and keep what still is to go."""
        again = self.observer.read_again(dict.fromkeys(item.resource for item in items), policies)
        before = comparison.observed
        grants = self.requests.list_readable_grants(comparison.subscription, GRANTS)
        unreadable = comparison.unreadable | grants.unreadable
        fresh = replace(
            comparison,
            rows=grants.without(unreadable),
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

    def _update(self, items: Sequence[PlanItem], comparison: Comparison, done: Done) -> None:
        """Take rules out of a firewall; an update that did not begin gives the turn back."""
        self._note(items, comparison)
        errors = self.actions.remove_nat_rules(_rules(items))
        if errors and not any(isinstance(error, Unknown) for error in errors):
            self.turns.return_firewall(items[0].resource, comparison.holder)
        else:
            done.look_again(_UPDATED)


def _groups(items: Iterable[PlanItem]) -> Iterator[list[PlanItem]]:
    """Yield NAT rules by firewall, for one update each; the others by policy, a few at a time."""
    groups: dict[tuple[bool, str], list[PlanItem]] = {}
    for item in items:
        name = item.resource if _is_nat(item) else item.policy_id or ""
        groups.setdefault((_is_nat(item), arm_ids.key(name)), []).append(item)
    for (nat, _), group in groups.items():
        step = REMOVALS if nat else TOGETHER
        for start in range(0, len(group), step):
            yield group[start : start + step]


def _is_nat(item: PlanItem) -> bool:
    return item.path is not None and item.path.collection is not None


def _rules(items: Iterable[PlanItem]) -> list[PathRule]:
    return [item.path for item in items if item.path is not None]


def _event(item: PlanItem, comparison: Comparison) -> Event:
    """Return the audit record of a removal, written before the call."""
    known = {grant.id: grant for grant in (*comparison.grants, *comparison.buried)}
    grant = known.get(item.grant or "")
    return Event(
        at=comparison.now,
        what="rule.removal_began",
        actor=BROKER,
        request_id=grant.request_id if grant is not None else "",
        grant_id=item.grant,
        facts={**item.doc(), "sources": list(item.path.sources) if item.path else []},
    )
