"""Farms: many VMs of one kind, from one line of the landscape."""

from __future__ import annotations

from ipaddress import ip_network

from local.azure.values.http import Json

_FIRST = 11  # the host address of a farm's first VM: Azure keeps .0 to .3 for itself
_PORTS = (
    {"number": 22, "protocol": "TCP", "sources": "*", "max": "PT3H"},
    {"number": 3389, "protocol": "TCP", "sources": "*", "max": "PT3H"},
)


def build_group(short: Json) -> Json:
    """
    Return the resource group that *short* describes, in the landscape's own words.

    Args:
        short: ``resourceGroup, first, count, network, publicNetwork, os``, and
            ``guard``: whether each interface has the NSG, or their subnet.
    """
    names = [
        f"farm{number:02d}" for number in range(short["first"], short["first"] + short["count"])
    ]
    nsg = short["resourceGroup"].replace("rg-", "nsg-")
    on_subnet = short.get("guard") == "subnet"
    subnet = {
        "name": "snet-vms",
        "prefix": f"{ip_network(short['network']).network_address}/24",
        **({"nsg": nsg} if on_subnet else {}),
    }
    network = short["resourceGroup"].replace("rg-", "vnet-")
    addresses = zip(names, _list_hosts(short["network"], len(names)), strict=True)
    outside = zip(names, _list_hosts(short["publicNetwork"], len(names)), strict=True)
    own = {} if on_subnet else {"nsg": nsg}
    return {
        "name": short["resourceGroup"],
        "virtualNetworks": [{"name": network, "prefixes": [short["network"]], "subnets": [subnet]}],
        "networkSecurityGroups": [{"name": nsg, "rules": []}],
        "publicIpAddresses": [{"name": f"pip-{name}", "address": each} for name, each in outside],
        "virtualMachines": [
            _build_machine(name, short["os"], f"{network}/snet-vms", {"privateIp": each, **own})
            for name, each in addresses
        ],
        "jitPolicies": [
            {"name": "default", "virtualMachines": {name: list(_PORTS) for name in names}}
        ],
    }


def _list_hosts(network: str, count: int) -> list[str]:
    inside = ip_network(network)
    return [str(inside[_FIRST + number]) for number in range(count)]


def _build_machine(name: str, os: str, subnet: str, more: Json) -> Json:
    nic = {"name": f"{name}-nic", "subnet": subnet, "publicIp": f"pip-{name}", **more}
    return {"name": name, "os": os, "nics": [nic]}
