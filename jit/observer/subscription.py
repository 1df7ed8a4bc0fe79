"""
Observations of Azure: a whole subscription, or only the resources of one JIT policy's grants.

The reads of one observation run in parallel. The inventory predicts which resources are needed. If
a resource refers to another one that was not predicted, a further round reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from jit import telemetry
from jit.api_versions import COMPUTE, JIT_POLICIES, NETWORK, PRICINGS, SUBSCRIPTIONS
from jit.domain.advice import advise
from jit.domain.azure import arm_json, defender_requests, policy_json
from jit.domain.azure.arm_json import Resource
from jit.domain.errors import Gone, Refused, Unavailable, VersionRefused
from jit.domain.grants.policy_view import PolicyView
from jit.domain.inventory import topology
from jit.domain.inventory.last_known import keep_last_known
from jit.domain.model.admin_reading import AdminReading
from jit.domain.model.machine import VirtualMachine
from jit.domain.network_manager.security_admin_rules import NOTHING_KNOWN, KnownAdminRules
from jit.domain.paths.machine_view import FirewallView, NsgView
from jit.domain.values import arm_ids
from jit.interfaces import Arm, JitPolicies
from jit.observer.earlier_looks import EarlierLooks
from jit.observer.policy import (
    HOLDERS,
    add_former_holders,
    build_policy_view,
    find_missing_reads,
    judge_absence,
    predict_reads,
    view_firewalls,
    view_nsgs,
)
from jit.observer.reads import Read, Reader, kind_of
from jit.observer.refused_versions import alert_refused_version

_ASIDE = 3  # reads that only warnings and obstacles need
_BESIDE = 1  # the reading of security admin rules, while the resources are read
_ROUNDS = 4  # VM, interface, network, NSG of the subnet

_LISTS = {
    "machines": ("Microsoft.Compute/virtualMachines", COMPUTE),
    "interfaces": ("Microsoft.Network/networkInterfaces", NETWORK),
    "networks": ("Microsoft.Network/virtualNetworks", NETWORK),
    "nsgs": ("Microsoft.Network/networkSecurityGroups", NETWORK),
    "firewalls": ("Microsoft.Network/azureFirewalls", NETWORK),
    "public_ips": ("Microsoft.Network/publicIPAddresses", NETWORK),
    "policies": ("Microsoft.Security/jitNetworkAccessPolicies", JIT_POLICIES),
}
_BASTIONS = ("Microsoft.Network/bastionHosts", NETWORK)
_ROUTE_TABLES = ("Microsoft.Network/routeTables", NETWORK)
_PLAN = ("Microsoft.Security/pricings/VirtualMachines", PRICINGS)

T = TypeVar("T")

KnownAdmin = Callable[[str], KnownAdminRules]
"""Returns the security admin rules of the networks of a subscription, as last read."""

LastKnown = Callable[[str], Iterable[VirtualMachine]]
"""Returns the VMs of a subscription in the inventory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondReading:
    """Some NSGs and firewalls by key, and Defender's requests of some policies, read later."""

    nsgs: Mapping[str, NsgView]
    firewalls: Mapping[str, FirewallView]
    entries: tuple[defender_requests.DefenderRequest, ...]


_FIRST_LOOK = EarlierLooks()


class Observer:
    """Reads Azure and returns values of the domain."""

    def __init__(
        self,
        arm: Arm,
        policies: Callable[[], JitPolicies],
        reader: Reader,
        known_admin: KnownAdmin = lambda _: NOTHING_KNOWN,
        last_known: LastKnown = lambda _: (),
    ) -> None:
        """
        Build an observer.

        Args:
            arm: The thin reader.
            policies: Called only when a JIT policy is needed: it loads an SDK, which is slow.
            reader: The reader of resources by id.
            known_admin: Returns the security admin rules of a subscription's networks, as last
                read. Only warnings come of them.
            last_known: Returns the VMs of a subscription in the inventory. They complete lists
                that are too short.
        """
        self._arm = arm
        self._last_known = last_known
        self._known_admin = known_admin
        self._policies = policies
        self._reader = reader

    def list_readable(self) -> tuple[str, ...]:
        """Return the lower-case ids of the subscriptions that the identity can read: one call."""
        items = self._arm.list("/subscriptions", SUBSCRIPTIONS)
        ids = (arm_json.text(item, "subscriptionId").lower() for item in items)
        return tuple(filter(None, ids))

    def read_snapshot(self, subscription: str) -> topology.Snapshot:
        """
        Read every list of a subscription: seven list calls, in parallel, for any number of VMs.

        Raises:
            Unavailable: A list could not be read. A snapshot without it would be wrong.
            PermissionLost: The identity may not read a list.
        """
        lists = self._reader.run_parallel(partial(self._list, subscription), list(_LISTS.values()))
        return topology.Snapshot(**dict(zip(_LISTS, lists, strict=True)), plan=None)

    def read_advice_snapshot(self, subscription: str) -> topology.Snapshot:
        """
        Return a snapshot with everything that advice needs: ten calls in parallel.

        Bastions, route tables and plan may stay unknown: paths must be closed even if the reads
        for advice fail.

        Raises:
            Unavailable: As for ``read_snapshot``.
            PermissionLost: As for ``read_snapshot``.
        """
        under = f"/subscriptions/{subscription}/providers/"
        with self._reader.open_pool(_ASIDE) as aside:
            asides = [
                aside.submit(_read_if_allowed, partial(self._list, subscription, it), under + it[0])
                for it in (_BASTIONS, _ROUTE_TABLES)
            ]
            plan = aside.submit(
                _read_if_allowed,
                partial(self._arm.get, under + _PLAN[0], _PLAN[1]),
                under + _PLAN[0],
            )
            snapshot = self.read_snapshot(subscription)
        return replace(
            snapshot,
            bastions=asides[0].result(),
            route_tables=asides[1].result(),
            plan=plan.result(),
        )

    def _list(self, subscription: str, item: tuple[str, str]) -> list[Resource]:
        kind, version = item
        return self._arm.list(f"/subscriptions/{subscription}/providers/{kind}", version)

    def read_machines(self, subscription: str, *, now: datetime) -> tuple[VirtualMachine, ...]:
        """Return every VM of a subscription, read now."""
        snapshot, known = self.read_advice_snapshot(subscription), self._known_admin(subscription)
        found = self.build_machines(subscription, snapshot, now=now)
        return self.add_warnings(found, snapshot, known)

    def build_machines(
        self, subscription: str, snapshot: topology.Snapshot, *, now: datetime
    ) -> tuple[VirtualMachine, ...]:
        """
        Return the VMs of a *snapshot* of complete lists, without warnings.

        If a list is too short, VMs are as last known in the inventory, which is read now.
        """
        found, last = topology.build_machines(snapshot, now=now), self._last_known(subscription)
        return tuple(keep_last_known(found, snapshot, last, now=now).values())

    def add_warnings(
        self,
        machines: Iterable[VirtualMachine],
        snapshot: topology.Snapshot,
        admin: KnownAdminRules,
    ) -> tuple[VirtualMachine, ...]:
        """Return *machines* of *snapshot* with the warnings for their owners."""
        return advise.add_warnings(machines, snapshot, admin)

    def read_admin_rules(self, network_ids: Sequence[str], *, now: datetime) -> list[AdminReading]:
        """Read the security admin rules of virtual networks."""
        return self._reader.read_admin_rules(network_ids, now=now)

    def read_again(self, holders: Iterable[str], policies: Iterable[str]) -> SecondReading:
        """
        Read some NSGs and firewalls once more, and after them some JIT policies.

        The answer leaves out holders that could not be read: the broker must not change them.

        Raises:
            Unavailable: A policy could not be read, so it is unknown if others need a rule.
            Refused: The same, but waiting does not help.
        """
        read = Read()
        self._reader.read_all(holders, read)
        found = self._reader.run_parallel(self._policy, list(policies))
        return SecondReading(
            nsgs=view_nsgs(read),
            firewalls=view_firewalls(read),
            entries=tuple(
                request
                for policy in found
                if policy
                for request in defender_requests.parse_requests(policy)
            ),
        )

    def observe_policy(
        self,
        policy_id: str,
        predicted: Mapping[str, VirtualMachine],
        *,
        deciding: frozenset[str],
        now: datetime,
        confirming: frozenset[str] = frozenset(),
        earlier: EarlierLooks = _FIRST_LOOK,
    ) -> PolicyView:
        """
        Read one policy and the VMs of its grants.

        Args:
            policy_id: ARM id.
            predicted: The VMs in the inventory, by key. They only say which resources to read.
            deciding: Keys of the VMs to decide about: their interfaces and networks are read again
                too. For the other VMs, NSGs and firewall are enough. A VM of *deciding* that was
                read only in part is marked as unreadable and returned as predicted, so that grants
                that already have a path there need not wait.
            now: Aware, UTC.
            confirming: Keys of the VMs to which a path may become open. The security admin rules
                of their networks are read now.
            earlier: The facts that looks before this one found.

        Raises:
            Unavailable: The policy could not be read.
            Refused: The same, but waiting does not help: its requests are unknown.
        """
        wanted = [
            item for key, vm in predicted.items() for item in predict_reads(vm, key in deciding)
        ]
        wanted += [item for ids in earlier.recorded.values() for item in sorted(ids)]
        read = Read()
        admin = earlier.admin
        networks = _list_networks(predicted, confirming) if admin.in_use else []
        with self._reader.open_pool(_BESIDE) as beside:
            rules = beside.submit(self.read_admin_rules, networks, now=now)
            policy = self._read_first(policy_id, wanted, read)
            readings = tuple(rules.result())
        for _ in range(_ROUNDS - 1):
            missing = [item for item in find_missing_reads(read, predicted) if not read.has(item)]
            if not missing:
                break
            self._reader.read_all(missing, read)
        read.absent.update(self._find_absent(read, earlier.missed))
        read = replace(read, admin=admin.add(readings, fresh=True))
        view = build_policy_view(policy, predicted, deciding, confirming, read, now)
        view = add_former_holders(view, earlier.recorded, read)
        view = judge_absence(view, policy_id, earlier.missed)
        return replace(view, admin_readings=readings)

    def _find_absent(self, read: Read, missed: Container[str]) -> set[str]:
        """Return the NSGs and firewalls that were missed before, and that no list has either."""
        suspects: dict[tuple[str, str], set[str]] = {}
        for key in read.gone:
            if kind_of(key) in HOLDERS and arm_ids.row_hash(key) in missed:
                place = (arm_ids.subscription(key), kind_of(key))
                suspects.setdefault(place, set()).add(key)
        found = (self._drop_listed(keys, *place) for place, keys in suspects.items())
        return {key for keys in found for key in keys}

    def _drop_listed(self, keys: set[str], subscription: str, kind: str) -> set[str]:
        """Return those of *keys* that a list of the subscription lacks; none if it fails."""
        try:
            return keys - {arm_json.key(item) for item in self._list(subscription, _LISTS[kind])}
        except (Unavailable, Refused):
            return set()

    def _read_first(self, policy_id: str, wanted: Sequence[str], read: Read) -> Resource | None:
        """Read the policy and the predicted resources side by side; return the policy."""
        with self._reader.open_pool(1) as pool:
            policy = pool.submit(self._policy, policy_id)
            self._reader.read_all(wanted, read)
            return policy.result()

    def _policy(self, policy_id: str) -> Resource | None:
        """
        Return a JIT policy; None if Azure neither finds nor lists it.

        Raises:
            Unavailable: Azure lists it, so one answer of 404 does not say that it is gone. Or the
                answer has no list of VMs, and nobody knows if its requests are all. Without its
                requests, other people's access would look like nobody's.
        """
        try:
            found = self._policies().get(policy_id)
        except Gone:
            listed = self._list(arm_ids.subscription(policy_id), _LISTS["policies"])
            if arm_ids.key(policy_id) in map(arm_json.key, listed):
                raise Unavailable("Azure lists a JIT policy that it did not find") from None
            return None
        if not policy_json.is_readable(found):
            raise Unavailable("Azure's answer about a JIT policy cannot be read")
        return found


def _list_networks(predicted: Mapping[str, VirtualMachine], confirming: Iterable[str]) -> list[str]:
    """Return the ids of the virtual networks of the VMs of *confirming*, each once."""
    ids = (predicted[key].network_id for key in confirming if key in predicted)
    return list({arm_ids.key(each): each for each in ids if each}.values())


def _read_if_allowed(read: Callable[[], T], path: str) -> T | None:
    """Return the result of *read*; if Azure fails or refuses, log an event and return None."""
    try:
        return read()
    except (Unavailable, Refused) as error:
        if isinstance(error, VersionRefused):
            alert_refused_version(error, resource_id=path)
        telemetry.warning("advice.limited", resource_id=path, error=type(error).__name__)
        return None
