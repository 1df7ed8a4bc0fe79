"""
Fresh looks at Azure: a subscription as a whole, or just what one JIT policy's grants rest on.

Reads of one look run in parallel; each look takes as few dependent rounds as the inventory's
prediction allows, and what turns out to be referred to elsewhere is read in a further round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TypeVar

from jit import telemetry
from jit.domain.advice import advise
from jit.domain.azure import defender_requests
from jit.domain.azure.arm_json import Resource
from jit.domain.errors import Gone, Refused, Unavailable
from jit.domain.grants.policy_view import PolicyView
from jit.domain.inventory import topology
from jit.domain.model.machine import VirtualMachine
from jit.domain.paths.machine_view import FirewallView, NsgView
from jit.interfaces import Arm, JitPolicies, Network
from jit.observer.policy import (
    missing_reads,
    policy_view,
    predicted_reads,
    view_firewalls,
    view_nsgs,
)
from jit.observer.reads import COMPUTE, NETWORK, Read, Reader, parallel

SECURITY = "2020-01-01"
SUBSCRIPTIONS = "2022-12-01"
_RECENT_SECONDS = 5.0
_ASIDE = 2  # reads that only warnings rest on
_ROUNDS = 4  # VM, interface, network, NSG of the subnet

_LISTS = {
    "machines": ("Microsoft.Compute/virtualMachines", COMPUTE),
    "interfaces": ("Microsoft.Network/networkInterfaces", NETWORK),
    "networks": ("Microsoft.Network/virtualNetworks", NETWORK),
    "nsgs": ("Microsoft.Network/networkSecurityGroups", NETWORK),
    "firewalls": ("Microsoft.Network/azureFirewalls", NETWORK),
    "public_ips": ("Microsoft.Network/publicIPAddresses", NETWORK),
    "policies": ("Microsoft.Security/jitNetworkAccessPolicies", SECURITY),
}
_BASTIONS = ("Microsoft.Network/bastionHosts", NETWORK)
_PLAN = ("Microsoft.Security/pricings/VirtualMachines", "2024-01-01")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Some NSGs and firewalls by key, and Defender's requests of some policies, as of now."""

    nsgs: Mapping[str, NsgView]
    firewalls: Mapping[str, FirewallView]
    entries: tuple[defender_requests.DefenderRequest, ...]


class Observer:
    """Looks at Azure and returns values of the domain."""

    def __init__(
        self, arm: Arm, policies: Callable[[], JitPolicies], network: Callable[[], Network]
    ) -> None:
        """*policies* and *network* build their clients when first called: their SDKs are slow."""
        self._arm = arm
        self._recent: dict[str, tuple[float, tuple[VirtualMachine, ...]]] = {}
        self._policies = policies
        self._reader = Reader(arm, network)

    def readable(self) -> tuple[str, ...]:
        """Return the ids of the subscriptions that Azure lets the identity read: one call."""
        items = self._arm.list("/subscriptions", SUBSCRIPTIONS)
        return tuple(
            str(item["subscriptionId"]).lower() for item in items if item.get("subscriptionId")
        )

    def snapshot(self, subscription: str) -> topology.Snapshot:
        """
        Read every list of a subscription: seven list calls, in parallel, whatever its size.

        Raises:
            Unavailable: A list could not be read; a snapshot with holes would lie.
            PermissionLost: The identity may not read a list.
        """
        lists = parallel(partial(self._list, subscription), list(_LISTS.values()))
        return topology.Snapshot(**dict(zip(_LISTS, lists, strict=True)), plan=None)

    def survey(self, subscription: str) -> topology.Snapshot:
        """
        Return a snapshot with what advice rests on: nine calls in parallel, whatever the size.

        Bastions and plan may stay unknown: a path must not stay open because advice about it could
        not be had.

        Raises:
            Unavailable: As for ``snapshot``.
            PermissionLost: As for ``snapshot``.
        """
        under = f"/subscriptions/{subscription}/providers/"
        with ThreadPoolExecutor(max_workers=_ASIDE) as aside:
            bastions = aside.submit(
                _if_readable, partial(self._list, subscription, _BASTIONS), under + _BASTIONS[0]
            )
            plan = aside.submit(
                _if_readable, partial(self._arm.get, under + _PLAN[0], _PLAN[1]), under + _PLAN[0]
            )
            seen = self.snapshot(subscription)
        return replace(seen, bastions=bastions.result(), plan=plan.result())

    def _list(self, subscription: str, item: tuple[str, str]) -> list[Resource]:
        kind, version = item
        return self._arm.list(f"/subscriptions/{subscription}/providers/{kind}", version)

    def machines(self, subscription: str, *, now: datetime) -> tuple[VirtualMachine, ...]:
        """Return every VM of a subscription as it is now."""
        return self.inventory(self.survey(subscription), now=now)

    def recent_machines(
        self, subscription: str, *, now: datetime
    ) -> tuple[tuple[VirtualMachine, ...], bool]:
        """
        Return every VM as it is now or was a few seconds ago, and whether it was read just now.

        For answers to callers: repeating a request that is denied must not be a way to use up
        the identity's quota of reads (25 a second: Learn, "Understand how Azure Resource Manager
        throttles requests").
        """
        since = monotonic() - _RECENT_SECONDS
        self._recent = {key: item for key, item in self._recent.items() if item[0] > since}
        if subscription in self._recent:
            return self._recent[subscription][1], False
        found = self.machines(subscription, now=now)
        self._recent[subscription] = (monotonic(), found)
        return found, True

    def inventory(
        self, snapshot: topology.Snapshot, *, now: datetime
    ) -> tuple[VirtualMachine, ...]:
        """Return the VMs of *snapshot*, with what their owners should know."""
        return advise.add_warnings(topology.build_machines(snapshot, now=now).values(), snapshot)

    def again(self, holders: Iterable[str], policies: Iterable[str]) -> Again:
        """
        Read some NSGs and firewalls once more, and after them some JIT policies.

        What cannot be read is left out of the answer: nothing may be done to it.

        Raises:
            Unavailable: A policy could not be read: whether others need a rule is unknown.
            Refused: The same, for good.
        """
        read = Read()
        self._reader.round(holders, read)
        found = parallel(self._policy, list(policies))
        return Again(
            nsgs=view_nsgs(read),
            firewalls=view_firewalls(read),
            entries=tuple(
                entry for item in found if item for entry in defender_requests.parse_requests(item)
            ),
        )

    def world(
        self,
        policy_id: str,
        predicted: Mapping[str, VirtualMachine],
        *,
        deciding: frozenset[str],
        now: datetime,
    ) -> PolicyView:
        """
        Look at one policy and the VMs of its grants.

        Args:
            policy_id: ARM id.
            predicted: What the inventory knows of these VMs, by key. It says where to look; what
                counts is what is read now.
            deciding: Keys of the VMs to be decided about: their interfaces and networks are read
                again too. For the others, NSGs and firewall suffice. One that is read only in part
                is named as unreadable, and is returned as predicted: who already has a path there
                must not wait for what only deciding needs.
            now: Aware, UTC.

        Raises:
            Unavailable: The policy could not be read.
            Refused: The same, for good: what its requests say is unknown.
        """
        wanted = [
            item for key, vm in predicted.items() for item in predicted_reads(vm, key in deciding)
        ]
        read = Read()
        policy = self._first_round(policy_id, wanted, read)
        for _ in range(_ROUNDS - 1):
            missing = [item for item in missing_reads(read, predicted) if not read.has(item)]
            if not missing:
                break
            self._reader.round(missing, read)
        return policy_view(policy, predicted, deciding, read, now)

    def _first_round(self, policy_id: str, wanted: Sequence[str], read: Read) -> Resource | None:
        with ThreadPoolExecutor(max_workers=1) as pool:
            policy = pool.submit(self._policy, policy_id)
            self._reader.round(wanted, read)
            return policy.result()

    def _policy(self, policy_id: str) -> Resource | None:
        try:
            return self._policies().get(policy_id)
        except Gone:
            return None


def _if_readable(read: Callable[[], T], path: str) -> T | None:
    """Return what *read* returns; None, with an event, where Azure does not give it."""
    try:
        return read()
    except (Unavailable, Refused) as error:
        telemetry.warning("advice.limited", resource_id=path, error=type(error).__name__)
        return None
