"""The security rules of an NSG as values, read from the JSON of Azure Resource Manager."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import CheckedFields, Resource
from jit.domain.values import arm_ids


class Access(StrEnum):
    """The effect of a rule on the flows that it takes."""

    ALLOW = "Allow"
    DENY = "Deny"


class Direction(StrEnum):
    """The flows that a rule applies to, seen from the interface or subnet of the NSG."""

    INBOUND = "Inbound"
    OUTBOUND = "Outbound"


class RuleProtocol(StrEnum):
    """The protocols that a rule can name."""

    TCP = "TCP"
    UDP = "UDP"
    ICMP = "ICMP"
    ESP = "ESP"
    AH = "AH"
    ANY = "*"


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """The ports from *first* to *last*, both included, 0 to 65535."""

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        """Return True if *port* is in the range."""
        return self.first <= port <= self.last

    def __str__(self) -> str:
        """Return the range as Azure writes it: ``22`` or ``22-25``."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


EVERY_PORT = PortRange(0, 65535)
FIRST_OF_ALL = 0
"""The priority of a rule whose own is unreadable: it may decide before every other rule."""

LAST_PRIORITY = 65500
"""
The priority of the default rule ``DenyAllInBound``, after which no rule decides.

Source:
    https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview
    (default security rules).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRule:
    """
    One rule of an NSG. A part that could not be read is None or empty, and named in ``faults``.

    Attributes:
        id: ARM id.
        priority: 100 to 4096, for default rules from 65000; the smallest number decides first.
        sources: Prefixes, service tags or ``*``, as text, as Azure returns them.
        source_groups: ARM ids of application security groups.
        source_ports: At least one, unless there are faults.
        state: ``provisioningState``. Only while it is ``Succeeded``, Azure applies the rule as it
            reads.
        faults: The parts that could not be read. A rule with faults may apply to any flow.

    Source:
        Microsoft.Network 2021-02-01, ``SecurityRulePropertiesFormat``.
    """

    id: str
    name: str
    priority: int
    direction: Direction | None
    access: Access | None
    protocol: RuleProtocol | None
    sources: tuple[str, ...]
    source_groups: tuple[str, ...]
    source_ports: tuple[PortRange, ...]
    destinations: tuple[str, ...]
    destination_groups: tuple[str, ...]
    destination_ports: tuple[PortRange, ...]
    state: str = "Succeeded"
    faults: tuple[str, ...] = ()

    @property
    def in_force(self) -> bool:
        """True if Azure applies the rule as it reads. During a write the old version may apply."""
        return self.state.lower() == "succeeded"


def sort_groups(
    groups: Iterable[str], memberships: frozenset[str] | None
) -> tuple[list[str], list[str]]:
    """
    Return the *groups* of a rule that the VM may be a member of, and those that leave a doubt.

    Azure ignores a rule if one of its groups has no member, and the members of other groups are not
    known here (https://github.com/MicrosoftDocs/azure-docs/issues/77328).
    """
    every = list(groups)
    if memberships is None:
        return every, every
    own = [group for group in every if arm_ids.key(group) in memberships]
    return own, [group for group in every if group not in own]


def parse_rules(nsg: Resource) -> tuple[SecurityRule, ...]:
    """
    Return every rule of *nsg*, the first to decide first.

    No rule is dropped: a rule that cannot be read is kept with its faults, and a missing list
    counts as one such rule. Two rules of one direction with the same priority are faulty: Azure
    refuses to store them (error ``SecurityRuleConflict``), and their order would be a guess.

    Args:
        nsg: ``networkSecurityGroups`` as GET or list returns it, default rules included.
    """
    rules = [
        _rule(item, arm_json.text(nsg, "id"))
        for name in ("securityRules", "defaultSecurityRules")
        for item in _items(arm_json.array(arm_json.properties(nsg), name))
    ]
    return tuple(sorted(_mark_ties(rules), key=lambda rule: rule.priority))


def _items(rules: list[object] | None) -> list[object]:
    """Return *rules*; a list that is missing counts as one unreadable rule."""
    return [None] if rules is None else rules


def _mark_ties(rules: list[SecurityRule]) -> Iterable[SecurityRule]:
    """Add a fault to each rule that shares its direction and priority with another one."""
    seen = Counter((rule.direction, rule.priority) for rule in rules)
    for rule in rules:
        tied = seen[rule.direction, rule.priority] > 1 and not rule.faults
        fault = f"priority {rule.priority} is not unique"
        yield replace(rule, faults=(fault,)) if tied else rule


def _rule(item: object, nsg_id: str) -> SecurityRule:
    """Read one element of a list of rules; Azure would give a rule without an id the id here."""
    outer = CheckedFields(item)
    inner = outer.properties()
    name = outer.text("name")
    rule = SecurityRule(
        id=outer.text("id") or f"{nsg_id}/securityRules/{name}",
        name=name,
        priority=inner.positive_number("priority") or FIRST_OF_ALL,
        direction=inner.choice("direction", Direction),
        access=inner.choice("access", Access),
        protocol=inner.choice("protocol", RuleProtocol),
        sources=inner.one_and_many("sourceAddressPrefix", "sourceAddressPrefixes"),
        source_groups=inner.references("sourceApplicationSecurityGroups"),
        source_ports=_port_ranges(inner, "sourcePortRange", "sourcePortRanges"),
        destinations=inner.one_and_many("destinationAddressPrefix", "destinationAddressPrefixes"),
        destination_groups=inner.references("destinationApplicationSecurityGroups"),
        destination_ports=_port_ranges(inner, "destinationPortRange", "destinationPortRanges"),
        state=inner.text("provisioningState", "Succeeded"),
    )
    faults = (*outer.faults, *inner.faults, *_name_empty_parts(rule))
    return replace(rule, faults=faults) if faults else rule


def _name_empty_parts(rule: SecurityRule) -> Iterable[str]:
    """Name the parts of *rule* that are empty; Azure stores no such rule."""
    if not rule.sources + rule.source_groups:
        yield "no source"
    if not rule.destinations + rule.destination_groups:
        yield "no destination"
    if not rule.source_ports:
        yield "no source port"
    if not rule.destination_ports:
        yield "no destination port"


_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def _port_ranges(fields: CheckedFields, one: str, many: str) -> tuple[PortRange, ...]:
    """Return the port ranges of a singular and a plural member."""
    texts = fields.one_and_many(one, many)
    ranges = tuple(filter(None, map(read_port_range, texts)))
    if len(ranges) < len(texts):
        fields.faults.append(f"{one} is not a port range")
    return ranges


def read_port_range(text: str) -> PortRange | None:
    """Return the range that *text* writes (``*``, ``22``, ``22-25``), or None."""
    if text == "*":
        return EVERY_PORT
    found = _RANGE.fullmatch(text)
    if not found:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    return PortRange(first, last) if first <= last <= EVERY_PORT.last else None
