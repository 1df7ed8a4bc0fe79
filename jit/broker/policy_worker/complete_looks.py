"""VMs that a pass reads completely: nothing is called open before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from jit.domain.grants import opening
from jit.domain.grants.policy_view import PolicyView, has_unreadable_value
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import VmPort
from jit.domain.paths import bastion_paths
from jit.domain.paths.effective import PathState

_TRIED = 3
"""Grants of a VM port. One initiate asks for all of them, so their paths open together."""


def find_opening_machines(
    grants: Iterable[Grant], view: PolicyView, now: datetime
) -> frozenset[str]:
    """
    Return the keys of VMs to which a path is likely to be called open by the next decision.

    It spares a decision about each grant of a crowd, which would be made again after the complete
    look. The decision itself tells, with `find_opened_machines`, if a VM is missing here. A VM with
    a grant that closes is left out: no end depends on a look that an opening needs.
    """
    known = list(grants)
    closing = {grant.vm_key for grant in known if grant.status is Status.CLOSING}
    found: set[str] = set()
    tried = Counter[VmPort]()
    for grant in known:
        if grant.vm_key in found | closing or not _may_open(grant, now):
            continue
        tried[grant.vm_port] += 1
        if tried[grant.vm_port] <= _TRIED and _is_observed_open(grant, view):
            found.add(grant.vm_key)
    return frozenset(found)


def _may_open(grant: Grant, now: datetime) -> bool:
    """Return False for a grant that the decision will not call open, whatever its path is."""
    if grant.status is not Status.OPENING:
        return False
    return grant.opened_at is not None or not opening.is_borrowed(grant, now)


def _is_observed_open(grant: Grant, view: PolicyView) -> bool:
    machine = view.machines.get(grant.vm_key)
    if machine is None or grant.vm_key in view.unreadable or has_unreadable_value(machine.vm):
        return False
    try:
        return bastion_paths.observe_path(grant, machine).state is PathState.OPEN
    except ValueError:  # the decision fails as well, and reports it
        return False


def find_opened_machines(before: Iterable[Grant], after: Iterable[Grant]) -> frozenset[str]:
    """Return the keys of VMs to which a path of *after* is open, and was not open *before*."""
    open_before = {grant.id for grant in before if grant.status is Status.OPEN}
    opened = (g for g in after if g.status is Status.OPEN and g.id not in open_before)
    return frozenset(grant.vm_key for grant in opened)
