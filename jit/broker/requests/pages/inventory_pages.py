"""Pages of the inventory, which is read from Azure if no comparison has filled it yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jit.broker.shared_looks import SharedLooks
from jit.domain.model.machine import VirtualMachine
from jit.storage.inventory_store import InventoryStore
from jit.storage.lists.query_budget import QueryBudget
from jit.storage.subscription_rows import SubscriptionRows


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryPages:
    """
    The virtual machines of one subscription, a page at a time.

    Attributes:
        looks: Only an inventory that was never filled needs one.
        reserve: Storage calls that are left for the caller if there are more machines.
    """

    inventory: InventoryStore
    subscriptions: SubscriptionRows
    looks: SharedLooks
    reserve: int

    def read(
        self, subscription: str, now: datetime, after: str, most: int, budget: QueryBudget
    ) -> tuple[Sequence[VirtualMachine], datetime | None, str | None]:
        """
        Return the next machines, the time of a look at Azure for them, and the place of the others.

        A new system has none before its first comparison, and reads them from Azure. After that
        comparison no list reads Azure: a subscription may have no VMs.

        Args:
            subscription: One that the settings name.
            now: Aware, UTC.
            after: The hash in the row key behind which the machines begin; empty at the beginning.
            most: How many, at most.
            budget: At least one query is made.
        """
        known, reached = self.read_known(subscription, after, most, budget)
        if known or after or reached is not None:
            return known, None, reached
        row = self.subscriptions.get(subscription)
        budget.left -= 1
        if row is not None and row.compared_at is not None:
            return (), None, None
        if budget.left <= self.reserve:
            return (), None, after  # the next page begins with this subscription
        looked_at = self.looks.renew(subscription, now=now)
        known, reached = self.read_known(subscription, after, most, budget)
        return known, looked_at, reached

    def find(self, vm_id: str, budget: QueryBudget) -> VirtualMachine | None:
        """Return one machine of the inventory; None if it is not there."""
        budget.left -= 1
        return self.inventory.find_machine(vm_id)

    def read_known(
        self, subscription: str, after: str, most: int, budget: QueryBudget
    ) -> tuple[Sequence[VirtualMachine], str | None]:
        """Return the next machines of the inventory, and the place of the others."""
        return self.inventory.read_page(
            subscription, after=after, most=most, budget=budget, reserve=self.reserve
        )
