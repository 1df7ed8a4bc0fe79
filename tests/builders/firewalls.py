"""Builders of firewalls as ARM returns them."""

FIREWALL_ID = (
    "/subscriptions/5c0ffee0-0000-4000-8000-000000000001/resourceGroups/rg-web"
    "/providers/Microsoft.Network/azureFirewalls/fw-prod"
)
NETWORK = FIREWALL_ID.rsplit("/", 2)[0]
JIT_COLLECTION = "MDC-JIT-fw-prod"


def arm_nat_rule(name="jit-1", **changes):
    return {
        "name": name,
        "protocols": ["TCP"],
        "sourceAddresses": ["203.0.113.7"],
        "destinationAddresses": ["52.137.62.53"],
        "destinationPorts": ["13389"],
        "translatedAddress": "10.1.1.4",
        "translatedPort": "3389",
        **changes,
    }


def arm_collection(*rules, name=JIT_COLLECTION, priority=200):
    return {
        "name": name,
        "properties": {
            "priority": priority,
            "action": {"type": "Dnat"},
            "rules": list(rules),
            "provisioningState": "Succeeded",
        },
    }


def arm_firewall(*collections, **properties):
    return {
        "id": FIREWALL_ID,
        "name": "fw-prod",
        "etag": 'W/"7"',
        "location": "westeurope",
        "properties": {
            "provisioningState": "Succeeded",
            "natRuleCollections": list(collections),
            "networkRuleCollections": [{"name": "customer-network", "properties": {"rules": []}}],
            "applicationRuleCollections": [],
            "ipConfigurations": [arm_ip_configuration("pip-fw")],
            **properties,
        },
    }


def arm_ip_configuration(public_ip=None, subnet="AzureFirewallSubnet"):
    return {
        "name": "configuration",
        "properties": {
            **_reference("publicIPAddress", "publicIPAddresses", public_ip),
            **_reference("subnet", "virtualNetworks/vnet-prod/subnets", subnet),
        },
    }


def _reference(key, collection, name):
    return {key: {"id": f"{NETWORK}/{collection}/{name}"}} if name else {}
