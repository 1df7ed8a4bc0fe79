"""
All rules of a subscription against all its grants: look, plan, act.

Rules are observed first and grants read second: a grant is durable before any of its rules. What
concerns unfinished grants is left to their policy's worker, which is told to look at once. What
closed grants left behind is removed here, under the claim of its policy, with rules and grants
read again just before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import messages, records, telemetry
from jit.broker.actions import Actions
from jit.broker.audit import Drainer
from jit.broker.idempotency import Idempotency
from jit.broker.turns import Claim, Turns
from jit.domain import armid, controller, reconcile
from jit.domain.audit import BROKER, Event, transitions
from jit.domain.closing import OVERDUE
from jit.domain.errors import (
    BrokerError,
    PermissionLost,
    Refused,
    StateConflict,
    Unavailable,
    Unknown,
)
from jit.domain.model import CloseReason, Grant, VirtualMachine
from jit.domain.ownership import Observed
from jit.domain.paths import PathRule
from jit.domain.reconcile import Action, Item, Kind
from jit.interfaces import Queues
from jit.observer import Observer, observed
from jit.store import Held, Store

REMOVALS = 60
"""Rules removed in one run: a message says when there are more."""

TOGETHER = 20
"""Rules removed under one claim: the lease of a minute must outlast the calls."""

DROPPED = 500
"""Tombstones dropped in one run."""

_AGAIN = timedelta(minutes=4)  # a firewall's update takes 3 to 5 minutes
_NAMED = 5
_LOOKED_UP = 20  # companions of grants that only history knows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one run works with."""

    subscription: str
    now: datetime
    observed: Observed
    rows: tuple[Held, ...]
    tombstones: tuple[Held, ...]
    finished: tuple[Grant, ...]

    @property
    def grants(self) -> tuple[Grant, ...]:
        return tuple(grant for held in self.rows for grant in held.grants)

    @property
    def closed(self) -> tuple[Grant, ...]:
        """Grants that are closed, and remembered."""
        return (*(grant for held in self.tombstones for grant in held.grants), *self.finished)

    @property
    def live(self) -> frozenset[str]:
        """Ids of grants that a worker still looks after."""
        return frozenset(grant.id for grant in self.grants if grant.live)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """
    Compares rules with grants, a subscription at a time.

    Attributes:
        queues: Built when first called: its SDK is slow.
        remove_orphans: Whether rules that no grant accounts for may be removed.
    """

    store: Store
    observer: Observer
    actions: Actions
    turns: Turns
    queues: Callable[[], Queues]
    drainer: Drainer
    idempotency: Idempotency
    remove_orphans: bool = False

    # ---- timers: look and enqueue ------------------------------------------------------------

    def subscriptions(self) -> tuple[str, ...]:
        """Return the ids of the subscriptions that the broker looks after."""
        return self.observer.watched()

    def enqueue_all(self) -> None:
        """Ask for a comparison of every subscription."""
        for subscription in self.subscriptions():
            self.queues().send(messages.RECONCILE, messages.reconcile(subscription))

    def tick(self, *, now: datetime) -> None:
        """Wake the worker of every policy that has something due: no message is ever needed."""
        for subscription in self.subscriptions():
            self._wake(str(row.values["Policy"]) for row in self.store.due(subscription, now))

    def _wake(self, policies: Iterable[str]) -> None:
        """Send one message a policy."""
        for policy_id in {armid.key(item): item for item in policies}.values():
            self.queues().send(messages.POLICY, messages.policy(policy_id))

    # ---- one subscription ----------------------------------------------------------------------

    def dry_run(
        self, *, now: datetime, subscriptions: Iterable[str] | None = None
    ) -> tuple[Item, ...]:
        """
        Return what a run would do, without doing it; a subscription that cannot be read says so.

        Args:
            now: Aware, UTC.
            subscriptions: Those to look at; all that the broker looks after if None.

        Raises:
            Unavailable: Storage, or the list of subscriptions, could not be read.
        """
        names = self.subscriptions() if subscriptions is None else subscriptions
        return tuple(item for name in names for item in self._planned_or_why(name, now))

    def _planned_or_why(self, subscription: str, now: datetime) -> Sequence[Item]:
        try:
            found, _ = self._observe(subscription, now)
        except (Unavailable, Refused) as error:
            telemetry.warning("reconcile.unreadable", subscription=subscription)
            return [_unreadable(subscription, error)]
        return self._plan(self._read(subscription, found, now))

    def run(self, subscription: str, *, now: datetime) -> None:
        """
        Compare a subscription's rules with its grants, and act on the difference.

        Raises:
            Unavailable: Azure or storage could not be read; the host brings the message back, and
                the timer would too.
        """
        watched = self.subscriptions()
        subscription = subscription.lower()
        if subscription not in watched:
            telemetry.warning("reconcile.skipped", subscription=subscription)
            return
        try:
            self._compare(subscription, now)
        finally:
            self._tidy(subscription, now, first=subscription == min(watched))

    def _compare(self, subscription: str, now: datetime) -> None:
        try:
            found, machines = self._observe(subscription, now)
        except Refused as error:  # repeating it would not help
            telemetry.alert("permission.lost", subscription=subscription, code=error.code)
            self._wake(str(row.values["Policy"]) for row in self.store.due(subscription, now))
            return
        self.store.remember_machines(subscription, machines, complete=True)
        look = self._read(subscription, found, now)
        items = self._plan(look)
        self._say(items, look)
        self._return_turns(look)
        woken = self._tell(items, look)
        self._remove(items, look)
        self._forget(items, look)
        self._wake([*woken, *_due(look)])

    def _observe(
        self, subscription: str, now: datetime
    ) -> tuple[Observed, tuple[VirtualMachine, ...]]:
        snapshot = self.observer.snapshot(subscription)
        machines = self.observer.inventory(snapshot, now=now)
        return observed(snapshot, machines), machines

    def _read(self, subscription: str, found: Observed, now: datetime) -> _Look:
        rows = self.store.grants(subscription, "g")
        tombstones = self.store.tombstones(subscription, "t")
        known = [grant for held in (*rows, *tombstones) for grant in held.grants]
        return _Look(
            subscription=subscription,
            now=now,
            observed=found,
            rows=rows,
            tombstones=tombstones,
            finished=tuple(self._finished(reconcile.unknown_companions(found, known))),
        )

    def _finished(self, grant_ids: Sequence[str]) -> Iterator[Grant]:
        """Yield the grants of *grant_ids* that history knows: their tombstones are gone."""
        for grant_id in grant_ids[:_LOOKED_UP]:
            whole = self.store.load(grant_id.rsplit("-", 2)[0])
            grants = whole.grants if whole is not None else ()
            yield from (g for g in grants if g.id == grant_id and not g.live)

    def _plan(self, look: _Look) -> tuple[Item, ...]:
        return reconcile.plan(
            look.observed,
            look.grants,
            look.closed,
            now=look.now,
            remove_orphans=self.remove_orphans,
        )

    # ---- saying --------------------------------------------------------------------------------

    def _say(self, items: Sequence[Item], look: _Look) -> None:
        """Tell what was found: an alert for what a person must see, a summary for the rest."""
        for item in items:
            if item.kind is Kind.ALTERED:
                telemetry.alert("rule.altered", **_fields(item))
            elif _overdue(item, look.now):
                telemetry.alert("rule.overdue", **_fields(item))
        for kind in (Kind.ORPHAN, Kind.HELD_BY_OTHER, Kind.MISSING):
            names = [f"{item.resource}/{item.rule}" for item in items if item.kind is kind]
            if names:
                name = f"reconcile.{kind.value.replace('-', '_')}_found"
                telemetry.warning(
                    name,
                    subscription=look.subscription,
                    count=len(names),
                    examples=names[:_NAMED],
                )
        counts = Counter(item.kind.value for item in items)
        telemetry.event("reconcile.finished", subscription=look.subscription, **counts)

    # ---- unfinished grants: their worker acts ------------------------------------------------

    def _tell(self, items: Sequence[Item], look: _Look) -> list[str]:
        """Make grants due that their worker should look at; return their policies."""
        wanted = {item.grant: item for item in items if item.grant in look.live and _acts(item)}
        woken: list[str] = []
        for held in look.rows:
            changed = tuple(_told(grant, wanted.get(grant.id), look.now) for grant in held.grants)
            if changed == held.grants:
                continue
            events = transitions(held.grants, changed, now=look.now)
            try:
                self.store.save([(held, changed)], events)
            except StateConflict:
                continue  # its worker is at it just now; the next run looks again
            woken.append(held.grants[0].policy_id)
        return woken

    # ---- what closed grants left: removed here -------------------------------------------------

    def _remove(self, items: Sequence[Item], look: _Look) -> None:
        doomed = [
            item
            for item in items
            if item.action is Action.REMOVE_RULE and item.grant not in look.live
        ]
        for group in _groups(doomed[:REMOVALS]):
            try:
                self._remove_together(group, look)
            except (Unavailable, Refused) as error:
                telemetry.warning(
                    "removal.postponed", subscription=look.subscription, reason=str(error)
                )
        if len(doomed) > REMOVALS:
            self._look_again(look.subscription, timedelta(minutes=1))

    def _look_again(self, subscription: str, delay: timedelta) -> None:
        self.queues().send(messages.RECONCILE, messages.reconcile(subscription), delay=delay)

    def _remove_together(self, group: Sequence[Item], look: _Look) -> None:
        """Remove the rules of *group* under the claims of their policies."""
        ids = {armid.key(item.policy_id): item.policy_id for item in group if item.policy_id}
        claims = {key: claim for key, item in ids.items() if (claim := self.turns.claim(item))}
        mine = [i for i in group if i.policy_id is None or armid.key(i.policy_id) in claims]
        try:
            if mine:
                self._remove_claimed(mine, [ids[key] for key in claims], look)
        finally:
            for key, claim in claims.items():
                self._give_back(ids[key], claim)

    def _give_back(self, policy_id: str, claim: Claim) -> None:
        """Release a claim as it was found; a message that came meanwhile found it taken."""
        self.turns.release(claim, not_before=claim.not_before, attempts=claim.attempts)
        self._wake([policy_id])

    def _remove_claimed(self, items: Sequence[Item], policies: Sequence[str], look: _Look) -> None:
        still = self._still_doomed(items, policies, look)
        if not still:
            return
        self.store.note(look.subscription, [_removal(item, look) for item in still])
        rules = [item.path for item in still if item.path is not None]
        self.actions.remove_rules(rule.id for rule in rules if rule.collection is None)
        nats = [rule for rule in rules if rule.collection is not None]
        if nats and self.turns.take_firewall(nats[0].holder_id, _holder(look), look.now):
            self._remove_nats(nats[0].holder_id, nats, look)

    def _still_doomed(
        self, items: Sequence[Item], policies: Sequence[str], look: _Look
    ) -> list[Item]:
        """Read rules, requests and grants again, plan again, keep what still is to go."""
        again = self.observer.again({item.resource for item in items}, policies)
        keys = {armid.key(item) for item in policies}
        kept = (e for e in look.observed.entries if _policy_key(e.vm_id, look) not in keys)
        fresh = replace(
            look,
            rows=self.store.grants(look.subscription, "g"),
            observed=replace(
                look.observed,
                guards=again.guards,
                firewalls=again.firewalls,
                entries=(*kept, *again.entries),
            ),
        )
        wanted = {(item.path.id, item.kind) for item in items if item.path}
        return [
            item
            for item in self._plan(fresh)
            if item.action is Action.REMOVE_RULE
            and item.path is not None
            and (item.path.id, item.kind) in wanted
            and item.grant not in fresh.live
        ]

    def _remove_nats(self, firewall_id: str, rules: Sequence[PathRule], look: _Look) -> None:
        """Take rules out of a firewall in one update; its turn comes back when that is over."""
        errors = self.actions.remove_nat_rules(rules)
        if errors and not any(isinstance(error, Unknown) for error in errors):
            self.turns.return_firewall(firewall_id, _holder(look))
            return
        self._look_again(look.subscription, _AGAIN)

    def _return_turns(self, look: _Look) -> None:
        """Give back the turns of firewalls whose update, begun in an earlier run, is over."""
        for front in look.observed.firewalls.values():
            if not front.settled or not self.turns.has_firewall(front.id, _holder(look)):
                continue
            _, before = self.turns.noted(front.id)
            if before and before != front.foreign:
                telemetry.alert("firewall.foreign_rules_changed", firewall_id=front.id)
            self.turns.return_firewall(front.id, _holder(look))

    # ---- housekeeping --------------------------------------------------------------------------

    def _forget(self, items: Sequence[Item], look: _Look) -> None:
        """Drop tombstones whose time is over, but not while a rule of theirs still stands."""
        needed = {item.grant for item in items}
        stale = [
            held.row
            for held in look.tombstones
            if str(held.row.values["Until"]) <= records.stamp(look.now)
            and not any(grant.id in needed for grant in held.grants)
        ]
        self.store.drop(stale[:DROPPED])

    def _tidy(self, subscription: str, now: datetime, *, first: bool) -> None:
        """Sweep what has run out, and bring the audit chain up to date."""
        self.drainer.drain(subscription, now=now)
        if first:  # keys of callers belong to no subscription
            self.idempotency.sweep(now=now)


def _holder(look: _Look) -> str:
    """Return the name under which a subscription's comparison takes turns on firewalls."""
    return f"/subscriptions/{look.subscription}"


def _acts(item: Item) -> bool:
    return item.action is not Action.REPORT


def _told(grant: Grant, item: Item | None, now: datetime) -> Grant:
    """Return *grant* as its item wants it: on its way out, or due."""
    if item is None or not grant.live:
        return grant
    if item.action is Action.CLOSE and grant.wants_path:
        note = f"somebody widened rule {item.rule}"
        return controller.begin_closing(grant, CloseReason.FAILED, now, note)
    return replace(grant, next_check_at=min(grant.next_check_at, now))


def _due(look: _Look) -> list[str]:
    """Return the policies that have something due, message or not."""
    return [
        str(held.row.values["Policy"])
        for held in look.rows
        if str(held.row.values["DueAt"]) <= records.stamp(look.now)
    ]


def _groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield NAT rules by firewall, for one update each; the others by policy, in small groups."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        nat = item.path is not None and item.path.collection is not None
        key = ("firewall", item.resource) if nat else ("policy", item.policy_id or "")
        groups.setdefault((key[0], armid.key(key[1])), []).append(item)
    for (kind, _), group in groups.items():
        step = REMOVALS if kind == "firewall" else TOGETHER
        for start in range(0, len(group), step):
            yield group[start : start + step]


def _policy_key(vm_id: str, look: _Look) -> str:
    view = look.observed.machines.get(armid.key(vm_id))
    return armid.key(view.vm.policy_id or "") if view is not None else ""


def _overdue(item: Item, now: datetime) -> bool:
    """Whether a rule stands long after it should have been gone, on nobody else's account."""
    ours = item.kind in {Kind.EXPIRED, Kind.COMPANION}
    return ours and item.since is not None and now >= item.since + OVERDUE


def _fields(item: Item) -> Mapping[str, object]:
    return {"resource_id": item.resource, "rule": item.rule, "grant_id": item.grant}


def _removal(item: Item, look: _Look) -> Event:
    """Return the audit record of a removal, written before the call."""
    grant = next((g for g in (*look.closed, *look.grants) if g.id == item.grant), None)
    return Event(
        at=look.now,
        what="rule.removal_began",
        actor=BROKER,
        request_id=grant.request_id if grant is not None else "",
        grant_id=item.grant,
        facts={**item.doc(), "sources": list(item.path.sources) if item.path else []},
    )


def _unreadable(subscription: str, error: BrokerError) -> Item:
    what = "the broker may not read it" if isinstance(error, PermissionLost) else "no answer"
    return Item(
        action=Action.REPORT,
        kind=Kind.MISSING,
        resource=f"/subscriptions/{subscription}",
        reason=f"its rules could not be read ({what}): nothing is known about them",
    )
