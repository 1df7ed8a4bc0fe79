"""The security rules of an NSG as values, read from what Azure Resource Manager returns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import CheckedFields, Resource


class Access(StrEnum):
    """What a rule does to the flows that it takes."""

    ALLOW = "Allow"
    DENY = "Deny"


class Direction(StrEnum):
    """Which flows a rule looks at, seen from the interface or subnet that it guards."""

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
        """Tell whether *port* lies in the range."""
        return self.first <= port <= self.last

    def __str__(self) -> str:
        """Return the range as Azure writes it: ``22`` or ``22-25``."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


EVERY_PORT = PortRange(0, 65535)
FIRST_OF_ALL = 0
"""The priority of a rule whose own is unreadable: it may decide before every other rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRule:
    """
    One rule of an NSG; what could not be read is None or empty, and named in ``faults``.

    Attributes:
        id: ARM id; empty where it is missing.
        priority: 100 to 4096, for default rules from 65000; the smallest number decides first.
        sources: Prefixes, service tags or ``*``, as text, as Azure returns them.
        source_groups: ARM ids of application security groups.
        source_ports: At least one, unless there are faults.
        state: ``provisioningState``; a rule is what it says only while that is ``Succeeded``.
        faults: What could not be read. A rule with faults is kept: it may apply to any flow.

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
        """Whether Azure has applied it as it reads; while a write runs, its old self may act."""
        return self.state.lower() == "succeeded"


def parse_rules(nsg: Resource) -> tuple[SecurityRule, ...]:
    """
    Return every rule of *nsg*, the first to decide first.

    Nothing is dropped: a rule that cannot be read is kept with its faults, and so is a whole list
    of rules that is missing. Rules of one direction that share a priority are faulty, because
    Azure refuses to store such (error ``SecurityRuleConflict``) and their order would be a guess.

    Args:
        nsg: ``networkSecurityGroups`` as GET or list returns it, default rules included.
    """
    rules = [
        _rule(item)
        for name in ("securityRules", "defaultSecurityRules")
        for item in _items(arm_json.array(arm_json.properties(nsg), name))
    ]
    return tuple(sorted(_mark_ties(rules), key=lambda rule: rule.priority))


def _items(rules: list[object] | None) -> list[object]:
    """Return *rules*; a list that is missing counts as one unreadable rule."""
    return [None] if rules is None else rules


def _mark_ties(rules: list[SecurityRule]) -> Iterable[SecurityRule]:
    """Mark the rules whose order is not determined."""
    seen = Counter((rule.direction, rule.priority) for rule in rules)
    for rule in rules:
        tied = seen[rule.direction, rule.priority] > 1 and not rule.faults
        fault = f"priority {rule.priority} is not unique"
        yield replace(rule, faults=(fault,)) if tied else rule


def _rule(item: object) -> SecurityRule:
    """Read one element of a list of rules."""
    outer = CheckedFields(item)
    inner = outer.properties()
    rule = SecurityRule(
        id=outer.text("id"),
        name=outer.text("name"),
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
    return replace(rule, faults=(*outer.faults, *inner.faults, *_empty(rule)))


def _empty(rule: SecurityRule) -> Iterable[str]:
    """Name the parts of *rule* that hold nothing: Azure stores no such rule."""
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
    ranges = tuple(filter(None, map(_port_range, texts)))
    if len(ranges) < len(texts):
        fields.faults.append(f"{one} is not a port range")
    return ranges


def _port_range(text: str) -> PortRange | None:
    """Return the range that *text* writes (``*``, ``22``, ``22-25``), or None."""
    if text == "*":
        return EVERY_PORT
    found = _RANGE.fullmatch(text)
    if not found:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    return PortRange(first, last) if first <= last <= EVERY_PORT.last else None
