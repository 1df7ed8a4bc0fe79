"""Builders of NSGs as ARM returns them, and of flows."""

from ipaddress import ip_address, ip_network

from jit.domain.azure.nsg_effect import Flow
from jit.domain.azure.nsg_rules import parse_rules

NSG_ID = (
    "/subscriptions/5c0ffee0-0000-4000-8000-000000000001/resourceGroups/rg-web"
    "/providers/Microsoft.Network/networkSecurityGroups/nsg-web"
)
VNET = ("10.1.0.0/16",)
VM = "10.1.1.4"


def arm_rule(number, access="Allow", /, *, name=None, source="*", port="*", to="*", **changes):
    """One security rule; lists become the plural fields; a change to None removes the field."""
    named = name or f"rule-{number}"
    fields = {
        "provisioningState": "Succeeded",
        "protocol": "*",
        "sourcePortRange": "*",
        "access": access,
        "priority": number,
        "direction": "Inbound",
        **_either("sourceAddressPrefix", "sourceAddressPrefixes", source),
        **_either("destinationAddressPrefix", "destinationAddressPrefixes", to),
        **_either("destinationPortRange", "destinationPortRanges", port),
        **changes,
    }
    kept = {key: value for key, value in fields.items() if value is not None}
    return {"id": f"{NSG_ID}/securityRules/{named}", "name": named, "properties": kept}


def _either(one, many, value):
    return {many: value} if isinstance(value, list) else {one: value}


DEFAULTS = [
    arm_rule(65000, name="AllowVnetInBound", source="VirtualNetwork", to="VirtualNetwork"),
    arm_rule(65001, name="AllowAzureLoadBalancerInBound", source="AzureLoadBalancer"),
    arm_rule(65500, "Deny", name="DenyAllInBound"),
]


def arm_nsg(*rules, defaults=DEFAULTS):
    return {
        "id": NSG_ID,
        "name": "nsg-web",
        "properties": {"securityRules": list(rules), "defaultSecurityRules": list(defaults)},
    }


def rules_of(*rules):
    """The parsed rules of an NSG with these rules and Azure's defaults."""
    return parse_rules(arm_nsg(*rules))


def a_flow(source="203.0.113.7", *, to=VM, port=22, protocol="TCP"):
    return Flow(ip_network(source), ip_address(to), port, protocol)
