"""Times, ids, addresses and sources that the builders share."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
OTHER_SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000002"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
NSG_ID = f"{NETWORK}/networkSecurityGroups/nsg-web"
OTHER_NSG_ID = f"{NETWORK}/networkSecurityGroups/nsg-subnet"
FIREWALL_ID = f"{NETWORK}/azureFirewalls/fw-prod"
SUBNET_ID = f"{NETWORK}/virtualNetworks/vnet-prod/subnets/snet-web"
POLICY_ID = (
    f"{GROUP}/providers/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"
)

VM = "10.1.1.4"
"""The private address of the VM."""

PUBLIC = "20.71.10.11"
"""Its public address."""

FRONT = "52.137.62.53"
"""The public address of the firewall."""

BEHIND = "10.1.0.0/26"
"""The subnet of the firewall: a VM behind it sees these addresses."""

HERE, THERE = "203.0.113.7", "198.51.100.20"
HOME, OFFICE, ELSEWHERE = map(ip_network, (f"{HERE}/32", "198.51.100.0/24", "192.0.2.1/32"))

MINE, NEXT = "a" * 26, "b" * 26
"""Ids of two initiates of the broker."""


def vm_id(name="web01", *, subscription=SUBSCRIPTION, group="rg-web"):
    """The ARM id of a VM."""
    return (
        f"/subscriptions/{subscription}/resourceGroups/{group}"
        f"/providers/Microsoft.Compute/virtualMachines/{name}"
    )


VM_ID, OTHER_VM_ID = vm_id(), vm_id("web02")

BASTION_ID = f"{NETWORK}/bastionHosts/bas-prod"
BASTION_NET = "10.1.2.0/26"
"""The subnet of a Bastion: the VM sees these addresses."""
