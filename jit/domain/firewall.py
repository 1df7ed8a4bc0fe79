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

Json = Mapping[str, object]
"""An object of an Azure Resource Manager body."""

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


def nat_rules(firewall: Json) -> tuple[NatRule, ...]:
    """
    Return every DNAT rule of *firewall*, in the order of the body, customers' included.

    Args:
        firewall: ``azureFirewalls`` as GET or list returns it. Its rules are what it says only
            while ``provisioning_state`` is ``Succeeded``.
    """
    return tuple(
        _nat_rule(collection, rule)
        for collection in _objects(_object(firewall, "properties"), "natRuleCollections")
        for rule in _objects(_object(collection, "properties"), "rules")
    )


def _nat_rule(collection: Json, rule: Json) -> NatRule:
    priority = _object(collection, "properties").get("priority")
    return NatRule(
        collection=_text(collection, "name"),
        priority=priority if isinstance(priority, int) else 0,
        name=_text(rule, "name"),
        protocols=_texts(rule, "protocols"),
        sources=_texts(rule, "sourceAddresses"),
        ip_groups=_texts(rule, "sourceIpGroups"),
        destinations=_texts(rule, "destinationAddresses"),
        ports=_texts(rule, "destinationPorts"),
        translated_address=_text(rule, "translatedAddress"),
        translated_fqdn=_text(rule, "translatedFqdn"),
        translated_port=_text(rule, "translatedPort"),
    )


def without_rules(firewall: Json, doomed: Collection[tuple[str, str]]) -> dict[str, Any]:
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
    for collection in _objects(_object(after, "properties"), "natRuleCollections"):
        _thin_out(collection, doomed)
    _drop_emptied(firewall, after)
    return after


def _thin_out(collection: Json, doomed: Collection[tuple[str, str]]) -> None:
    """Remove the *doomed* rules of *collection*, in place."""
    rules = _object(collection, "properties").get("rules")
    if isinstance(rules, list):
        name = _name(collection)
        rules[:] = [rule for rule in rules if (name, _name(rule)) not in doomed]


def _drop_emptied(before: Json, after: Json) -> None:
    """Remove from *after*, in place, Defender's collections that were not empty in *before*."""
    full = _object(before, "properties").get("natRuleCollections")
    thinned = _object(after, "properties").get("natRuleCollections")
    if isinstance(full, list) and isinstance(thinned, list):
        thinned[:] = [
            new
            for old, new in zip(full, thinned, strict=True)
            if old == new or not (is_jit_collection(_name(new)) and not _rules(new))
        ]


def _name(item: object) -> str:
    return _text(item, "name") if isinstance(item, Mapping) else ""


def _rules(collection: Json) -> object:
    return _object(collection, "properties").get("rules")


def public_addresses(firewall: Json) -> tuple[str, ...]:
    """
    Return the ARM ids of the public IPs that *firewall* receives traffic on.

    Several are possible. The one for forced tunnelling (``managementIpConfiguration``) carries
    Azure's own traffic only and is left out.
    """
    return _referenced(firewall, "publicIPAddress")


def subnet_ids(firewall: Json) -> tuple[str, ...]:
    """Return the ARM id of its AzureFirewallSubnet; none for a firewall in a virtual hub."""
    return _referenced(firewall, "subnet")


def _referenced(firewall: Json, key: str) -> tuple[str, ...]:
    """Return the distinct ids under *key* of the firewall's IP configurations."""
    ids = (
        _text(_object(_object(configuration, "properties"), key), "id")
        for configuration in _objects(_object(firewall, "properties"), "ipConfigurations")
    )
    return tuple(dict.fromkeys(filter(None, ids)))


def firewall_policy_id(firewall: Json) -> str | None:
    """Return the firewall policy's ARM id; None means classic rules, all that Defender edits."""
    return _text(_object(_object(firewall, "properties"), "firewallPolicy"), "id") or None


def provisioning_state(resource: Json) -> str:
    """Return ``properties.provisioningState``; empty where Azure did not say."""
    return _text(_object(resource, "properties"), "provisioningState")


def etag(resource: Json) -> str | None:
    """Return the tag that names the version which was read, for ``If-Match``."""
    return _text(resource, "etag") or None


def _object(parent: Json, key: str) -> Json:
    value = parent.get(key)
    return value if isinstance(value, Mapping) else {}


def _objects(parent: Json, key: str) -> tuple[Json, ...]:
    value = parent.get(key)
    found = value if isinstance(value, list) else []
    return tuple(item for item in found if isinstance(item, Mapping))


def _text(parent: Json, key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def _texts(parent: Json, key: str) -> tuple[str, ...]:
    value = parent.get(key)
    found = value if isinstance(value, list) else []
    return tuple(item for item in found if isinstance(item, str))


_VOLATILE = {"etag", "provisioningState"}


def foreign_digest(firewall: Json) -> str:
    """
    Return a SHA-256 of all that is not Defender's: it must be the same after a PUT of ours.

    ETags and provisioning states are left out, and so are Defender's NAT rule collections, which
    it changes on its own.
    """
    body = _steady(firewall)
    nats = _object(body, "properties").get("natRuleCollections")
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
