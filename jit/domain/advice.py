"""What the owner of each VM should know, worked out over the lists of a whole subscription."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from jit.domain import armid, nsgwarnings, securityrules, topology
from jit.domain.addresses import network
from jit.domain.aimed import Aimed
from jit.domain.model import Interface, MachineWarning, Support, VirtualMachine
from jit.domain.topology import Resource, Snapshot

_BASTION = "azurebastionsubnet"
"""The name that the subnet of a Bastion must have, and no other subnet can (Microsoft Learn)."""

_Rules = Mapping[str, Aimed]


def advised(machines: Iterable[VirtualMachine], snapshot: Snapshot) -> tuple[VirtualMachine, ...]:
    """
    Return *machines* with their warnings; only VMs with a JIT policy can have any.

    A Bastion counts where the VM's own VNet, or one peered with it, has AzureBastionSubnet. Peered
    VNets of other subscriptions are not in the snapshot, so nothing is said about them. An NSG
    that is not in the snapshot, or an address that cannot be read, gives no warning: a guess
    would be worse.
    """
    rules = {
        armid.key(topology.text(nsg, "id")): Aimed(securityrules.parse_rules(nsg))
        for nsg in snapshot.nsgs
    }
    bastions = _bastions(snapshot.networks)
    return tuple(
        replace(vm, warnings=tuple(_warnings(vm, rules, bastions)))
        if vm.support is Support.CONFIGURED
        else vm
        for vm in machines
    )


def _warnings(
    vm: VirtualMachine, rules: _Rules, bastions: Mapping[str, tuple[str, ...]]
) -> Iterator[MachineWarning]:
    seen: set[MachineWarning] = set()
    for nic in vm.interfaces:
        for warning in _of_interface(nic, vm, rules, bastions):
            if warning not in seen:
                seen.add(warning)
                yield warning


def _of_interface(
    nic: Interface, vm: VirtualMachine, rules: _Rules, bastions: Mapping[str, tuple[str, ...]]
) -> tuple[MachineWarning, ...]:
    keys = [armid.key(nsg_id) for nsg_id in nic.nsg_ids]
    if network(nic.private_ip) is None or not all(key in rules for key in keys):
        return ()
    nsgs = [rules[key].at(nic.private_ip) for key in keys]
    vnet = tuple(text for text in vm.vnet_prefixes if network(text) is not None)
    near = bastions.get(armid.key(nic.subnet_id.rsplit("/subnets/", 1)[0]), ())
    return (
        *nsgwarnings.jit_warnings(
            nsgs, private_ip=nic.private_ip, ports=vm.ports, vnet_prefixes=vnet
        ),
        *nsgwarnings.bastion_warnings(
            nsgs,
            private_ip=nic.private_ip,
            ports=vm.ports,
            bastion_prefixes=near,
            vnet_prefixes=vnet,
        ),
    )


def _bastions(networks: Iterable[Resource]) -> dict[str, tuple[str, ...]]:
    """Return, by VNet, the prefixes of the Bastions that can reach its VMs."""
    by_id = {armid.key(topology.text(vnet, "id")): vnet for vnet in networks}
    own = {key: tuple(_bastion_prefixes(vnet)) for key, vnet in by_id.items()}
    return {
        key: tuple(dict.fromkeys((*own[key], *_of_peers(vnet, own)))) for key, vnet in by_id.items()
    }


def _of_peers(vnet: Resource, own: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for peering in topology.mappings(topology.properties(vnet), "virtualNetworkPeerings"):
        inner = topology.properties(peering)
        remote = topology.text(topology.mapping(inner, "remoteVirtualNetwork"), "id")
        if topology.text(inner, "peeringState") == "Connected":
            yield from own.get(armid.key(remote), ())


def _bastion_prefixes(vnet: Resource) -> Iterator[str]:
    for subnet in topology.mappings(topology.properties(vnet), "subnets"):
        if topology.text(subnet, "name").lower() == _BASTION:
            texts = topology.strings(
                topology.properties(subnet), "addressPrefix", "addressPrefixes"
            )
            yield from (text for text in texts if network(text) is not None)
