"""
The rules that Defender for Cloud writes: their names, descriptions, places.

Source:
    Exported templates in public repositories; the renaming of May 2023 in
    https://learn.microsoft.com/azure/defender-for-cloud/release-notes-archive.
    Names in firewalls beyond the prefix ``MDC-JIT``, their priority and the
    choice of mapped ports are assumptions.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network

from local.azure.landscape.arm_forms import set_one_or_many
from local.azure.network.security_rules import HIGHEST, LOWEST
from local.azure.values import ids
from local.azure.values.http import Json

COLLECTION = "MDC-JIT-NatRuleCollection"
_PREFIX = "MicrosoftDefenderForCloud-JITRule"
_FIRST_COLLECTION, _FIRST_MAPPED, _TOP_MAPPED = 100, 10000, 63999
PROTOCOLS = {"TCP": "Tcp", "UDP": "Udp", "*": "*"}
"""The protocol of an NSG's rule for each protocol of a JIT policy."""

_NAT_PROTOCOLS = {"TCP": ["TCP"], "UDP": ["UDP"], "*": ["TCP", "UDP"]}


def deny_name(machine: str, interface: str) -> str:
    """Return the name of the deny rule; it is always the same for a VM's interface."""
    return f"{_PREFIX}_{_int32(interface)}_{_hex(machine)}"


def allow_name(interface: str, *request: str) -> str:
    """Return the name of an allow rule; *request* tells one request from the others."""
    return f"{_PREFIX}-{_int32(interface)}-{_hex('|'.join((interface, *request)))}"


def _int32(text: str) -> int:
    """Return a signed 32-bit number that always belongs to *text*."""
    return int.from_bytes(zlib.crc32(ids.key(text).encode()).to_bytes(4, "big"), "big", signed=True)


def _hex(text: str) -> str:
    return hashlib.blake2b(ids.key(text).encode(), digest_size=16).hexdigest().upper()


def deny_rule(name: str, policy: str, machine: str, address: str, ports: Sequence[int]) -> Json:
    """Return the rule that keeps all *ports* of one interface closed; without a priority."""
    rule = _rule(
        name,
        f"MDC JIT Network Access rule for policy '{policy}' of VM '{machine}'.",
        access="Deny",
        protocol="*",
        address=address,
    )
    set_one_or_many(rule["properties"], "sourceAddressPrefix", "*", plural="es")
    wanted = [str(port) for port in sorted(ports)]
    set_one_or_many(rule["properties"], "destinationPortRange", wanted, plural="s")
    return rule


def allow_rule(  # noqa: PLR0913 - a rule has these parts; each is named at the call
    name: str,
    policy: str,
    machine: str,
    *,
    address: str,
    port: int,
    protocol: str,
    sources: Sequence[str],
) -> Json:
    """Return the rule that opens one *port* of one interface; without a priority."""
    rule = _rule(
        name,
        "MDC JIT Network Access rule created by an initiation request for policy "
        f"'{policy}' of VM '{machine}'.",
        access="Allow",
        protocol=PROTOCOLS[protocol.upper()],
        address=address,
    )
    set_one_or_many(rule["properties"], "sourceAddressPrefix", list(sources), plural="es")
    set_one_or_many(rule["properties"], "destinationPortRange", str(port), plural="s")
    return rule


def _rule(name: str, description: str, *, access: str, protocol: str, address: str) -> Json:
    properties = {
        "description": description,
        "protocol": protocol,
        "sourcePortRange": "*",
        "sourcePortRanges": [],
        "destinationAddressPrefix": address,
        "destinationAddressPrefixes": [],
        "access": access,
        "direction": "Inbound",
    }
    return {"name": name, "properties": properties}


def find_free_priority_from(rules: Iterable[Json], start: int = LOWEST) -> int:
    """Return the first free inbound priority number from *start* on, for an allow rule."""
    taken = _list_taken(rules)
    return next(each for each in range(start, HIGHEST + 1) if each not in taken)


def find_free_priority_up_to(rules: Iterable[Json], start: int) -> int:
    """Return the last free inbound priority number up to *start*, for a deny rule."""
    taken = _list_taken(rules)
    return next(each for each in range(start, LOWEST - 1, -1) if each not in taken)


def _list_taken(rules: Iterable[Json]) -> set[int]:
    inbound = (r["properties"] for r in rules if r["properties"]["direction"] == "Inbound")
    return {each["priority"] for each in inbound}


def find_conflicting_rules(rules: Iterable[Json], address: str, ports: Iterable[int]) -> list[Json]:
    """Return the customer's inbound rules that allow one of *ports* of *address*, first to last."""
    wanted = set(ports)
    found = [
        rule
        for rule in rules
        if rule["properties"]["access"] == "Allow"
        and rule["properties"]["direction"] == "Inbound"
        and not rule["name"].startswith(_PREFIX)
        and _names_address(rule["properties"], address)
        and any(_names_port(rule["properties"], port) for port in wanted)
    ]
    return sorted(found, key=lambda rule: int(rule["properties"]["priority"]))


def _names_address(properties: Json, address: str) -> bool:
    one = properties.get("destinationAddressPrefix")
    prefixes = [*([one] if one else []), *properties.get("destinationAddressPrefixes", ())]
    return any(_covers(prefix, address) for prefix in prefixes)


def _covers(prefix: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(prefix, strict=False)
    except ValueError:  # a tag, or *: taken to cover, so that the deny stays above
        return True


def _names_port(properties: Json, port: int) -> bool:
    one = properties.get("destinationPortRange")
    ranges = [*([one] if one else []), *properties.get("destinationPortRanges", ())]
    for each in ranges:
        low, _, high = each.partition("-")
        if each == "*" or int(low) <= port <= int(high or low):
            return True
    return False


def choose_mapped_port(firewall: Json, address: str, port: int, reserved: set[int]) -> int:
    """Return the firewall's port for a VM's *port*: 10000 more if free, else the next free."""
    used = {
        int(number)
        for collection in firewall["properties"].get("natRuleCollections", ())
        for rule in collection["properties"]["rules"]
        if address in rule["destinationAddresses"]
        for number in rule["destinationPorts"]
    }
    first = _FIRST_MAPPED + port if _FIRST_MAPPED + port <= _TOP_MAPPED else _FIRST_MAPPED
    candidates = (*range(first, _TOP_MAPPED + 1), *range(_FIRST_MAPPED, first))
    return int(next(each for each in candidates if each not in used | reserved))


def nat_name(machine: str, port: int) -> str:
    """Return the name of the DNAT rule; it is always the same for a VM's port."""
    return f"MDC-JIT-{machine}-{port}-{_hex(f'{machine}/{port}')[:8]}"


def nat_rule(
    name: str,
    policy: str,
    *,
    protocol: str,
    sources: Sequence[str],
    outside: tuple[str, int],
    inside: tuple[str, int],
) -> Json:
    """Return the DNAT rule from *outside* (address, mapped port) to *inside* (VM, port)."""
    return {
        "name": name,
        "description": f"MDC JIT Network Access rule for policy '{policy}'.",
        "protocols": _NAT_PROTOCOLS[protocol.upper()],
        "sourceAddresses": list(sources),
        "sourceIpGroups": [],
        "destinationAddresses": [outside[0]],
        "destinationPorts": [str(outside[1])],
        "translatedAddress": inside[0],
        "translatedPort": str(inside[1]),
    }


def set_nat_rule(firewall: Json, rule: Json) -> bool:
    """Put *rule* over the one of its name in Defender's collection; return True if it is new."""
    rules = [each for each in nat_rules(firewall) if each["name"] != rule["name"]]
    if rule in nat_rules(firewall):
        return False
    _set_nat_rules(firewall, [*rules, rule])
    return True


def remove_nat_rule(firewall: Json, name: str) -> bool:
    """Take the rule out of Defender's collection; return True if it was there."""
    rules = [each for each in nat_rules(firewall) if each["name"] != name]
    if len(rules) == len(nat_rules(firewall)):
        return False
    _set_nat_rules(firewall, rules)
    return True


def nat_rules(firewall: Json) -> list[Json]:
    """Return the rules in Defender's collection."""
    collections = firewall["properties"].get("natRuleCollections", ())
    own = (each["properties"]["rules"] for each in collections if each["name"] == COLLECTION)
    return next(own, [])


def _set_nat_rules(firewall: Json, rules: list[Json]) -> None:
    """Replace Defender's collection; an empty one goes, as Azure has none without rules."""
    collections = firewall["properties"].setdefault("natRuleCollections", [])
    others = [each for each in collections if each["name"] != COLLECTION]
    own = next((each for each in collections if each["name"] == COLLECTION), None)
    if own is None:
        taken = {each["properties"]["priority"] for each in others}
        priority = next(each for each in range(_FIRST_COLLECTION, 65001) if each not in taken)
        own = {"name": COLLECTION, "properties": {"priority": priority, "action": {"type": "Dnat"}}}
    own = {**own, "properties": {**own["properties"], "rules": rules}}
    firewall["properties"]["natRuleCollections"] = [*others, *([own] if rules else [])]
