"""
The plan: what to do about each rule that is not as the grants say, and each grant without rules.

Pure. Every rule that carries one of Defender's names or one of the broker's own is expected, or
becomes one item. What is being updated or could not be read yields no action.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from jit.domain.azure import companion_rule
from jit.domain.azure.nsg_rules import Access, Direction, PortRange, SecurityRule
from jit.domain.grants import removal
from jit.domain.grants.lifetime import leftover_from, was_asked
from jit.domain.grants.removal import Judgement
from jit.domain.grants.timing import OVERDUE
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VmPort
from jit.domain.paths import effective
from jit.domain.paths.effective import PathState
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.port_views import PortViews
from jit.domain.paths.rules import PathRule
from jit.domain.reconcile import duplicates
from jit.domain.reconcile.observation import FoundRule, Observation, jit_rules
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.domain.reconcile.rule_owners import RuleOwners
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import network


def make_plan(
    observed: Observation,
    grants: Iterable[Grant],
    tombstones: Iterable[Grant],
    *,
    now: datetime,
    remove_orphans: bool,
) -> tuple[PlanItem, ...]:
    """
    Compare all rules of a subscription with all its grants.

    Args:
        observed: Read before the grants: a grant is durable before any of its rules.
        grants: Of all unfinished requests.
        tombstones: Closed ones of the last days, and others known to be closed.
        now: Aware, UTC.
        remove_orphans: Whether the operator lets rules without a grant be removed.

    Returns:
        Items in the order of the rules, then of the grants. None of them names a rule for removal
        that is not proved to be of a grant that is over, unless *remove_orphans*.
    """
    owners = RuleOwners(observed, grants, tombstones, now=now)
    rules = [(r, _rule(r, owners, remove_orphans=remove_orphans)) for r in jit_rules(observed)]
    found = [
        *_present(item for _, item in rules),
        *duplicates.items([rule for rule, item in rules if item is None], owners),
        *_present(_companion(rule, nsg, owners, observed) for nsg, rule in _companions(observed)),
    ]
    closing = {item.grant for item in found if item.action is PlanAction.CLOSE}
    missing = _present(_missing(owners, observed))
    return (*found, *(item for item in missing if item.grant not in closing))


def unknown_companions(observed: Observation, known: Iterable[Grant]) -> tuple[str, ...]:
    """Return the grant ids in names of companion rules that are none of *known*."""
    names = {grant.id for grant in known}
    ids = (companion_rule.parse_companion_name(rule.name) for _, rule in _companions(observed))
    return tuple(dict.fromkeys(item for item in ids if item is not None and item not in names))


def _present(items: Iterable[PlanItem | None]) -> Iterator[PlanItem]:
    return (item for item in items if item is not None)


# ---- Defender's rules --------------------------------------------------------------------------


def _rule(rule: FoundRule, owners: RuleOwners, *, remove_orphans: bool) -> PlanItem | None:
    judged = owners.judge(rule)
    over = [grant for grant in judged.owners if owners.is_over(grant)]
    if not rule.settled:
        return _stuck(rule, over, owners)
    altered = next((g for g in owners.recorded_by(rule) if _altered(rule, g, owners)), None)
    if altered is not None:
        return _item(
            PlanAction.CLOSE, PlanClass.ALTERED, rule, altered, "it opens more than was asked for"
        )
    if over:
        in_grace = any(not owners.is_over(g) and not owners.wants_path(g) for g in judged.owners)
        return None if in_grace else _leftover(rule, _newest(over), judged)
    if judged.owners or judged.requests:
        return None
    return _orphan(rule, judged.grants, owners, remove=remove_orphans)


def _altered(rule: FoundRule, grant: Grant, owners: RuleOwners) -> bool:
    return owners.wants_path(grant) and owners.is_widened(rule, grant)


def _newest(grants: Sequence[Grant]) -> Grant:
    return max(grants, key=lambda grant: (leftover_from(grant) or grant.latest_end, grant.id))


def _leftover(rule: FoundRule, grant: Grant, judged: Judgement) -> PlanItem | None:
    """Plan for a rule of a grant that is over: it goes, unless somebody else needs it."""
    if judged.may_be_removed:
        reason = "its grant is over, and Azure did not remove it"
        return _item(PlanAction.REMOVE_RULE, PlanClass.EXPIRED, rule, grant, reason)
    if judged.grants:
        if removal.is_accounted_for(rule.path, judged.grants):
            return None
        reason = f"grant {judged.grants[0].id} still needs it"
        return _item(PlanAction.REPORT, PlanClass.HELD_BY_OTHER, rule, grant, reason)
    until = max(entry.ends_at for entry in judged.requests)
    reason = f"somebody else's request in Defender holds it until {until:%Y-%m-%dT%H:%M:%SZ}"
    return _item(PlanAction.REPORT, PlanClass.HELD_BY_OTHER, rule, grant, reason)


def _stuck(rule: FoundRule, over: Sequence[Grant], owners: RuleOwners) -> PlanItem | None:
    """Nothing is done to what is being updated; a leftover is not kept quiet for ever."""
    for grant in over:
        since = leftover_from(grant)
        if since is not None and since + OVERDUE <= owners.now:
            reason = "its grant is over, but its holder is not in a state to be changed"
            return _item(PlanAction.REPORT, PlanClass.EXPIRED, rule, grant, reason)
    return None


def _orphan(
    rule: FoundRule, wanting: Sequence[Grant], owners: RuleOwners, *, remove: bool
) -> PlanItem:
    policy_id = owners.policy_of(rule)
    reason = "no grant and no request in Defender accounts for it"
    if wanting:
        remove, reason = False, f"{reason}; grant {wanting[0].id} passes through it too"
    if not rule.path.exact:
        remove, reason = False, f"{reason}; it is not written as Defender writes its rules"
    return PlanItem(
        action=PlanAction.REMOVE_RULE if remove else PlanAction.REPORT,
        kind=PlanClass.ORPHAN,
        resource=rule.path.holder_id,
        rule=rule.title,
        reason=reason,
        policy_id=policy_id,
        path=rule.path,
    )


def _item(
    action: PlanAction, kind: PlanClass, rule: FoundRule, grant: Grant, reason: str
) -> PlanItem:
    return PlanItem(
        action=action,
        kind=kind,
        resource=rule.path.holder_id,
        rule=rule.title,
        grant=grant.id,
        reason=reason,
        policy_id=grant.policy_id,
        path=rule.path,
        since=None if grant.wants_path and action is PlanAction.CLOSE else leftover_from(grant),
    )


# ---- the broker's own rules --------------------------------------------------------------------


def _companions(observed: Observation) -> Iterator[tuple[NsgView, SecurityRule]]:
    for nsg in observed.nsgs.values():
        for rule in nsg.rules:
            if companion_rule.parse_companion_name(rule.name) is not None:
                yield nsg, rule


def _companion(
    rule: SecurityRule, nsg: NsgView, owners: RuleOwners, observed: Observation
) -> PlanItem | None:
    if not (nsg.settled and rule.in_force):
        return None
    grant = owners.grants.get(companion_rule.parse_companion_name(rule.name) or "")
    if grant is None:
        return _own(PlanAction.REPORT, PlanClass.ORPHAN, rule, nsg, None, "it names no known grant")
    if not _is_of(rule, nsg, grant, owners):
        reason = "it names a grant that it does not belong to"
        return _own(PlanAction.REPORT, PlanClass.ORPHAN, rule, nsg, grant, reason)
    if not owners.wants_path(grant):
        reason = "the grant that it accompanied is over"
        return _own(PlanAction.REMOVE_RULE, PlanClass.COMPANION, rule, nsg, grant, reason)
    if _opens_more(rule, grant, observed, owners):
        reason = "the companion rule opens more than the firewall's own addresses need"
        return _own(PlanAction.CLOSE, PlanClass.ALTERED, rule, nsg, grant, reason)
    return None


def _is_of(rule: SecurityRule, nsg: NsgView, grant: Grant, owners: RuleOwners) -> bool:
    """Whether the rule is where and what the broker would have written for *grant*."""
    recorded = {arm_ids.key(item) for item in grant.companions}
    if arm_ids.key(_id_of(rule, nsg)) in recorded:
        return True
    return (
        was_asked(grant)
        and rule.access is Access.ALLOW
        and rule.direction is Direction.INBOUND
        and rule.destination_ports == (PortRange(grant.port, grant.port),)
        and bool(rule.destinations)
        and _addresses(rule) <= set(owners.addresses(grant))
        and owners.may_stand_in(grant, nsg.id)
    )


def _opens_more(
    rule: SecurityRule, grant: Grant, observed: Observation, owners: RuleOwners
) -> bool:
    view = observed.machines.get(arm_ids.key(grant.vm_id))
    if view is None or not view.vm.firewall_sources:
        return False  # cannot be told; the worker says so where it matters
    own = {network(text) for text in view.vm.firewall_sources}
    return (
        bool(rule.source_groups)
        or not {network(text) for text in rule.sources} <= own
        or rule.destination_ports != (PortRange(grant.port, grant.port),)
        or not _addresses(rule) <= set(owners.addresses(grant))
    )


def _addresses(rule: SecurityRule) -> set[str]:
    return {text.removesuffix("/32") for text in rule.destinations}


def _id_of(rule: SecurityRule, nsg: NsgView) -> str:
    return rule.id or f"{nsg.id}/securityRules/{rule.name}"


def _own(
    action: PlanAction,
    kind: PlanClass,
    rule: SecurityRule,
    nsg: NsgView,
    grant: Grant | None,
    reason: str,
) -> PlanItem:
    return PlanItem(
        action=action,
        kind=kind,
        resource=nsg.id,
        rule=rule.name,
        grant=grant.id if grant is not None else companion_rule.parse_companion_name(rule.name),
        reason=reason,
        policy_id=grant.policy_id if grant is not None else None,
        path=PathRule(
            id=_id_of(rule, nsg),
            holder_id=nsg.id,
            name=rule.name,
            collection=None,
            sources=rule.sources,
            target=min(_addresses(rule), default=""),
            exact=not rule.faults,
        ),
        since=leftover_from(grant) if grant is not None else None,
    )


# ---- grants without their rules ----------------------------------------------------------------

_WRONG: Mapping[Status, frozenset[PathState]] = {
    Status.OPEN: frozenset({PathState.ABSENT, PathState.PARTIAL, PathState.BLOCKED}),
    Status.OPENING: frozenset({PathState.ABSENT}),
}
"""What a look at a grant's path must not show; while it opens, parts may come one by one."""


def _missing(owners: RuleOwners, observed: Observation) -> Iterator[PlanItem | None]:
    """Yield an item for each grant whose path is wrong; an NSG is narrowed once a VM port."""
    port_views, views = PortViews(), dict[VmPort, MachineView]()
    for grant in owners.grants.values():
        view = observed.machines.get(grant.vm_key)
        if view is None and owners.wants_path(grant):
            yield _vanished(grant)
        if view is not None and owners.wants_path(grant) and _was_there(grant):
            port = grant.vm_port
            views[port] = views.get(port) or port_views.narrow_view(view, grant.port)
            yield _grant(grant, views[port])


def _vanished(grant: Grant) -> PlanItem:
    """The next VM with its address would inherit an open door."""
    return PlanItem(
        action=PlanAction.CLOSE,
        kind=PlanClass.MISSING,
        resource=grant.vm_id,
        grant=grant.id,
        reason="its VM no longer exists: deleted, or moved to another resource group",
        policy_id=grant.policy_id,
    )


def _was_there(grant: Grant) -> bool:
    """Whether its path was seen: by a rule of its newest initiate, or of one before that."""
    return grant.seen or grant.status is Status.OPEN


def _grant(grant: Grant, view: MachineView) -> PlanItem | None:
    look = effective.observe_path(grant, view)
    leaves = grant.status is Status.OPEN and look.leaving  # though its holder is not settled
    if look.state not in _WRONG[grant.status] and not leaves:
        return None
    return PlanItem(
        action=PlanAction.REOPEN,
        kind=PlanClass.MISSING,
        resource=grant.vm_id,
        grant=grant.id,
        reason=f"its path does not work: {look.why}",
        policy_id=grant.policy_id,
    )
