"""The entry of a VM in a JIT policy, as read from Azure."""

from __future__ import annotations

from dataclasses import dataclass

from jit.domain.model.machine import PolicyFault, PortRule


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEntry:
    """
    The access that a JIT policy allows to one VM.

    Attributes:
        ports: The port rules.
        faults: The parts that are not understood.
    """

    ports: tuple[PortRule, ...] = ()
    faults: tuple[PolicyFault, ...] = ()

    def find_rule(self, port: int) -> PortRule | None:
        """Return the rule for *port*, if there is one."""
        return next((rule for rule in self.ports if rule.number == port), None)

    def has_fault(self, port: int | None, *fields: str) -> bool:
        """Return True if it has a fault about *port* in one of *fields*."""
        return any(each.port == port and each.field in fields for each in self.faults)
