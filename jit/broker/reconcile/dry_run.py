"""The dry run that an operator asks for: one at a time, once in 30 seconds, by all instances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jit.broker.look_pace import LOOK_PAUSE, LookPace
from jit.broker.reconcile.run import Reconciler
from jit.domain.errors import Conflict
from jit.domain.reconcile.plan_item import PlanItem
from jit.storage import keys

_TOO_SOON = f"another dry run runs, or ended less than {LOOK_PAUSE.seconds} seconds ago"


@dataclass(frozen=True, slots=True)
class DryRuns:
    """
    Makes dry runs. Each of them reads every subscription, ten calls of Azure for each.

    They have a row of their own. The claim of the comparisons stays free: an operator who repeats
    dry runs must not put off the removal of leftovers.
    """

    reconciler: Reconciler
    pace: LookPace

    def make(self, *, now: datetime) -> tuple[PlanItem, ...]:
        """
        Return the plan of a comparison of all subscriptions, without carrying it out.

        Raises:
            Conflict: A dry run is made just now, or was made less than 30 seconds ago.
            Unavailable: Storage could not be read.
        """
        first = self.reconciler.due_work.named[0]  # one row for all subscriptions stands there
        row = self.pace.begin(first, keys.PLAN).row
        if row is None:
            raise Conflict(_TOO_SOON)
        plan = self.reconciler.make_dry_run(now=now)
        self.pace.end(row)
        return plan
