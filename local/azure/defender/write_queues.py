"""
Defender's writes to network resources: one queue for each resource.

Source:
    Concurrent writes to one NSG or firewall are refused (Azure/azure-sdk-for-python#556,
    hashicorp/terraform-provider-azurerm#15440); that Defender waits instead of
    failing is an assumption, as is one write per request.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from local.azure.arm.operations import Operations
from local.azure.arm.store import Store
from local.azure.control.faults import Faults, Subject
from local.azure.options import Options
from local.azure.values import ids
from local.azure.values.http import Json

PRINCIPAL = "defender"
Change = Callable[[Json], bool]


def _do_nothing() -> None:
    return None


@dataclass(slots=True)
class _Write:
    change: Change
    done: Callable[[], None]


@dataclass
class WriteQueues:
    """
    Queues of writes by resource.

    A change gets the resource as it is when its turn comes, alters it in place, and
    returns True if it did.
    """

    store: Store
    operations: Operations
    options: Options
    faults: Faults
    _queues: defaultdict[str, deque[_Write]] = field(default_factory=lambda: defaultdict(deque))

    def submit(self, target: str, change: Change, done: Callable[[], None] = _do_nothing) -> None:
        """Have *change* applied to the resource *target*; *done* follows its success."""
        self._queues[ids.key(target)].append(_Write(change, done))
        self.start_next(target)

    def start_next(self, target: str) -> None:
        """Do the next write to *target* if it is free; called whenever it may have become so."""
        queue = self._queues[ids.key(target)]
        while queue and self.operations.find_running(target) is None:
            write = queue.popleft()
            resource = self.store.get(target)
            if resource is not None and write.change(resource):
                self._begin(resource, write)

    def apply_now(self, target: str, change: Change) -> None:
        """Apply *change* without waiting, effective at once, for a new landscape."""
        resource = self.store.get(target)
        if resource is not None and change(resource):
            self.store.put(resource)

    def _begin(self, resource: Json, write: _Write) -> None:
        firewall = resource["type"].lower() == ids.FIREWALLS.lower()
        seconds = self.options.firewall_seconds if firewall else self.options.nsg_seconds
        subject = Subject("PUT", resource["id"], principal=PRINCIPAL)
        effects = self.faults.strike_defender(subject)
        self.operations.begin(resource, "JitOperation", seconds, effects=effects, done=write.done)


def combine_changes(steps: list[Change]) -> Change:
    """Return the change that makes all *steps* in one write."""

    def change(resource: Json) -> bool:
        made = [step(resource) for step in steps]
        return any(made)

    return change


def plan_removal(names: set[str]) -> Change:
    """Return the change that takes the rules of those *names* out of an NSG."""

    def change(group: Json) -> bool:
        rules = group["properties"]["securityRules"]
        left = [each for each in rules if each["name"] not in names]
        group["properties"]["securityRules"] = left
        return len(left) < len(rules)

    return change
