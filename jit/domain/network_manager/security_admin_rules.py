"""
Security admin rules as values, read from the JSON of Azure Resource Manager.

A Virtual Network Manager applies them to whole virtual networks. What Azure lists as effective on a
network is taken as in force there. Networks with services that have network intent policies get no
rules unless an administrator wants them; then Azure lists none.

Source:
    https://learn.microsoft.com/azure/virtual-network-manager/concept-security-admins;
    Microsoft.Network 2024-05-01, ``EffectiveSecurityAdminRule``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from jit.domain.azure.arm_json import CheckedFields, Resource, mappings, properties, text
from jit.domain.azure.nsg_rules import (
    FIRST_OF_ALL,
    Direction,
    PortRange,
    RuleProtocol,
    SecurityRule,
    read_port_range,
)
from jit.domain.model.admin_reading import AdminReading
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import read_prefix


class AdminAccess(StrEnum):
    """The effect of a security admin rule on the flows that it takes."""

    ALLOW = "Allow"
    ALWAYS_ALLOW = "AlwaysAllow"
    DENY = "Deny"


class AddressType(StrEnum):
    """The kinds of addresses that a security admin rule names."""

    PREFIX = "IPPrefix"
    TAG = "ServiceTag"
    GROUP = "NetworkGroup"


class _Protocol(StrEnum):
    """The spelling of protocols; NSGs write ``*`` for any."""

    TCP = "Tcp"
    UDP = "Udp"
    ICMP = "Icmp"
    ESP = "Esp"
    AH = "Ah"
    ANY = "Any"


@dataclass(frozen=True, slots=True)
class AdminRule:
    """
    One security admin rule.

    Attributes:
        flows: The flows that it takes, as a rule of an NSG. Its own ``access`` is None.
        access: Its effect; None if it could not be read.
        manager: Id of the network manager that it belongs to; empty if the rule's id has none.
    """

    flows: SecurityRule
    access: AdminAccess | None
    manager: str

    @property
    def title(self) -> str:
        """The rule as people look for it: its name, and the network manager's."""
        manager = f" of network manager {_read_name(self.manager)}" if self.manager else ""
        return f"security admin rule {self.flows.name}{manager}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRules:
    """
    The security admin rules of the network of a VM, as far as they are known.

    Attributes:
        rules: The inbound rules; the smallest priority number first.
        unread: Why they are not known; empty if they are.
        forbidden: They are not known because the broker lacks the permission.
        fresh: They were just read. A path becomes open only then.
        recent: They were read so lately that a path which they deny stays shut without a new
            reading.
        read_at: When they were read; None if they were not.
    """

    rules: tuple[AdminRule, ...] = ()
    unread: str = ""
    forbidden: bool = False
    fresh: bool = True
    recent: bool = False
    read_at: datetime | None = None


NONE = AdminRules()
"""There are no rules: Azure listed none, or the operator says that no manager is in use."""

NOT_READ = AdminRules(unread="the security admin rules of its network were not read", fresh=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAdminRules:
    """
    The security admin rules of several networks.

    Attributes:
        by_network: By the key of the network.
        in_use: False if the operator says that no Virtual Network Manager is in use.
    """

    by_network: Mapping[str, AdminRules] = field(default_factory=dict)
    in_use: bool = True

    def find(self, network_id: str, *, fresh: bool = False) -> AdminRules:
        """Return the rules of a network; with *fresh*, rules of an earlier look do not count."""
        if not self.in_use:
            return NONE
        found = self.by_network.get(arm_ids.key(network_id), NOT_READ)
        return replace(NOT_READ, fresh=True) if fresh and not found.fresh else found

    def add(
        self, readings: Iterable[AdminReading], *, fresh: bool, recent_from: datetime | None = None
    ) -> KnownAdminRules:
        """Return them with the rules of *readings*; those read after *recent_from* are recent."""
        found = {
            arm_ids.key(each.network_id): replace(
                parse_reading(each, fresh=fresh),
                recent=recent_from is not None and each.read_at > recent_from,
            )
            for each in readings
        }
        return replace(self, by_network={**self.by_network, **found})


NO_MANAGER = KnownAdminRules(in_use=False)
NOTHING_KNOWN = KnownAdminRules()


def parse_reading(reading: AdminReading, *, fresh: bool) -> AdminRules:
    """Return the rules of a reading."""
    return AdminRules(
        rules=parse_admin_rules(reading.items),
        unread=reading.unread,
        forbidden=reading.forbidden,
        fresh=fresh,
        read_at=reading.read_at,
    )


def parse_admin_rules(items: Iterable[object]) -> tuple[AdminRule, ...]:
    """
    Return the inbound rules of *items*, the first to decide first.

    A rule that cannot be read is kept with its faults: it may apply to any flow. The addresses of a
    network group are not known, so such a source or destination may be any address. Azure stores
    rules without sources or destinations; they are taken as rules for unknown ones.

    Args:
        items: ``value`` of ``listNetworkManagerEffectiveSecurityAdminRules``, all pages.
    """
    found = [_parse_rule(item) for item in items]
    inbound = (rule for rule in found if rule.flows.direction is not Direction.OUTBOUND)
    return tuple(sorted(inbound, key=lambda rule: rule.flows.priority))


def keep_inbound(items: Iterable[Resource]) -> tuple[Resource, ...]:
    """Return the parts of *items* that decide about inbound flows, without texts and groups."""
    return tuple(
        {"id": text(item, "id"), "kind": text(item, "kind"), "properties": _keep_fields(item)}
        for item in items
        if text(properties(item), "direction").lower() != "outbound"
    )


_FIELDS = (
    *("access", "direction", "priority", "protocol", "provisioningState"),
    *("sources", "sourcePortRanges", "destinations", "destinationPortRanges"),
)


def _keep_fields(item: Resource) -> Resource:
    inner = properties(item)
    return {name: inner[name] for name in _FIELDS if name in inner}


def _parse_rule(item: object) -> AdminRule:
    outer = CheckedFields(item)
    inner = outer.properties()
    rule_id = outer.text("id")
    body = properties(item) if isinstance(item, Mapping) else {}
    sources, destinations = (_read_addresses(body, name) for name in ("sources", "destinations"))
    protocol = inner.choice("protocol", _Protocol)
    access = inner.choice("access", AdminAccess)
    flows = SecurityRule(
        id=rule_id,
        name=_read_name(rule_id),
        priority=inner.positive_number("priority") or FIRST_OF_ALL,
        direction=inner.choice("direction", Direction),
        access=None,
        protocol=_PROTOCOLS[protocol] if protocol else None,
        sources=sources,
        source_groups=(),
        source_ports=_read_ports(inner, "sourcePortRanges"),
        destinations=destinations,
        destination_groups=(),
        destination_ports=_read_ports(inner, "destinationPortRanges"),
        state=inner.text("provisioningState", "Succeeded"),
    )
    faults = (*outer.faults, *inner.faults)
    return AdminRule(replace(flows, faults=faults), access, _find_manager(rule_id))


def _read_name(resource_id: str) -> str:
    """Return the last name in an id that may be none of ARM's."""
    return resource_id.rsplit("/", 1)[-1] or "without a name"


def _find_manager(rule_id: str) -> str:
    """Return the id of the network manager in the id of one of its rules, or an empty text."""
    place = arm_ids.key(rule_id).find("/securityadminconfigurations/")
    return rule_id[:place] if place > 0 else ""


_PROTOCOLS: Mapping[_Protocol, RuleProtocol] = {
    _Protocol.TCP: RuleProtocol.TCP,
    _Protocol.UDP: RuleProtocol.UDP,
    _Protocol.ICMP: RuleProtocol.ICMP,
    _Protocol.ESP: RuleProtocol.ESP,
    _Protocol.AH: RuleProtocol.AH,
    _Protocol.ANY: RuleProtocol.ANY,
}

_UNKNOWN = "?"
"""An address that is not known: no prefix and no tag, so it may be any."""


def _read_addresses(inner: Resource, name: str) -> tuple[str, ...]:
    """Return prefixes, tags and unknown addresses; an empty or odd list is one unknown address."""
    items = inner.get(name)
    if not isinstance(items, list) or not items or len(mappings(inner, name)) < len(items):
        return (_UNKNOWN,)
    return tuple(_read_address(item) for item in mappings(inner, name))


def _read_address(item: Resource) -> str:
    prefix, kind = text(item, "addressPrefix"), text(item, "addressPrefixType").lower()
    if kind == AddressType.TAG.value.lower() and prefix:
        return prefix
    if kind == AddressType.PREFIX.value.lower() and (
        prefix == "*" or read_prefix(prefix) is not None
    ):
        return prefix
    return _UNKNOWN


def _read_ports(inner: CheckedFields, name: str) -> tuple[PortRange, ...]:
    """Return port ranges; a list that is empty, or holds another text, is a fault."""
    texts = inner.one_and_many("", name)
    ranges = tuple(filter(None, map(read_port_range, texts)))
    if not ranges or len(ranges) < len(texts):
        inner.faults.append(f"{name} are no port ranges")
    return ranges
