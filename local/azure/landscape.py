"""The landscape file: which subscriptions, networks, machines, people there are at first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import islice
from pathlib import Path

from local.azure import ids, shapes
from local.azure.shapes import Place
from local.azure.wire import Json

_FIRST_MACHINE = 10  # a farm's first VM has the host address .11: Azure keeps .0 to .3
_FARM_PORTS = (
    {"number": 22, "protocol": "TCP", "sources": "*", "max": "PT3H"},
    {"number": 3389, "protocol": "TCP", "sources": "*", "max": "PT3H"},
)


@dataclass(frozen=True, slots=True)
class Landscape:
    """
    What the landscape file says.

    Attributes:
        document: The file as read.
        roles: Role definitions that it names, in Azure's own form.
    """

    document: Json
    roles: tuple[Json, ...]

    @property
    def tenant(self) -> str:
        """The tenant's GUID."""
        return str(self.document["tenant"])

    @property
    def subscriptions(self) -> list[Json]:
        """The subscriptions: ``id, name, defenderPlan`` each."""
        return list(self.document["subscriptions"])

    def resources(self) -> Iterator[Json]:
        """Yield each resource anew in its ARM form, JIT policies last."""
        policies: list[Json] = []
        for subscription in self.subscriptions:
            for group in _groups(subscription):
                place = Place(subscription["id"], group["name"], self.document["location"])
                yield from _network(place, group)
                yield from _machines(place, group)
                policies.extend(_policies(place, group))
        yield from policies

    def groups(self) -> set[tuple[str, str]]:
        """Return each resource group as (subscription, name), in lower case."""
        return {
            (subscription["id"].lower(), group["name"].lower())
            for subscription in self.subscriptions
            for group in _groups(subscription)
        }


def load(path: Path) -> Landscape:
    """
    Read the landscape file with the role definitions beside it.

    Raises:
        ValueError: The file is not a landscape.
    """
    document = json.loads(path.read_text())
    if not isinstance(document, dict) or "subscriptions" not in document:
        raise ValueError(f"{path} is not a landscape")
    roles = [json.loads((path.parent / each).read_text()) for each in document.get("roleFiles", ())]
    return Landscape(document, tuple(roles))


def _groups(subscription: Json) -> Iterator[Json]:
    yield from subscription.get("resourceGroups", ())
    yield from map(_farm, subscription.get("farms", ()))


def _network(place: Place, group: Json) -> Iterator[Json]:
    addresses = {each["name"]: each["address"] for each in group.get("publicIpAddresses", ())}
    for network in group.get("virtualNetworks", ()):
        yield shapes.virtual_network(place, network)
    for nsg in group.get("networkSecurityGroups", ()):
        yield shapes.security_group(place, nsg)
    for address in group.get("publicIpAddresses", ()):
        yield shapes.public_address(place, address)
    for firewall in group.get("azureFirewalls", ()):
        yield shapes.firewall(place, firewall, addresses[firewall["publicIp"]])
    for bastion in group.get("bastionHosts", ()):
        yield shapes.bastion(place, bastion)


def _machines(place: Place, group: Json) -> Iterator[Json]:
    for machine in group.get("virtualMachines", ()):
        for index, nic in enumerate(machine["nics"]):
            yield shapes.interface(place, nic, machine["name"], primary=index == 0)
        yield shapes.machine(place, machine)


def _policies(place: Place, group: Json) -> Iterator[Json]:
    for policy in group.get("jitPolicies", ()):
        machines = [
            {
                "id": ids.shout(place.id(ids.MACHINES, name)),
                "ports": list(map(shapes.jit_port, ports)),
            }
            for name, ports in policy["virtualMachines"].items()
        ]
        yield shapes.jit_policy(place, policy["name"], machines)


def _farm(short: Json) -> Json:
    """Return the resource group that *short* describes: many VMs of one kind."""
    numbers = range(short["first"], short["first"] + short["count"])
    names = [f"farm{number:02d}" for number in numbers]
    network = short["resourceGroup"].removeprefix("rg-")
    inside = list(islice(ip_network(short["network"]).hosts(), _FIRST_MACHINE, 250))
    outside = list(islice(ip_network(short["publicNetwork"]).hosts(), _FIRST_MACHINE, 250))
    subnet = f"{ip_network(short['network']).network_address}/24"
    machines = [
        _farm_machine(name, short["os"], network, str(inside[index]))
        for index, name in enumerate(names)
    ]
    return {
        "name": short["resourceGroup"],
        "virtualNetworks": [
            {
                "name": f"vnet-{network}",
                "prefixes": [short["network"]],
                "subnets": [{"name": "snet-vms", "prefix": subnet}],
            }
        ],
        "networkSecurityGroups": [{"name": f"nsg-{network}", "rules": []}],
        "publicIpAddresses": [
            {"name": f"pip-{name}", "address": str(outside[index])}
            for index, name in enumerate(names)
        ],
        "virtualMachines": machines,
        "jitPolicies": [
            {"name": "default", "virtualMachines": {name: list(_FARM_PORTS) for name in names}}
        ],
    }


def _farm_machine(name: str, os: str, network: str, address: str) -> Json:
    nic = {
        "name": f"{name}-nic",
        "subnet": f"vnet-{network}/snet-vms",
        "privateIp": address,
        "publicIp": f"pip-{name}",
        "nsg": f"nsg-{network}",
    }
    return {"name": name, "os": os, "nics": [nic]}
