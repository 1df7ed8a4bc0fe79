"""
Fresh looks at Azure: a subscription as a whole, or just what one JIT policy's grants rest on.

Reads of one look run in parallel; each look takes as few dependent rounds as the inventory's
prediction allows, and what turns out to be referred to elsewhere is read in a further round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TypeVar

from jit import telemetry
from jit.domain import advice, armid, entries, firewall, jitrules, securityrules, topology
from jit.domain.errors import Gone, Refused, Unavailable
from jit.domain.model import VirtualMachine
from jit.domain.observed import Observed
from jit.domain.pathrules import Firewall, Guard, MachineView
from jit.domain.world import World
from jit.interfaces import Arm, JitPolicies, Network, Resource
from jit.reads import COMPUTE, NETWORK, Read, Reader, kind, parallel

SECURITY = "2020-01-01"
SUBSCRIPTIONS = "2022-12-01"
_RECENT_SECONDS = 5.0
_SETTLED = {"provisioningState": "Succeeded"}
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

    guards: Mapping[str, Guard]
    firewalls: Mapping[str, Firewall]
    entries: tuple[entries.Entry, ...]


class Observer:
    """
    Looks at Azure and returns values of the domain.

    Attributes:
        named: The subscriptions that the operator named; empty means all that can be read.
    """

    def __init__(
        self,
        arm: Arm,
        policies: Callable[[], JitPolicies],
        network: Callable[[], Network],
        subscriptions: tuple[str, ...] = (),
    ) -> None:
        """
        Look at *subscriptions*, or at all that the identity can read.

        *policies* and *network* build their clients when first called: their SDKs are slow.
        """
        self._arm = arm
        self.named = subscriptions
        self._recent: dict[str, tuple[float, tuple[VirtualMachine, ...]]] = {}
        self._policies = policies
        self._reader = Reader(arm, network)

    def watched(self) -> tuple[str, ...]:
        """Return the ids of the subscriptions that this broker looks after, lower-case."""
        return self.named or self.readable()

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
        return advice.advised(topology.machines(snapshot, now=now).values(), snapshot)

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
            guards=_guards(read),
            firewalls=_fronts(read),
            entries=tuple(entry for item in found if item for entry in entries.read(item)),
        )

    def world(
        self,
        policy_id: str,
        predicted: Mapping[str, VirtualMachine],
        *,
        deciding: frozenset[str],
        now: datetime,
    ) -> World:
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
        wanted = [item for key, vm in predicted.items() for item in _reads(vm, key in deciding)]
        read = Read()
        policy = self._first_round(policy_id, wanted, read)
        for _ in range(_ROUNDS - 1):
            missing = [item for item in _missing(read, predicted) if not read.has(item)]
            if not missing:
                break
            self._reader.round(missing, read)
        return _world(policy, predicted, deciding, read, now)

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


def _reads(vm: VirtualMachine, deciding: bool) -> Iterable[str]:
    """Yield the ids to read for a VM, as the inventory predicts them."""
    yield from (nsg_id for nic in vm.interfaces for nsg_id in nic.nsg_ids)
    if vm.firewall_id:
        yield vm.firewall_id
    if not deciding:
        return
    yield vm.id
    for nic in vm.interfaces:
        yield nic.id
        yield nic.subnet_id.rsplit("/subnets/", 1)[0]
        if nic.public_ip_id:
            yield nic.public_ip_id


def _missing(read: Read, predicted: Mapping[str, VirtualMachine]) -> Iterable[str]:
    """Yield what was read resources refer to."""
    for name in ("machines", "interfaces"):
        for resource in read.kind(name):
            yield from filter(None, topology.references(resource))
    subnets = [
        topology.text(topology.mapping(topology.properties(ip), "subnet"), "id")
        for nic in read.kind("interfaces")
        for ip in topology.mappings(topology.properties(nic), "ipConfigurations")
    ]
    for vnet in read.kind("networks"):
        yield from filter(None, topology.subnet_guards(vnet, subnets))
    yield from (vm.firewall_id for vm in predicted.values() if vm.firewall_id)


def _world(
    policy: Resource | None,
    predicted: Mapping[str, VirtualMachine],
    deciding: frozenset[str],
    read: Read,
    now: datetime,
) -> World:
    snapshot = topology.Snapshot(
        machines=read.kind("machines"),
        interfaces=read.kind("interfaces"),
        networks=read.kind("networks"),
        firewalls=read.kind("firewalls"),
        public_ips=read.kind("public_ips"),
        policies=(policy,) if policy is not None else (),
    )
    fresh = topology.machines(snapshot, now=now)
    known = [key for key in predicted if key in deciding]
    unreadable = {key: why for key in known if (why := _unread(key, predicted[key], read))}
    decidable = deciding - unreadable.keys()
    machines = {key: fresh[key] if key in decidable else vm for key, vm in predicted.items()}
    guards, firewalls = _guards(read), _fronts(read)
    return World(
        found=policy is not None,
        entries=entries.read(policy) if policy is not None else (),
        machines={key: view(vm, guards, firewalls) for key, vm in machines.items()},
        unreadable=unreadable,
    )


def _unread(key: str, predicted: VirtualMachine, read: Read) -> str:
    """
    Return why a VM to be decided about was read only in part; empty if all of it was read.

    Half a VM must not be decided about: without its interface it looks unsupported, without its
    firewall it looks as if packets came another way. NSGs are looked at later, one by one.
    """
    vm = read.found.get("machines", {}).get(key)
    if vm is None:
        return read.failed.get(key, "the VM could not be read")
    keys = list(_rests_on(vm, read))
    front = armid.key(predicted.firewall_id or "")
    if front in read.gone:  # one wrong 404 must not open another way: the next comparison tells
        return "its firewall was not found"
    return next((read.failed[item] for item in (*keys, front) if item in read.failed), "")


def _rests_on(vm: Resource, read: Read) -> Iterator[str]:
    """Yield the keys of a VM's interfaces, their networks and public addresses."""
    for nic_id in topology.references(vm):
        nic = read.found.get("interfaces", {}).get(armid.key(nic_id))
        yield armid.key(nic_id)
        for item in topology.references(nic) if nic is not None else ():
            if item and kind(item) != "nsgs":
                yield armid.key(item)


def _guards(read: Read) -> dict[str, Guard]:
    """Return the NSGs that were read; one that is gone holds no rules any more."""
    found = {key: guard(nsg) for key, nsg in read.found.get("nsgs", {}).items()}
    gone = (key for key in read.gone if kind(key) == "nsgs")
    return found | {key: Guard(id=key, settled=True, rules=(), allows=()) for key in gone}


def _fronts(read: Read) -> dict[str, Firewall]:
    """Return the firewalls that were read; one that is gone holds no rules any more."""
    found = {key: front(body) for key, body in read.found.get("firewalls", {}).items()}
    gone = (key for key in read.gone if kind(key) == "firewalls")
    return found | {key: front({"id": key, "properties": _SETTLED}) for key in gone}


def observed(snapshot: topology.Snapshot, machines: Iterable[VirtualMachine]) -> Observed:
    """Return a subscription's lists as what its grants are compared with."""
    guards = {armid.key(topology.text(nsg, "id")): guard(nsg) for nsg in snapshot.nsgs}
    firewalls = {armid.key(topology.text(item, "id")): front(item) for item in snapshot.firewalls}
    return Observed(
        guards=guards,
        firewalls=firewalls,
        machines={armid.key(vm.id): view(vm, guards, firewalls) for vm in machines},
        entries=tuple(entry for policy in snapshot.policies for entry in entries.read(policy)),
    )


def view(
    vm: VirtualMachine, guards: Mapping[str, Guard], firewalls: Mapping[str, Firewall]
) -> MachineView:
    """Return a VM with those of the NSGs and firewalls that are on its path."""
    keys = [armid.key(nsg_id) for nic in vm.interfaces for nsg_id in nic.nsg_ids]
    return MachineView(
        vm=vm,
        guards={key: guards[key] for key in keys if key in guards},
        firewall=firewalls.get(armid.key(vm.firewall_id)) if vm.firewall_id else None,
    )


def guard(nsg: Resource) -> Guard:
    """Return an NSG as ARM returns it as a ``Guard``."""
    nsg_id = topology.text(nsg, "id")
    rules = securityrules.parse_rules(nsg)
    state = firewall.provisioning_state(nsg)
    return Guard(
        id=nsg_id,
        settled=state == "Succeeded",
        failed=state == "Failed",
        rules=rules,
        allows=jitrules.nsg_allow_rules(nsg_id, rules),
    )


def front(body: Resource) -> Firewall:
    """Return a firewall as ARM returns it as a ``Firewall``."""
    state = firewall.provisioning_state(body)
    return Firewall(
        id=topology.text(body, "id"),
        settled=state == "Succeeded",
        failed=state == "Failed",
        etag=firewall.etag(body) or "",
        foreign=firewall.foreign_digest(body),
        nat_rules=firewall.nat_rules(body),
    )
