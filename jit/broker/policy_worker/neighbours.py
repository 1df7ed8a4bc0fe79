"""
Grants of other VMs that rest on an NSG rule of this one: read only if such a rule goes or stays.

It goes because a grant ends. It stays if a grant is closed and still comes in by it.

One NSG may guard two networks with equal addresses. Defender's rules for two such VMs, which may
have different JIT policies, differ in their names alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from jit.domain.grants.removal import list_entitled_sources, list_uncovered
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VmPort
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule, find_port_rules, keep_rules_for, keep_rules_to
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefixes
from jit.storage.keys import GRANTS
from jit.storage.request_store import RequestStore


def find_remaining_rules(
    closed: Iterable[tuple[Grant, MachineView]], grants: Sequence[Grant]
) -> tuple[PathRule, ...]:
    """
    Return the rules by which *closed* grants still come in.

    Defender writes one rule for all sources of a VM port. Such a rule of another VM proves no
    grant of this VM by its form, so it is not among the rules to remove.

    Args:
        closed: Grants that a step closes, each with its VM as just read.
        grants: All grants after the step. Grants that want a path may let the same sources in.
    """
    pairs = list(closed)
    entitled = _read_entitled({grant.vm_port for grant, _ in pairs}, grants)
    return tuple(
        rule
        for grant, view in pairs
        for rule in _find_ways_in(grant, view, entitled[grant.vm_port])
    )


def _read_entitled(ports: Collection[VmPort], grants: Iterable[Grant]) -> dict[VmPort, Prefixes]:
    """Return the sources of the grants that want a path on each of *ports*, read once for all."""
    found: dict[VmPort, list[Grant]] = {port: [] for port in ports}
    for grant in grants:
        if grant.wants_path and (port := grant.vm_port) in found:
            found[port].append(grant)
    return {port: Prefixes(list_entitled_sources(here)) for port, here in found.items()}


def _find_ways_in(grant: Grant, view: MachineView, entitled: Prefixes) -> tuple[PathRule, ...]:
    there = grant.footprint
    rules = find_port_rules(view, grant.port, there.private_ips, known=there.rules)
    return keep_rules_to(keep_rules_for(rules, list_uncovered(grant, entitled)), view.vm)


def find_neighbours(
    requests: RequestStore, rules: Iterable[PathRule], grants: Sequence[Grant]
) -> tuple[Grant, ...]:
    """
    Return the grants beside *grants* with an open path by an NSG of one of the *rules*.

    There are none unless a path rests on one of the *rules*. If a rule that was to be removed
    stays, another one may go instead, so the paths by all rules of the NSG count.

    A firewall stands in one network, and no two of its peers have equal addresses. So only rules
    of NSGs count, and only grants of the same subscription: an NSG guards no other.

    Raises:
        Unavailable: Storage did not answer.
    """
    shared = [rule for rule in rules if rule.collection is None]
    if not shared:
        return ()
    ids = {arm_ids.key(rule.id) for rule in shared}
    holders = {arm_ids.key(rule.holder_id) for rule in shared}
    known = {grant.id for grant in grants}
    rows = requests.list_readable_grants(arm_ids.subscription(grants[0].policy_id), GRANTS).rows
    others = (grant for row in rows for grant in row.grants if grant.id not in known)
    found = tuple(grant for grant in others if grant.wants_path and holders & grant.holder_keys)
    return found if any(ids & grant.rule_keys for grant in found) else ()
