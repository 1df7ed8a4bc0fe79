"""
An Azure Firewall with classic rules: its DNAT rules, read from and taken out of its ARM body.

Everything else in the body is other people's and comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jit.domain.azure.arm_json import Resource, mapping, mappings, text, texts

_JIT_COLLECTIONS = ("MDC-JIT", "ASC-JIT")


def is_jit_collection(name: str) -> bool:
    """
    Tell whether *name* is that of a NAT rule collection, or NAT rule, which Defender wrote.

    Assumed: the names begin with ``MDC-JIT`` (before May 2023 ``ASC-JIT``). Microsoft documents
    the beginning and not the rest (Learn, Defender for Cloud release notes archive, May 2023), so
    nothing here rests on the rest. This function is the only place that knows.
    """
    return name.startswith(_JIT_COLLECTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatRule:
    """
    One DNAT rule of a classic-rules firewall; what could not be read is empty.

    Attributes:
        collection: Name of its collection; with ``name`` it is what ``without_rules`` wants.
        priority: That of the collection; 0 where unreadable.
        sources: Addresses, prefixes, ranges or ``*``, as text.
        ip_groups: ARM ids of IP groups that are sources too; Defender writes none.
        destinations: Public addresses of the firewall.
        ports: Destination ports at the firewall: the mapped port.
        translated_address: The VM's private address; empty where an FQDN is the target.
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
        """Whether its collection is one that Defender wrote."""
        return is_jit_collection(self.collection)


def nat_rules(firewall: Resource) -> tuple[NatRule, ...]:
    """
    Return every DNAT rule of *firewall*, in the order of the body, customers' included.

    Args:
        firewall: ``azureFirewalls`` as GET or list returns it. Its rules are what it says only
            while ``provisioning_state`` is ``Succeeded``.
    """
    return tuple(
        _nat_rule(collection, rule)
        for collection in mappings(mapping(firewall, "properties"), "natRuleCollections")
        for rule in mappings(mapping(collection, "properties"), "rules")
    )


def _nat_rule(collection: Resource, rule: Resource) -> NatRule:
    priority = mapping(collection, "properties").get("priority")
    return NatRule(
        collection=text(collection, "name"),
        priority=priority if isinstance(priority, int) else 0,
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


def without_rules(firewall: Resource, doomed: Collection[tuple[str, str]]) -> dict[str, Any]:
    """
    Return a copy of *firewall* without the DNAT rules *doomed*, for a PUT of the whole object.

    A collection of Defender's that becomes empty by this goes too: Azure stores no empty one.
    Everything else keeps its value and its place, known to us or not; the input is left alone.

    Args:
        firewall: As GET returns it.
        doomed: Pairs of collection name and rule name, written exactly as in *firewall*. A pair
            that is not there changes nothing.
    """
    after: dict[str, Any] = deepcopy(dict(firewall))
    for collection in mappings(mapping(after, "properties"), "natRuleCollections"):
        _thin_out(collection, doomed)
    _drop_emptied(firewall, after)
    return after


def _thin_out(collection: Resource, doomed: Collection[tuple[str, str]]) -> None:
    """Remove the *doomed* rules of *collection*, in place."""
    rules = mapping(collection, "properties").get("rules")
    if isinstance(rules, list):
        name = _name(collection)
        rules[:] = [rule for rule in rules if (name, _name(rule)) not in doomed]


def _drop_emptied(before: Resource, after: Resource) -> None:
    """Remove from *after*, in place, Defender's collections that were not empty in *before*."""
    full = mapping(before, "properties").get("natRuleCollections")
    thinned = mapping(after, "properties").get("natRuleCollections")
    if isinstance(full, list) and isinstance(thinned, list):
        thinned[:] = [
            new
            for old, new in zip(full, thinned, strict=True)
            if old == new or not (is_jit_collection(_name(new)) and not _rules(new))
        ]


def _name(item: object) -> str:
    return text(item, "name") if isinstance(item, Mapping) else ""


def _rules(collection: Resource) -> object:
    return mapping(collection, "properties").get("rules")


def public_addresses(firewall: Resource) -> tuple[str, ...]:
    """
    Return the ARM ids of the public IPs that *firewall* receives traffic on.

    Several are possible. The one for forced tunnelling (``managementIpConfiguration``) carries
    Azure's own traffic only and is left out.
    """
    return _referenced(firewall, "publicIPAddress")


def subnet_ids(firewall: Resource) -> tuple[str, ...]:
    """Return the ARM id of its AzureFirewallSubnet; none for a firewall in a virtual hub."""
    return _referenced(firewall, "subnet")


def _referenced(firewall: Resource, key: str) -> tuple[str, ...]:
    """Return the distinct ids under *key* of the firewall's IP configurations."""
    ids = (
        text(mapping(mapping(configuration, "properties"), key), "id")
        for configuration in mappings(mapping(firewall, "properties"), "ipConfigurations")
    )
    return tuple(dict.fromkeys(filter(None, ids)))


def firewall_policy_id(firewall: Resource) -> str | None:
    """Return the firewall policy's ARM id; None means classic rules, all that Defender edits."""
    return text(mapping(mapping(firewall, "properties"), "firewallPolicy"), "id") or None


_VOLATILE = {"etag", "provisioningState"}


def foreign_digest(firewall: Resource) -> str:
    """
    Return a SHA-256 of all that is not Defender's: it must be the same after a PUT of ours.

    ETags and provisioning states are left out, and so are Defender's NAT rule collections, which
    it changes on its own.
    """
    body = _steady(firewall)
    nats = mapping(body, "properties").get("natRuleCollections")
    if isinstance(nats, list):
        nats[:] = [item for item in nats if not is_jit_collection(_name(item))]
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _steady(value: Any) -> Any:
    """Return a copy without the members that change by themselves."""
    if isinstance(value, Mapping):
        return {key: _steady(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_steady(item) for item in value]
    return value
