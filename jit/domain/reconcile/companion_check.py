"""The comparison of companion rules, the broker's own, with the grants that they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.nsg_rules import Access, Direction, PortRange, SecurityRule
from jit.domain.grants.lifetime import find_leftover_start, has_asked_azure
from jit.domain.model.grant import Grant
from jit.domain.paths import companion_paths, foreign_nat
from jit.domain.paths.machine_view import NsgView
from jit.domain.paths.rules import PathRule, name_addresses
from jit.domain.reconcile.observation import Observation
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.domain.reconcile.rule_owners import RuleOwners
from jit.domain.values import arm_ids


def plan_companions(observed: Observation, owners: RuleOwners) -> Iterator[PlanItem]:
    """
    Yield an item for each companion rule that is not as its grant says.

    A rule that is being written says nothing yet. If others would come through it, it goes at once.
    """
    for nsg, rule in _companion_rules(observed):
        settled = nsg.settled and rule.in_force
        item = _check(rule, nsg, observed, owners) if settled else None
        item = item or _check_ways(rule, nsg, observed, owners)
        if item is not None:
            yield item


def find_unknown_companions(observed: Observation, known: Iterable[Grant]) -> tuple[str, ...]:
    """Return the grant ids in names of companion rules that no grant of *known* has."""
    names = {grant.id for grant in known}
    ids = (parse_companion_name(rule.name) for _, rule in _companion_rules(observed))
    return tuple(dict.fromkeys(item for item in ids if item is not None and item not in names))


def _companion_rules(observed: Observation) -> Iterator[tuple[NsgView, SecurityRule]]:
    for nsg in observed.nsgs.values():
        for rule in nsg.rules:
            if parse_companion_name(rule.name) is not None:
                yield nsg, rule


def _check(
    rule: SecurityRule, nsg: NsgView, observed: Observation, owners: RuleOwners
) -> PlanItem | None:
    grant = owners.grants.get(parse_companion_name(rule.name) or "")
    if grant is None:
        reason = "it names no known grant"
        return _item(PlanAction.REPORT, PlanClass.ORPHAN, rule, nsg, None, reason)
    if not _belongs_to(rule, nsg, grant, owners):
        reason = "it names a grant that it does not belong to"
        return _item(PlanAction.REPORT, PlanClass.ORPHAN, rule, nsg, grant, reason)
    if not owners.wants_path(grant):
        reason = "the grant that it accompanied is over"
        return _item(PlanAction.REMOVE_RULE, PlanClass.COMPANION, rule, nsg, grant, reason)
    if _opens_more(rule, grant, observed, owners):
        reason = "the companion rule opens more than the firewall's own addresses need"
        return _item(PlanAction.CLOSE, PlanClass.ALTERED, rule, nsg, grant, reason)
    return None


def _check_ways(
    rule: SecurityRule, nsg: NsgView, observed: Observation, owners: RuleOwners
) -> PlanItem | None:
    """Return the item for a companion of a live grant by which others would come in."""
    grant = owners.grants.get(parse_companion_name(rule.name) or "")
    if grant is None or not owners.wants_path(grant) or not _belongs_to(rule, nsg, grant, owners):
        return None
    way = _find_way(grant, observed, owners)
    if way is None:
        return None
    return _item(PlanAction.REMOVE_RULE, PlanClass.COMPANION, rule, nsg, grant, way.explain())


def _belongs_to(rule: SecurityRule, nsg: NsgView, grant: Grant, owners: RuleOwners) -> bool:
    """Return True if the broker wrote *rule* for *grant*, by its record or by its form."""
    recorded = {arm_ids.key(item) for item in grant.footprint.companions}
    if arm_ids.key(_id_of(rule, nsg)) in recorded:
        return True
    return (
        has_asked_azure(grant)
        and rule.access is Access.ALLOW
        and rule.direction is Direction.INBOUND
        and rule.destination_ports == (PortRange(grant.port, grant.port),)
        and bool(rule.destinations)
        and _addresses(rule) <= set(owners.list_addresses(grant))
        and owners.may_stand_in(grant, nsg.id)
    )


def _find_way(
    grant: Grant, observed: Observation, owners: RuleOwners
) -> foreign_nat.ForeignWay | None:
    """Return a way by which others would come through a companion of *grant*."""
    view = observed.machines.get(grant.vm_key)
    if view is None:
        return None  # the grant closes, because its VM is gone
    return foreign_nat.find_foreign_way(grant, view, owners.list_asked(grant))


def _opens_more(
    rule: SecurityRule, grant: Grant, observed: Observation, owners: RuleOwners
) -> bool:
    view = observed.machines.get(grant.vm_key)
    if view is None:
        return False
    return companion_paths.opens_more(rule, grant, view, owners.list_addresses(grant))


def _addresses(rule: SecurityRule) -> set[str]:
    return set(name_addresses(rule.destinations))


def _id_of(rule: SecurityRule, nsg: NsgView) -> str:
    return rule.id or f"{nsg.id}/securityRules/{rule.name}"


def _item(
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
        grant=grant.id if grant is not None else parse_companion_name(rule.name),
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
        since=find_leftover_start(grant) if grant is not None else None,
    )
