"""
What a JIT policy lets a caller have.

Asked at acceptance and again at opening. A VM that is not known, a port without a rule, a prefix
that cannot be read: silence is not consent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.machine import PortRule, Support, Via, VirtualMachine
from jit.domain.model.request import WantedMachine, WantedPort
from jit.domain.values import arm_ids, prefixes
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.prefixes import Prefix, Prefixes
from jit.domain.values.times import format_duration, format_instant

VM_NOT_FOUND = "vm-not-found"
VM_UNSUPPORTED = "vm-unsupported"
NO_JIT_POLICY = "no-jit-policy"
PORT_NOT_IN_POLICY = "port-not-in-policy"
PROTOCOL_NOT_IN_POLICY = "protocol-not-in-policy"
SOURCE_NOT_ALLOWED = "source-not-allowed"
SOURCE_NOT_PUBLIC = "source-not-public"
IPV6_NOT_ALLOWED = "ipv6-not-allowed"
DURATION_TOO_LONG = "duration-too-long"
DURATION_TOO_SHORT = "duration-too-short"
OCCUPIED = "occupied"

_DURATION = at(ROOT, "duration")
_SOURCES = at(ROOT, "sources")


class Wish(Protocol):
    """
    What is asked: an `AccessRequest`, or the good parts of a `Draft`.

    Attributes:
        machines: With the ports wanted; maybe none.
        sources: None where the body's entry was faulty: positions are those of the body.
        duration: None where faulty.
        starts_at: None means now.
    """

    @property
    def machines(self) -> tuple[WantedMachine, ...]:
        """The VMs, each with its ports."""

    @property
    def sources(self) -> Sequence[Prefix | None]:
        """Where traffic may come from."""

    @property
    def duration(self) -> timedelta | None:
        """Length of access."""

    @property
    def starts_at(self) -> datetime | None:
        """Not before."""


def decide(
    wish: Wish,
    machines: Mapping[str, VirtualMachine],
    *,
    now: datetime,
    limits: Limits = LIMITS,
) -> tuple[Finding, ...]:
    """
    Say all that stands against *wish*.

    A source is allowed where it lies within one of the rule's prefixes: a single address inside
    an allowed /24 will do. IPv6 is allowed only where the rule names an IPv6 prefix (``*`` was
    written with IPv4 in mind), and never through an Azure Firewall, which has no IPv6. A port
    that a foreign request holds beyond the start is occupied, unless its sources are the same.

    Args:
        wish: Its pointers name the places of faults.
        machines: What the inventory knows, by `armid.key` of the id.
        now: Aware.
        limits: The contract's numbers.

    Returns:
        No finding means that *wish* may be granted. In the order of the wish's machines.
    """
    return tuple(
        finding
        for wanted in wish.machines
        for finding in _of_machine(
            wish, wanted, machines.get(arm_ids.key(wanted.id)), now=now, limits=limits
        )
    )


def effective_protocol(asked: str | None, rule: PortRule) -> str | None:
    """
    Return the protocol that a grant under *rule* shows, or None where *asked* is not allowed.

    Initiate carries no protocol: what opens is the rule's. Asking less than a ``*`` rule opens is
    accepted and shown as ``*``; asking more, or another, is not.
    """
    return rule.protocol if asked in {None, rule.protocol} or rule.protocol == "*" else None


def _of_machine(
    wish: Wish,
    wanted: WantedMachine,
    machine: VirtualMachine | None,
    *,
    now: datetime,
    limits: Limits,
) -> Iterator[Finding]:
    here = at(wanted.pointer, "id")
    if not limits.allows_subscription(arm_ids.subscription(wanted.id)):
        detail = (
            f"{arm_ids.name(wanted.id)} is in a subscription that the broker does not look after"
        )
        yield _policy(here, VM_NOT_FOUND, detail)
    elif machine is None:
        yield _policy(
            here, VM_NOT_FOUND, f"{arm_ids.name(wanted.id)} is not among the VMs the broker sees"
        )
    elif machine.support is Support.UNSUPPORTED:
        why = "; ".join(machine.reasons)
        yield _policy(here, VM_UNSUPPORTED, f"{machine.name} cannot be served: {why}")
    elif machine.support is Support.NOT_CONFIGURED:
        yield _policy(here, NO_JIT_POLICY, f"{machine.name} is in no JIT policy")
    else:
        yield from _of_path(wish, machine, limits)
        for port in wanted.ports:
            yield from _of_port(wish, port, machine, now)


def _of_path(wish: Wish, machine: VirtualMachine, limits: Limits) -> Iterator[Finding]:
    shortest = limits.shortest_behind_firewall
    behind_firewall = machine.via is Via.FIREWALL
    if behind_firewall and wish.duration is not None and wish.duration < shortest:
        detail = f"{machine.name} is behind a firewall: at least {format_duration(shortest)}"
        yield _body(_DURATION, DURATION_TOO_SHORT, detail)
    for pointer, source in _sources(wish) if machine.via is not Via.PRIVATE else ():
        if not prefixes.is_public(source):
            detail = f"{source} is not public, but {machine.name} is reached over the internet"
            yield _body(pointer, SOURCE_NOT_PUBLIC, detail)


def _of_port(
    wish: Wish, port: WantedPort, machine: VirtualMachine, now: datetime
) -> Iterator[Finding]:
    name = f"port {port.number} of {machine.name}"
    rule = machine.rule_for(port.number)
    if rule is None:
        detail = f"{name} is not in its JIT policy"
        yield _policy(at(port.pointer, "number"), PORT_NOT_IN_POLICY, detail)
        return
    if effective_protocol(port.protocol, rule) is None:
        detail = f"{name} allows {rule.protocol}, not {port.protocol}"
        yield _policy(at(port.pointer, "protocol"), PROTOCOL_NOT_IN_POLICY, detail)
    if wish.duration is not None and wish.duration > rule.max_duration:
        detail = f"{name} allows at most {format_duration(rule.max_duration)}"
        yield _policy(_DURATION, DURATION_TOO_LONG, detail)
    for pointer, source in _sources(wish):
        if fault := _not_allowed(source, rule, machine.via):
            yield _policy(pointer, fault, f"{source} may not reach {name}")
    if until := _occupied_until(wish, port, machine, now):
        detail = f"{name} is occupied until {format_instant(until)}"
        yield Finding(FindingKind.OCCUPIED, Violation(at(port.pointer, "number"), OCCUPIED, detail))


def _not_allowed(source: Prefix, rule: PortRule, via: Via) -> str | None:
    """Return the code of why *source* may not come through *rule*, or None."""
    allowed = Prefixes(rule.allowed_sources)
    if source.version == prefixes.IPV6 and (via is Via.FIREWALL or not allowed.has_ipv6):
        return IPV6_NOT_ALLOWED
    return None if allowed.covers(source) else SOURCE_NOT_ALLOWED


def _occupied_until(
    wish: Wish, port: WantedPort, machine: VirtualMachine, now: datetime
) -> datetime | None:
    """
    Return when the last foreign request ends that would be in the way, or None.

    Nobody is in the way who ends before the start, or who comes from the same sources. While a
    source of the wish is still faulty, nobody can tell.
    """
    start = max(wish.starts_at or now, now)
    wanted = tuple(source for source in wish.sources if source)
    if len(wanted) < len(wish.sources):
        return None
    ends = (
        other.ends_at
        for other in machine.occupations
        if other.port == port.number
        and other.ends_at > start
        and not Prefixes(other.sources).equals(wanted)
    )
    return max(ends, default=None)


def _sources(wish: Wish) -> Iterator[tuple[str, Prefix]]:
    for index, source in enumerate(wish.sources):
        if source is not None:
            yield at(_SOURCES, index), source


def _policy(pointer: str, code: str, detail: str) -> Finding:
    return Finding(FindingKind.POLICY, Violation(pointer, code, detail))


def _body(pointer: str, code: str, detail: str) -> Finding:
    return Finding(FindingKind.BODY, Violation(pointer, code, detail))
