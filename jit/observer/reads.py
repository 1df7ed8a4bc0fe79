"""
Reads of Azure resources by id: in parallel, and several of one kind in one group as a list.

The identity has a quota of reads: 250 at once, then 25 a second
(https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling).
A list costs one call of it; single reads cost one call each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from jit.api_versions import COMPUTE, NETWORK
from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.errors import (
    BrokerError,
    Gone,
    PermissionLost,
    Refused,
    Unavailable,
    VersionRefused,
)
from jit.domain.model.admin_reading import AdminReading
from jit.domain.network_manager.security_admin_rules import NOTHING_KNOWN, KnownAdminRules
from jit.domain.values import arm_ids
from jit.interfaces import Arm, Network
from jit.observer.admin_readings import read_admin_rules

_FEW = 3  # if there are more of one kind in one resource group, they are read as a list
_WORKERS = 10  # as many as the connections that a client keeps

_KINDS = {
    "virtualmachines": ("machines", COMPUTE),
    "networkinterfaces": ("interfaces", NETWORK),
    "virtualnetworks": ("networks", NETWORK),
    "publicipaddresses": ("public_ips", NETWORK),
    "networksecuritygroups": ("nsgs", NETWORK),
    "azurefirewalls": ("firewalls", NETWORK),
    "bastionhosts": ("bastions", NETWORK),
}
_VERSIONS = dict(_KINDS.values())

T = TypeVar("T")
R = TypeVar("R")

Outcome = Resource | str | None
"""A resource, why it could not be read, or None if there is none."""

OpenPool = Callable[[int], Executor]
"""Opens a pool that runs that many reads at once."""


@dataclass(frozen=True, slots=True)
class Read:
    """
    The results of all reads of one observation.

    Attributes:
        found: Kind → key → resource.
        failed: Key → why the resource could not be read.
        gone: Keys of resources for which Azure answered 404; they are in *failed* too.
        absent: Those of *gone* that do not exist any more: 404 alone does not prove it.
        admin: The security admin rules of the networks.
    """

    found: dict[str, dict[str, Resource]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    admin: KnownAdminRules = NOTHING_KNOWN

    def list_resources(self, kind: str) -> Sequence[Resource]:
        """Return the resources of a kind."""
        return tuple(self.found.get(kind, {}).values())

    def has(self, resource_id: str) -> bool:
        """Return True if a read of the resource was tried, with or without success."""
        key = arm_ids.key(resource_id)
        return key in self.failed or any(key in group for group in self.found.values())

    def add(self, outcomes: Mapping[str, Outcome]) -> None:
        """Add the outcomes of some reads, by id."""
        for resource_id, outcome in outcomes.items():
            key = arm_ids.key(resource_id)
            if outcome is None:
                self.gone.add(key)
                self.failed[key] = f"{arm_ids.name(resource_id)} was not found"
            elif isinstance(outcome, str):
                self.failed[key] = outcome
            else:
                self.found.setdefault(kind_of(resource_id), {})[key] = outcome


class Reader:
    """Reads resources of the kinds that a path depends on."""

    def __init__(
        self, arm: Arm, network: Callable[[], Network], open_pool: OpenPool = ThreadPoolExecutor
    ) -> None:
        """Keep *network* until a read needs it: it loads an SDK, which is slow."""
        self.open_pool = open_pool
        self._arm = arm
        self._network = network

    def read_all(self, ids: Iterable[str], read: Read) -> None:
        """Read all of *ids* in parallel into *read*; if one fails, the others still count."""
        lists, single = _plan_calls({arm_ids.key(item): item for item in ids}.values())
        acts: list[Callable[[], Mapping[str, Outcome]]] = [
            *(partial(self._read_list, group) for group in lists),
            *(partial(self._read_single, item) for item in single),
        ]
        for outcomes in self.run_parallel(lambda act: act(), acts):
            read.add(outcomes)
        unlisted = [item for group in lists for item in group if not read.has(item)]
        for outcomes in self.run_parallel(self._read_single, unlisted):
            read.add(outcomes)

    def read_admin_rules(self, network_ids: Sequence[str], *, now: datetime) -> list[AdminReading]:
        """Read the security admin rules of virtual networks, each with one call or more."""
        return self.run_parallel(
            lambda network_id: read_admin_rules(self._network(), network_id, now=now), network_ids
        )

    def run_parallel(self, act: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Call *act* with each item in parallel; return the results in order."""
        if not items:
            return []
        with self.open_pool(min(_WORKERS, len(items))) as pool:
            return list(pool.map(act, items))

    def _read_list(self, ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return the outcome of each of *ids* in their list: one kind, one resource group."""
        collection = ids[0].rsplit("/", 1)[0]
        try:
            items = self._arm.list(collection, _VERSIONS[kind_of(ids[0])])
        except (Gone, PermissionLost):
            return {}  # single reads show which resources are missing or forbidden
        except (Unavailable, Refused) as error:
            return {item: _explain_failure(item, error) for item in ids}
        by_key = {arm_json.key(item): item for item in items}
        return {item: by_key[arm_ids.key(item)] for item in ids if arm_ids.key(item) in by_key}

    def _read_single(self, resource_id: str) -> Mapping[str, Outcome]:
        name = arm_ids.name(resource_id)
        try:
            return {resource_id: self._get(resource_id)}
        except Gone:
            return {resource_id: None}
        except PermissionLost:
            why = f"the broker may not read {name}; see docs/operations.md on its role"
            return {resource_id: why}
        except (Unavailable, Refused) as error:
            return {resource_id: _explain_failure(resource_id, error)}

    def _get(self, resource_id: str) -> Resource:
        kind = kind_of(resource_id)
        if kind == "nsgs":
            return self._network().get_nsg(resource_id)
        if kind == "firewalls":
            return self._network().get_firewall(resource_id)
        return self._arm.get(resource_id, _VERSIONS[kind])


def _explain_failure(resource_id: str, error: BrokerError) -> str:
    """Return the reason that a resource is not known: for people who wait for it."""
    why = f": {error}" if isinstance(error, VersionRefused) else ""
    return f"{arm_ids.name(resource_id)} could not be read{why}"


def _plan_calls(ids: Iterable[str]) -> tuple[list[list[str]], list[str]]:
    """Split *ids* into groups for a list call each, and ids for a single read each."""
    groups: dict[str, list[str]] = {}
    for item in ids:
        groups.setdefault(arm_ids.key(item).rsplit("/", 1)[0], []).append(item)
    lists = [group for group in groups.values() if len(group) > _FEW and _is_listable(group[0])]
    single = [item for group in groups.values() if group not in lists for item in group]
    return lists, single


def _is_listable(resource_id: str) -> bool:
    """Return False for NSGs and firewalls: they are few, and the client that changes them reads."""
    return kind_of(resource_id) not in {"nsgs", "firewalls"}


def kind_of(resource_id: str) -> str:
    """Return the kind of a resource by its id, with the name that ``topology.Snapshot`` has."""
    return _KINDS[resource_id.rsplit("/", 2)[-2].lower()][0]
