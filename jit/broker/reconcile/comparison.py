"""What one comparison of a subscription works with: what was observed, and all its grants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from jit.domain.model.grant import Grant
from jit.domain.reconcile.observation import Observation
from jit.domain.reconcile.plan import make_plan, unknown_companions
from jit.domain.reconcile.plan_item import PlanItem
from jit.storage.store import Store
from jit.storage.stored import GrantRow, TombstoneRow

_LOOKED_UP = 20  # companions of grants that only history knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    Rules observed first, grants read second.

    Attributes:
        rows: Grants of unfinished requests.
        tombstones: Grants closed in the last days.
        finished: Older ones that a companion rule still names.
        remove_orphans: Whether rules that no grant accounts for may be removed.
    """

    subscription: str
    now: datetime
    observed: Observation
    rows: tuple[GrantRow, ...]
    tombstones: tuple[TombstoneRow, ...]
    finished: tuple[Grant, ...]
    remove_orphans: bool

    @property
    def grants(self) -> tuple[Grant, ...]:
        """Grants of unfinished requests; some of them may be closed already."""
        return tuple(grant for held in self.rows for grant in held.grants)

    @property
    def buried(self) -> tuple[Grant, ...]:
        """Grants of finished requests."""
        return (*(grant for held in self.tombstones for grant in held.grants), *self.finished)

    @property
    def live(self) -> frozenset[str]:
        """Ids of the grants that a worker still looks after."""
        return frozenset(grant.id for grant in self.grants if grant.live)

    @property
    def holder(self) -> str:
        """The name under which this comparison takes turns on firewalls."""
        return f"/subscriptions/{self.subscription}"

    @property
    def due(self) -> list[str]:
        """Policies that have something due, message or not."""
        return [held.policy_id for held in self.rows if held.due_at <= self.now]

    def plan(self) -> tuple[PlanItem, ...]:
        """Return what to do about it."""
        return make_plan(
            self.observed,
            self.grants,
            self.buried,
            now=self.now,
            remove_orphans=self.remove_orphans,
        )


def compare(
    store: Store, subscription: str, observed: Observation, *, now: datetime, remove_orphans: bool
) -> Comparison:
    """Read the grants of a subscription; *observed* was read before."""
    rows = store.grants(subscription, "g")
    tombstones = store.tombstones(subscription, "t")
    known = [grant for held in (*rows, *tombstones) for grant in held.grants]
    unknown = unknown_companions(observed, known)
    return Comparison(
        subscription=subscription,
        now=now,
        observed=observed,
        rows=rows,
        tombstones=tombstones,
        finished=tuple(_finished(store, unknown[:_LOOKED_UP])),
        remove_orphans=remove_orphans,
    )


def _finished(store: Store, grant_ids: tuple[str, ...]) -> Iterator[Grant]:
    """Yield the grants that history knows, but for which no tombstone stands any more."""
    for grant_id in grant_ids:
        whole = store.load(grant_id.rsplit("-", 2)[0])
        grants = whole.grants if whole is not None else ()
        yield from (grant for grant in grants if grant.id == grant_id and not grant.live)
