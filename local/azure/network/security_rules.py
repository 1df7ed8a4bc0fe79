"""
The checks of the network provider on security rules.

Source:
    Microsoft.Network 2021-02-01, networkSecurityGroup.json;
    https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview;
    for application security groups https://github.com/Azure/azure-cli/issues/8615;
    for lists of prefixes https://github.com/kubernetes-sigs/cloud-provider-azure/issues/6775 and
    https://github.com/Azure/AKS/issues/3136
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from itertools import pairwise

from local.azure.network import body_shapes
from local.azure.network.known_tags import is_service_tag
from local.azure.values.http import ArmError, Json

MOST_RULES = 1000
MOST_PREFIXES = 4000
LOWEST, HIGHEST = 100, 4096
_TOP_PORT = 65535
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,78}\w)?", re.ASCII)
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_PROTOCOLS = {name.lower(): name for name in ("Tcp", "Udp", "Icmp", "Esp", "Ah", "*")}
_WORDS = {
    "direction": {"inbound": "Inbound", "outbound": "Outbound"},
    "access": {"allow": "Allow", "deny": "Deny"},
    "protocol": _PROTOCOLS,
}


def check_name(name: str) -> None:
    """
    Check the name of a rule or group.

    Raises:
        ArmError: 400.
    """
    if not _NAME.fullmatch(name):
        raise _rule_error(
            "InvalidResourceName",
            f"Resource name {name} is invalid. The name can be up to 80 characters long. It must "
            "begin with a word character, and it must end with a word character or with '_'.",
        )


def read(name: str, properties: object) -> Json:
    """
    Return the rule as Azure will answer it, read from a client's properties.

    Raises:
        ArmError: 400, the rule is not one.
    """
    check_name(name)
    if not isinstance(properties, dict):
        raise _rule_error("InvalidRequestFormat", f"The security rule {name} has no properties.")
    rule: Json = {}
    if properties.get("description"):
        rule["description"] = str(properties["description"])
    for field, words in _WORDS.items():
        rule[field] = _read_word(name, field, properties.get(field), words)
    rule["priority"] = _read_priority(properties.get("priority"))
    for end in ("source", "destination"):
        _read_end(name, rule, properties, end)
    for field in ("sourcePortRange", "destinationPortRange"):
        _copy_one_or_many(rule, properties, field, "s", _check_ports)
    return {"name": name, "properties": rule}


def _read_end(name: str, rule: Json, sent: Json, end: str) -> None:
    """Copy one end of a rule: a prefix, a list of prefixes, or application security groups."""
    field, groups = f"{end}AddressPrefix", sent.get(f"{end}ApplicationSecurityGroups") or []
    if not groups:
        _copy_one_or_many(rule, sent, field, "es", _check_prefix)
        check_prefixes(name, rule[field + "es"])
        return
    if sent.get(field) or sent.get(field + "es"):
        raise _rule_error(
            "SecurityRuleParameterContainsUnsupportedValue",
            f"Security rule {name} must specify a non empty value for exactly one of: "
            f"{field}es, {field}, {end}ApplicationSecurityGroups.",
        )
    body_shapes.check(
        groups, body_shapes.REFERENCES, f"$.properties.{end}ApplicationSecurityGroups"
    )
    rule[f"{end}ApplicationSecurityGroups"] = groups


def check_prefixes(name: str, values: list[str]) -> None:
    """
    Check the prefixes of one rule against each other.

    Raises:
        ArmError: 400, there are too many, a tag or ``*`` is among several, two overlap, or the
            families are mixed.
    """
    if len(values) > MOST_PREFIXES:
        raise _rule_error(
            "SecurityRuleParameterContainsUnsupportedValue",
            f"Security rule {name} has more than {MOST_PREFIXES} address prefixes.",
        )
    found = [ip_network(value, strict=False) for value in values if _is_network(value)]
    if len(values) > 1 and len(found) < len(values):
        raise _rule_error(
            "SecurityRuleParameterContainsUnsupportedValue",
            f"Security rule {name} has a list of prefixes with a value that is no prefix.",
        )
    if len({each.version for each in found}) > 1:
        raise _rule_error(
            "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies",
            f"Security rule {name} has address prefixes from different address families.",
        )
    ordered = sorted(found, key=lambda each: (int(each.network_address), each.prefixlen))
    for one, other in pairwise(ordered):
        if one.overlaps(other):
            raise _rule_error(
                "OverlappingSubnetsNotPermittedInSecurityRule",
                f"Overlapping subnets are not permitted in security rule {name}: {one}, {other}.",
            )


def check_together(rules: Iterable[Json]) -> None:
    """
    Check the rules of one group against each other.

    Raises:
        ArmError: 400, two have one priority in one direction, or there are too many.
    """
    seen: dict[tuple[str, int], str] = {}
    for count, rule in enumerate(rules, start=1):
        place = (rule["properties"]["direction"], rule["properties"]["priority"])
        other = seen.setdefault(place, rule["name"])
        if other != rule["name"]:
            raise _rule_error(
                "SecurityRuleConflict",
                f"Security rule {rule['name']} conflicts with rule {other}. Rules cannot have the "
                "same Priority and Direction. To learn more, see aka.ms/nsgrules.",
            )
        if count > MOST_RULES:
            raise _rule_error(
                "NetworkSecurityGroupRuleCountExceeded",
                f"A network security group takes {MOST_RULES} rules.",
            )


def _read_word(name: str, field: str, value: object, words: dict[str, str]) -> str:
    known = words.get(str(value).lower())
    if known is None:
        raise _rule_error(
            "SecurityRuleParameterContainsUnsupportedValue",
            f"Security rule parameter {field} of rule {name} has an unsupported value: {value}.",
        )
    return known


def _read_priority(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not LOWEST <= value <= HIGHEST:
        raise _rule_error(
            "SecurityRuleInvalidPriority",
            f"Security rule has invalid Priority. Value provided: {value} "
            f"Allowed range {LOWEST}-{HIGHEST}.",
        )
    return value


def _copy_one_or_many(
    rule: Json, sent: Json, field: str, plural: str, check: Callable[[object], None]
) -> None:
    """Copy a value or its plural form; exactly one of the two may say something."""
    one, many = sent.get(field), sent.get(field + plural) or []
    if (one is None) == (not many) or not isinstance(many, list):
        raise _rule_error(
            "SecurityRuleParameterContainsUnsupportedValue",
            f"Exactly one of {field}, {field}{plural} must have a value.",
        )
    for value in [one] if one is not None else many:
        check(value)
    if one is not None:
        rule[field] = one
    rule[field + plural] = list(many)


def _check_prefix(value: object) -> None:
    if isinstance(value, str) and (value == "*" or is_service_tag(value) or _is_network(value)):
        return
    raise _rule_error(
        "SecurityRuleInvalidAddressPrefix",
        f"Security rule has invalid Address prefix. Value provided: {value}",
    )


def _is_network(value: str) -> bool:
    try:
        ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def _check_ports(value: object) -> None:
    match = _PORTS.fullmatch(value) if isinstance(value, str) else None
    if value == "*" or (match and int(match[1]) <= int(match[2] or match[1]) <= _TOP_PORT):
        return
    raise _rule_error(
        "SecurityRuleInvalidPortRange",
        f"Security rule has invalid Port range. Value provided: {value}. Value should be an "
        "integer OR integer range with '-' delimiter. Valid range 0-65535.",
    )


def _rule_error(code: str, message: str) -> ArmError:
    return ArmError(400, code, message, details=[])
