"""The comparison of companion rules, the broker's own, with the grants that they are for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from jit.domain.azure.companion_rule import is_shared_owner, parse_companion_name
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
    Yield the items for each companion rule that is not as its grants say.

    A rule that is being written says nothing yet. If others would come through it, it goes at once.
    """
    for nsg, rule, owner in _list_companions(observed):
        settled = nsg.settled and rule.in_force
        found = _Found(rule, nsg, tuple(owners.list_accompanied(owner)))
        items = [*_check(found, observed, owners)] if settled else []
        yield from items or _check_ways(found, observed, owners)


def find_unknown_companions(observed: Observation, known: Iterable[Grant]) -> tuple[str, ...]:
    """
    Return the grant ids in names of companion rules that no grant of *known* has.

    Only older companions name a grant. The grants of a VM port are all known, or it has none.
    """
    names = {grant.id for grant in known}
    ids = (owner for _, _, owner in _list_companions(observed) if not is_shared_owner(owner))
    return tuple(dict.fromkeys(item for item in ids if item not in names))


def list_companion_owners(observed: Observation) -> frozenset[str]:
    """Return the owners in the names of all companion rules."""
    return frozenset(owner for _, _, owner in _list_companions(observed))


def list_cut(items: Iterable[PlanItem], owners: RuleOwners) -> set[str]:
    """Return the ids of the grants that lose a companion by *items*."""
    names = (item.rule or "" for item in items if item.kind is PlanClass.COMPANION)
    found = (owners.list_accompanied(parse_companion_name(name) or "") for name in names)
    return {grant.id for grants in found for grant in grants}


def _list_companions(observed: Observation) -> Iterator[tuple[NsgView, SecurityRule, str]]:
    """Yield each companion with its NSG and its owner."""
    for nsg in observed.nsgs.values():
        for rule in nsg.rules:
            if (owner := parse_companion_name(rule.name)) is not None:
                yield nsg, rule, owner


class _Found(NamedTuple):
    """A companion rule, its NSG, and the grants that its name stands for."""

    rule: SecurityRule
    nsg: NsgView
    grants: tuple[Grant, ...]


def _check(found: _Found, observed: Observation, owners: RuleOwners) -> Iterator[PlanItem]:
    rule, nsg, named = found
    own = [grant for grant in named if _belongs_to(rule, nsg, grant, owners)]
    wanting = [grant for grant in named if owners.wants_path(grant)]
    if not named:
        reason = "no known grant has it"
        yield _item(PlanAction.REPORT, PlanClass.ORPHAN, rule, nsg, None, reason)
    elif not own:
        reason = "it names a grant that it does not belong to"
        yield _item(PlanAction.REPORT, PlanClass.ORPHAN, rule, nsg, named[0], reason)
    elif not wanting:
        reason = "the grants that it accompanied are over"
        last = _find_last(own)
        yield _item(PlanAction.REMOVE_RULE, PlanClass.COMPANION, rule, nsg, last, reason)
    addresses = {address for grant in named for address in owners.list_addresses(grant)}
    for grant in filter(owners.wants_path, own):
        view = observed.machines.get(grant.vm_key)
        if view is not None and companion_paths.opens_more(rule, grant, view, addresses):
            reason = "the companion rule opens more than the firewall's own addresses need"
            yield _item(PlanAction.CLOSE, PlanClass.ALTERED, rule, nsg, grant, reason)


def _find_last(grants: Sequence[Grant]) -> Grant:
    """Return the grant that removes a companion of *grants*: one that lives, else the newest."""
    return max(grants, key=lambda each: (each.live, each.closing_at or each.latest_end, each.id))


def _check_ways(found: _Found, observed: Observation, owners: RuleOwners) -> Iterator[PlanItem]:
    """Yield the item for a companion of live grants by which others would come in."""
    rule, nsg, named = found
    for grant in named:
        if owners.wants_path(grant) and _belongs_to(rule, nsg, grant, owners):
            way = _find_way(grant, observed, owners)
            if way is not None:
                why = way.explain()
                yield _item(PlanAction.REMOVE_RULE, PlanClass.COMPANION, rule, nsg, grant, why)
                return


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


def _addresses(rule: SecurityRule) -> set[str]:
    return set(name_addresses(rule.destinations))


def _id_of(rule: SecurityRule, nsg: NsgView) -> str:
    return rule.id or f"{nsg.id}/securityRules/{rule.name}"


def _read_grant_id(name: str) -> str | None:
    """Return the grant in the name of an older companion; None if a VM port is its owner."""
    owner = parse_companion_name(name)
    return None if owner is None or is_shared_owner(owner) else owner


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
        grant=grant.id if grant is not None else _read_grant_id(rule.name),
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
