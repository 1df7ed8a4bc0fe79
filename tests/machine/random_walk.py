"""A run that is checked after every event in Azure, even if its effect is short."""

from __future__ import annotations

from datetime import datetime

from tests.crash.scenario_run import ScenarioRun


class RandomWalk(ScenarioRun):
    """A run for random walks."""

    def _move(self, when: datetime) -> None:
        events = self.parts.sim.azure.world.timeline._events
        while events and self.now < events[0][0] < when:
            super()._move(events[0][0])
        super()._move(when)
