"""
Grants of other VMs that rest on an NSG rule of this one: read only before such a rule goes.

One NSG may guard two networks with equal addresses. Defender's rules for two such VMs, which may
have different JIT policies, differ in their names alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jit.domain.model.grant import Grant
from jit.domain.paths.rules import PathRule
from jit.domain.values import arm_ids
from jit.storage.keys import GRANTS
from jit.storage.request_store import RequestStore


def find_neighbours(
    requests: RequestStore, removals: Iterable[PathRule], grants: Sequence[Grant]
) -> tuple[Grant, ...]:
    """
    Return the grants beside *grants* with an open path by an NSG that loses one of the *removals*.

    There are none unless a path rests on one of the *removals*. If that rule stays, another one may
    go instead, so the paths by all rules of the NSG count.

    A firewall stands in one network, and no two of its peers have equal addresses. So only rules
    of NSGs count, and only grants of the same subscription: an NSG guards no other.

    Raises:
        Unavailable: Storage did not answer.
    """
    doomed = [rule for rule in removals if rule.collection is None]
    if not doomed:
        return ()
    rules = {arm_ids.key(rule.id) for rule in doomed}
    holders = {arm_ids.key(rule.holder_id) for rule in doomed}
    known = {grant.id for grant in grants}
    rows = requests.list_readable_grants(arm_ids.subscription(grants[0].policy_id), GRANTS).rows
    others = (grant for row in rows for grant in row.grants if grant.id not in known)
    found = tuple(grant for grant in others if grant.wants_path and holders & grant.holder_keys)
    return found if any(rules & grant.rule_keys for grant in found) else ()
