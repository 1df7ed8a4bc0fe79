"""Builders of NSGs and their rules, as ARM returns them and as the broker reads them; of flows."""

from ipaddress import ip_address, ip_network

from jit.domain.azure.companion_rule import build_companion_body, build_companion_name
from jit.domain.azure.defender_rules import find_allow_rules
from jit.domain.azure.nsg_effect import Flow
from jit.domain.azure.nsg_rules import parse_rules
from jit.domain.paths.machine_view import NsgView
from jit.domain.values import arm_ids
from tests.builders.values import BEHIND, HERE, NSG_ID, VM

VNET = ("10.1.0.0/16",)


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


def a_flow(source="203.0.113.7", *, to=VM, port=22, protocol="TCP", groups=None):
    """Packets to a VM; *groups* are the ids of its application security groups, None if unknown."""
    keys = None if groups is None else frozenset(map(arm_ids.key, groups))
    return Flow(ip_network(source), ip_address(to), port, protocol, keys)


def asg_id(name):
    """The id of an application security group."""
    return f"{NSG_ID.rpartition('/networkSecurityGroups/')[0]}/applicationSecurityGroups/{name}"


def to_groups(*names):
    """The fields of a rule for the members of those groups, as ARM writes them."""
    groups = [{"id": asg_id(name)} for name in names]
    return {"destinationAddressPrefix": None, "destinationApplicationSecurityGroups": groups}


def jit_name(kind="-", number=1):
    """A name of Defender's: ``-`` for an allow rule, ``_`` for a deny rule."""
    return f"MicrosoftDefenderForCloud-JITRule{kind}-17{kind}{number:032X}"


def rule_id(number):
    """The id of the allow rule with that number."""
    return f"{NSG_ID}/securityRules/{jit_name(number=number)}"


def an_allow(*sources, number=1, priority=None, port="22", to=VM, **changes):
    """One of Defender's allow rules; its priority follows its number."""
    texts = [*sources] or [HERE]
    return arm_rule(
        100 + number if priority is None else priority,
        name=jit_name("-", number),
        source=texts[0] if len(texts) == 1 else texts,
        port=port,
        to=to,
        **changes,
    )


def the_deny(*ports, priority=4096, to=VM):
    """Defender's deny rule of the VM."""
    return arm_rule(priority, "Deny", name=jit_name("_"), port=[*ports] or ["22"], to=to)


def arm_companion(owner="request1-0-22", /, *, name=None, **changes):
    """A companion rule, as an NSG holds it: of a grant, as older versions wrote it, or shared."""
    body = build_companion_body(
        owner, private_ips=(VM,), port=22, protocol="TCP", sources=(BEHIND,), priority=100
    )
    named = name or build_companion_name(owner)
    fields = {"provisioningState": "Succeeded", **body["properties"], **changes}
    return {"id": f"{NSG_ID}/securityRules/{named}", "name": named, "properties": fields}


def an_nsg(*rules, nsg_id=NSG_ID, settled=True, deny=True):
    """An NSG with those rules, Azure's defaults and, if *deny*, Defender's deny rule."""
    held = (*rules, the_deny("22", "3389")) if deny else rules
    parsed = parse_rules(arm_nsg(*(_moved(rule, nsg_id) for rule in held)))
    return NsgView(id=nsg_id, settled=settled, rules=parsed, allows=find_allow_rules(parsed))


def _moved(rule, nsg_id):
    return {**rule, "id": f"{nsg_id}/securityRules/{rule['name']}"}
