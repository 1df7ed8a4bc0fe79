"""The ways of a VM: the addresses by which a grant may let people in."""

from __future__ import annotations

from jit.domain.model.machine import Interface, Via, VirtualMachine
from jit.domain.paths.blocks import read_version
from jit.domain.values.prefixes import IPV6


def list_ways(vm: VirtualMachine, version: int) -> tuple[Interface, ...]:
    """
    Return the interfaces by which packets of IP *version* may come in, in the order of preference.

    Behind a firewall it is the first one, which Defender's NAT rule leads to, and never by IPv6.
    An interface without an address, while Azure changes it, is no way.
    """
    own = [nic for nic in vm.ordered_interfaces if nic.private_ip and read_version(nic) == version]
    if vm.via is Via.FIREWALL:
        return tuple(own[:1]) if version != IPV6 else ()
    if vm.via is Via.PUBLIC_IP:
        return tuple(nic for nic in own if nic.public_ip or nic.public_ip_id)
    return tuple(own)
