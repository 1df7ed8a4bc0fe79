"""
The rules that just-in-time access leaves in NSGs and firewalls, told from everybody else's.

A name alone proves nothing about a grant: ``matches`` compares what a rule opens.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from jit.domain.azure.firewall import NatRule
from jit.domain.azure.nsg_rules import Access, Direction, PortRange, SecurityRule
from jit.domain.values.prefixes import Prefix, Prefixes, read_address


class JitKind(StrEnum):
    """Which of Defender's two NSG rules a name belongs to."""

    DENY = "deny"  # one for each VM and NSG, as long as a JIT policy covers the VM
    ALLOW = "allow"  # one for each initiated port and source


@dataclass(frozen=True, slots=True)
class JitName:
    """
    A rule name that Defender wrote.

    Attributes:
        number: Signed 32-bit; the same for deny and allow rules of one VM.
        hex: 32 upper-case hexadecimal digits; differs from request to request.
    """

    kind: JitKind
    number: int
    hex: str


_JIT_NAME = re.compile(
    r"(?:SecurityCenter|MicrosoftDefenderForCloud)-JITRule"
    r"(?P<mark>[_-])(?P<number>-?[0-9]{1,10})(?P=mark)(?P<hex>[0-9A-F]{32})"
)


def parse_jit_name(name: str) -> JitName | None:
    """
    Return what *name* says where Defender wrote it, else None.

    Both generations are known: ``MicrosoftDefenderForCloud-JITRule…`` and, from before May 2023,
    ``SecurityCenter-JITRule…``. An underscore joins the parts of a deny rule's name, a hyphen
    those of an allow rule's.

    Source:
        Learn, Defender for Cloud release notes archive, May 2023 ("JIT rule naming"); the
        pattern as seen in published ARM exports, where Microsoft documents none.
    """
    found = _JIT_NAME.fullmatch(name)
    if not found:
        return None
    kind = JitKind.DENY if found["mark"] == "_" else JitKind.ALLOW
    return JitName(kind, int(found["number"]), found["hex"])


@dataclass(frozen=True, slots=True, kw_only=True)
class JitAllow:
    """
    An NSG rule that carries the name of one of Defender's allow rules.

    Attributes:
        nsg_id: ARM id of the NSG that holds it.
        sources: Prefixes, tags or ``*``, as Azure returns them; several where several were asked.
        destinations: The VM's private address, as Azure returns it.
        ports: One range of one port, in every rule seen so far.
        state: ``provisioningState``; the rule is what it says only while that is ``Succeeded``.
        faults:
            What could not be read, or is not as Defender writes it. Such a rule is reported, but
            matches no grant.
    """

    id: str
    nsg_id: str
    name: str
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[PortRange, ...]
    protocol: str
    priority: int
    state: str = "Succeeded"
    faults: tuple[str, ...] = ()


def nsg_allow_rules(nsg_id: str, rules: Iterable[SecurityRule]) -> tuple[JitAllow, ...]:
    """
    Return the rules that are named as Defender names its allow rules and may let traffic in.

    A rule that certainly denies, or looks at outbound traffic, opens nothing and is left out.
    """
    return tuple(
        _jit_allow(nsg_id, rule)
        for rule in rules
        if is_jit_allow_name(rule.name)
        and rule.access is not Access.DENY
        and rule.direction is not Direction.OUTBOUND
    )


def is_jit_allow_name(name: str) -> bool:
    """Tell whether *name* is one of Defender's allow rules'."""
    found = parse_jit_name(name)
    return found is not None and found.kind is JitKind.ALLOW


def _jit_allow(nsg_id: str, rule: SecurityRule) -> JitAllow:
    """Return *rule* as an allow rule of Defender's."""
    grouped = rule.source_groups + rule.destination_groups
    strange = ("application security groups",) if grouped else ()
    return JitAllow(
        id=rule.id or f"{nsg_id}/securityRules/{rule.name}",
        nsg_id=nsg_id,
        name=rule.name,
        sources=rule.sources,
        destinations=rule.destinations,
        ports=rule.destination_ports,
        protocol=rule.protocol or "",
        priority=rule.priority,
        state=rule.state,
        faults=rule.faults + strange,
    )


def matches(
    rule: JitAllow | NatRule, *, private_ip: str, port: int, sources: Collection[Prefix]
) -> bool:
    """
    Tell whether *rule* is what Defender writes for that VM port and exactly those *sources*.

    A rule that also opens another port, address or source is not a match: removing it would
    touch what is not asked about. Sources compare as prefixes, one by one; ``203.0.113.7`` and
    ``203.0.113.7/32`` are equal, ``*`` and service tags equal nothing.
    """
    found = _prefixes(rule)
    return _aims_at(rule, private_ip, port) and bool(found) and found == frozenset(sources)


def matches_within(
    rule: JitAllow | NatRule, *, private_ip: str, port: int, sources: Collection[Prefix]
) -> bool:
    """
    Tell the same where Defender writes a rule for each source: *rule* holds some of *sources*.

    Every prefix of the rule must be one of *sources*; a prefix inside one of them is another. A
    rule without a readable source never matches.
    """
    found = _prefixes(rule)
    return _aims_at(rule, private_ip, port) and bool(found) and found <= frozenset(sources)


def _aims_at(rule: JitAllow | NatRule, private_ip: str, port: int) -> bool:
    """Tell whether *rule* leads to that VM port and nowhere else."""
    if isinstance(rule, NatRule):
        return (
            rule.is_jit
            and not rule.ip_groups
            and not rule.translated_fqdn
            and _same_address(rule.translated_address, private_ip)
            and rule.translated_port == str(port)
        )
    return (
        not rule.faults
        and rule.ports == (PortRange(port, port),)
        and len(rule.destinations) == 1
        and _same_address(rule.destinations[0], private_ip)
    )


def _same_address(left: str, right: str) -> bool:
    """Tell whether both name one address; ``10.1.1.4/32`` is ``10.1.1.4``."""
    address = read_address(left)
    return address is not None and address == read_address(right)


def _prefixes(rule: JitAllow | NatRule) -> frozenset[Prefix]:
    """Return the sources of *rule*; nothing at all where one of them is not a prefix."""
    sources = Prefixes(rule.sources)
    return frozenset(sources.readable) if not sources.unreadable else frozenset()
