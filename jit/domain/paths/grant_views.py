"""Views of one VM for each of its grants: of all companion rules, a view has those of one grant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.paths.machine_view import MachineView, NsgView

_Numbered = list[tuple[int, SecurityRule]]


class GrantViews:
    """
    Makes views of one VM smaller: companions of other grants are left out.

    `observe_path` returns the same for the smaller view. If many grants share an NSG, each has a
    companion there, and each observation would read all of them. A smaller view is for observing
    only: it lacks priorities that other rules take.
    """

    def __init__(self, view: MachineView) -> None:
        """Sort the rules of each NSG of *view* by their owner, once."""
        self._view = view
        self._sorted = {key: _sort_by_owner(nsg) for key, nsg in view.nsgs.items()}
        nsgs = {key: _keep(view.nsgs[key], self._sorted[key][None]) for key in view.nsgs}
        self._bare = replace(view, nsgs=nsgs)

    def narrow_view(self, grant_id: str) -> MachineView:
        """Return the view with the companions of one grant, and no others."""
        own = {key: found for key, found in self._sorted.items() if grant_id in found}
        if not own:
            return self._bare
        nsgs = {
            key: _keep(self._view.nsgs[key], sorted([*found[None], *found[grant_id]], key=_number))
            for key, found in own.items()
        }
        return replace(self._bare, nsgs={**self._bare.nsgs, **nsgs})


def _sort_by_owner(nsg: NsgView) -> dict[str | None, _Numbered]:
    """Return the rules of an NSG, numbered, by the grant that owns them; None for no companion."""
    found: dict[str | None, _Numbered] = {None: []}
    for number, rule in enumerate(nsg.rules):
        found.setdefault(parse_companion_name(rule.name), []).append((number, rule))
    return found


def _keep(nsg: NsgView, numbered: Sequence[tuple[int, SecurityRule]]) -> NsgView:
    return replace(nsg, rules=tuple(rule for _, rule in numbered))


def _number(numbered: tuple[int, SecurityRule]) -> int:
    return numbered[0]
