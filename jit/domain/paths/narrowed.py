"""Looking at less: the NSG rules that may concern one port of a VM, of the thousands there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jit.domain.azure.nsg_index import RulesByAddress
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import addresses


class Sieve:
    """
    Leaves out of views the NSG rules that certainly do not concern one port of a VM.

    Every look at that port shows the same; where many grants share an NSG, each looks at less. For
    looking only: priorities that are taken by other rules are not to be seen. An NSG is sorted by
    address once, so a sieve serves one reading of Azure.
    """

    def __init__(self) -> None:
        self._aimed: dict[str, RulesByAddress] = {}

    def narrowed(self, view: MachineView, port: int) -> MachineView:
        """Return *view* with what may concern *port*."""
        own = addresses(view.vm)
        nsgs = {
            key: replace(
                nsg,
                rules=tuple(rule for rule in self._at(nsg, own) if _concerns(rule, port)),
                allows=tuple(a for a in nsg.allows if any(port in ports for ports in a.ports)),
            )
            for key, nsg in view.nsgs.items()
        }
        return replace(view, nsgs=nsgs)

    def _at(self, nsg: NsgView, own: Sequence[str]) -> Sequence[SecurityRule]:
        if nsg.id not in self._aimed:
            self._aimed[nsg.id] = RulesByAddress(nsg.rules)
        return self._aimed[nsg.id].at(*own)


def _concerns(rule: SecurityRule, port: int) -> bool:
    if rule.faults or not rule.in_force:
        return True
    return any(port in ports for ports in rule.destination_ports)
