"""
Reads of Azure resources by id: in parallel, several of one kind in one group as a single list.

A list costs the identity one call of its quota of reads, where reading one by one costs a call
each: 250 at once, then 25 a second
(https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from jit.domain.azure.arm_json import Resource
from jit.domain.errors import Gone, PermissionLost, Refused, Unavailable
from jit.domain.values import arm_ids
from jit.interfaces import Arm, Network

COMPUTE = "2024-07-01"
NETWORK = "2024-05-01"
_FEW = 3  # of one kind in one resource group; more are read as a list
_WORKERS = 10  # as many as the connections that a client keeps

_KINDS = {
    "virtualmachines": ("machines", COMPUTE),
    "networkinterfaces": ("interfaces", NETWORK),
    "virtualnetworks": ("networks", NETWORK),
    "publicipaddresses": ("public_ips", NETWORK),
    "networksecuritygroups": ("nsgs", NETWORK),
    "azurefirewalls": ("firewalls", NETWORK),
}
_VERSIONS = dict(_KINDS.values())

T = TypeVar("T")
R = TypeVar("R")

Outcome = Resource | str | None
"""A resource, why it could not be read, or None if there is none."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one look has read so far, by kind; by key, why something could not be read."""

    found: dict[str, dict[str, Resource]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def kind(self, name: str) -> Sequence[Resource]:
        """Return the resources of a kind."""
        return tuple(self.found.get(name, {}).values())

    def has(self, resource_id: str) -> bool:
        """Tell whether a resource was read, or could not be."""
        key = arm_ids.key(resource_id)
        return key in self.failed or any(key in group for group in self.found.values())

    def note(self, outcomes: Mapping[str, Outcome]) -> None:
        """Keep what became of some reads, by id."""
        for resource_id, outcome in outcomes.items():
            key = arm_ids.key(resource_id)
            if outcome is None:
                self.gone.add(key)
                self.failed[key] = f"{arm_ids.name(resource_id)} does not exist any more"
            elif isinstance(outcome, str):
                self.failed[key] = outcome
            else:
                self.found.setdefault(kind(resource_id), {})[key] = outcome


class Reader:
    """Reads resources of the kinds that a path rests on."""

    def __init__(self, arm: Arm, network: Callable[[], Network]) -> None:
        """*network* builds its client when first called: its SDK is slow."""
        self._arm = arm
        self._network = network

    def round(self, ids: Iterable[str], read: Read) -> None:
        """Read all of *ids* at once into *read*; none of them fails the others."""
        lists, single = _gathered({arm_ids.key(item): item for item in ids}.values())
        acts: list[Callable[[], Mapping[str, Outcome]]] = [
            *(partial(self._listed, group) for group in lists),
            *(partial(self._single, item) for item in single),
        ]
        for outcomes in parallel(lambda act: act(), acts):
            read.note(outcomes)
        unlisted = [item for group in lists for item in group if not read.has(item)]
        for outcomes in parallel(self._single, unlisted):
            read.note(outcomes)

    def _listed(self, ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return those of *ids*, all of one kind in one group, that their list holds."""
        collection = ids[0].rsplit("/", 1)[0]
        try:
            items = self._arm.list(collection, _VERSIONS[kind(ids[0])])
        except (Gone, PermissionLost):
            return {}  # one by one tells what exactly is missing
        except (Unavailable, Refused):
            return {item: f"{arm_ids.name(item)} could not be read" for item in ids}
        by_key = {arm_ids.key(str(item.get("id"))): item for item in items}
        return {item: by_key[arm_ids.key(item)] for item in ids if arm_ids.key(item) in by_key}

    def _single(self, resource_id: str) -> Mapping[str, Outcome]:
        name = arm_ids.name(resource_id)
        try:
            return {resource_id: self._get(resource_id)}
        except Gone:
            return {resource_id: None}
        except PermissionLost:
            why = f"the broker may not read {name}; see docs/operations.md on its role"
            return {resource_id: why}
        except (Unavailable, Refused):
            return {resource_id: f"{name} could not be read"}

    def _get(self, resource_id: str) -> Resource:
        name = kind(resource_id)
        if name == "nsgs":
            return self._network().nsg(resource_id)
        if name == "firewalls":
            return self._network().firewall(resource_id)
        return self._arm.get(resource_id, _VERSIONS[name])


def _gathered(ids: Iterable[str]) -> tuple[list[list[str]], list[str]]:
    """Split *ids* into groups to be read as lists, and those to be read one by one."""
    groups: dict[str, list[str]] = {}
    for item in ids:
        groups.setdefault(arm_ids.key(item).rsplit("/", 1)[0], []).append(item)
    lists = [group for group in groups.values() if len(group) > _FEW and _listable(group[0])]
    single = [item for group in groups.values() if group not in lists for item in group]
    return lists, single


def _listable(resource_id: str) -> bool:
    """NSGs and firewalls are few, and read with the client that also changes them."""
    return kind(resource_id) not in {"nsgs", "firewalls"}


def kind(resource_id: str) -> str:
    """Return the kind of an id, as ``topology.Snapshot`` names it."""
    return _KINDS[resource_id.rsplit("/", 2)[-2].lower()][0]


def parallel(act: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return *act* of each item, in order, done side by side."""
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=min(_WORKERS, len(items))) as pool:
        return list(pool.map(act, items))
