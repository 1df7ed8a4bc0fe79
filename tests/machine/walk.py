"""A life that is looked at after every event in Azure, however short-lived what it brought."""

from __future__ import annotations

from datetime import datetime

from tests.crash.life import Life


class Walk(Life):
    """A life for random walks."""

    def _move(self, when: datetime) -> None:
        events = self.plant.sim.azure.world.timeline._events
        while events and self.now < events[0][0] < when:
            super()._move(events[0][0])
        super()._move(when)
