"""
The person who follows the runbooks: whose update in Azure failed for good is repeated by hand.

The broker neither calls a path open nor gone while a firewall's last update has failed, and does
not write it: docs/operations.md says what to do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from local.azure.values import ids
from tests.local.azure.sim import Sim

PATIENCE = timedelta(minutes=45)
"""How long a failed update stands before somebody comes to repeat it: an alert is out by then."""

_KINDS = {ids.SECURITY_GROUPS, ids.FIREWALLS}


class Operator:
    """Comes by now and then."""

    def __init__(self, sim: Sim) -> None:
        """Look after the NSGs, the firewalls of *sim*."""
        self._sim = sim
        self._since: dict[str, datetime] = {}

    def come_by(self) -> None:
        """Repeat each update that has stood failed for too long."""
        failed = self._failed()
        self._since = {key: self._since.get(key, self._sim.now) for key in failed}
        for key, since in self._since.items():
            if self._sim.now >= since + PATIENCE:
                body = self._sim.call("GET", key, as_="petra").json()
                self._sim.call("PUT", key, body, as_="petra")

    def _failed(self) -> list[str]:
        """Return the ids of what is neither as it was nor as it should be."""
        return [
            resource["id"]
            for resource in self._sim.azure.world.store.all()
            if resource["type"] in _KINDS
            and resource["properties"]["provisioningState"] == "Failed"
        ]
