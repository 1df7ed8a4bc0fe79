"""Which Bastions reach the VMs of a virtual network, as the prefixes they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import keep_prefixes

SHARED = "168.63.129.16/32"
"""
Where a Bastion of the SKU Developer comes from: it has no subnet of its own, the VM sees the
host's address (Learn, "Deploy Azure Bastion Developer"; from memory, not tried).
"""

_SUBNET = "azurebastionsubnet"
"""The name that the subnet of a Bastion must have, and no other subnet can (Microsoft Learn)."""


def find_bastions(
    networks: Iterable[Resource], hosts: Sequence[Resource] | None
) -> dict[str, tuple[str, ...]]:
    """
    Return, by the key of each of *networks*, the prefixes of the Bastions that reach its VMs.

    A Bastion reaches the VMs of its own virtual network and of those peered with it; one of the
    SKU Developer only its own. A prefix that cannot be read is left out.

    Args:
        networks: ``virtualNetworks`` of a subscription. A peered one that is not among them says
            nothing: it belongs to another subscription.
        hosts: ``bastionHosts`` of the subscription; None where they could not be read. Then each
            AzureBastionSubnet counts as a Bastion, for nothing else may live there: a false
            alarm costs less than a way past JIT that nobody is told of.

    Source:
        Microsoft.Network 2024-05-01 ``BastionHost``; Learn, "VNet peering and Azure Bastion" and
        "About Bastion configuration settings" (Developer has no peering).
    """
    by_id = {arm_json.key(vnet): vnet for vnet in networks}
    subnets = None if hosts is None else set(filter(None, _subnets(hosts)))
    shared = set(filter(None, _shared(hosts or ())))
    own = {key: tuple(_prefixes(vnet, subnets)) for key, vnet in by_id.items()}
    near = {key: (*own[key], *_of_peers(vnet, own)) for key, vnet in by_id.items()}
    return {
        key: tuple(dict.fromkeys((*prefixes, *([SHARED] if key in shared else ()))))
        for key, prefixes in near.items()
    }


def _subnets(hosts: Iterable[Resource]) -> Iterator[str]:
    """Yield the keys of the subnets that *hosts* stand in."""
    for host in hosts:
        for leg in arm_json.mappings(arm_json.properties(host), "ipConfigurations"):
            subnet = arm_json.mapping(arm_json.properties(leg), "subnet")
            yield arm_json.key(subnet)


def _shared(hosts: Iterable[Resource]) -> Iterator[str]:
    """Yield the keys of the virtual networks that a Bastion of the SKU Developer serves."""
    for host in hosts:
        served = arm_json.mapping(arm_json.properties(host), "virtualNetwork")
        yield arm_json.key(served)


def _prefixes(vnet: Resource, subnets: set[str] | None) -> Iterator[str]:
    """Yield the prefixes of those subnets of *vnet* that are among *subnets*."""
    for subnet in arm_json.mappings(arm_json.properties(vnet), "subnets"):
        if _is_bastions(subnet, subnets):
            texts = arm_json.one_or_many(
                arm_json.properties(subnet), "addressPrefix", "addressPrefixes"
            )
            yield from keep_prefixes(texts)


def _is_bastions(subnet: Resource, subnets: set[str] | None) -> bool:
    if subnets is None:
        return arm_json.text(subnet, "name").lower() == _SUBNET
    return arm_json.key(subnet) in subnets


def _of_peers(vnet: Resource, own: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield the prefixes of Bastions in the virtual networks that *vnet* lets in."""
    for peering in arm_json.mappings(arm_json.properties(vnet), "virtualNetworkPeerings"):
        inner = arm_json.properties(peering)
        remote = arm_json.reference(inner, "remoteVirtualNetwork")
        if arm_json.text(inner, "peeringState") == "Connected":
            yield from own.get(arm_ids.key(remote), ())
