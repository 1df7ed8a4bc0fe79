"""Views of VMs that hold only the NSG rules that may concern one port, of thousands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jit.domain.azure.nsg_index import RulesByAddress
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import list_addresses


class PortViews:
    """
    Makes views of VMs smaller: rules that certainly do not concern one port are left out.

    `observe_path` returns the same for the smaller view. If many grants share an NSG, each
    observation is faster. A smaller view is for observing only: it lacks priorities that other
    rules take. One object serves one reading of Azure, because it sorts each NSG by address once.
    """

    def __init__(self) -> None:
        self._by_address: dict[str, RulesByAddress] = {}

    def narrow_view(self, view: MachineView, port: int) -> MachineView:
        """Return *view* with the NSG rules that may concern *port* of its VM."""
        own = list_addresses(view.vm)
        nsgs = {
            key: replace(
                nsg,
                rules=tuple(rule for rule in self._rules_at(nsg, own) if _may_concern(rule, port)),
                allows=tuple(rule for rule in nsg.allows if _opens(rule, port)),
            )
            for key, nsg in view.nsgs.items()
        }
        return replace(view, nsgs=nsgs)

    def _rules_at(self, nsg: NsgView, own: Sequence[str]) -> Sequence[SecurityRule]:
        if nsg.id not in self._by_address:
            self._by_address[nsg.id] = RulesByAddress(nsg.rules)
        return self._by_address[nsg.id].find_rules_at(*own)


def _may_concern(rule: SecurityRule, port: int) -> bool:
    if rule.faults or not rule.in_force:
        return True
    return _opens(rule, port)


def _opens(rule: SecurityRule, port: int) -> bool:
    return any(port in ports for ports in rule.destination_ports)
