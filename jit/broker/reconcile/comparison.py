"""One comparison of a subscription: its observed rules, and all its grants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit.domain.errors import Defect
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VirtualMachine
from jit.domain.paths.companion_owners import list_owners
from jit.domain.paths.rules import list_addresses, list_holders
from jit.domain.reconcile.companion_check import find_unknown_companions, list_companion_owners
from jit.domain.reconcile.observation import Observation
from jit.domain.reconcile.plan import Plan, compare, plan_waiting_removals
from jit.domain.reconcile.plan_item import PlanItem
from jit.domain.values import arm_ids
from jit.storage.keys import GRANTS, TOMBSTONES
from jit.storage.request_store import RequestStore
from jit.storage.stored import GrantRow, TombstoneRow

_UNSEEN = timedelta(days=1)  # much longer than lists stay wrong
_LOOKED_UP = 20  # companions of grants that only history knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    Rules that were observed first, and grants that were read second.

    Attributes:
        observed: The rules.
        rows: Grants of unfinished requests.
        tombstones: Grants closed in the last days.
        finished: Older grants that a companion rule still names.
        unreadable:
            Hashes of the ids of VMs with a row that this version cannot read: their rows are left
            out, and no rule of theirs is touched or reported.
        remove_orphans: True if rules that belong to no grant may be removed.
    """

    subscription: str
    now: datetime
    observed: Observation
    rows: tuple[GrantRow, ...]
    tombstones: tuple[TombstoneRow, ...]
    finished: tuple[Grant, ...]
    unreadable: frozenset[str]
    remove_orphans: bool

    @property
    def grants(self) -> tuple[Grant, ...]:
        """Grants of unfinished requests; some of them may be closed already."""
        return tuple(grant for row in self.rows for grant in row.grants)

    @property
    def closed(self) -> tuple[Grant, ...]:
        """Grants of finished requests."""
        return (*(grant for stone in self.tombstones for grant in stone.grants), *self.finished)

    @property
    def live(self) -> frozenset[str]:
        """Ids of the grants that are left to their worker."""
        return frozenset(grant.id for grant in self.grants if grant.live)

    def is_over(self, stone: TombstoneRow) -> bool:
        """
        Return True if the time of a tombstone is over.

        A list that lacks an NSG or firewall of its rules, by a fault or for good, adds a day.
        """
        seen = self.observed.nsgs.keys() | self.observed.firewalls.keys()
        is_seen = all(grant.holder_keys <= seen for grant in stone.grants)
        return stone.until + (timedelta(0) if is_seen else _UNSEEN) <= self.now

    @property
    def left_companions(self) -> frozenset[str]:
        """Owners of standing companions that no begun grant has: only tombstones prove them."""
        begun = (grant for grant in self.grants if grant.may_have_path)
        live = (owner for grant in begun for owner in list_owners(grant))
        return list_companion_owners(self.observed).difference(live)

    @property
    def has_doubts(self) -> bool:
        """True if the lists may be too short, and live grants depend on that."""
        doubtful = {key for key, view in self.observed.machines.items() if view.vm.is_in_doubt}
        return any(grant.live and grant.vm_key in doubtful for grant in self.grants)

    @property
    def holder(self) -> str:
        """The name by which this comparison takes turns on firewalls."""
        return f"/subscriptions/{self.subscription}"

    @property
    def due(self) -> list[str]:
        """Policies with due work, whether or not a message is on its way."""
        return [row.policy_id for row in self.rows if row.due_at <= self.now]

    def plan(self) -> tuple[PlanItem, ...]:
        """Return the differences and the action for each of them."""
        return self.compare().items

    def compare(self) -> Plan:
        """
        Return the plan.

        The rules of an unreadable VM may belong to a grant that only a newer version can read. If
        there is such a VM, orphans stay: a VM that Azure does not list has no known address.
        """
        plan = compare(
            self.observed,
            self.grants,
            self.closed,
            now=self.now,
            remove_orphans=self._may_remove_orphans,
        )
        return replace(plan, items=self._drop_hidden(plan.items))

    def plan_waiting_removals(self) -> tuple[PlanItem, ...]:
        """Return the removals that wait only for the end of an update of their holder."""
        items = plan_waiting_removals(
            self.observed,
            self.grants,
            self.closed,
            now=self.now,
            remove_orphans=self._may_remove_orphans,
        )
        return tuple(item for item in self._drop_hidden(items) if item.grant not in self.live)

    @property
    def _may_remove_orphans(self) -> bool:
        return self.remove_orphans and not self.unreadable

    def _drop_hidden(self, items: Iterable[PlanItem]) -> tuple[PlanItem, ...]:
        """Return *items* without those about rules that may lead to an unreadable VM."""
        hidden = self._find_hidden_targets()
        return tuple(
            item
            for item in items
            if item.path is None
            or (arm_ids.key(item.path.holder_id), item.path.target) not in hidden
        )

    def add_others(self, vm: VirtualMachine, plan: Plan) -> VirtualMachine:
        """Return *vm* with the access that no grant gives; unknown while a row is unreadable."""
        is_hidden = arm_ids.row_hash(vm.id) in self.unreadable
        return replace(vm, others=None if is_hidden else plan.others.get(arm_ids.key(vm.id), ()))

    def find_unseen(self, plan: Plan) -> frozenset[str]:
        """
        Return the VMs with an open grant whose path was not seen open just now: hashes of ids.

        The rows of an unreadable VM were left out, so none of its paths was looked at.
        """
        unseen = (
            arm_ids.row_hash(grant.vm_id)
            for grant in self.grants
            if grant.status is Status.OPEN and grant.id not in plan.seen
        )
        return self.unreadable.union(unseen)

    def _find_hidden_targets(self) -> frozenset[tuple[str, str]]:
        """
        Return the NSGs and firewalls on the paths to the unreadable VMs, with their addresses.

        An address alone names no VM: networks may have the same address space.
        """
        views = self.observed.machines.values()
        hidden = [view.vm for view in views if arm_ids.row_hash(view.vm.id) in self.unreadable]
        return frozenset(
            (arm_ids.key(holder), address)
            for vm in hidden
            for holder in list_holders(vm)
            for address in list_addresses(vm)
        )


def read_comparison(
    requests: RequestStore,
    subscription: str,
    observed: Observation,
    *,
    now: datetime,
    remove_orphans: bool,
) -> Comparison:
    """Read the grants of a subscription; *observed* was read before."""
    grants = requests.list_readable_grants(subscription, GRANTS)
    stones = requests.list_tombstones(subscription, TOMBSTONES)
    unreadable = grants.unreadable | stones.unreadable
    rows, tombstones = grants.drop_machines(unreadable), stones.drop_machines(unreadable)
    known = [grant for row in (*rows, *tombstones) for grant in row.grants]
    unknown = find_unknown_companions(observed, known)
    return Comparison(
        subscription=subscription,
        now=now,
        observed=observed,
        rows=rows,
        tombstones=tombstones,
        finished=tuple(_find_finished(requests, unknown[:_LOOKED_UP])),
        unreadable=unreadable,
        remove_orphans=remove_orphans,
    )


def _find_finished(requests: RequestStore, grant_ids: tuple[str, ...]) -> Iterator[Grant]:
    """Yield closed grants of history whose tombstones are gone."""
    for grant_id in grant_ids:
        try:
            stored = requests.load(grant_id.rsplit("-", 2)[0])
        except Defect:  # an alert named its row already, or the rule is reported as an orphan
            continue
        grants = stored.grants if stored is not None else ()
        yield from (grant for grant in grants if grant.id == grant_id and not grant.live)
