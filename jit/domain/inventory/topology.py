"""
How VMs, interfaces, subnets, NSGs, firewalls and JIT policies hang together.

Values in, values out: resources as ARM returns them become ``VirtualMachine`` records. What is
supported and what is not follows Microsoft's prerequisites for just-in-time access:
https://learn.microsoft.com/azure/defender-for-cloud/just-in-time-access-overview
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jit.domain.azure import defender_requests
from jit.domain.azure.arm_json import Resource, mapping, mappings, properties, strings, text
from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.azure.policy_json import port_rules
from jit.domain.model.machine import Interface, Support, Via, VirtualMachine
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import network


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    Resources of one subscription, as ARM returned them.

    A full snapshot holds the complete lists; a targeted one holds the resources asked for. In
    both, what is referred to but not held counts as unknown, never as absent.

    Attributes:
        bastions: ``bastionHosts``; None where they were not read, or could not be.
        plan: ``pricings/VirtualMachines`` of Defender; None likewise.
    """

    machines: Sequence[Resource] = ()
    interfaces: Sequence[Resource] = ()
    networks: Sequence[Resource] = ()
    nsgs: Sequence[Resource] = ()
    firewalls: Sequence[Resource] = ()
    public_ips: Sequence[Resource] = ()
    policies: Sequence[Resource] = ()
    bastions: Sequence[Resource] | None = None
    plan: Resource | None = None


@dataclass(frozen=True, slots=True)
class _Index:
    """The same resources by lower-cased id."""

    interfaces: Mapping[str, Resource]
    subnets: Mapping[str, tuple[Resource, Resource]]  # subnet id -> (vnet, subnet)
    public_ips: Mapping[str, Resource]
    firewalls: Mapping[str, Sequence[Resource]]  # vnet id -> firewalls in it
    policies: Mapping[str, tuple[Resource, Resource]]  # vm id -> (policy, its VM entry)
    requests: Mapping[str, Sequence[DefenderRequest]]  # vm id -> Defender's requests of its policy


def machines(snapshot: Snapshot, *, now: datetime) -> dict[str, VirtualMachine]:
    """Return every VM of *snapshot* by its key (lower-cased id)."""
    index = _index(snapshot)
    found = (_machine(vm, index, now) for vm in snapshot.machines)
    return {arm_ids.key(vm.id): vm for vm in found}


def _by_id(resources: Iterable[Resource]) -> dict[str, Resource]:
    return {arm_ids.key(text(item, "id")): item for item in resources}


def _index(snapshot: Snapshot) -> _Index:
    subnets = {
        arm_ids.key(text(subnet, "id")): (vnet, subnet)
        for vnet in snapshot.networks
        for subnet in mappings(properties(vnet), "subnets")
    }
    firewalls: dict[str, list[Resource]] = {}
    for firewall in snapshot.firewalls:
        for vnet_id in set(_firewall_vnets(firewall)):
            firewalls.setdefault(vnet_id, []).append(firewall)
    policies = {
        arm_ids.key(text(entry, "id")): (policy, entry)
        for policy in snapshot.policies
        for entry in mappings(properties(policy), "virtualMachines")
    }
    return _Index(
        interfaces=_by_id(snapshot.interfaces),
        subnets=subnets,
        public_ips=_by_id(snapshot.public_ips),
        firewalls=firewalls,
        policies=policies,
        requests=_requests(snapshot.policies),
    )


def _requests(policies: Iterable[Resource]) -> dict[str, list[DefenderRequest]]:
    """Return Defender's requests by VM; each policy is read once, whatever the number of VMs."""
    found: dict[str, list[DefenderRequest]] = {}
    for entry in (entry for policy in policies for entry in defender_requests.read(policy)):
        found.setdefault(arm_ids.key(entry.vm_id), []).append(entry)
    return found


def _firewall_vnets(firewall: Resource) -> Iterator[str]:
    for subnet_id in firewall_subnets(firewall):
        yield subnet_id.rsplit("/subnets/", 1)[0]


def firewall_subnets(firewall: Resource) -> tuple[str, ...]:
    """Return the keys of the subnets that a firewall's instances live in."""
    configurations = mappings(properties(firewall), "ipConfigurations")
    ids = (text(mapping(properties(item), "subnet"), "id") for item in configurations)
    return tuple(dict.fromkeys(arm_ids.key(subnet) for subnet in ids if subnet))


def _machine(vm: Resource, index: _Index, now: datetime) -> VirtualMachine:
    vm_id = text(vm, "id")
    nics = tuple(_interfaces(vm, index))
    vnets = _vnets(nics, index)
    classic, with_policy = _firewalls(vnets, index)
    policy, entry = index.policies.get(arm_ids.key(vm_id), (None, None))
    rules = tuple(port_rules(entry)) if entry is not None else ()
    reasons = _reasons(nics, classic, with_policy)
    return VirtualMachine(
        id=vm_id,
        name=text(vm, "name"),
        location=text(vm, "location"),
        support=_support(policy, reasons),
        reasons=_shown(policy, reasons),
        via=_via(classic, nics),
        policy_id=text(policy, "id") if policy is not None else None,
        ports=rules,
        interfaces=nics,
        firewall_id=text(classic, "id") if classic is not None else None,
        firewall_sources=_subnet_prefixes(classic, index) if classic is not None else (),
        vnet_prefixes=tuple(prefix for vnet in vnets.values() for prefix in _address_space(vnet)),
        occupations=defender_requests.occupations(
            index.requests.get(arm_ids.key(vm_id), ()), now=now
        ),
    )


def _interfaces(vm: Resource, index: _Index) -> Iterator[Interface]:
    references = mappings(mapping(properties(vm), "networkProfile"), "networkInterfaces")
    for reference in references:
        nic = index.interfaces.get(arm_ids.key(text(reference, "id")))
        if nic is not None:
            primary = properties(reference).get("primary", len(references) == 1)
            yield _interface(nic, index, primary=bool(primary))


def _interface(nic: Resource, index: _Index, *, primary: bool) -> Interface:
    configurations = mappings(properties(nic), "ipConfigurations")
    first = next((c for c in configurations if properties(c).get("primary")), None)
    ip = properties(first or next(iter(configurations), {}))
    subnet_id = text(mapping(ip, "subnet"), "id")
    own = text(mapping(properties(nic), "networkSecurityGroup"), "id")
    public_id = text(mapping(ip, "publicIPAddress"), "id")
    public = index.public_ips.get(arm_ids.key(public_id))
    return Interface(
        id=text(nic, "id"),
        private_ip=_address(text(ip, "privateIPAddress")),
        subnet_id=subnet_id,
        nsg_ids=tuple(filter(None, (own, _subnet_nsg(subnet_id, index)))),
        public_ip=text(properties(public), "ipAddress") or None if public is not None else None,
        public_ip_id=public_id or None,
        primary=primary,
    )


def _address(written: str) -> str:
    """Return one address as it is written; empty where Azure names none, or nothing readable."""
    found = network(written)
    return written if found is not None and found.num_addresses == 1 and "/" not in written else ""


def _subnet_nsg(subnet_id: str, index: _Index) -> str:
    _, subnet = index.subnets.get(arm_ids.key(subnet_id), ({}, {}))
    return text(mapping(properties(subnet), "networkSecurityGroup"), "id")


def _vnets(nics: Sequence[Interface], index: _Index) -> dict[str, Resource]:
    vnets: dict[str, Resource] = {}
    for nic in nics:
        vnet, _ = index.subnets.get(arm_ids.key(nic.subnet_id), ({}, {}))
        if vnet:
            vnets[arm_ids.key(text(vnet, "id"))] = vnet
    return vnets


def _address_space(vnet: Resource) -> Iterator[str]:
    prefixes = mapping(properties(vnet), "addressSpace").get("addressPrefixes")
    yield from (
        _prefixes(item for item in prefixes if isinstance(item, str))
        if isinstance(prefixes, list)
        else ()
    )


def _prefixes(texts: Iterable[str]) -> Iterator[str]:
    """Yield those that are prefixes: what cannot be read belongs to nobody."""
    yield from (text for text in texts if network(text) is not None)


def _firewalls(
    vnets: Mapping[str, Resource], index: _Index
) -> tuple[Resource | None, Resource | None]:
    """Return the first classic-rules firewall and the first one under a firewall policy."""
    inside = [firewall for vnet_id in vnets for firewall in index.firewalls.get(vnet_id, ())]
    managed = [item for item in inside if mapping(properties(item), "firewallPolicy").get("id")]
    classic = [item for item in inside if item not in managed]
    return next(iter(classic), None), next(iter(managed), None)


def _subnet_prefixes(firewall: Resource, index: _Index) -> tuple[str, ...]:
    prefixes: list[str] = []
    for subnet_id in firewall_subnets(firewall):
        _, subnet = index.subnets.get(subnet_id, ({}, {}))
        prefixes.extend(_prefixes(strings(properties(subnet), "addressPrefix", "addressPrefixes")))
    return tuple(prefixes)


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


def _support(policy: Resource | None, reasons: tuple[str, ...]) -> Support:
    if reasons:
        return Support.UNSUPPORTED
    return Support.CONFIGURED if policy is not None else Support.NOT_CONFIGURED


def _shown(policy: Resource | None, reasons: tuple[str, ...]) -> tuple[str, ...]:
    if reasons or policy is not None:
        return reasons
    return ("no JIT policy names this VM",)


def _via(classic: Resource | None, nics: Sequence[Interface]) -> Via:
    if classic is not None:
        return Via.FIREWALL
    return Via.PUBLIC_IP if any(nic.public_ip_id for nic in nics) else Via.PRIVATE


def references(resource: Resource) -> Iterator[str]:
    """Yield the ids of what a VM, interface or virtual network refers to and a path rests on."""
    body = properties(resource)
    for nic in mappings(mapping(body, "networkProfile"), "networkInterfaces"):
        yield text(nic, "id")
    yield text(mapping(body, "networkSecurityGroup"), "id")
    for configuration in mappings(body, "ipConfigurations"):
        ip = properties(configuration)
        yield text(mapping(ip, "publicIPAddress"), "id")
        yield text(mapping(ip, "subnet"), "id").rsplit("/subnets/", 1)[0]


def subnet_nsg_ids(vnet: Resource, subnet_ids: Iterable[str]) -> Iterator[str]:
    """Yield the ids of the NSGs on the subnets of *vnet* that are among *subnet_ids*."""
    wanted = {arm_ids.key(subnet_id) for subnet_id in subnet_ids}
    for subnet in mappings(properties(vnet), "subnets"):
        if arm_ids.key(text(subnet, "id")) in wanted:
            yield text(mapping(properties(subnet), "networkSecurityGroup"), "id")
