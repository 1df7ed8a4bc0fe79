"""Updates of the walled landscape's firewall, counted while the clock moves."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.stack import landscapes
from bench.stack.simulator import Simulator


@dataclass
class Updates:
    """
    Counts the firewall's updates by looking more often than they last.

    Each update shows an etag of its own from its beginning to its end.
    """

    simulator: Simulator
    seen: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Note the update that is running, if one is."""
        firewall = self.simulator.call("GET", "state")["resources"][landscapes.FIREWALL]
        if firewall["properties"]["provisioningState"] == "Updating":
            self.seen.add(firewall["etag"])
