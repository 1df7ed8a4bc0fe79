"""
The rules of an NSG by their destination addresses: a quick way to the few rules of one VM.

Each rule of just-in-time access has a single address as its destination. The NSG of a hundred VMs
contains hundreds of them, and only a few concern one VM.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jit.domain.azure.nsg_rules import Direction, SecurityRule
from jit.domain.values.prefixes import read_address, read_prefix


class RulesByAddress:
    """The inbound rules of one NSG, in their order."""

    def __init__(self, rules: Sequence[SecurityRule]) -> None:
        self._rules = rules
        self._wide: list[int] = []
        self._narrow: dict[str, list[int]] = {}
        for place, rule in enumerate(rules):
            self._place(place, rule)

    def find_rules_at(self, *addresses: str) -> list[SecurityRule]:
        """
        Return the rules that may take packets to one of *addresses*, in their order.

        Outbound rules are left out, and rules that have only other single addresses as
        destinations. A rule that cannot be read, or is not in force, is never left out.
        """
        mine = {
            place for text in addresses for place in self._narrow.get(str(read_prefix(text)), ())
        }
        return [self._rules[place] for place in sorted(mine.union(self._wide))]

    def _place(self, place: int, rule: SecurityRule) -> None:
        if rule.faults or not rule.in_force:
            self._wide.append(place)
        elif rule.direction is not Direction.OUTBOUND:
            targets = None if rule.destination_groups else _singles(rule.destinations)
            if not targets:
                self._wide.append(place)
            for target in targets or ():
                self._narrow.setdefault(target, []).append(place)


def _singles(texts: Iterable[str]) -> list[str] | None:
    """Return *texts* as prefixes if each is a single address, else None."""
    found = [read_address(text) for text in texts]
    return None if None in found else [str(address) for address in found]
