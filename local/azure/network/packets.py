"""A packet on its way to a VM: the flow, the path that it takes, and the addresses that hold it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network

from local.azure.arm.store import Store
from local.azure.network.topology import Interface
from local.azure.values import ids
from local.azure.values.http import Json


@dataclass(frozen=True, slots=True)
class Flow:
    """
    A connection that somebody tries to open.

    Attributes:
        source: Address it comes from.
        machine: Id of the VM.
        port: On the VM.
        protocol: ``Tcp`` or ``Udp``.
    """

    source: str
    machine: str
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Path:
    """
    One path to the VM.

    Attributes:
        kind: ``private``, ``publicIp``, ``firewall`` or ``loadBalancer``.
        address: The address that the person connects to.
        port: The port there.
        sources: The addresses that the VM's NSGs see.
        interface: The IP configuration at its end.
        obstacle: Why no packet takes it; None if there is no reason before the NSGs.
    """

    kind: str
    address: str
    port: int
    sources: tuple[str, ...]
    interface: Interface
    obstacle: str | None = None

    def shown(self) -> Json:
        """Return it as JSON."""
        return {"kind": self.kind, "address": self.address, "port": self.port}


def is_in_range(prefix: str, address: str) -> bool:
    """Return True if *address* lies in a prefix, a range ``a-b``, or ``*``; a tag holds nothing."""
    if prefix == "*":
        return True
    try:
        low, dash, high = prefix.partition("-")
        if dash:
            return IPv4Address(low) <= IPv4Address(address) <= IPv4Address(high)
        return ip_address(address) in ip_network(prefix, strict=False)
    except ValueError:
        return False


def is_in_ports(text: str, port: int) -> bool:
    """Return True if *port* is one of ``22``, ``20-30`` or ``*``."""
    low, _, high = text.partition("-")
    return text == "*" or int(low) <= port <= int(high or low)


def is_in_network(store: Store, network_id: str, address: str) -> bool:
    """Return True if *address* belongs to the virtual network or to a connected one."""
    network = store.get(network_id)
    if network is None or ids.key(network["type"]) != ids.key(ids.NETWORKS):
        return False
    spaces = [
        ip_network(prefix, strict=False)
        for each in (network, *list_peers(store, network))
        for prefix in each["properties"]["addressSpace"]["addressPrefixes"]
    ]
    return any(ip_address(address) in space for space in spaces)


def list_peers(store: Store, network: Json) -> Iterator[Json]:
    """
    Yield the virtual networks that are connected with *network*.

    Source:
        https://learn.microsoft.com/azure/virtual-network/virtual-network-peering-overview
        (a peering that is not ``Connected`` carries no packets).
    """
    for peering in network["properties"].get("virtualNetworkPeerings", ()):
        inner = peering["properties"]
        peer = store.get(inner["remoteVirtualNetwork"]["id"])
        connected = inner.get("peeringState", "Connected") == "Connected"
        if connected and peer is not None and ids.key(peer["type"]) == ids.key(ids.NETWORKS):
            yield peer
