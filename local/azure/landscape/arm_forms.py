"""The ARM form of each resource that the landscape names in short."""

from __future__ import annotations

import uuid
from typing import Any

from local.azure.values import ids
from local.azure.values.http import Json

_SPACE = uuid.UUID("0b6f4d1e-2f8c-4a55-8a4e-6f2f6e9a7c10")
_DEFAULT_RULES = (
    {
        "name": "AllowVnetInBound",
        "description": "Allow inbound traffic from all VMs in VNET",
        "priority": 65000,
        "source": "VirtualNetwork",
        "destination": "VirtualNetwork",
    },
    {
        "name": "AllowAzureLoadBalancerInBound",
        "description": "Allow inbound traffic from azure load balancer",
        "priority": 65001,
        "source": "AzureLoadBalancer",
    },
    {
        "name": "DenyAllInBound",
        "description": "Deny all inbound traffic",
        "priority": 65500,
        "access": "Deny",
    },
    {
        "name": "AllowVnetOutBound",
        "description": "Allow outbound traffic from all VMs to all VMs in VNET",
        "direction": "Outbound",
        "priority": 65000,
        "source": "VirtualNetwork",
        "destination": "VirtualNetwork",
    },
    {
        "name": "AllowInternetOutBound",
        "description": "Allow outbound traffic from all VMs to Internet",
        "direction": "Outbound",
        "priority": 65001,
        "destination": "Internet",
    },
    {
        "name": "DenyAllOutBound",
        "description": "Deny all outbound traffic",
        "direction": "Outbound",
        "priority": 65500,
        "access": "Deny",
    },
)
_ANY: Json = {
    "access": "Allow",
    "direction": "Inbound",
    "protocol": "*",
    "source": "*",
    "destination": "*",
    "ports": "*",
}


class Place:
    """A resource group: builds ids, finds neighbours by their short names."""

    def __init__(self, subscription: str, group: str, location: str) -> None:
        self.subscription = subscription
        self.group = group
        self.location = location

    def id(self, type_: str, *names: str) -> str:
        """Return the id of a resource in this group."""
        return ids.build(self.subscription, self.group, type_, *names)

    def subnet(self, short: str) -> str:
        """Return the id of the subnet ``network/subnet`` in this group."""
        network, subnet = short.split("/")
        return self.id(f"{ids.NETWORKS}/subnets", network, subnet)

    def resource(self, type_: str, name: str, properties: Json, **more: Any) -> Json:
        """Return the frame of a resource around *properties*."""
        return {
            "name": name,
            "id": self.id(type_, *([self.location, name] if "/locations/" in type_ else [name])),
            "type": type_,
            "location": self.location,
            **more,
            "properties": properties,
        }


def guid(*parts: str) -> str:
    """Return the GUID that always belongs to *parts*."""
    return str(uuid.uuid5(_SPACE, "/".join(parts).lower()))


def virtual_network(place: Place, short: Json) -> Json:
    """Return the virtual network; *short* has ``name, prefixes, subnets``."""
    subnets = [
        {
            "name": subnet["name"],
            "properties": {
                "addressPrefix": subnet["prefix"],
                **link("networkSecurityGroup", place, ids.SECURITY_GROUPS, subnet.get("nsg")),
            },
        }
        for subnet in short["subnets"]
    ]
    space = {"addressPrefixes": list(short["prefixes"])}
    properties = {"addressSpace": space, "subnets": subnets, "virtualNetworkPeerings": []}
    return place.resource(ids.NETWORKS, short["name"], properties)


def bastion(place: Place, short: Json) -> Json:
    """Return the Bastion host; *short* has ``name, subnet, publicIp``. It takes native clients."""
    leg = {
        "name": "bastionHostIpConfiguration",
        "properties": {
            "privateIPAllocationMethod": "Dynamic",
            "subnet": {"id": place.subnet(short["subnet"])},
            **link("publicIPAddress", place, ids.ADDRESSES, short.get("publicIp")),
        },
    }
    sku = {"name": "Standard"}
    return place.resource(
        ids.BASTIONS, short["name"], {"ipConfigurations": [leg], "enableTunneling": True}, sku=sku
    )


def public_address(place: Place, short: Json) -> Json:
    """Return the public IP address; *short* has ``name, address``."""
    properties = {
        "ipAddress": short["address"],
        "publicIPAddressVersion": "IPv4",
        "publicIPAllocationMethod": "Static",
        "idleTimeoutInMinutes": 4,
        "ipTags": [],
    }
    sku = {"name": "Standard", "tier": "Regional"}
    return place.resource(ids.ADDRESSES, short["name"], properties, sku=sku)


def security_group(place: Place, short: Json) -> Json:
    """Return the NSG; *short* has ``name, rules``."""
    rules = [security_rule(rule) for rule in short["rules"]]
    return place.resource(ids.SECURITY_GROUPS, short["name"], group_properties(rules))


def group_properties(rules: list[Json]) -> Json:
    """Return an NSG's properties with *rules* beside Azure's default ones."""
    defaults = [security_rule({**_ANY, **short}) for short in _DEFAULT_RULES]
    return {"securityRules": rules, "defaultSecurityRules": defaults}


def security_rule(short: Json) -> Json:
    """Return a rule; *short* has ``name, priority, access, protocol, source, …, ports``."""
    properties: Json = {
        **({"description": short["description"]} if "description" in short else {}),
        "protocol": short["protocol"],
        "sourcePortRange": "*",
        "sourcePortRanges": [],
        "access": short["access"],
        "priority": short["priority"],
        "direction": short.get("direction", "Inbound"),
    }
    set_one_or_many(properties, "sourceAddressPrefix", short["source"], plural="es")
    set_one_or_many(properties, "destinationAddressPrefix", short["destination"], plural="es")
    set_one_or_many(properties, "destinationPortRange", short["ports"], plural="s")
    return {"name": short["name"], "properties": properties}


def set_one_or_many(properties: Json, name: str, value: str | list[str], *, plural: str) -> None:
    """Set *name* to a single value, or its plural to several: Azure answers both forms."""
    if isinstance(value, str) or len(value) == 1:
        properties[name] = value if isinstance(value, str) else value[0]
        properties[name + plural] = []
    else:
        properties[name + plural] = list(value)


def interface(place: Place, short: Json, machine: str, *, primary: bool) -> Json:
    """Return the network interface of the VM *machine*."""
    leg = {
        "name": "ipconfig1",
        "properties": {
            "privateIPAddress": short["privateIp"],
            "privateIPAllocationMethod": "Dynamic",
            "privateIPAddressVersion": "IPv4",
            "primary": True,
            "subnet": {"id": place.subnet(short["subnet"])},
            **link("publicIPAddress", place, ids.ADDRESSES, short.get("publicIp")),
        },
    }
    properties = {
        "ipConfigurations": [leg],
        "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
        "enableIPForwarding": False,
        "primary": primary,
        "nicType": "Standard",
        "virtualMachine": {"id": ids.upper_case_group(place.id(ids.MACHINES, machine))},
        **link("networkSecurityGroup", place, ids.SECURITY_GROUPS, short.get("nsg")),
    }
    return place.resource(ids.INTERFACES, short["name"], properties, kind="Regular")


def machine(place: Place, short: Json) -> Json:
    """Return the virtual machine; *short* has ``name, os, nics``."""
    nics = [
        {"id": place.id(ids.INTERFACES, nic["name"]), "properties": {"primary": index == 0}}
        for index, nic in enumerate(short["nics"])
    ]
    properties = {
        "vmId": guid("vm", place.subscription, place.group, short["name"]),
        "provisioningState": "Succeeded",
        "hardwareProfile": {"vmSize": "Standard_B2s"},
        "storageProfile": {"osDisk": {"osType": short["os"], "createOption": "FromImage"}},
        "osProfile": {"computerName": short["name"], "adminUsername": "azureuser"},
        "networkProfile": {"networkInterfaces": nics},
        "instanceView": {"statuses": _statuses(short.get("power", "running"))},
    }
    return place.resource(ids.MACHINES, short["name"], properties)


def _statuses(power: str) -> list[Json]:
    return [
        {
            "code": "ProvisioningState/succeeded",
            "level": "Info",
            "displayStatus": "Provisioning succeeded",
        },
        {"code": f"PowerState/{power}", "level": "Info", "displayStatus": f"VM {power}"},
    ]


def jit_port(short: Json) -> Json:
    """Return a JIT policy's port; *short* has ``number, protocol, sources, max``."""
    port: Json = {"number": short["number"], "protocol": short["protocol"]}
    sources = short["sources"]
    single = isinstance(sources, str)
    port["allowedSourceAddressPrefix" if single else "allowedSourceAddressPrefixes"] = sources
    return {**port, "maxRequestAccessDuration": short["max"]}


def jit_policy(place: Place, name: str, machines: list[Json]) -> Json:
    """Return a JIT policy over *machines* (each ``id`` with ``ports``) without requests."""
    properties = {"provisioningState": "Succeeded", "virtualMachines": machines, "requests": []}
    return place.resource(ids.JIT_POLICIES, name, properties, kind="Basic")


def link(name: str, place: Place, type_: str, target: str | None) -> Json:
    """Return the property *name* that refers to a neighbour; nothing without a target."""
    return {} if target is None else {name: {"id": place.id(type_, target)}}
