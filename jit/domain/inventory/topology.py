"""
VMs with the interfaces, subnets, NSGs, firewalls and JIT policies that belong to them.

Resources as ARM returns them become ``VirtualMachine`` values. A VM is supported if it fulfils
Microsoft's prerequisites for just-in-time access:
https://learn.microsoft.com/azure/defender-for-cloud/just-in-time-access-overview
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jit.domain.azure import defender_requests
from jit.domain.azure.arm_json import (
    CheckedFields,
    Resource,
    flag,
    key,
    mapping,
    mappings,
    one_or_many,
    properties,
    read_reference,
    text,
    texts,
)
from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.azure.firewall import list_subnet_ids, read_firewall_policy_id
from jit.domain.azure.port_rules import find_policy_faults, parse_port_rules
from jit.domain.inventory.bastions import list_bastions
from jit.domain.model.bastion import Bastion
from jit.domain.model.machine import Interface, Support, Via, VirtualMachine
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import keep_prefixes, read_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    Resources of one subscription, as ARM returned them.

    A snapshot holds complete lists, or only the resources that somebody asked for. In both cases
    a resource that is referred to but not in the snapshot is unknown; it does not count as absent.

    Attributes:
        bastions: ``bastionHosts``; None if they were not read.
        route_tables: ``routeTables``; None if they were not read.
        plan: ``pricings/VirtualMachines`` of Defender; None if it was not read.
    """

    machines: Sequence[Resource] = ()
    interfaces: Sequence[Resource] = ()
    networks: Sequence[Resource] = ()
    nsgs: Sequence[Resource] = ()
    firewalls: Sequence[Resource] = ()
    public_ips: Sequence[Resource] = ()
    policies: Sequence[Resource] = ()
    bastions: Sequence[Resource] | None = None
    route_tables: Sequence[Resource] | None = None
    plan: Resource | None = None


@dataclass(frozen=True, slots=True)
class _Index:
    """The resources of a snapshot by their keys (lower-case ids)."""

    interfaces: Mapping[str, Resource]
    subnets: Mapping[str, tuple[Resource, Resource]]  # subnet id -> (vnet, subnet)
    public_ips: Mapping[str, Resource]
    firewalls: Mapping[str, Sequence[Resource]]  # vnet id -> firewalls in it
    policies: Mapping[str, Sequence[tuple[Resource, Resource]]]  # vm id -> policies, VM entries
    requests: Mapping[str, Sequence[DefenderRequest]]  # vm id -> Defender's requests of its policy
    bastions: Mapping[str, tuple[Bastion, ...]] | None  # vnet id -> Bastions that reach its VMs


def build_machines(snapshot: Snapshot, *, now: datetime) -> dict[str, VirtualMachine]:
    """Return every VM of *snapshot* by its key (lower-case id)."""
    index = _index(snapshot)
    found = (_machine(vm, index, now) for vm in snapshot.machines)
    return {arm_ids.key(vm.id): vm for vm in found}


def _index(snapshot: Snapshot) -> _Index:
    firewalls: dict[str, list[Resource]] = {}
    for firewall in snapshot.firewalls:
        for vnet_id in {_vnet_of(subnet) for subnet in list_firewall_subnets(firewall)}:
            firewalls.setdefault(vnet_id, []).append(firewall)
    return _Index(
        interfaces={key(nic): nic for nic in snapshot.interfaces},
        subnets={
            key(subnet): (vnet, subnet)
            for vnet in snapshot.networks
            for subnet in mappings(properties(vnet), "subnets")
        },
        public_ips={key(public_ip): public_ip for public_ip in snapshot.public_ips},
        firewalls=firewalls,
        policies=_entries_by_machine(snapshot.policies),
        requests=_requests_by_machine(snapshot.policies),
        bastions=None
        if snapshot.bastions is None
        else list_bastions(snapshot.networks, snapshot.bastions),
    )


def _entries_by_machine(
    policies: Iterable[Resource],
) -> dict[str, list[tuple[Resource, Resource]]]:
    """Return the policies and their entries by the key of their VM, which may be any machine."""
    found: dict[str, list[tuple[Resource, Resource]]] = {}
    for policy in policies:
        for entry in mappings(properties(policy), "virtualMachines"):
            found.setdefault(key(entry), []).append((policy, entry))
    return found


def _requests_by_machine(policies: Iterable[Resource]) -> dict[str, list[DefenderRequest]]:
    """Return Defender's requests by the key of their VM; each policy is read once."""
    found: dict[str, list[DefenderRequest]] = {}
    for policy in policies:
        for request in defender_requests.parse_requests(policy):
            found.setdefault(arm_ids.key(request.vm_id), []).append(request)
    return found


def _vnet_of(subnet_id: str) -> str:
    return subnet_id.rsplit("/subnets/", 1)[0]


def list_firewall_subnets(firewall: Resource) -> tuple[str, ...]:
    """Return the keys of the subnets that contain a firewall's instances."""
    return tuple(dict.fromkeys(map(arm_ids.key, list_subnet_ids(firewall))))


def _machine(vm: Resource, index: _Index, now: datetime) -> VirtualMachine:
    nics = tuple(_interfaces(vm, index))
    vnets = _vnets(nics, index)
    classic, with_policy = _firewalls(vnets, index)
    entries = index.policies.get(key(vm), ())
    policy, entry = entries[-1] if entries else (None, None)
    policy_id = text(policy, "id") if policy is not None else None
    support, reasons = judge_support(policy_id, _reasons(nics, classic, with_policy))
    return VirtualMachine(
        id=text(vm, "id"),
        name=text(vm, "name"),
        location=text(vm, "location"),
        support=support,
        reasons=reasons,
        via=_via(classic, nics),
        policy_id=policy_id,
        ports=tuple(parse_port_rules(entry)) if entry is not None else (),
        policy_faults=tuple(find_policy_faults(entries)),
        interfaces=nics,
        firewall_id=text(classic, "id") if classic is not None else None,
        firewall_sources=_subnet_prefixes(classic, index) if classic is not None else (),
        vnet_prefixes=tuple(prefix for vnet in vnets.values() for prefix in _address_space(vnet)),
        occupations=defender_requests.find_occupations(index.requests.get(key(vm), ()), now=now),
        bastions=_bastions(vnets, index),
    )


def _interfaces(vm: Resource, index: _Index) -> Iterator[Interface]:
    links = mappings(mapping(properties(vm), "networkProfile"), "networkInterfaces")
    for link in links:
        nic = index.interfaces.get(key(link))
        if nic is not None:
            primary = flag(properties(link), "primary", default=len(links) == 1)
            for configuration, first in _configurations(nic):
                yield _interface(nic, configuration, index, primary=primary and first)


def _configurations(nic: Resource) -> Iterator[tuple[Resource, bool]]:
    """
    Yield each IP configuration of an interface, and if it is the primary one, which comes first.

    A network interface that is being changed may have none for a moment: then an empty one.
    """
    held = [properties(each) for each in mappings(properties(nic), "ipConfigurations")] or [{}]
    for place, each in enumerate(sorted(held, key=lambda each: not flag(each, "primary"))):
        yield each, place == 0


def _interface(nic: Resource, ip: Resource, index: _Index, *, primary: bool) -> Interface:
    subnet_id, public_id = read_reference(ip, "subnet"), read_reference(ip, "publicIPAddress")
    own = read_reference(properties(nic), "networkSecurityGroup")
    public = index.public_ips.get(arm_ids.key(public_id), {})
    return Interface(
        id=text(nic, "id"),
        private_ip=_address(text(ip, "privateIPAddress")),
        subnet_id=subnet_id,
        nsg_ids=tuple(filter(None, (own, _subnet_nsg_id(subnet_id, index)))),
        public_ip=text(properties(public), "ipAddress") or None,
        public_ip_id=public_id or None,
        primary=primary,
        group_ids=_read_group_ids(ip) if ip else None,
    )


def _read_group_ids(ip: Resource) -> tuple[str, ...] | None:
    """Return the application security groups of an IP configuration; None if unreadable."""
    fields = CheckedFields(ip)
    groups = fields.references("applicationSecurityGroups")
    return None if fields.faults else groups


def _address(written: str) -> str:
    """Return *written* in its usual form if it is one plain address, else an empty string."""
    found = read_address(written)
    return str(found.network_address) if found is not None and "/" not in written else ""


def _subnet_nsg_id(subnet_id: str, index: _Index) -> str:
    _, subnet = index.subnets.get(arm_ids.key(subnet_id), ({}, {}))
    return read_reference(properties(subnet), "networkSecurityGroup")


def _vnets(nics: Sequence[Interface], index: _Index) -> dict[str, Resource]:
    vnets: dict[str, Resource] = {}
    for nic in nics:
        vnet, _ = index.subnets.get(arm_ids.key(nic.subnet_id), ({}, {}))
        if vnet:
            vnets[key(vnet)] = vnet
    return vnets


def _address_space(vnet: Resource) -> tuple[str, ...]:
    return keep_prefixes(texts(mapping(properties(vnet), "addressSpace"), "addressPrefixes"))


def _firewalls(
    vnets: Mapping[str, Resource], index: _Index
) -> tuple[Resource | None, Resource | None]:
    """Return the first firewall with classic rules, and the first one with a firewall policy."""
    inside = [firewall for vnet_id in vnets for firewall in index.firewalls.get(vnet_id, ())]
    classic = (firewall for firewall in inside if read_firewall_policy_id(firewall) is None)
    managed = (firewall for firewall in inside if read_firewall_policy_id(firewall) is not None)
    return next(classic, None), next(managed, None)


def _bastions(vnets: Iterable[str], index: _Index) -> tuple[Bastion, ...] | None:
    """Return the Bastions that reach the VMs of *vnets*; None if none were read."""
    if index.bastions is None:
        return None
    return tuple(each for vnet_id in vnets for each in index.bastions.get(vnet_id, ()))


def _subnet_prefixes(firewall: Resource, index: _Index) -> tuple[str, ...]:
    found: list[str] = []
    for subnet_id in list_firewall_subnets(firewall):
        _, subnet = index.subnets.get(subnet_id, ({}, {}))
        written = one_or_many(properties(subnet), "addressPrefix", "addressPrefixes")
        found.extend(keep_prefixes(written))
    return tuple(found)


def _reasons(
    nics: Sequence[Interface], classic: Resource | None, with_policy: Resource | None
) -> tuple[str, ...]:
    reasons = []
    if with_policy is not None and classic is None:
        reasons.append(
            f"its firewall {text(with_policy, 'name')} is controlled by a firewall policy; "
            "just-in-time access needs classic rules"
        )
    if not any(nic.nsg_ids for nic in nics) and classic is None:
        reasons.append("no NSG on an interface or subnet, and no classic-rules firewall")
    return tuple(reasons)


def judge_support(
    policy_id: str | None, faults: tuple[str, ...]
) -> tuple[Support, tuple[str, ...]]:
    """
    Return the support of just-in-time access for a VM, and the reasons why it is not configured.

    Args:
        policy_id: The JIT policy of the VM, if it has one.
        faults: The prerequisites that the VM does not fulfil, in words.
    """
    if faults:
        return Support.UNSUPPORTED, faults
    if policy_id is None:
        return Support.NOT_CONFIGURED, ("no JIT policy names this VM",)
    return Support.CONFIGURED, ()


def _via(classic: Resource | None, nics: Sequence[Interface]) -> Via:
    if classic is not None:
        return Via.FIREWALL
    return Via.PUBLIC_IP if any(nic.public_ip_id for nic in nics) else Via.PRIVATE


def find_references(resource: Resource) -> Iterator[str]:
    """
    Yield the ids that a VM or interface refers to: interfaces, NSG, public IPs, networks.

    Some of them are empty.
    """
    body = properties(resource)
    for link in mappings(mapping(body, "networkProfile"), "networkInterfaces"):
        yield text(link, "id")
    yield read_reference(body, "networkSecurityGroup")
    for configuration in mappings(body, "ipConfigurations"):
        ip = properties(configuration)
        yield read_reference(ip, "publicIPAddress")
        yield _vnet_of(read_reference(ip, "subnet"))


def list_subnet_nsg_ids(vnet: Resource, subnet_ids: Iterable[str]) -> Iterator[str]:
    """Yield the ids of the NSGs on the subnets of *vnet* that are among *subnet_ids*."""
    wanted = set(map(arm_ids.key, subnet_ids))
    for subnet in mappings(properties(vnet), "subnets"):
        if key(subnet) in wanted:
            yield read_reference(properties(subnet), "networkSecurityGroup")
