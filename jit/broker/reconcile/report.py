"""What a comparison tells people: alerts by name, summaries of the rest, a standing thing once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from jit import telemetry
from jit.broker.reconcile.comparison import Comparison
from jit.domain.grants.lifetime import leftover_since
from jit.domain.grants.timing import OVERDUE
from jit.domain.model.grant import Grant, Status
from jit.domain.reconcile.plan_item import PlanClass, PlanItem
from jit.domain.values import arm_ids
from jit.storage.control_rows import MOST_REPORTED

ALERTS = 20
"""Rules that get an alert of their own in one run; the others are counted in one more."""

_NAMED = 5
_HASHED = 10  # characters of base32: 50 bits

_ONCE = {PlanClass.ORPHAN: "orphans.found", PlanClass.HELD_BY_OTHER: "leftovers.held"}
"""What stands for days: told when it is new, not every five minutes."""


def say(items: Sequence[PlanItem], comparison: Comparison, told: frozenset[str]) -> frozenset[str]:
    """
    Tell what was found.

    Args:
        items: The plan.
        comparison: What it was made from.
        told: Names of the standing things that an earlier run told.

    Returns:
        Names of all standing things, for the next run.
    """
    altered = [item for item in items if item.kind is PlanClass.ALTERED]
    overdue = [item for item in items if _overdue(item, comparison.now)]
    _alert("rule.altered", altered, comparison)
    _alert("rule.overdue", overdue, comparison)
    _alert_stuck(comparison, {item.grant for item in items})
    standing = [item for item in items if item.kind in _ONCE]
    _say_new(standing, comparison, told)
    missed = [item.resource for item in items if item.kind is PlanClass.MISSING]
    if missed:
        _summary("paths.missed", missed, comparison)
    counts = Counter(item.kind.value for item in items)
    telemetry.event("reconcile.finished", subscription=comparison.subscription, **counts)
    return frozenset(_name(item) for item in standing)


def _alert(name: str, items: Sequence[PlanItem], comparison: Comparison) -> None:
    for item in items[:ALERTS]:
        telemetry.alert(name, resource_id=item.resource, rule=item.rule, grant_id=item.grant)
    if len(items) > ALERTS:
        more = len(items) - ALERTS
        telemetry.alert(name, subscription=comparison.subscription, more=more)


def _alert_stuck(comparison: Comparison, named: set[str | None]) -> None:
    """Raise one alert for the grants that cannot be observed gone, and of which no rule is seen."""
    stuck = [g for g in comparison.grants if _stuck(g, comparison.now) and g.id not in named]
    if stuck:
        telemetry.alert(
            "grants.unverified",
            subscription=comparison.subscription,
            count=len(stuck),
            grants=[grant.id for grant in stuck[:_NAMED]],
            reasons=sorted({grant.note or "" for grant in stuck})[:_NAMED],
        )


def _stuck(grant: Grant, now: datetime) -> bool:
    since = leftover_since(grant) if grant.status is Status.CLOSING else None
    return since is not None and now >= since + OVERDUE


def _say_new(standing: Iterable[PlanItem], comparison: Comparison, told: frozenset[str]) -> None:
    """Tell of a kind all over again only where one of it is new."""
    last = (
        max(told) if len(told) >= MOST_REPORTED else None
    )  # of more than that, the first are remembered
    kinds: dict[PlanClass, list[tuple[bool, str]]] = {}
    for item in standing:
        known = _name(item) in told or (last is not None and _name(item) > last)
        kinds.setdefault(item.kind, []).append((known, f"{item.resource}/{item.rule}"))
    for kind, found in kinds.items():
        new = [title for known, title in found if not known]
        if new:
            _summary(_ONCE[kind], new, comparison, total=len(found))


def _summary(name: str, titles: Sequence[str], comparison: Comparison, **more: int) -> None:
    fields: Mapping[str, object] = {"count": len(titles), "examples": titles[:_NAMED], **more}
    telemetry.warning(name, subscription=comparison.subscription, **fields)


def _overdue(item: PlanItem, now: datetime) -> bool:
    """Whether a rule stands long after it should have been gone, on nobody else's account."""
    ours = item.kind in {PlanClass.EXPIRED, PlanClass.COMPANION}
    return ours and item.since is not None and now >= item.since + OVERDUE


def _name(item: PlanItem) -> str:
    """Return a short name of a standing thing, the same in each run."""
    return arm_ids.row_hash(f"{item.kind.value}|{item.resource}|{item.rule}")[:_HASHED]
