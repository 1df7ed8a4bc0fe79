"""
Proof that Defender has written the rules of a grant's newest initiate: which may still appear.

A rule does not name the request that it was written for. A rule that was there before the
initiate, a leftover or the rule of an older initiate, proves nothing about this one. If the broker
removes such a rule, the rules that are still on their way are not closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address

from jit.domain.grants.timing import APPEARS_WITHIN
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Via
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule, find_port_rules, keep_rules_for, lets_all_in
from jit.domain.values import arm_ids

_KEPT_MARKS = 24

_Place = tuple[str, str]
"""Where Defender writes a rule: the key of an NSG or firewall, and the address that it leads to."""


def list_marks(grants: Iterable[Grant], view: MachineView, now: datetime) -> tuple[str, ...] | None:
    """
    Return the marks of the rules that are there before a VM port's next initiate.

    None means that later rules prove nothing: an older initiate of *grants* may still be written,
    or there are too many rules to keep.
    """
    group = tuple(grants)
    marks = dict.fromkeys(make_mark(rule) for grant in group for rule in _rules(grant, view))
    if len(marks) > _KEPT_MARKS or any(may_appear(grant, now) for grant in group):
        return None
    return tuple(marks)


@lru_cache(maxsize=256)  # each grant of a VM port marks the same rules
def make_mark(rule: PathRule) -> str:
    """Return 16 digits that tell *rule* from others, and from itself with other sources."""
    parts = (arm_ids.key(rule.id), rule.target, *sorted(rule.sources))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def forget_vanished(grant: Grant, view: MachineView) -> Grant:
    """Forget older rules that are gone: a NAT rule comes again under its old name."""
    asked = grant.initiate
    if not asked.before:
        return grant
    there = {make_mark(rule) for rule in _rules(grant, view)}
    before = tuple(item for item in asked.before if item in there)
    return replace(grant, initiate=replace(asked, before=before))


def may_appear(grant: Grant, now: datetime) -> bool:
    """Return True if rules of the newest initiate of *grant* may still be on their way."""
    asked = grant.initiate
    return asked.at is not None and not asked.written and now < asked.at + APPEARS_WITHIN


def note_taken(grant: Grant, own: Iterable[PathRule]) -> Grant:
    """
    Return the grant with an initiate ``taken`` if one of *own*, its path's rules, is a new one.

    A rule that came after the initiate says that Azure took it, also if the answer was lost.
    """
    asked = grant.initiate
    if asked.taken or asked.before is None or asked.at is None:
        return grant
    if all(make_mark(rule) in asked.before for rule in own):
        return grant
    return replace(grant, initiate=replace(asked, taken=True))


def note_written(grant: Grant, own: Sequence[PathRule], view: MachineView) -> Grant:
    """
    Return the grant with its initiate ``written`` if all rules of it are there.

    They are if *own*, the rules of its path, include a new one at each place of the path.
    """
    asked = grant.initiate
    if asked.written or asked.before is None or asked.at is None:
        return grant
    new = [rule for rule in own if make_mark(rule) not in asked.before]
    if not _is_complete(grant, new, view):
        return grant
    return replace(grant, initiate=replace(asked, written=True, before=()))


def _is_complete(grant: Grant, new: Sequence[PathRule], view: MachineView) -> bool:
    """
    Return True if *new* rules stand at each place where Defender may write some for the path.

    It may write in each NSG for each address. In a firewall it writes for one of the addresses.
    """
    if not all(_lets_all_in(grant, new, place) for place in _list_nsg_places(grant, view)):
        return False
    if view.firewall is None:  # it may be there, and not have been read
        return not view.vm.firewall_id and grant.via is not Via.FIREWALL
    holder = arm_ids.key(view.firewall.id)
    return any(
        _lets_all_in(grant, new, (holder, nic.private_ip))
        for nic in view.vm.interfaces
        if nic.private_ip
    )


def keep_holders(grant: Grant, view: MachineView) -> MachineView:
    """
    Return *view* without the former NSGs and firewalls in which no rule of *grant* can stand.

    A rule can stand in a holder in which the grant recorded one, and in one that lists a rule for
    its sources. If not all rules of its newest initiate were seen, one can stand in each holder:
    Defender may have written it before the VM got another NSG.
    """
    if grant.initiate.ids and not grant.initiate.written:
        return view
    listed = keep_rules_for(_rules(grant, view), grant.sources)
    return view.keep_former(grant.holder_keys | {arm_ids.key(rule.holder_id) for rule in listed})


def _rules(grant: Grant, view: MachineView) -> tuple[PathRule, ...]:
    return find_port_rules(view, grant.port, grant.footprint.private_ips)


def _lets_all_in(grant: Grant, rules: Iterable[PathRule], place: _Place) -> bool:
    here = [rule for rule in rules if (arm_ids.key(rule.holder_id), rule.target) == place]
    return lets_all_in(here, grant.sources)


def _list_nsg_places(grant: Grant, view: MachineView) -> set[_Place]:
    """Return the NSGs of the VM, each with the addresses there that the sources can reach."""
    versions = {source.version for source in grant.sources}
    return {
        (arm_ids.key(nsg_id), nic.private_ip)
        for nic in view.vm.interfaces
        if nic.private_ip and ip_address(nic.private_ip).version in versions
        for nsg_id in nic.nsg_ids
    }
