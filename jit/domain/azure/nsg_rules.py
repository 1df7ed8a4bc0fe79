"""The security rules of an NSG as values, read from what Azure Resource Manager returns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar


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


def parse_rules(nsg: Mapping[str, object]) -> tuple[SecurityRule, ...]:
    """
    Return every rule of *nsg*, the first to decide first.

    Nothing is dropped: a rule that cannot be read is kept with its faults, and so is a whole list
    of rules that is missing. Rules of one direction that share a priority are faulty, because
    Azure refuses to store such (error ``SecurityRuleConflict``) and their order would be a guess.

    Args:
        nsg: ``networkSecurityGroups`` as GET or list returns it, default rules included.
    """
    properties = nsg.get("properties")
    fields = properties if isinstance(properties, Mapping) else {}
    rules = [
        _rule(item)
        for key in ("securityRules", "defaultSecurityRules")
        for item in _items(fields.get(key))
    ]
    return tuple(sorted(_without_ties(rules), key=lambda rule: rule.priority))


def _items(listed: object) -> list[object]:
    """Return what *listed* holds; a list that is missing counts as one unreadable rule."""
    return listed if isinstance(listed, list) else [None]


def _without_ties(rules: list[SecurityRule]) -> Iterable[SecurityRule]:
    """Mark the rules whose order is not determined."""
    seen = Counter((rule.direction, rule.priority) for rule in rules)
    for rule in rules:
        tied = seen[rule.direction, rule.priority] > 1 and not rule.faults
        fault = f"priority {rule.priority} is not unique"
        yield replace(rule, faults=(fault,)) if tied else rule


def _rule(item: object) -> SecurityRule:
    """Read one element of a list of rules."""
    outer = _Fields(item)
    inner = _Fields(outer.values.get("properties"))
    rule = SecurityRule(
        id=outer.text("id"),
        name=outer.text("name"),
        priority=inner.priority(),
        direction=inner.choice("direction", Direction),
        access=inner.choice("access", Access),
        protocol=inner.choice("protocol", RuleProtocol),
        sources=inner.texts("sourceAddressPrefix", "sourceAddressPrefixes"),
        source_groups=inner.groups("sourceApplicationSecurityGroups"),
        source_ports=inner.ports("sourcePortRange", "sourcePortRanges"),
        destinations=inner.texts("destinationAddressPrefix", "destinationAddressPrefixes"),
        destination_groups=inner.groups("destinationApplicationSecurityGroups"),
        destination_ports=inner.ports("destinationPortRange", "destinationPortRanges"),
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


_Choice = TypeVar("_Choice", bound=StrEnum)
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class _Fields:
    """A JSON object that is read field by field; what is unreadable adds to ``faults``."""

    def __init__(self, item: object) -> None:
        self.values: Mapping[str, object] = item if isinstance(item, Mapping) else {}
        self.faults: list[str] = [] if isinstance(item, Mapping) else ["not an object"]

    def text(self, key: str, default: str = "") -> str:
        """Return the string *key*, or *default* where it is absent."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value or default
        self.faults.append(f"{key} is not a string")
        return default

    def priority(self) -> int:
        """Return the priority, or the one that comes before all."""
        value = self.values.get("priority")
        if isinstance(value, int) and not isinstance(value, bool) and value > FIRST_OF_ALL:
            return value
        self.faults.append("priority is not a positive number")
        return FIRST_OF_ALL

    def choice(self, key: str, of: type[_Choice]) -> _Choice | None:
        """Return the member of *of* that *key* names, in whatever case."""
        named = self.text(key).lower()
        found = next((member for member in of if member.value.lower() == named), None)
        if found is None:
            self.faults.append(f"{key} is unknown")
        return found

    def texts(self, one: str, many: str) -> tuple[str, ...]:
        """Return the strings of the singular field *one*, and the list *many*, as one."""
        single = self.text(one)
        listed = self._list(many)
        texts = tuple(item for item in listed if isinstance(item, str) and item)
        if len(texts) < len(listed):
            self.faults.append(f"{many} holds something that is not a string")
        return (single, *texts) if single else texts

    def groups(self, key: str) -> tuple[str, ...]:
        """Return the ids of a list of references."""
        members = [_Fields(item) for item in self._list(key)]
        ids = tuple(filter(None, (member.text("id") for member in members)))
        if len(ids) < len(members):
            self.faults.append(f"{key} holds something without an id")
        return ids

    def ports(self, one: str, many: str) -> tuple[PortRange, ...]:
        """Return the port ranges of the singular and the plural field."""
        texts = self.texts(one, many)
        ranges = tuple(filter(None, map(_port_range, texts)))
        if len(ranges) < len(texts):
            self.faults.append(f"{one} is not a port range")
        return ranges

    def _list(self, key: str) -> list[object]:
        value = self.values.get(key)
        if value is None or isinstance(value, list):
            return value or []
        self.faults.append(f"{key} is not a list")
        return []


def _port_range(text: str) -> PortRange | None:
    """Return the range that *text* writes (``*``, ``22``, ``22-25``), or None."""
    if text == "*":
        return EVERY_PORT
    found = _RANGE.fullmatch(text)
    if not found:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    return PortRange(first, last) if first <= last <= EVERY_PORT.last else None
