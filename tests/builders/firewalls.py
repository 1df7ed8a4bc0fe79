"""Builders of firewalls and their rules, as ARM returns them and as the broker reads them."""

from jit.domain.azure import firewall
from jit.domain.paths.machine_view import FirewallView
from tests.builders.values import FIREWALL_ID, FRONT, HERE, NETWORK, VM

JIT_COLLECTION = "MDC-JIT-fw-prod"
NAT_NAME = "MDC-JIT-web01-22"
MAPPED = 10022
"""The port of the firewall that leads to port 22 of the VM."""


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


def a_nat(*sources, port=22, mapped=MAPPED, to=VM, name=None, **changes):
    """One of Defender's DNAT rules, as ARM writes it."""
    fields = {
        "sourceAddresses": [*sources] or [HERE],
        "destinationAddresses": [FRONT],
        "destinationPorts": [str(mapped)],
        "translatedAddress": to,
        "translatedPort": str(port),
        **changes,
    }
    return arm_nat_rule(name or f"MDC-JIT-web01-{port}", **fields)


def a_customers(*rules, name="jump"):
    """A NAT rule collection of a customer's."""
    return arm_collection(*rules, name=name, priority=300)


def nat_id(name=NAT_NAME):
    """The id of a DNAT rule of Defender's collection."""
    return f"{FIREWALL_ID}/natRuleCollections/{JIT_COLLECTION}/rules/{name}"


def a_firewall(
    *rules, collection=JIT_COLLECTION, settled=True, failed=False, others=(), policy_id=""
):
    """A firewall with those DNAT rules of Defender's, and the collections *others*."""
    body = arm_firewall(arm_collection(*rules, name=collection), *others)
    return FirewallView(
        id=FIREWALL_ID,
        settled=settled,
        failed=failed,
        etag='W/"7"',
        foreign=firewall.digest_foreign_parts(body),
        nat_rules=firewall.parse_nat_rules(body),
        policy_id=policy_id,
    )
