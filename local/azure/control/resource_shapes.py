"""
The shapes of the resources in a state: the members that the simulator reads, as Azure shows them.

Source:
    Microsoft.Network 2021-02-01; Microsoft.Compute 2021-03-01; Microsoft.Security 2020-01-01;
    https://learn.microsoft.com/azure/templates/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.azure.network import body_shapes
from local.azure.values import ids
from local.azure.values.shapes import ADDRESS, PREFIX, make_choice, make_reference

_SUBNET = make_reference(f"{ids.NETWORKS}/subnets")
_PUBLIC = make_reference(ids.ADDRESSES)
_GROUP = make_reference(ids.SECURITY_GROUPS)
_MEMBERSHIP = make_reference("Microsoft.Network/applicationSecurityGroups")

RULE = {
    "properties!": {
        "priority!": int,
        "direction!": make_choice("Inbound", "Outbound"),
        "access!": make_choice("Allow", "Deny"),
        "protocol!": str,
        **{
            f"{end}{name}": shape
            for end in ("source", "destination")
            for name, shape in (
                ("AddressPrefix", str),
                ("AddressPrefixes", [str]),
                ("PortRange", str),
                ("PortRanges", [str]),
                ("ApplicationSecurityGroups", [_MEMBERSHIP]),
            )
        },
    }
}
_NAMED_RULE = {"name!": str, **RULE}
_PLACE = {"privateIPAddress": ADDRESS, "subnet": _SUBNET, "publicIPAddress": _PUBLIC}
_LEG = {"name!": str, "properties!": _PLACE}
_VM_PORT = {  # Defender shows what other tools have sent: a number as text, a list as one value
    "number!": (int, str),
    "allowedSourceAddressPrefix": (str, [str]),
    "allowedSourceAddressPrefixes": [str],
}

_MACHINE = {
    "networkProfile": {"networkInterfaces": [make_reference(ids.INTERFACES)]},
    "instanceView": {"statuses": [{"code!": str}]},
    "storageProfile": {"osDisk": {"osType": str}},
}
_INTERFACE = {
    "networkSecurityGroup": _GROUP,
    "ipConfigurations": [
        {
            "name!": str,
            "properties!": {
                "privateIPAddress!": ADDRESS,
                "subnet!": _SUBNET,
                "publicIPAddress": _PUBLIC,
                "primary": bool,
                "applicationSecurityGroups": [_MEMBERSHIP],
            },
        }
    ],
}
_SECURITY_GROUP = {"securityRules": [_NAMED_RULE], "defaultSecurityRules": [_NAMED_RULE]}
_NETWORK = {
    "addressSpace!": {"addressPrefixes!": [PREFIX]},
    "subnets": [
        {
            "name!": str,
            "properties!": {
                "addressPrefix": PREFIX,
                "addressPrefixes": [PREFIX],
                "networkSecurityGroup": _GROUP,
                "routeTable": make_reference(ids.ROUTE_TABLES),
            },
        }
    ],
    "virtualNetworkPeerings": [
        {
            "name!": str,
            "properties!": {
                "remoteVirtualNetwork!": make_reference(ids.NETWORKS),
                "peeringState": make_choice("Initiated", "Connected", "Disconnected"),
            },
        }
    ],
}
_FIREWALL = {**body_shapes.FIREWALL_PROPERTIES, "ipConfigurations": [_LEG]}
_LOAD_BALANCER = {
    "frontendIPConfigurations": [_LEG],
    "inboundNatRules": [
        {
            "name!": str,
            "properties!": {
                "frontendIPConfiguration!": make_reference(
                    f"{ids.LOAD_BALANCERS}/frontendIPConfigurations"
                ),
                "backendIPConfiguration": make_reference(f"{ids.INTERFACES}/ipConfigurations"),
                "protocol!": make_choice("Tcp", "Udp", "All"),
                "frontendPort!": int,
                "backendPort!": int,
            },
        }
    ],
}
_ROUTE_TABLE = {
    "routes": [
        {
            "name!": str,
            "properties!": {
                "addressPrefix!": str,
                "nextHopType!": make_choice(
                    "VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None"
                ),
                "nextHopIpAddress": ADDRESS,
            },
        }
    ],
}
_POLICY = {
    "virtualMachines": [
        {
            "id!": str,
            "ports!": [{**_VM_PORT, "protocol!": str, "maxRequestAccessDuration!": str}],
        }
    ],
    "requests": [
        {
            "virtualMachines!": [{"id!": str, "ports!": [{**_VM_PORT, "endTimeUtc!": str}]}],
            "startTimeUtc!": str,
            "requestor!": str,
        }
    ],
}

SHAPES: Mapping[str, Any] = {
    ids.MACHINES: _MACHINE,
    ids.INTERFACES: _INTERFACE,
    ids.SECURITY_GROUPS: _SECURITY_GROUP,
    ids.ADDRESSES: {"ipAddress": ADDRESS},
    ids.NETWORKS: _NETWORK,
    ids.FIREWALLS: _FIREWALL,
    ids.BASTIONS: {"ipConfigurations": [_LEG]},
    ids.LOAD_BALANCERS: _LOAD_BALANCER,
    ids.ROUTE_TABLES: _ROUTE_TABLE,
    ids.IP_GROUPS: {"ipAddresses": [str]},
    ids.JIT_POLICIES: _POLICY,
}
"""The shape of the properties of each type that the simulator reads."""

LINKS = {
    ids.MACHINES: ("networkInterfaces",),
    ids.INTERFACES: ("networkSecurityGroup", "subnet", "publicIPAddress"),
    ids.NETWORKS: ("networkSecurityGroup", "routeTable"),
    ids.FIREWALLS: ("subnet", "publicIPAddress"),
    ids.BASTIONS: ("subnet", "publicIPAddress"),
    ids.LOAD_BALANCERS: ("subnet", "publicIPAddress"),
}
"""
The members of each type that lead to a resource which Azure deletes only after them.

Other links may lead nowhere: a JIT policy may name a VM that was deleted, a peering a network.
"""

FRAME = {"id": str, "name": str, "type": str, "location": str, "properties!": {}}
"""The shape of every resource."""
