"""
Rules of a live grant that open nothing but what another rule of it opens already.

They stay after a hand-over that Azure did not tidy up, or were copied by somebody. The contract has
no class of its own for them: each is a leftover (``expired``) that is reported, because it goes
with the grant, and because removing the wrong one of two would cut a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from jit.domain.azure.firewall import NatRule
from jit.domain.model.grant import Grant
from jit.domain.paths.rules import readable
from jit.domain.reconcile.observation import FoundRule
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.domain.reconcile.rule_owners import RuleOwners
from jit.domain.values import arm_ids, prefixes

_Door = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def items(rules: Iterable[FoundRule], book: RuleOwners) -> Iterator[PlanItem]:
    """Yield a report for each of *rules* that another one makes superfluous."""
    doors: dict[_Door, list[FoundRule]] = {}
    for rule in rules:
        if rule.settled and rule.path.exact:
            doors.setdefault(_door(rule), []).append(rule)
    for group in doors.values():
        if len(group) > 1:
            yield from _superfluous(group, book)


def _superfluous(group: Sequence[FoundRule], book: RuleOwners) -> Iterator[PlanItem]:
    """Yield an item for each rule that an earlier, or a wider, one covers."""
    kept: list[FoundRule] = []
    for rule in sorted(group, key=_widest_first):
        grant = next((g for g in book.judge(rule).owners if book.wants_path(g)), None)
        other = next((found for found in kept if _covers(found, rule)), None)
        if grant is not None and other is not None:
            yield _item(rule, other, grant)
        else:
            kept.append(rule)


def _door(rule: FoundRule) -> _Door:
    """Return what must be equal for two rules to open the same thing."""
    holder, targets = arm_ids.key(rule.path.holder_id), tuple(sorted(rule.addresses))
    if isinstance(rule.raw, NatRule):
        return holder, targets, (rule.raw.translated_port,), rule.raw.destinations
    return holder, targets, tuple(str(ports) for ports in rule.raw.ports), (rule.raw.protocol,)


def _widest_first(rule: FoundRule) -> tuple[int, str]:
    return -sum(prefix.num_addresses for prefix in readable(rule.path.sources)), rule.path.id


def _covers(wide: FoundRule, rule: FoundRule) -> bool:
    found = readable(rule.path.sources)
    return 0 < len(found) == len(rule.path.sources) and all(
        prefixes.covered(source, wide.path.sources) for source in found
    )


def _item(rule: FoundRule, other: FoundRule, grant: Grant) -> PlanItem:
    return PlanItem(
        action=PlanAction.REPORT,
        kind=PlanClass.EXPIRED,
        resource=rule.path.holder_id,
        rule=rule.title,
        grant=grant.id,
        reason=f"rule {other.title} opens already what it opens; both go when the grant ends",
        policy_id=grant.policy_id,
        path=rule.path,
    )
