"""The prefixes of the Bastions that reach the VMs of a virtual network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import keep_prefixes

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


def _subnets(hosts: Iterable[Resource]) -> Iterator[str]:
    """Yield the keys of the subnets of *hosts*."""
    for host in hosts:
        for leg in arm_json.mappings(arm_json.properties(host), "ipConfigurations"):
            subnet = arm_json.mapping(arm_json.properties(leg), "subnet")
            yield arm_json.key(subnet)


def _developer_networks(hosts: Iterable[Resource]) -> Iterator[str]:
    """Yield the keys of the virtual networks that a Bastion of the SKU Developer serves."""
    for host in hosts:
        served = arm_json.mapping(arm_json.properties(host), "virtualNetwork")
        yield arm_json.key(served)


def _prefixes(vnet: Resource, subnets: set[str] | None) -> Iterator[str]:
    """Yield the prefixes of the subnets of *vnet* that are among *subnets*."""
    for subnet in arm_json.mappings(arm_json.properties(vnet), "subnets"):
        if _is_bastion_subnet(subnet, subnets):
            texts = arm_json.one_or_many(
                arm_json.properties(subnet), "addressPrefix", "addressPrefixes"
            )
            yield from keep_prefixes(texts)


def _is_bastion_subnet(subnet: Resource, subnets: set[str] | None) -> bool:
    if subnets is None:
        return arm_json.text(subnet, "name").lower() == _SUBNET
    return arm_json.key(subnet) in subnets


def _peer_prefixes(vnet: Resource, own: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the prefixes of Bastions in the virtual networks that are peered with *vnet*."""
    for peering in arm_json.mappings(arm_json.properties(vnet), "virtualNetworkPeerings"):
        inner = arm_json.properties(peering)
        remote = arm_json.read_reference(inner, "remoteVirtualNetwork")
        if arm_json.text(inner, "peeringState") == "Connected":
            yield from own.get(arm_ids.key(remote), ())
