"""
Whether Defender has written the rules of a grant's newest initiate: what may still appear.

A rule does not name the request that it was written for. One that was there before the initiate,
somebody's leftover or what an older initiate asked for, proves nothing about this one: who takes
it away has not closed what is still on its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from jit.domain.grants.timing import APPEARS_WITHIN
from jit.domain.model.grant import Grant
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule, rules_of_port
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import covered

_KEPT_MARKS = 24


def before(grants: Iterable[Grant], view: MachineView, now: datetime) -> tuple[str, ...] | None:
    """
    Return the marks of the rules that are there before a VM port's next initiate.

    None: an older initiate of *grants* may still be written, or there are too many to keep, so
    that nothing seen later can be told apart.
    """
    group = tuple(grants)
    marks = dict.fromkeys(
        mark(rule) for grant in group for rule in rules_of_port(view, grant.port, grant.private_ips)
    )
    if len(marks) > _KEPT_MARKS or any(may_appear(grant, now) for grant in group):
        return None
    return tuple(marks)


def mark(rule: PathRule) -> str:
    """Return what tells *rule* from another, and from itself with other sources: 16 digits."""
    parts = (arm_ids.key(rule.id), rule.target, *sorted(rule.sources))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def remaining(grant: Grant, view: MachineView) -> Grant:
    """Forget what stood there before and is gone: a NAT rule comes again under its old name."""
    if not grant.before:
        return grant
    rules = rules_of_port(view, grant.port, grant.private_ips)
    there = {mark(rule) for rule in rules}
    return replace(grant, before=tuple(item for item in grant.before if item in there))


def may_appear(grant: Grant, now: datetime) -> bool:
    """Tell whether rules of the newest initiate of *grant* may still be on their way."""
    since = grant.initiated_at
    return since is not None and not grant.written and now < since + APPEARS_WITHIN


def observed(grant: Grant, own: Sequence[PathRule], view: MachineView) -> Grant:
    """Note whether *own*, rules of a path that is there, are new in each NSG, for each address."""
    if grant.written or grant.before is None or grant.initiated_at is None:
        return grant
    new = [rule for rule in own if mark(rule) not in grant.before]
    if not all(_lets_all_in(grant, new, door) for door in _doors(view)):
        return grant
    return replace(grant, written=True, before=())


def _lets_all_in(grant: Grant, rules: Iterable[PathRule], door: tuple[str, str]) -> bool:
    here = [rule for rule in rules if (arm_ids.key(rule.holder_id), rule.target) == door]
    texts = [text for rule in here for text in rule.sources]
    return all(covered(source, texts) for source in grant.sources)


def _doors(view: MachineView) -> set[tuple[str, str]]:
    """Return what Defender may write rules into for one path, for which address each."""
    nics = [nic for nic in view.vm.interfaces if nic.private_ip]
    doors = {(arm_ids.key(nsg_id), nic.private_ip) for nic in nics for nsg_id in nic.nsg_ids}
    first = view.vm.interface
    if view.firewall is not None and first is not None:
        doors.add((arm_ids.key(view.firewall.id), first.private_ip))
    return doors
