"""Access by a Bastion: the sources that it stands for on each VM, and the reasons to refuse it."""

from __future__ import annotations

from collections.abc import Iterator

from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.decision.wanted_access import WantedAccess, list_sources
from jit.domain.errors import Violation
from jit.domain.limits import Limits
from jit.domain.model.bastion import Bastion
from jit.domain.model.machine import Obstacle, VirtualMachine
from jit.domain.model.request import WantedPort
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.prefix_index import drop_covered
from jit.domain.values.prefixes import IPV6, Prefix

NO_BASTION = "no-bastion"
BASTION_NOT_KNOWN = "bastion-not-known"
BASTION_NEEDS_TCP = "bastion-needs-tcp"
SOURCE_TOO_WIDE = "source-too-wide"
SOURCE_FAMILIES = "source-families"

VIA = at(ROOT, "via")
"""The pointer of the field that asks for a Bastion."""

_BY_NAT = frozenset({"nat-rule-blocks", "nsg-rule-blocks", "admin-rule-blocks"})
"""Codes of obstacles that stop the firewall that people come through, if they stop every source."""

_NONE = (
    "no Bastion of its virtual network, or of a connected peer, reaches {name}: name sources, or "
    "an operator can deploy a Bastion"
)
_UNREAD = (
    "the Bastion that reaches {name} is not known, because Bastions could not be read: ask again "
    "later, or name sources"
)
_NOT_SHOWN = (
    "Azure did not show Bastion {bastion}, by which {name} was reached before: ask again in five "
    "minutes, or name sources"
)
_NO_SUBNET = (
    "Bastion {bastion} reaches {name}, but its subnet is not known (the SKU Developer has none), "
    "so no rule can let it in: name sources"
)
_TOO_WIDE = (
    "{source}, the subnet of Bastion {bastion}, is wider than /{widest}: an operator can raise "
    "JIT_WIDEST_SOURCE"
)


def find_bastion(machine: VirtualMachine) -> Bastion | None:
    """
    Return the Bastion by which people come to *machine*: the first one with a known subnet.

    A Bastion in doubt is none.
    """
    known = (each for each in machine.bastions or () if not each.is_in_doubt)
    return next((each for each in known if each.prefixes), None)


def join_sources(access: WantedAccess, machine: VirtualMachine) -> tuple[Prefix, ...]:
    """
    Return the sources of *access* on *machine*: those that it names, and the Bastion's subnet.

    None is inside another one. Faulty ones are left out.
    """
    listed = (*list_sources(access), *list_bastion_sources(access, machine))
    every = dict.fromkeys(source for _, source in listed)
    kept = drop_covered(every)
    return tuple(source for source in every if source in kept)


def list_bastion_sources(
    access: WantedAccess, machine: VirtualMachine
) -> Iterator[tuple[str, Prefix]]:
    """Yield the prefixes of the Bastion that *access* asks for on *machine*, with the pointer."""
    bastion = find_bastion(machine) if access.by_bastion else None
    for prefix in bastion.sources if bastion is not None else ():
        yield VIA, prefix


def check_bastion(
    access: WantedAccess, machine: VirtualMachine, limits: Limits
) -> Iterator[Finding]:
    """Yield the reasons why *access* may not come by a Bastion to *machine*, if it asks for one."""
    if not access.by_bastion:
        return
    bastion = find_bastion(machine)
    if bastion is None:
        yield _explain_missing(machine)
        return
    for source in bastion.sources:
        if source.prefixlen < limits.widest_source_v4:
            detail = _TOO_WIDE.format(
                source=source, bastion=bastion.name, widest=limits.widest_source_v4
            )
            yield _refuse(VIA, SOURCE_TOO_WIDE, detail)
    for pointer, source in list_sources(access):
        if source.version == IPV6:
            detail = f"{source} is not of the family of Bastion {bastion.name}, which uses IPv4"
            yield Finding(FindingKind.BODY, Violation(pointer, SOURCE_FAMILIES, detail))


def check_bastion_port(
    access: WantedAccess, port: WantedPort, protocol: str | None, name: str
) -> Iterator[Finding]:
    """Yield a finding if *access* asks for a Bastion, and the grant would be for UDP alone."""
    if access.by_bastion and "UDP" in {port.protocol, protocol}:
        detail = f"{name} is for UDP, but a Bastion connects by TCP only: name sources"
        yield _refuse(at(port.pointer, "number"), BASTION_NEEDS_TCP, detail)


def is_stopped_by(obstacle: Obstacle, access: WantedAccess) -> bool:
    """Return True if *obstacle* may stop *access*, given the way that it takes."""
    is_bastion_alone = access.by_bastion and not access.sources
    return not (is_bastion_alone and not obstacle.sources and obstacle.code in _BY_NAT)


def _explain_missing(machine: VirtualMachine) -> Finding:
    if machine.bastions is None:
        return _refuse(VIA, BASTION_NOT_KNOWN, _UNREAD.format(name=machine.name))
    if not machine.bastions:
        return _refuse(VIA, NO_BASTION, _NONE.format(name=machine.name))
    text = _NOT_SHOWN if machine.bastions[0].is_in_doubt else _NO_SUBNET
    detail = text.format(bastion=machine.bastions[0].name, name=machine.name)
    return _refuse(VIA, BASTION_NOT_KNOWN, detail)


def _refuse(pointer: str, code: str, detail: str) -> Finding:
    return Finding(FindingKind.POLICY, Violation(pointer, code, detail))
