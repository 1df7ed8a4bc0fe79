"""
Fresh looks at a whole subscription for callers, shared by all who need one.

If the inventory denies a request, or has never been filled, Azure is read into it. Callers of one
instance who come at the same time share one look; all instances together make one in 30 seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from jit.broker.look_pace import LOOK_PAUSE, LookPace
from jit.broker.single_flight import SingleFlight
from jit.domain.errors import Unavailable
from jit.domain.model.machine import VirtualMachine
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.inventory_store import InventoryStore

if TYPE_CHECKING:  # only denials need it, and its import slows the first request down
    from jit.observer.subscription import Observer

Machines = Mapping[str, VirtualMachine]
"""By the key of the VM's id."""

_LOOK_SECONDS = 5  # a look takes about a second
_PATIENCE_SECONDS = 5.0
"""Nobody waits longer for the look of another call: each one that waits holds a thread of HTTP."""

_RUNNING = "another call has just begun to look at the subscription"


class SharedLooks:
    """Brings the inventory of a subscription up to date, at a rate that no caller chooses."""

    def __init__(
        self,
        inventory: InventoryStore,
        pace: LookPace,
        observer: Callable[[], Observer],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """
        Begin without a look.

        Args:
            inventory: Gets what a look finds.
            pace: That of all instances.
            observer: Called when a look is made: most callers never need one.
            clock: Seconds; never goes back.
        """
        self._inventory = inventory
        self._pace = pace
        self._observer = observer
        self._clock = clock
        self._flights: dict[str, SingleFlight[datetime | None]] = {}
        self._left_out: dict[str, tuple[datetime, Machines]] = {}

    def renew(self, subscription: str, *, now: datetime) -> datetime | None:
        """
        Read a subscription from Azure into the inventory, unless that was done a moment ago.

        Args:
            subscription: Lower-case id of a subscription that the settings name.
            now: Aware, UTC.

        Returns:
            When the look began that this call made or shared; None if an earlier one was made in
            the last 30 seconds: the inventory has its result.

        Raises:
            Unavailable: Azure or storage did not answer, another instance looks just now, or the
                look of another call takes longer than 5 seconds.
            Refused: Azure does not show the subscription. A caller who shares the look gets
                ``Unavailable`` instead.
        """
        new = SingleFlight[datetime | None](patience=_PATIENCE_SECONDS, clock=self._clock)
        flight = self._flights.setdefault(subscription, new)
        return flight.get(lambda: self._look(subscription, now))

    def _look(self, subscription: str, now: datetime) -> datetime | None:
        start = self._pace.begin(subscription, keys.LOOK)
        if start.runs:
            raise Unavailable(_RUNNING, retry_after_seconds=_LOOK_SECONDS)
        if start.row is None:
            return None
        machines = self._observer().read_machines(subscription, now=now)
        left_out = set(self._inventory.write_machines(subscription, machines, complete=True))
        large = {arm_ids.key(vm.id): vm for vm in machines if vm.id in left_out}
        self._left_out[subscription] = now, large
        self._pace.end(start.row)
        return now

    def find_left_out(self, subscription: str, *, now: datetime) -> Machines:
        """
        Return, by key, the VMs that are too large for the inventory, as just read.

        Only the instance that looked knows them, as long as no other look may begin.
        """
        read_at, found = self._left_out.get(subscription, (now, {}))
        return found if now - read_at < LOOK_PAUSE else {}
