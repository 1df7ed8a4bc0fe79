"""
An Azure Firewall with classic rules: reading and removing DNAT rules in its ARM body.

Everything else in the body belongs to other people and stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jit.domain.azure.arm_json import (
    Resource,
    array,
    mappings,
    number,
    properties,
    read_reference,
    text,
    texts,
)

_JIT_COLLECTIONS = ("MDC-JIT", "ASC-JIT")


def is_jit_collection(name: str) -> bool:
    """
    Return True if *name* belongs to a NAT rule collection, or NAT rule, that Defender wrote.

    Assumed: the names begin with ``MDC-JIT`` (before May 2023 ``ASC-JIT``). Microsoft documents
    only this beginning (Learn, Defender for Cloud release notes archive, May 2023), so the rest of
    a name is not used. Only this function knows the names.
    """
    return name.startswith(_JIT_COLLECTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatRule:
    """
    One DNAT rule of a classic-rules firewall. A part that could not be read is empty.

    Attributes:
        collection: Name of its collection; with ``name`` it identifies the rule.
        priority: Priority of the collection; 0 if it could not be read.
        sources: Addresses, prefixes, ranges or ``*``, as text.
        ip_groups: ARM ids of IP groups that are sources too; Defender writes none.
        destinations: Public addresses of the firewall.
        ports: Destination ports at the firewall: the mapped port.
        translated_address: The VM's private address; empty if an FQDN is the target.
        translated_port: The VM's port.

    Source:
        Microsoft.Network 2021-02-01, ``AzureFirewallNatRule``.
    """

    collection: str
    priority: int
    name: str
    protocols: tuple[str, ...]
    sources: tuple[str, ...]
    ip_groups: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[str, ...]
    translated_address: str
    translated_fqdn: str
    translated_port: str

    @property
    def is_jit(self) -> bool:
        """True if Defender wrote its collection."""
        return is_jit_collection(self.collection)


def parse_nat_rules(firewall: Resource) -> tuple[NatRule, ...]:
    """
    Return every DNAT rule of *firewall*, in the order of the body, customers' included.

    Args:
        firewall: ``azureFirewalls`` as GET or list returns it. Azure applies the rules as they read
            only while its ``provisioningState`` is ``Succeeded``.
    """
    return tuple(
        _nat_rule(collection, rule)
        for collection in mappings(properties(firewall), "natRuleCollections")
        for rule in mappings(properties(collection), "rules")
    )


def _nat_rule(collection: Resource, rule: Resource) -> NatRule:
    return NatRule(
        collection=text(collection, "name"),
        priority=number(properties(collection), "priority") or 0,
        name=text(rule, "name"),
        protocols=texts(rule, "protocols"),
        sources=texts(rule, "sourceAddresses"),
        ip_groups=texts(rule, "sourceIpGroups"),
        destinations=texts(rule, "destinationAddresses"),
        ports=texts(rule, "destinationPorts"),
        translated_address=text(rule, "translatedAddress"),
        translated_fqdn=text(rule, "translatedFqdn"),
        translated_port=text(rule, "translatedPort"),
    )


def remove_nat_rules(firewall: Resource, doomed: Collection[tuple[str, str]]) -> dict[str, Any]:
    """
    Return a copy of *firewall* without the DNAT rules *doomed*, for a PUT of the whole object.

    If a collection of Defender becomes empty, it is removed too: Azure stores no empty collection.
    Everything else keeps its value and its place, also members that this code does not know.

    Args:
        firewall: As GET returns it; it is not changed.
        doomed: Pairs of collection name and rule name, written exactly as in *firewall*. A pair
            without a rule changes nothing.
    """
    after: dict[str, Any] = deepcopy(dict(firewall))
    for collection in mappings(properties(after), "natRuleCollections"):
        _remove_from_collection(collection, doomed)
    _drop_empty_collections(firewall, after)
    return after


def _remove_from_collection(collection: Resource, doomed: Collection[tuple[str, str]]) -> None:
    """Remove the *doomed* rules of *collection*, in place."""
    rules = array(properties(collection), "rules")
    if rules is not None:
        name = _name(collection)
        rules[:] = [rule for rule in rules if (name, _name(rule)) not in doomed]


def _drop_empty_collections(before: Resource, after: Resource) -> None:
    """Remove Defender's collections from *after*, in place, if only *before* has rules in them."""
    full = array(properties(before), "natRuleCollections")
    thinned = array(properties(after), "natRuleCollections")
    if full is not None and thinned is not None:
        thinned[:] = [
            new
            for old, new in zip(full, thinned, strict=True)
            if old == new or not _is_empty_jit_collection(new)
        ]


def _is_empty_jit_collection(item: object) -> bool:
    if not (isinstance(item, Mapping) and is_jit_collection(text(item, "name"))):
        return False
    return not array(properties(item), "rules")


def _name(item: object) -> str:
    return text(item, "name") if isinstance(item, Mapping) else ""


def list_public_ip_ids(firewall: Resource) -> tuple[str, ...]:
    """
    Return the ARM ids of the public IPs that *firewall* receives traffic on.

    There may be several. The public IP for forced tunnelling (``managementIpConfiguration``) is for
    Azure's own traffic only and is left out.
    """
    return _reference_ids(firewall, "publicIPAddress")


def list_subnet_ids(firewall: Resource) -> tuple[str, ...]:
    """Return the ARM id of its AzureFirewallSubnet; empty for a firewall in a virtual hub."""
    return _reference_ids(firewall, "subnet")


def _reference_ids(firewall: Resource, key: str) -> tuple[str, ...]:
    """Return the distinct ids under *key* of the firewall's IP configurations."""
    ids = (
        read_reference(properties(configuration), key)
        for configuration in mappings(properties(firewall), "ipConfigurations")
    )
    return tuple(dict.fromkeys(filter(None, ids)))


def read_firewall_policy_id(firewall: Resource) -> str | None:
    """Return the ARM id of its firewall policy; None means classic rules, which Defender edits."""
    return read_reference(properties(firewall), "firewallPolicy") or None


_VOLATILE = {"etag", "provisioningState"}


def digest_foreign_parts(firewall: Resource) -> str:
    """
    Return a SHA-256 of everything that is not Defender's. Our PUT must not change it.

    ETags and provisioning states are left out. Defender's NAT rule collections are left out too,
    because Defender changes them by itself.
    """
    body = _drop_volatile(firewall)
    nats = array(properties(body), "natRuleCollections")
    if nats is not None:
        nats[:] = [item for item in nats if not is_jit_collection(_name(item))]
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _drop_volatile(value: Any) -> Any:
    """Return a copy without the members that change with every write."""
    if isinstance(value, Mapping):
        return {key: _drop_volatile(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_drop_volatile(item) for item in value]
    return value
