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

from jit.domain.azure.arm_json import (
    Resource,
    array,
    mappings,
    number,
    properties,
    reference,
    text,
    texts,
)

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

    A collection of Defender's that becomes empty by this goes too: Azure stores no empty one.
    Everything else keeps its value and its place, known to us or not; the input is left alone.

    Args:
        firewall: As GET returns it.
        doomed: Pairs of collection name and rule name, written exactly as in *firewall*. A pair
            that is not there changes nothing.
    """
    after: dict[str, Any] = deepcopy(dict(firewall))
    for collection in mappings(properties(after), "natRuleCollections"):
        _thin_out(collection, doomed)
    _drop_emptied(firewall, after)
    return after


def _thin_out(collection: Resource, doomed: Collection[tuple[str, str]]) -> None:
    """Remove the *doomed* rules of *collection*, in place."""
    rules = array(properties(collection), "rules")
    if rules is not None:
        name = _name(collection)
        rules[:] = [rule for rule in rules if (name, _name(rule)) not in doomed]


def _drop_emptied(before: Resource, after: Resource) -> None:
    """Remove from *after*, in place, Defender's collections that were not empty in *before*."""
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


def public_ip_ids(firewall: Resource) -> tuple[str, ...]:
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
        reference(properties(configuration), key)
        for configuration in mappings(properties(firewall), "ipConfigurations")
    )
    return tuple(dict.fromkeys(filter(None, ids)))


def firewall_policy_id(firewall: Resource) -> str | None:
    """Return the firewall policy's ARM id; None means classic rules, all that Defender edits."""
    return reference(properties(firewall), "firewallPolicy") or None


_VOLATILE = {"etag", "provisioningState"}


def foreign_digest(firewall: Resource) -> str:
    """
    Return a SHA-256 of all that is not Defender's: it must be the same after a PUT of ours.

    ETags and provisioning states are left out, and so are Defender's NAT rule collections, which
    it changes on its own.
    """
    body = _steady(firewall)
    nats = array(properties(body), "natRuleCollections")
    if nats is not None:
        nats[:] = [item for item in nats if not is_jit_collection(_name(item))]
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _steady(value: Any) -> Any:
    """Return a copy without the members that change by themselves."""
    if isinstance(value, Mapping):
        return {key: _steady(item) for key, item in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_steady(item) for item in value]
    return value
