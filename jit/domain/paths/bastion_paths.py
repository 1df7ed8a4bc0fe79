"""
Paths of people who come by a Bastion, and of all others: one question for both.

A Bastion reaches the private address of the VM from its own subnet. So its path is judged as a
private one: the NSGs decide, and the firewall does not matter. If a grant has other sources too,
its path is open only if both ways are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from jit.domain.model.bastion import Bastion
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Connection, Via
from jit.domain.paths import companion_paths, effective
from jit.domain.paths.connection import build_bastion_command
from jit.domain.paths.effective import PathState, PathView
from jit.domain.paths.grant_views import GrantViews
from jit.domain.paths.machine_view import MachineView
from jit.domain.values.prefixes import Prefix

_PORTAL = "in the portal, choose Connect and Bastion at the VM"
_UNSEEN = "routes and the NSG of the Bastion's subnet were not looked at"

_LEAST_ADVANCED = (
    PathState.UNCLEAR,
    PathState.ABSENT,
    PathState.PARTIAL,
    PathState.BLOCKED,
    PathState.OPEN,
)
"""The state of one way that is also the state of both, the first one found."""


def observe_path(
    grant: Grant, view: MachineView, asked: Collection[Prefix] | None = None
) -> PathView:
    """
    Return the path of *grant*, by all ways that its sources come.

    Args:
        grant: Any grant on the VM of *view*.
        view: The VM as just read.
        asked: As for ``companion_paths.observe_path``.
    """
    bastion, own = grant.bastion, grant.own_sources
    if bastion is None:
        return companion_paths.observe_path(grant, view, asked)
    inner = _observe_inner_path(grant, bastion, view, asked)
    if not own:
        return inner
    direct = replace(grant, sources=own, bastion=None)
    return _join(companion_paths.observe_path(direct, view, asked), inner)


def observe_paths(
    grants: Iterable[Grant], view: MachineView, asked: Collection[Prefix] | None = None
) -> dict[str, PathView]:
    """Return the paths of the *grants* of one VM port by their ids; see `observe_path`."""
    views = GrantViews(view)
    return {grant.id: observe_path(grant, views.narrow_view(grant), asked) for grant in grants}


def _observe_inner_path(
    grant: Grant, bastion: Bastion, view: MachineView, asked: Collection[Prefix] | None
) -> PathView:
    """
    Return the path of the Bastion to the primary address of the VM.

    Rules for the VM's other addresses belong to the path, but nobody connects by them.
    """
    inner = replace(grant, sources=bastion.sources, via=Via.PRIVATE)
    everything = effective.observe_path(inner, view, asked)
    primary = replace(view.vm, interfaces=view.vm.ordered_interfaces[:1])
    path = effective.observe_path(inner, replace(view, vm=primary), asked)
    if path.state is PathState.ABSENT and everything.rules:
        path = replace(path, state=PathState.PARTIAL)
    path = replace(path, rules=everything.rules)
    if path.state is not PathState.OPEN:
        return path
    link = Connection(
        via=grant.via,
        address=path.address,
        port=grant.port,
        command=build_bastion_command(grant, bastion),
    )
    return replace(path, connection=link, why=_explain(bastion))


def _explain(bastion: Bastion) -> str:
    """Return what a person must know who comes by *bastion*."""
    how = f"{_PORTAL}, or use the command" if bastion.native else _PORTAL
    return f"come by Bastion {bastion.name}: {how}; {_UNSEEN}"


def _join(direct: PathView, inner: PathView) -> PathView:
    """Return the path of a grant with both ways: it is as far as the way that is less far."""
    worse = min((direct, inner), key=lambda path: _LEAST_ADVANCED.index(path.state))
    rules = tuple(dict.fromkeys((*direct.rules, *inner.rules)))
    state = worse.state
    if state is PathState.ABSENT and rules:
        state = PathState.PARTIAL
    return PathView(
        state=state,
        rules=rules,
        connection=direct.connection if state is PathState.OPEN else None,
        why="; ".join(filter(None, (direct.why, inner.why)))
        if state is PathState.OPEN
        else worse.why,
        address=direct.address,
        blocked_by=direct.blocked_by,
        leaving=state is PathState.UNCLEAR and any(map(_is_shut, (direct, inner))),
    )


def _is_shut(path: PathView) -> bool:
    """Return True if the way of *path* certainly does not let every source in."""
    return path.leaving or path.state not in (PathState.UNCLEAR, PathState.OPEN)
