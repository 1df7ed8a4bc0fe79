"""
The person who follows the runbooks: if an update in Azure failed for good, they repeat it.

If the last update of a firewall has failed, the broker calls a path through it neither open nor
gone, and does not write the firewall. The operations guide describes the steps.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from local.azure.values import ids
from tests.local.azure.sim import Sim

PATIENCE = timedelta(minutes=45)
"""How long an update stays failed before the operator repeats it. An alert is out by then."""

_KINDS = {ids.SECURITY_GROUPS, ids.FIREWALLS}


class Operator:
    """The operator of one subscription."""

    def __init__(self, sim: Sim) -> None:
        """Look after the NSGs and the firewalls of *sim*."""
        self._sim = sim
        self._since: dict[str, datetime] = {}

    def repeat_failed_updates(self) -> None:
        """Repeat each update that has been failed for longer than ``PATIENCE``."""
        failed = self._failed()
        self._since = {key: self._since.get(key, self._sim.now) for key in failed}
        for key, since in self._since.items():
            if self._sim.now >= since + PATIENCE:
                body = self._sim.call("GET", key, as_="petra").json()
                self._sim.call("PUT", key, body, as_="petra")

    def _failed(self) -> list[str]:
        """Return the ids of the resources whose last update failed."""
        return [
            resource["id"]
            for resource in self._sim.azure.world.store.all()
            if resource["type"] in _KINDS
            and resource["properties"]["provisioningState"] == "Failed"
        ]
