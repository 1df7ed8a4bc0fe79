"""The Bastions that reach the VMs of a virtual network, and their prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.model.bastion import Bastion
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import IPV6, keep_prefixes, read_prefix

SHARED = "168.63.129.16/32"
"""
The source of a Bastion of the SKU Developer: it has no subnet of its own, so the VM sees the
host's address (Learn, "Deploy Azure Bastion Developer"; from memory, not tried).
"""

_SUBNET = "azurebastionsubnet"
"""The name of the subnet of every Bastion; no other subnet may have it (Microsoft Learn)."""


def find_bastions(
    networks: Iterable[Resource], hosts: Sequence[Resource] | None
) -> dict[str, tuple[str, ...]]:
    """
    Return the prefixes of the Bastions that reach the VMs of each of *networks*, by its key.

    A Bastion reaches the VMs of its own virtual network and of the peered ones. A Bastion of the
    SKU Developer reaches only its own. A prefix that cannot be read is left out.

    Args:
        networks: ``virtualNetworks`` of a subscription. A peered network of another subscription is
            not among them, so its Bastions stay unknown.
        hosts: ``bastionHosts`` of the subscription; None if they could not be read. Then each
            AzureBastionSubnet counts as a Bastion, because nothing else may be there: a false
            alarm costs less than an unknown way around JIT.

    Source:
        Microsoft.Network 2024-05-01 ``BastionHost``; Learn, "VNet peering and Azure Bastion" and
        "About Bastion configuration settings" (Developer has no peering).
    """
    by_id = {arm_json.key(vnet): vnet for vnet in networks}
    subnets = None if hosts is None else set(filter(None, _subnets(hosts)))
    shared = set(filter(None, _developer_networks(hosts or ())))
    own = {key: tuple(_prefixes(vnet, subnets)) for key, vnet in by_id.items()}
    near = {key: (*own[key], *_peer_prefixes(vnet, own)) for key, vnet in by_id.items()}
    return {
        key: tuple(dict.fromkeys((*prefixes, *([SHARED] if key in shared else ()))))
        for key, prefixes in near.items()
    }


def list_bastions(
    networks: Iterable[Resource], hosts: Iterable[Resource]
) -> dict[str, tuple[Bastion, ...]]:
    """
    Return the Bastions that reach the VMs of each of *networks*, by its key.

    Those of the network itself come first, then those of the peered ones, in the order of their
    ids. A Bastion has no prefixes if its subnet is not among *networks*, has another name than
    Azure demands, or has a prefix that cannot be read: nobody may guess the source. IPv6 prefixes
    are left out, because a Bastion connects by IPv4.

    Args:
        networks: As for `find_bastions`.
        hosts: ``bastionHosts``, as they were read.

    Source:
        Microsoft.Network 2024-05-01 ``BastionHost``; Learn, "About Bastion configuration settings"
        (SKUs and the native client) and "Azure Bastion FAQ" (IPv6 is not supported).
    """
    by_id = {arm_json.key(vnet): vnet for vnet in networks}
    subnets = {
        arm_json.key(subnet): subnet
        for vnet in by_id.values()
        for subnet in arm_json.mappings(arm_json.properties(vnet), "subnets")
    }
    own: dict[str, list[Bastion]] = {key: [] for key in by_id}
    peered: dict[str, list[Bastion]] = {key: [] for key in by_id}
    for host in sorted(hosts, key=arm_json.key):
        bastion = _read_bastion(host, subnets)
        for network in map(arm_ids.key, list_network_ids(host)):
            own.get(network, []).append(bastion)
            peered.get(network, []).append(bastion)
        for network in _developer_networks([host]):
            own.get(network, []).append(bastion)
    return {
        key: (*own[key], *(each for peer in _list_peers(vnet) for each in peered.get(peer, ())))
        for key, vnet in by_id.items()
    }


def _read_bastion(host: Resource, subnets: Mapping[str, Resource]) -> Bastion:
    ids = set(map(arm_ids.key, _list_subnet_ids(host)))
    only = next(iter(ids), "") if len(ids) == 1 else ""
    is_known = only.endswith(f"/{_SUBNET}")  # in another subnet there may be anybody
    return Bastion(
        id=arm_json.text(host, "id"),
        prefixes=_read_sources(subnets.get(only, {})) if is_known else (),
        native=arm_json.flag(arm_json.properties(host), "enableTunneling"),
    )


def _read_sources(subnet: Resource) -> tuple[str, ...]:
    """Return the IPv4 prefixes of *subnet*; none if one of its prefixes cannot be read."""
    found = [read_prefix(text) for text in _list_prefixes(subnet)]
    known = [prefix for prefix in found if prefix is not None]
    if len(known) < len(found):
        return ()
    return tuple(str(prefix) for prefix in known if prefix.version != IPV6)


def _subnets(hosts: Iterable[Resource]) -> Iterator[str]:
    """Yield the keys of the subnets of *hosts*."""
    return (arm_ids.key(each) for host in hosts for each in _list_subnet_ids(host))


def list_network_ids(host: Resource) -> tuple[str, ...]:
    """Return the ARM id of the virtual network with the subnet of a Bastion, if it has one."""
    ids = (each[: arm_ids.key(each).rfind("/subnets/")] for each in _list_subnet_ids(host))
    return tuple(dict.fromkeys(filter(None, ids)))


def _list_subnet_ids(host: Resource) -> Iterator[str]:
    for leg in arm_json.mappings(arm_json.properties(host), "ipConfigurations"):
        yield arm_json.read_reference(arm_json.properties(leg), "subnet")


def _developer_networks(hosts: Iterable[Resource]) -> Iterator[str]:
    """Yield the keys of the virtual networks that a Bastion of the SKU Developer serves."""
    for host in hosts:
        served = arm_json.mapping(arm_json.properties(host), "virtualNetwork")
        yield arm_json.key(served)


def _prefixes(vnet: Resource, subnets: set[str] | None) -> Iterator[str]:
    """Yield the prefixes of the subnets of *vnet* that are among *subnets*."""
    for subnet in arm_json.mappings(arm_json.properties(vnet), "subnets"):
        if _is_bastion_subnet(subnet, subnets):
            yield from keep_prefixes(_list_prefixes(subnet))


def _list_prefixes(subnet: Resource) -> tuple[str, ...]:
    return arm_json.one_or_many(arm_json.properties(subnet), "addressPrefix", "addressPrefixes")


def _is_bastion_subnet(subnet: Resource, subnets: set[str] | None) -> bool:
    if subnets is None:
        return arm_json.text(subnet, "name").lower() == _SUBNET
    return arm_json.key(subnet) in subnets


def _peer_prefixes(vnet: Resource, own: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the prefixes of Bastions in the virtual networks that are peered with *vnet*."""
    for peer in _list_peers(vnet):
        yield from own.get(peer, ())


def _list_peers(vnet: Resource) -> Iterator[str]:
    """Yield the keys of the virtual networks that are peered with *vnet*."""
    for peering in arm_json.mappings(arm_json.properties(vnet), "virtualNetworkPeerings"):
        inner = arm_json.properties(peering)
        remote = arm_json.read_reference(inner, "remoteVirtualNetwork")
        if arm_json.text(inner, "peeringState") == "Connected":
            yield arm_ids.key(remote)
