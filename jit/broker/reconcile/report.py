"""The report of a comparison: alerts by name, summaries, and each standing rule once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from jit import telemetry
from jit.broker.reconcile.comparison import Comparison
from jit.broker.reconcile.troubles import list_failed_updates
from jit.broker.reconcile.unseen_grants import alert_unverified, find_unseen
from jit.domain.grants.timing import OVERDUE
from jit.domain.reconcile.observation import Observation
from jit.domain.reconcile.plan_item import PlanAction, PlanClass, PlanItem
from jit.domain.values import arm_ids
from jit.storage.control_rows import MOST_REPORTED

MOST_ALERTS = 20
"""Rules that get an alert of their own in one run; one more alert counts the others."""

_NAMED = 5
_HASHED = 10  # characters of base32: 50 bits

_UNREAD_ADMIN = "-admin"  # sorts before every hash, so that a full row keeps it

_ONCE = {PlanClass.ORPHAN: "orphans.found", PlanClass.HELD_BY_OTHER: "leftovers.held"}
"""Kinds of rules that stand for days: reported when one is new, not every five minutes."""

_LEFTOVERS = frozenset({PlanClass.EXPIRED, PlanClass.COMPANION, PlanClass.HELD_BY_OTHER})
"""Kinds of rules of ours that let somebody in after the end."""


def report(
    items: Sequence[PlanItem], comparison: Comparison, reported: frozenset[str]
) -> frozenset[str]:
    """
    Report the plan of a comparison.

    Args:
        items: The plan.
        comparison: The comparison that it was made from.
        reported: Names of the standing rules that an earlier run reported.

    Returns:
        Names of all standing rules, for the next run.
    """
    altered = [i for i in items if i.kind is PlanClass.ALTERED and not i.is_decided_later]
    overdue = [item for item in items if _is_overdue(item, comparison.now)]
    vanished = _alert_vanished(items, comparison, reported)
    _alert_each("rule.altered", altered, comparison)
    _alert_each("rule.overdue", overdue, comparison)
    unseen = find_unseen(comparison, {item.grant for item in items})
    unverified = alert_unverified(unseen, comparison, reported)
    standing = [item for item in items if item.kind in _ONCE]
    _report_new(standing, comparison, reported)
    stuck = _alert_stuck(comparison, reported)
    missing = [item.resource for item in items if item.kind is PlanClass.MISSING]
    if missing:
        _summarize("paths.missed", missing, comparison)
    counts = Counter(item.kind.value for item in items)
    telemetry.event("reconcile.finished", subscription=comparison.subscription, **counts)
    return frozenset(_name(item) for item in standing) | stuck | unverified | vanished


def report_unread_admin(
    observed: Observation, subscription: str, reported: frozenset[str]
) -> frozenset[str]:
    """
    Warn once that the broker may not read the security admin rules of a subscription.

    Returns:
        The name to remember while that stands; empty if it does not.
    """
    unread = [rules.unread for rules in observed.admin.by_network.values() if rules.forbidden]
    if not unread:
        return frozenset()
    if _UNREAD_ADMIN not in reported:
        telemetry.alert(
            "admin_rules.unreadable",
            subscription=subscription,
            count=len(unread),
            examples=unread[:_NAMED],
        )
    return frozenset({_UNREAD_ADMIN})


def _alert_each(event: str, items: Sequence[PlanItem], comparison: Comparison) -> None:
    for item in items[:MOST_ALERTS]:
        telemetry.alert(event, resource_id=item.resource, rule=item.rule, grant_id=item.grant)
    if len(items) > MOST_ALERTS:
        more = len(items) - MOST_ALERTS
        telemetry.alert(event, subscription=comparison.subscription, more=more)


def _alert_vanished(
    items: Iterable[PlanItem], comparison: Comparison, reported: frozenset[str]
) -> frozenset[str]:
    """Alert once for each VM that counts as deleted while grants want a path to it."""
    grants: dict[str, list[PlanItem]] = {}
    for item in items:
        key = arm_ids.key(item.resource)
        is_known = key in comparison.observed.machines or item.rule is not None
        if item.action is PlanAction.CLOSE and not is_known:
            grants.setdefault(_hash(f"vm.vanished|{key}"), []).append(item)
    new = [found for name, found in grants.items() if not _is_reported(name, reported)]
    for found in new[:MOST_ALERTS]:
        ids = [item.grant for item in found[:_NAMED]]
        vm_id = found[0].resource
        telemetry.alert("vm.vanished", resource_id=vm_id, count=len(found), grants=ids)
    if len(new) > MOST_ALERTS:
        more = len(new) - MOST_ALERTS
        telemetry.alert("vm.vanished", subscription=comparison.subscription, more=more)
    return frozenset(grants)


def _report_new(
    standing: Iterable[PlanItem], comparison: Comparison, reported: frozenset[str]
) -> None:
    """Log a summary for a kind only if it has at least one new rule."""
    kinds: dict[PlanClass, list[tuple[bool, str]]] = {}
    for item in standing:
        is_known = _is_reported(_name(item), reported)
        kinds.setdefault(item.kind, []).append((is_known, f"{item.resource}/{item.rule}"))
    for kind, found in kinds.items():
        new = [title for is_known, title in found if not is_known]
        if new:
            _summarize(_ONCE[kind], new, comparison, total=len(found))


def _is_reported(name: str, reported: frozenset[str]) -> bool:
    """Return True if an earlier run reported the thing of that name."""
    # A row holds the first names alone. Those behind the last of them were reported, too.
    return name in reported or (len(reported) >= MOST_REPORTED and name > max(reported))


def _alert_stuck(comparison: Comparison, reported: frozenset[str]) -> frozenset[str]:
    """Alert once for each NSG or firewall of a JIT machine whose last update failed."""
    found = {_hash(f"update.failed|{id_}"): id_ for id_ in list_failed_updates(comparison)}
    for name, resource_id in found.items():
        if not _is_reported(name, reported):
            telemetry.alert("update.failed", resource_id=resource_id)
    return frozenset(found)


def _summarize(event: str, titles: Sequence[str], comparison: Comparison, **more: int) -> None:
    fields = {"count": len(titles), "examples": titles[:_NAMED], **more}
    telemetry.warning(event, subscription=comparison.subscription, **fields)


def _is_overdue(item: PlanItem, now: datetime) -> bool:
    """Return True if a rule of ours lets somebody in long after its removal was due."""
    return item.kind in _LEFTOVERS and item.since is not None and now >= item.since + OVERDUE


def _name(item: PlanItem) -> str:
    """Return a short name of a standing rule, the same in each run."""
    return _hash(f"{item.kind.value}|{item.resource}|{item.rule}")


def _hash(text: str) -> str:
    return arm_ids.row_hash(text)[:_HASHED]
