"""Views of one VM for each of its grants: of all companions, a view has those of one grant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.model.grant import Grant
from jit.domain.paths.companion_owners import list_owners
from jit.domain.paths.machine_view import MachineView, NsgView

_Numbered = list[tuple[int, SecurityRule]]


class GrantViews:
    """
    Makes views of one VM smaller: companions that a grant has no share in are left out.

    `observe_path` returns the same for the smaller view. Many VM ports may share an NSG, each with
    a companion there, and each observation would read all of them. A smaller view is for observing
    only: it lacks priorities that other rules take.
    """

    def __init__(self, view: MachineView) -> None:
        """Sort the rules of each NSG of *view* by their owner, once."""
        self._view = view
        self._sorted = {key: _sort_by_owner(nsg) for key, nsg in view.nsgs.items()}
        nsgs = {key: _keep(view.nsgs[key], self._sorted[key][None]) for key in view.nsgs}
        self._bare = replace(view, nsgs=nsgs)
        self._there = {owner for found in self._sorted.values() for owner in found}
        self._made: dict[tuple[str, ...], MachineView] = {(): self._bare}

    def narrow_view(self, grant: Grant) -> MachineView:
        """Return the view with the companions of one grant, shared ones included, and no others."""
        owners = tuple(owner for owner in list_owners(grant) if owner in self._there)
        if owners not in self._made:  # the grants of a VM port see the same
            self._made[owners] = self._make(owners)
        return self._made[owners]

    def _make(self, owners: tuple[str, ...]) -> MachineView:
        nsgs = {
            key: _keep(self._view.nsgs[key], _choose(found, owners))
            for key, found in self._sorted.items()
            if not found.keys().isdisjoint(owners)
        }
        return replace(self._bare, nsgs={**self._bare.nsgs, **nsgs})


def _choose(found: dict[str | None, _Numbered], owners: Sequence[str]) -> _Numbered:
    """Return the rules that are no companions, and the companions of *owners*, in their order."""
    own = (each for owner in owners for each in found.get(owner, ()))
    return sorted([*found[None], *own], key=_number)


def _sort_by_owner(nsg: NsgView) -> dict[str | None, _Numbered]:
    """Return the rules of an NSG, numbered, by their owner; None for no companion."""
    found: dict[str | None, _Numbered] = {None: []}
    for number, rule in enumerate(nsg.rules):
        found.setdefault(parse_companion_name(rule.name), []).append((number, rule))
    return found


def _keep(nsg: NsgView, numbered: Sequence[tuple[int, SecurityRule]]) -> NsgView:
    return replace(nsg, rules=tuple(rule for _, rule in numbered))


def _number(numbered: tuple[int, SecurityRule]) -> int:
    return numbered[0]
