"""Troubles in Azure that a comparison sees: failed updates, API versions that Azure refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from jit.broker.reconcile.comparison import Comparison
from jit.domain.errors import VersionRefused
from jit.domain.model.trouble import UPDATE_FAILED, VERSION_REFUSED, Trouble
from jit.domain.paths.effective import explain_failed_firewall, explain_failed_nsg
from jit.domain.paths.machine_view import FirewallView, NsgView
from jit.domain.values import arm_ids
from jit.observer.refused_versions import alert_refused_version

_MEND = "jit/api_versions.py names the version: deploy a build with another one"


def list_failed_updates(comparison: Comparison) -> list[str]:
    """Return the ids of the NSGs and firewalls of JIT machines whose last update failed."""
    return [holder.id for holder in _list_holders(comparison) if holder.failed]


def find_failed_updates(comparison: Comparison, known: Sequence[Trouble]) -> tuple[Trouble, ...]:
    """
    Return a trouble for each NSG or firewall of a JIT machine whose last update failed.

    Args:
        comparison: The comparison that saw them.
        known: The troubles that the comparison before saw. While a resource is being updated, its
            trouble stays: the next update may fail too.
    """
    holders = {arm_ids.key(holder.id): holder for holder in _list_holders(comparison)}
    updating = {key for key, holder in holders.items() if not (holder.settled or holder.failed)}
    failed = (_make_trouble(holder, comparison.now) for holder in holders.values() if holder.failed)
    stays = (each for each in known if _is_about(each, updating))
    return tuple(_keep_beginnings((*failed, *stays), known))


def note_refused_version(
    error: VersionRefused, subscription: str, known: Sequence[Trouble], now: datetime
) -> tuple[Trouble, ...]:
    """
    Raise an alert that Azure refuses an API version, and return it with the failed updates.

    Nothing new is known about the failed updates, so they stay.
    """
    alert_refused_version(error, subscription=subscription)
    refused = Trouble(
        code=VERSION_REFUSED,
        detail=f"{error}; {_MEND}",
        resource=f"/subscriptions/{subscription}",
        since=now,
    )
    failed = [each for each in known if each.code == UPDATE_FAILED]
    return tuple(_keep_beginnings((refused, *failed), known))


def _list_holders(comparison: Comparison) -> list[NsgView | FirewallView]:
    """Return the NSGs and firewalls on the paths to machines with a JIT policy, each once."""
    views = comparison.observed.machines.values()
    found = (
        holder
        for view in views
        if view.vm.policy_id is not None
        for holder in (*view.nsgs.values(), view.firewall)
        if holder is not None
    )
    return list({arm_ids.key(holder.id): holder for holder in found}.values())


def _make_trouble(holder: NsgView | FirewallView, now: datetime) -> Trouble:
    is_nsg = isinstance(holder, NsgView)
    explain = explain_failed_nsg if is_nsg else explain_failed_firewall
    return Trouble(code=UPDATE_FAILED, detail=explain(holder.id), resource=holder.id, since=now)


def _is_about(trouble: Trouble, keys: Iterable[str]) -> bool:
    return trouble.code == UPDATE_FAILED and arm_ids.key(trouble.resource) in keys


def _keep_beginnings(found: Iterable[Trouble], known: Iterable[Trouble]) -> Iterable[Trouble]:
    """Yield *found*, each since it was first seen."""
    since = {(each.code, arm_ids.key(each.resource)): each.since for each in known}
    for each in found:
        yield replace(each, since=since.get((each.code, arm_ids.key(each.resource)), each.since))
