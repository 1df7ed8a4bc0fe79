"""
A VM in a spoke network, as exported: it has a private address only, and an NSG on its interface.

Packets may come by a load balancer's inbound NAT rule, or by the firewall of a connected hub.
"""

from __future__ import annotations

from typing import Any

from tests.local.azure.sim import group, machine, network, policy

WHERE = group("rg-spoke")
VM = machine("inner", WHERE)
NSG = network("networkSecurityGroups", "n", WHERE)
SPOKE, HUB = (network("virtualNetworks", name, WHERE) for name in ("spoke", "hub"))
INTERFACE = network("networkInterfaces", "i", WHERE)
BALANCER = network("loadBalancers", "lb", WHERE)
FIREWALL = network("azureFirewalls", "fw", WHERE)
BASTION = network("bastionHosts", "b", WHERE)
STAFF = network("ipGroups", "staff", WHERE)
POLICY = policy(WHERE)
ADDRESS, IN_HUB = "10.90.1.4", "10.91.5.9"
BALANCED, TRANSLATED = "203.0.113.230", "203.0.113.231"
"""The public addresses of the load balancer and of the hub's firewall."""

PUBLIC = {name: network("publicIPAddresses", name, WHERE) for name in ("lbp", "fwp", "bp")}


def a_spoke(*, port: int = 22) -> dict[str, Any]:
    """Return the resources of the spoke with its hub; nothing in the hub leads to the VM."""
    vm_port = {
        "number": port,
        "protocol": "*",
        "allowedSourceAddressPrefix": "*",
        "maxRequestAccessDuration": "PT3H",
    }
    nics = [{"id": INTERFACE, "properties": {"primary": True}}]
    disk = {"osType": "Linux"}
    return {
        SPOKE: _network(["10.90.0.0/16"], HUB, a={"addressPrefix": "10.90.1.0/24"}),
        HUB: _network(
            ["10.91.0.0/16"],
            SPOKE,
            AzureFirewallSubnet={"addressPrefix": "10.91.0.0/26"},
            AzureBastionSubnet={"addressPrefix": "10.91.1.0/26"},
        ),
        NSG: _resource(securityRules=[]),
        INTERFACE: _resource(
            ipConfigurations=[
                _named("c", privateIPAddress=ADDRESS, subnet={"id": f"{SPOKE}/subnets/a"})
            ],
            networkSecurityGroup={"id": NSG},
        ),
        VM: _resource(networkProfile={"networkInterfaces": nics}, storageProfile={"osDisk": disk}),
        POLICY: _resource(virtualMachines=[{"id": VM, "ports": [vm_port]}], requests=[]),
    }


def a_balancer(*, port: int = 22, outside: int = 2201, **frontend: Any) -> dict[str, Any]:
    """Return a load balancer whose port *outside* leads to *port* of the VM."""
    shown = frontend or {"publicIPAddress": {"id": PUBLIC["lbp"]}}
    rule = _named(
        "ssh",
        frontendIPConfiguration={"id": f"{BALANCER}/frontendIPConfigurations/f"},
        backendIPConfiguration={"id": f"{INTERFACE}/ipConfigurations/c"},
        protocol="Tcp",
        frontendPort=outside,
        backendPort=port,
    )
    return {
        PUBLIC["lbp"]: _resource(ipAddress=BALANCED),
        BALANCER: _resource(
            frontendIPConfigurations=[_named("f", **shown)], inboundNatRules=[rule]
        ),
    }


def a_hub_firewall(*, port: int = 22, outside: int = 2202, **changes: Any) -> dict[str, Any]:
    """Return a firewall in the hub whose port *outside* leads everybody to *port* of the VM."""
    rule = {
        "name": "ssh",
        "protocols": ["TCP"],
        "sourceAddresses": ["*"],
        "destinationAddresses": [TRANSLATED],
        "destinationPorts": [str(outside)],
        "translatedAddress": ADDRESS,
        "translatedPort": str(port),
        **changes,
    }
    jump = _named("jump", priority=200, action={"type": "Dnat"}, rules=[rule])
    leg = _named(
        "leg",
        privateIPAddress="10.91.0.4",
        subnet={"id": f"{HUB}/subnets/AzureFirewallSubnet"},
        publicIPAddress={"id": PUBLIC["fwp"]},
    )
    return {
        PUBLIC["fwp"]: _resource(ipAddress=TRANSLATED),
        FIREWALL: _resource(ipConfigurations=[leg], natRuleCollections=[jump]),
    }


def a_bastion() -> dict[str, Any]:
    """Return a Bastion in the hub."""
    leg = _named(
        "leg",
        subnet={"id": f"{HUB}/subnets/AzureBastionSubnet"},
        publicIPAddress={"id": PUBLIC["bp"]},
    )
    return {
        PUBLIC["bp"]: _resource(ipAddress="203.0.113.232"),
        BASTION: _resource(ipConfigurations=[leg]),
    }


def _network(space: list[str], peer: str, **subnets: Any) -> dict[str, Any]:
    peering = {"remoteVirtualNetwork": {"id": peer}, "peeringState": "Connected"}
    return _resource(
        addressSpace={"addressPrefixes": space},
        subnets=[_named(name, **properties) for name, properties in subnets.items()],
        virtualNetworkPeerings=[_named("peer", **peering)],
    )


def _named(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name, "properties": properties}


def _resource(**properties: Any) -> dict[str, Any]:
    return {"properties": properties}
