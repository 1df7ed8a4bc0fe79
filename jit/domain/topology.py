"""
How VMs, interfaces, subnets, NSGs, firewalls and JIT policies hang together.

Values in, values out: resources as ARM returns them become ``VirtualMachine`` records. What is
supported and what is not follows Microsoft's prerequisites for just-in-time access:
https://learn.microsoft.com/azure/defender-for-cloud/just-in-time-access-overview
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jit.domain import armid, entries, times
from jit.domain.addresses import network
from jit.domain.entries import Entry
from jit.domain.model import (
    Interface,
    PortRule,
    Support,
    Via,
    VirtualMachine,
)

Resource = Mapping[str, object]
"""One ARM resource as JSON."""


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
    requests: Mapping[str, Sequence[Entry]]  # vm id -> Defender's requests of its policy


def machines(snapshot: Snapshot, *, now: datetime) -> dict[str, VirtualMachine]:
    """Return every VM of *snapshot* by its key (lower-cased id)."""
    index = _index(snapshot)
    found = (_machine(vm, index, now) for vm in snapshot.machines)
    return {armid.key(vm.id): vm for vm in found}


def text(resource: Mapping[str, object], name: str) -> str:
    """Return a string member, or an empty string."""
    value = resource.get(name)
    return value if isinstance(value, str) else ""


def mapping(resource: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return an object member, or an empty one."""
    value = resource.get(name)
    return value if isinstance(value, Mapping) else {}


def mappings(resource: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """Return the objects of an array member."""
    value = resource.get(name)
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]


def strings(resource: Mapping[str, object], one: str, many: str) -> tuple[str, ...]:
    """Return ARM's singular/plural pair of members as one tuple."""
    value = resource.get(many)
    items = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    single = text(resource, one)
    return tuple(items or ([single] if single else []))


def properties(resource: Resource) -> Mapping[str, object]:
    """Return a resource's properties."""
    return mapping(resource, "properties")


def _by_id(resources: Iterable[Resource]) -> dict[str, Resource]:
    return {armid.key(text(item, "id")): item for item in resources}


def _index(snapshot: Snapshot) -> _Index:
    subnets = {
        armid.key(text(subnet, "id")): (vnet, subnet)
        for vnet in snapshot.networks
        for subnet in mappings(properties(vnet), "subnets")
    }
    firewalls: dict[str, list[Resource]] = {}
    for firewall in snapshot.firewalls:
        for vnet_id in set(_firewall_vnets(firewall)):
            firewalls.setdefault(vnet_id, []).append(firewall)
    policies = {
        armid.key(text(entry, "id")): (policy, entry)
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


def _requests(policies: Iterable[Resource]) -> dict[str, list[Entry]]:
    """Return Defender's requests by VM; each policy is read once, whatever the number of VMs."""
    found: dict[str, list[Entry]] = {}
    for entry in (entry for policy in policies for entry in entries.read(policy)):
        found.setdefault(armid.key(entry.vm_id), []).append(entry)
    return found


def _firewall_vnets(firewall: Resource) -> Iterator[str]:
    for subnet_id in firewall_subnets(firewall):
        yield subnet_id.rsplit("/subnets/", 1)[0]


def firewall_subnets(firewall: Resource) -> tuple[str, ...]:
    """Return the keys of the subnets that a firewall's instances live in."""
    configurations = mappings(properties(firewall), "ipConfigurations")
    ids = (text(mapping(properties(item), "subnet"), "id") for item in configurations)
    return tuple(dict.fromkeys(armid.key(subnet) for subnet in ids if subnet))


def _machine(vm: Resource, index: _Index, now: datetime) -> VirtualMachine:
    vm_id = text(vm, "id")
    nics = tuple(_interfaces(vm, index))
    vnets = _vnets(nics, index)
    classic, with_policy = _firewalls(vnets, index)
    policy, entry = index.policies.get(armid.key(vm_id), (None, None))
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
        occupations=entries.occupations(index.requests.get(armid.key(vm_id), ()), now=now),
    )


def _interfaces(vm: Resource, index: _Index) -> Iterator[Interface]:
    references = mappings(mapping(properties(vm), "networkProfile"), "networkInterfaces")
    for reference in references:
        nic = index.interfaces.get(armid.key(text(reference, "id")))
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
    public = index.public_ips.get(armid.key(public_id))
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
    _, subnet = index.subnets.get(armid.key(subnet_id), ({}, {}))
    return text(mapping(properties(subnet), "networkSecurityGroup"), "id")


def _vnets(nics: Sequence[Interface], index: _Index) -> dict[str, Resource]:
    vnets: dict[str, Resource] = {}
    for nic in nics:
        vnet, _ = index.subnets.get(armid.key(nic.subnet_id), ({}, {}))
        if vnet:
            vnets[armid.key(text(vnet, "id"))] = vnet
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


def port_rules(entry: Mapping[str, object]) -> Iterator[PortRule]:
    """
    Yield the port rules of a policy's VM entry.

    A rule that cannot be read allows nothing: an unreadable duration counts as none.
    """
    for port in mappings(entry, "ports"):
        number = port.get("number")
        if isinstance(number, int):
            yield PortRule(
                number=number,
                protocol=text(port, "protocol") or "*",
                allowed_sources=strings(
                    port, "allowedSourceAddressPrefix", "allowedSourceAddressPrefixes"
                ),
                max_duration=_duration(text(port, "maxRequestAccessDuration")),
            )


def _duration(value: str) -> timedelta:
    try:
        return times.parse_duration(value)
    except ValueError:
        return timedelta(0)


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


def subnet_guards(vnet: Resource, subnet_ids: Iterable[str]) -> Iterator[str]:
    """Yield the ids of the NSGs on the subnets of *vnet* that are among *subnet_ids*."""
    wanted = {armid.key(subnet_id) for subnet_id in subnet_ids}
    for subnet in mappings(properties(vnet), "subnets"):
        if armid.key(text(subnet, "id")) in wanted:
            yield text(mapping(properties(subnet), "networkSecurityGroup"), "id")
