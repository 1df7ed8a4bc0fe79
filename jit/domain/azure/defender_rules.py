"""
The rules that just-in-time access writes into NSGs and firewalls: how to recognise them.

A name alone does not prove that a rule belongs to a grant. ``matches`` compares the port, the
address and the sources.
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
    """The two kinds of NSG rules that Defender writes."""

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
    Return the parts of *name* if Defender wrote it, else None.

    There are two generations of names: ``MicrosoftDefenderForCloud-JITRule…`` and, until May 2023,
    ``SecurityCenter-JITRule…``. Underscores join the parts of a deny rule's name, and hyphens the
    parts of an allow rule's name.

    Source:
        Learn, Defender for Cloud release notes archive, May 2023 ("JIT rule naming"). Microsoft
        documents no pattern; this one is from published ARM exports.
    """
    found = _JIT_NAME.fullmatch(name)
    if not found:
        return None
    kind = JitKind.DENY if found["mark"] == "_" else JitKind.ALLOW
    return JitName(kind, int(found["number"]), found["hex"])


def find_allow_rules(rules: Iterable[SecurityRule]) -> tuple[SecurityRule, ...]:
    """
    Return the rules that have the name of a Defender allow rule and may let traffic in.

    A rule that denies, or a rule for outbound traffic, opens nothing. It is left out.
    """
    return tuple(
        rule
        for rule in rules
        if is_jit_allow_name(rule.name)
        and rule.access is not Access.DENY
        and rule.direction is not Direction.OUTBOUND
    )


def is_jit_allow_name(name: str) -> bool:
    """Return True if *name* is the name of a Defender allow rule."""
    found = parse_jit_name(name)
    return found is not None and found.kind is JitKind.ALLOW


def is_altered(rule: SecurityRule) -> bool:
    """
    Return True if an allow rule of Defender cannot be read, or is not as Defender writes it.

    Defender writes no application security groups. Such a rule is reported, but matches no grant.
    """
    return bool(rule.faults or rule.source_groups or rule.destination_groups)


def opens_one_port(rule: SecurityRule) -> bool:
    """Return True if *rule* opens one port of one address, as all rules of Defender do."""
    ports = rule.destination_ports
    return (
        not is_altered(rule)
        and len(rule.destinations) == len(ports) == 1
        and ports[0].first == ports[0].last
        and read_address(rule.destinations[0]) is not None
    )


def matches(
    rule: SecurityRule | NatRule, *, private_ip: str, port: int, sources: Collection[Prefix]
) -> bool:
    """
    Return True if Defender writes a rule like *rule* for this VM port and exactly these *sources*.

    A rule that also opens another port, address or source does not match, because its removal would
    close that too. Sources are compared as prefixes: ``203.0.113.7`` and ``203.0.113.7/32`` are
    equal; ``*`` and service tags equal nothing.
    """
    found = _prefixes(rule)
    return _aims_at(rule, private_ip, port) and bool(found) and found == frozenset(sources)


def matches_within(
    rule: SecurityRule | NatRule, *, private_ip: str, port: int, sources: Collection[Prefix]
) -> bool:
    """
    Return True if *rule* matches as for ``matches``, but has only some of *sources*.

    Defender may write one rule for each source. Every prefix of the rule must be equal to one of
    *sources*; a smaller prefix inside one of them does not count. A rule with an unreadable source,
    or without sources, never matches.
    """
    found = _prefixes(rule)
    return _aims_at(rule, private_ip, port) and bool(found) and found <= frozenset(sources)


def _aims_at(rule: SecurityRule | NatRule, private_ip: str, port: int) -> bool:
    """Return True if *rule* leads only to this VM port."""
    if isinstance(rule, NatRule):
        return (
            rule.is_jit
            and not rule.ip_groups
            and not rule.translated_fqdn
            and _is_same_address(rule.translated_address, private_ip)
            and rule.translated_port == str(port)
        )
    return (
        not is_altered(rule)
        and rule.destination_ports == (PortRange(port, port),)
        and len(rule.destinations) == 1
        and _is_same_address(rule.destinations[0], private_ip)
    )


def _is_same_address(left: str, right: str) -> bool:
    """Return True if both are the same address; ``10.1.1.4/32`` is ``10.1.1.4``."""
    address = read_address(left)
    return address is not None and address == read_address(right)


def _prefixes(rule: SecurityRule | NatRule) -> frozenset[Prefix]:
    """Return the sources of *rule*; an empty set if one of them is not a prefix."""
    sources = Prefixes(rule.sources)
    return frozenset(sources.readable) if not sources.unreadable else frozenset()
