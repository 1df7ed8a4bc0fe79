"""
Paths through a firewall with the companion rules on them: when these count, and when they must go.

A companion lets in the packets of every NAT rule to its VM port. So it stands only while nobody
else has one (``foreign_nat``), and only in the form that the broker wrote. Every look of a policy's
worker and every comparison asks here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.azure.nsg_rules import Access, Direction, PortRange, SecurityRule
from jit.domain.model.grant import Grant
from jit.domain.paths import effective
from jit.domain.paths.companion_owners import list_owners
from jit.domain.paths.effective import PathState, PathView
from jit.domain.paths.foreign_nat import ForeignWay, find_foreign_way
from jit.domain.paths.grant_views import GrantViews
from jit.domain.paths.machine_view import MachineView, NsgView
from jit.domain.paths.rules import find_packet_protocol, list_addresses, name_addresses
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix, read_prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """
    Companions that must go although their grant wants its path.

    Attributes:
        grant_id: The grant.
        companions: Ids of its companion rules.
        way: The reason: a way by which others would come through them.
    """

    grant_id: str
    companions: tuple[str, ...]
    way: ForeignWay


def observe_path(
    grant: Grant, view: MachineView, asked: Collection[Prefix] | None = None
) -> PathView:
    """
    Return the path of *grant*; its companions count only while they may stand.

    Args:
        grant: Any grant on the VM of *view*.
        view: The VM as just read.
        asked: As for ``effective.observe_path`` and ``foreign_nat.find_foreign_way``.
    """
    way = find_foreign_way(grant, view, asked)
    if way is None:
        return effective.observe_path(grant, view, asked)
    path = effective.observe_path(grant, _drop_companions(view, grant), asked)
    unseen = bool(tuple(_list_unseen(grant, view)))
    is_doubtful = path.state is PathState.UNCLEAR and (path.leaving or unseen)
    if path.state is PathState.OPEN or not (path.blocked_by or is_doubtful):
        return path
    return replace(path, why=way.explain(), blocked_by={}, leaving=path.leaving or unseen)


def find_withdrawals(
    grants: Iterable[Grant], view: MachineView, asked: Collection[Prefix] | None = None
) -> tuple[Withdrawal, ...]:
    """Return the companions of *grants* that must go, because others would come through them."""
    views, wanting = GrantViews(view), (grant for grant in grants if grant.wants_path)
    found = (_find_withdrawal(grant, views.narrow_view(grant), asked) for grant in wanting)
    return tuple(item for item in found if item is not None)


def _find_withdrawal(
    grant: Grant, view: MachineView, asked: Collection[Prefix] | None
) -> Withdrawal | None:
    there = (*list_standing(grant, view), *_list_unseen(grant, view))
    way = find_foreign_way(grant, view, asked) if there else None
    return Withdrawal(grant_id=grant.id, companions=there, way=way) if way is not None else None


def list_standing(grant: Grant, view: MachineView) -> tuple[str, ...]:
    """Return the ids of the companions of *grant* that an NSG lists, shared ones included."""
    return list_standing_of(list_owners(grant), view)


def list_standing_of(owners: Collection[str], view: MachineView) -> tuple[str, ...]:
    """Return the ids of the companions of *owners* that an NSG lists."""
    return tuple(f"{nsg.id}/securityRules/{rule.name}" for nsg, rule in _list_own(owners, view))


def list_abandoned(grant: Grant, wanted: Collection[str], view: MachineView) -> tuple[str, ...]:
    """
    Return the ids of the companions of *grant* that nobody needs any more.

    A shared companion that stays for others keeps nothing open for a grant that closes: without a
    NAT rule, no packet of its sources gets so far. One by which others would come in is withdrawn,
    so it is not wanted.

    Args:
        grant: One that closes.
        wanted: The owners whose companions must stay, from ``companion_owners``.
        view: The VM as just read.
    """
    return list_standing_of([own for own in list_owners(grant) if own not in wanted], view)


def _list_own(owners: Collection[str], view: MachineView) -> Iterator[tuple[NsgView, SecurityRule]]:
    """Yield the companions of *owners*, each with its NSG."""
    for nsg in view.nsgs.values():
        for rule in nsg.rules:
            if parse_companion_name(rule.name) in owners:
                yield nsg, rule


def _list_unseen(grant: Grant, view: MachineView) -> Iterator[str]:
    """Yield the ids of recorded companions whose NSG guards the VM and could not be read."""
    guards = {arm_ids.key(nsg_id) for nic in view.vm.interfaces for nsg_id in nic.nsg_ids}
    for rule_id in grant.footprint.companions:
        holder = arm_ids.key(rule_id).partition("/securityrules/")[0]
        if holder in guards and holder not in view.nsgs:
            yield rule_id


def _drop_companions(view: MachineView, grant: Grant) -> MachineView:
    """Return *view* as if *grant* had no companions."""
    gone = {(nsg.id, rule.name) for nsg, rule in _list_own(list_owners(grant), view)}
    nsgs = {
        key: replace(nsg, rules=tuple(r for r in nsg.rules if (nsg.id, r.name) not in gone))
        for key, nsg in view.nsgs.items()
    }
    return replace(view, nsgs=nsgs) if gone else view


def list_targets_of(owners: Collection[str], view: MachineView) -> frozenset[str]:
    """Return the addresses that the companions of *owners* lead to."""
    return name_addresses(text for _, rule in _list_own(owners, view) for text in rule.destinations)


def find_altered(
    grant: Grant, view: MachineView, known: Mapping[str, Collection[str]]
) -> str | None:
    """
    Return the id of a companion of *grant* that opens more than the broker wrote, if any does.

    Somebody who may write the NSG can let anybody in by it. Nobody asked for that.

    Args:
        grant: One that wants its path.
        view: The VM as just read.
        known: The VM's addresses as the grants of the VM port recorded them, from
            ``companion_owners``: a shared companion may be older than *grant*.
    """
    there = list_addresses(view.vm)
    for nsg, rule in _list_own(list_owners(grant), view):
        recorded = known.get(parse_companion_name(rule.name) or "", ())
        if opens_more(rule, grant, view, (*there, *recorded)):
            return rule.id or f"{nsg.id}/securityRules/{rule.name}"
    return None


def opens_more(
    rule: SecurityRule, grant: Grant, view: MachineView, addresses: Collection[str]
) -> bool:
    """
    Return True if the companion *rule* opens more than the firewall's own addresses need.

    If the firewall's subnet is not known, the right sources are not: the answer is False.

    Args:
        rule: A companion that *grant* recorded, as an NSG lists it.
        grant: Behind a firewall.
        view: Its VM.
        addresses: Private addresses of the VM, now and when the grants that share *rule* saw
            their rules.
    """
    own = {read_prefix(text) for text in view.vm.firewall_sources}
    if not own or Access.DENY is rule.access or Direction.OUTBOUND is rule.direction:
        return False
    return (
        bool(rule.source_groups)
        or not {read_prefix(text) for text in rule.sources} <= own
        or rule.destination_ports != (PortRange(grant.port, grant.port),)
        or bool(rule.destination_groups)
        or not name_addresses(rule.destinations) <= set(addresses)
        or not _is_protocol_of(grant, rule)
    )


def _is_protocol_of(grant: Grant, rule: SecurityRule) -> bool:
    """Return True if *rule* lets in the grant's packets only."""
    wanted = find_packet_protocol(grant).upper()
    return wanted == "*" or (rule.protocol is not None and rule.protocol.value == wanted)
