"""Warnings about NAT rules that lead others to the JIT ports of a VM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jit.domain.model.machine import MachineWarning
from jit.domain.paths.published_ports import NAT_RULE_BLOCKS, PublishedPort

_BYPASSES = "nat-rule-bypasses-jit"

NAT_CODES = frozenset({NAT_RULE_BLOCKS, _BYPASSES})
"""The codes of these warnings: they depend on the firewall, and on the NSGs."""


def find_nat_warnings(ports: Iterable[PublishedPort]) -> Iterator[MachineWarning]:
    """
    Yield the warnings for each published port.

    * ``nat-rule-blocks``: no grant can open the port, because the companion that it needs would let
      others in.
    * ``nat-rule-bypasses-jit``: the NSGs let the firewall pass, so others come in without a grant.
    """
    for found in ports:
        if found.is_blocked:
            detail = (
                f"port {found.port}: {found.way.title}; a grant would let them in too, so none can "
                "open it; remove that rule, or take the port out of the JIT policy"
            )
            yield MachineWarning(code=NAT_RULE_BLOCKS, detail=detail)
        if found.is_open:
            detail = (
                f"port {found.port}: {found.way.title}, and the NSGs let them in without a grant; "
                "remove that rule, or the NSG rule that lets the firewall in"
            )
            yield MachineWarning(code=_BYPASSES, detail=detail)
