"""
The plan: an item for each rule that is not as the grants say, and for each grant without rules.

Pure. Every rule with a name of Defender's or of the broker is expected, or becomes one item. A
rule that is being updated, or could not be read, yields no action.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from jit.domain.grants import removal
from jit.domain.grants.lifetime import find_leftover_start
from jit.domain.grants.removal import Judgement, list_unentitled
from jit.domain.grants.timing import OVERDUE
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import OtherAccess, VmPort
from jit.domain.paths import bastion_paths
from jit.domain.paths.effective import PathState, PathView
from jit.domain.paths.machine_view import FirewallView, MachineView, NsgView
from jit.domain.paths.port_views import PortViews
from jit.domain.paths.rules import may_let_in
from jit.domain.reconcile.companion_check import list_cut, plan_companions
from jit.domain.reconcile.observation import FoundRule, Observation, list_jit_rules
from jit.domain.reconcile.other_access import find_others
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.domain.reconcile.policy_check import plan_outside
from jit.domain.reconcile.rule_owners import RuleOwners
from jit.domain.values.times import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The outcome of a comparison.

    Attributes:
        items: The differences, in the order of the rules, then of the grants.
        seen: Ids of the grants whose paths were seen open, and that have no item. A VM that is
            known by an older reading was not seen.
        others: By key of the VM, the access to it that no grant gives.
    """

    items: tuple[PlanItem, ...]
    seen: frozenset[str]
    others: Mapping[str, tuple[OtherAccess, ...]]


def make_plan(
    observed: Observation,
    grants: Iterable[Grant],
    tombstones: Iterable[Grant],
    *,
    now: datetime,
    remove_orphans: bool,
) -> tuple[PlanItem, ...]:
    """Return the differences that `compare` finds."""
    return compare(observed, grants, tombstones, now=now, remove_orphans=remove_orphans).items


def compare(
    observed: Observation,
    grants: Iterable[Grant],
    tombstones: Iterable[Grant],
    *,
    now: datetime,
    remove_orphans: bool,
) -> Plan:
    """
    Compare all rules of a subscription with all its grants.

    Args:
        observed: Read before the grants: a grant is durable before any of its rules.
        grants: The grants of all unfinished requests.
        tombstones: Closed ones of the last days, and others known to be closed.
        now: Aware, UTC.
        remove_orphans: True if the operator lets rules without a grant be removed.

    Returns:
        The plan. An item names a rule for removal only if it is proved to be of a grant that is
        over, except with *remove_orphans*.
    """
    owners = RuleOwners(observed, grants, tombstones, now=now)
    judged = [(rule, owners.judge(rule)) for rule in list_jit_rules(observed)]
    planned = (_plan_rule(*each, owners, remove_orphans=remove_orphans) for each in judged)
    found = _drop_moot([*_drop_absent(planned), *plan_companions(observed, owners)])
    cut = list_cut(found, owners)
    seen: set[str] = set()
    missing = [*_drop_absent(_plan_paths(owners, observed, seen))]
    without = cut | _find_closing(found)
    items = (*found, *(item for item in missing if item.grant not in without))
    told = {item.grant for item in items}
    return Plan(
        items=items,
        seen=frozenset(id_ for id_ in seen - told if not owners.is_in_doubt(owners.grants[id_])),
        others=find_others(judged, owners, observed),
    )


def plan_waiting_removals(
    observed: Observation,
    grants: Iterable[Grant],
    tombstones: Iterable[Grant],
    *,
    now: datetime,
    remove_orphans: bool = False,
) -> tuple[PlanItem, ...]:
    """
    Return the removals that wait only for the end of a running update of their NSG or firewall.

    The arguments are those of ``compare``. A rule may look different after the update, so nothing
    is removed by this plan.
    """
    owners = RuleOwners(observed, grants, tombstones, now=now)
    holders: list[FirewallView | NsgView] = [*observed.firewalls.values()]
    holders += observed.nsgs.values()
    updating = {holder.id for holder in holders if not holder.settled and not holder.failed}
    rules = (rule for rule in list_jit_rules(observed) if rule.path.holder_id in updating)
    planned = (
        _plan_rule(
            replace(rule, settled=True), owners.judge(rule), owners, remove_orphans=remove_orphans
        )
        for rule in rules
    )
    found = _drop_absent(planned)
    return tuple(item for item in found if item.action is PlanAction.REMOVE_RULE)


def _drop_moot(items: Sequence[PlanItem]) -> list[PlanItem]:
    """Leave out the companions of grants that close: a closing grant loses them first."""
    closing = _find_closing(items)
    return [i for i in items if i.kind is not PlanClass.COMPANION or i.grant not in closing]


def _find_closing(items: Iterable[PlanItem]) -> set[str | None]:
    return {item.grant for item in items if item.action is PlanAction.CLOSE}


def _drop_absent(items: Iterable[PlanItem | None]) -> Iterator[PlanItem]:
    return (item for item in items if item is not None)


def _plan_rule(
    rule: FoundRule, judged: Judgement, owners: RuleOwners, *, remove_orphans: bool
) -> PlanItem | None:
    over = [grant for grant in judged.owners if owners.is_over(grant)]
    if not rule.settled:
        return _report_stuck(rule, over, owners)
    altered = next((g for g in owners.find_recorders(rule) if _is_altered(rule, g, owners)), None)
    if altered is not None:
        reason = "it opens more than was asked for"
        item = _item(PlanAction.CLOSE, PlanClass.ALTERED, rule, altered, reason)
        return replace(item, is_decided_later=owners.is_in_doubt(altered))
    if over:
        in_grace = any(not owners.is_over(g) and not owners.wants_path(g) for g in judged.owners)
        return None if in_grace else _plan_leftover(rule, over, judged)
    if judged.owners or judged.requests:
        return None
    return _plan_orphan(rule, judged.grants, owners, remove=remove_orphans)


def _is_altered(rule: FoundRule, grant: Grant, owners: RuleOwners) -> bool:
    return owners.wants_path(grant) and owners.is_widened(rule, grant)


def _find_newest(grants: Sequence[Grant]) -> Grant:
    return max(grants, key=lambda grant: (find_leftover_start(grant) or grant.latest_end, grant.id))


def _plan_leftover(rule: FoundRule, over: Sequence[Grant], judged: Judgement) -> PlanItem | None:
    """Plan for a rule of grants that are over: it goes, unless somebody else needs it."""
    grant = _find_newest(over)
    if judged.may_be_removed:
        reason = "its grant is over, and Azure did not remove it"
        return _item(PlanAction.REMOVE_RULE, PlanClass.EXPIRED, rule, grant, reason)
    if judged.grants:
        if removal.is_accounted_for(rule.path, judged.grants):
            return None
        reason = f"it also lets in grant {judged.grants[0].id}, which is not over"
    else:
        until = max(entry.ends_at for entry in judged.requests)
        reason = f"somebody else's request in Defender holds it until {format_instant(until)}"
    item = _item(PlanAction.REPORT, PlanClass.HELD_BY_OTHER, rule, grant, reason)
    return replace(item, since=_find_excess_start(rule, over, judged))


def _find_excess_start(
    rule: FoundRule, over: Sequence[Grant], judged: Judgement
) -> datetime | None:
    """Return since when *rule* lets in sources that nobody is entitled to; None if it does not."""
    found = (
        find_leftover_start(grant)
        for grant in over
        if may_let_in(rule.path, list_unentitled(grant, judged.grants, judged.requests))
    )
    return min(filter(None, found), default=None)


def _report_stuck(rule: FoundRule, over: Sequence[Grant], owners: RuleOwners) -> PlanItem | None:
    """Leave a rule whose holder is being updated; report it once it is long overdue."""
    for grant in over:
        since = find_leftover_start(grant)
        if since is not None and since + OVERDUE <= owners.now:
            reason = "its grant is over, but its holder is not in a state to be changed"
            return _item(PlanAction.REPORT, PlanClass.EXPIRED, rule, grant, reason)
    return None


def _plan_orphan(
    rule: FoundRule, users: Sequence[Grant], owners: RuleOwners, *, remove: bool
) -> PlanItem:
    reason = "no grant and no request in Defender accounts for it"
    if users:
        remove, reason = False, f"{reason}; grant {users[0].id} passes through it too"
    if not rule.path.exact:
        remove, reason = False, f"{reason}; it is not written as Defender writes its rules"
    return PlanItem(
        action=PlanAction.REMOVE_RULE if remove else PlanAction.REPORT,
        kind=PlanClass.ORPHAN,
        resource=rule.path.holder_id,
        rule=rule.title,
        reason=reason,
        policy_id=owners.policy_of(rule),
        path=rule.path,
    )


def _item(
    action: PlanAction, kind: PlanClass, rule: FoundRule, grant: Grant, reason: str
) -> PlanItem:
    is_live = grant.wants_path and action is PlanAction.CLOSE
    since = None if is_live else find_leftover_start(grant)
    return PlanItem(
        action=action,
        kind=kind,
        resource=rule.path.holder_id,
        rule=rule.title,
        grant=grant.id,
        reason=reason,
        policy_id=grant.policy_id,
        path=rule.path,
        since=since,
    )


# ---- grants without their rules ------------------------------------------------------------------

_WRONG: Mapping[Status, frozenset[PathState]] = {
    Status.OPEN: frozenset({PathState.ABSENT, PathState.PARTIAL, PathState.BLOCKED}),
    Status.OPENING: frozenset({PathState.ABSENT}),
}
"""States of a path that are wrong for its grant. While it opens, parts may come one by one."""


def _plan_paths(
    owners: RuleOwners, observed: Observation, seen: set[str]
) -> Iterator[PlanItem | None]:
    """
    Yield an item for each grant whose path is wrong; an NSG is narrowed once a VM port.

    The ids of the grants whose paths are open are added to *seen*.
    """
    port_views, views = PortViews(), dict[VmPort, MachineView]()
    for grant in filter(owners.wants_path, owners.grants.values()):
        view = observed.machines.get(grant.vm_key)
        if view is None:
            yield _close_without_vm(grant)
        elif replaced := owners.find_replacement(grant):
            yield _close_replaced(grant, replaced)
        elif outside := plan_outside(grant, view.vm, now=owners.now):
            yield outside
        elif _has_been_seen(grant):
            port = grant.vm_port
            views[port] = views.get(port) or port_views.narrow_view(view, grant.port)
            yield _plan_path(grant, views[port], seen)


def _close_without_vm(grant: Grant) -> PlanItem:
    """Plan to close a grant whose VM is gone: the next VM with its address would be open."""
    return PlanItem(
        action=PlanAction.CLOSE,
        kind=PlanClass.MISSING,
        resource=grant.vm_id,
        grant=grant.id,
        reason="its VM no longer exists: deleted, or moved to another resource group",
        policy_id=grant.policy_id,
    )


def _close_replaced(grant: Grant, reason: str) -> PlanItem:
    """Plan to close a grant whose request in Defender somebody else replaced or revoked."""
    return PlanItem(
        action=PlanAction.CLOSE,
        kind=PlanClass.MISSING,
        resource=grant.vm_id,
        grant=grant.id,
        reason=reason,
        policy_id=grant.policy_id,
        is_decided_later=True,
    )


def _has_been_seen(grant: Grant) -> bool:
    """Return True if the path of *grant* was seen, by a rule of any of its initiates."""
    return grant.initiate.seen or grant.status is Status.OPEN


def _plan_path(grant: Grant, view: MachineView, seen: set[str]) -> PlanItem | None:
    path = bastion_paths.observe_path(grant, view)
    if path.state is PathState.OPEN:
        seen.add(grant.id)
    leaves = grant.status is Status.OPEN and path.leaving  # though its holder is not settled
    if path.state in _WRONG[grant.status] or leaves:
        return _reopen(grant, PlanClass.MISSING, f"its path does not work: {path.why}")
    if grant.status is Status.OPEN and _is_moved(grant, path):
        return _reopen(grant, PlanClass.MOVED, "people connect to it by another address now")
    return None


def _is_moved(grant: Grant, path: PathView) -> bool:
    """Return True if the path is open by another address or port than its person was told."""
    told, now = grant.connection, path.connection
    if path.state is not PathState.OPEN or told is None or now is None:
        return False
    return (told.address, told.port) != (now.address, now.port)


def _reopen(grant: Grant, kind: PlanClass, reason: str) -> PlanItem:
    return PlanItem(
        action=PlanAction.REOPEN,
        kind=kind,
        resource=grant.vm_id,
        grant=grant.id,
        reason=reason,
        policy_id=grant.policy_id,
    )
