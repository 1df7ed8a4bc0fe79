"""Access that no grant gives: other people's requests in Defender, and rules of nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.azure.firewall import NatRule
from jit.domain.grants.removal import Judgement
from jit.domain.model.machine import (
    MOST_OTHERS,
    MOST_SOURCES,
    Origin,
    OtherAccess,
    VirtualMachine,
)
from jit.domain.paths.rules import list_addresses, list_holders
from jit.domain.reconcile.observation import FoundRule, Observation
from jit.domain.reconcile.rule_owners import RuleOwners
from jit.domain.values import arm_ids

Judged = Sequence[tuple[FoundRule, Judgement]]
"""Defender's rules as observed, each with its owners and users."""


def find_others(
    judged: Judged, owners: RuleOwners, observed: Observation
) -> Mapping[str, tuple[OtherAccess, ...]]:
    """
    Return the access to each VM of *observed* that no grant gives, by key of the VM.

    Left out are the requests in force that carry no initiate id: each reading of the VM finds them
    (`find_occupations`). A request that carries an id which the broker never stored is another
    person's, too. A rule that outlives its grant or its request lets somebody in: it counts.
    """
    found: dict[str, dict[OtherAccess, None]] = {key: {} for key in observed.machines}
    for key, others in found.items():
        others.update(dict.fromkeys(_list_marked(owners.list_foreign_requests(key), owners)))
    for rule, judgement in judged:
        for key in owners.list_vm_keys(rule):
            if key not in found:
                continue
            vm = observed.machines[key].vm
            if not _is_accounted_for(rule, judgement, vm, owners.now):
                found[key].update(dict.fromkeys(_describe_rule(rule, vm, judgement.requests)))
    return {key: tuple(others)[:MOST_OTHERS] for key, others in found.items()}


def _is_accounted_for(
    rule: FoundRule, judgement: Judgement, vm: VirtualMachine, now: datetime
) -> bool:
    """
    Return True if a grant that is shown, or a request in force, explains why *rule* leads to *vm*.

    One NSG may guard two networks with equal addresses. A grant explains the rule for its own VM
    only: it entitles nobody to reach the other one. If the rule does not lead to *vm* now, any
    grant explains it.
    """
    if any(entry.is_in_force(now) for entry in judgement.requests):
        return True
    shown = {grant.vm_key for grant in judgement.owners if grant.live}
    return bool(shown) and (arm_ids.key(vm.id) in shown or not _leads_to(rule, vm))


def _leads_to(rule: FoundRule, vm: VirtualMachine) -> bool:
    holders = map(arm_ids.key, list_holders(vm))
    is_held = arm_ids.key(rule.path.holder_id) in holders
    return is_held and not rule.addresses.isdisjoint(list_addresses(vm))


def _list_marked(entries: Iterable[DefenderRequest], owners: RuleOwners) -> Iterator[OtherAccess]:
    """Yield the requests in force with an initiate id that is not the broker's."""
    for entry in entries:
        if entry.initiate_id is not None and entry.is_in_force(owners.now):
            yield OtherAccess(
                port=entry.port,
                sources=entry.sources[:MOST_SOURCES],
                until=entry.ends_at,
                requestor=entry.requestor,
                origin=Origin.PORTAL,
            )


def _describe_rule(
    rule: FoundRule, vm: VirtualMachine, past: Sequence[DefenderRequest]
) -> Iterator[OtherAccess]:
    """Yield the access by a *rule*; *past* are requests that it may have come of."""
    for port in _list_ports(rule, vm):
        yield OtherAccess(
            port=port,
            sources=rule.path.sources[:MOST_SOURCES],
            until=None,
            requestor=past[-1].requestor if past else None,
            origin=Origin.PORTAL if past else Origin.ORPHAN,
        )


def _list_ports(rule: FoundRule, vm: VirtualMachine) -> list[int]:
    """Return the policy's ports that *rule* leads to; if there is none, the first of each range."""
    ports = [each.number for each in vm.ports if rule.leads_to(each.number)]
    if ports:
        return ports
    if isinstance(rule.raw, NatRule):
        return [rule.path.port]
    return [each.first for each in rule.raw.destination_ports]
