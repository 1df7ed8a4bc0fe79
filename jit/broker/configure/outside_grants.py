"""
Live grants outside a JIT policy that is about to be narrowed: they are made due beforehand.

The policy in Azure is the wish. Each pass compares it with the live grants and ends the grants
that it no longer allows; a comparison of the subscription finds them too. Being due only makes that
happen at once, even if this process dies right after the policy is written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jit.domain.azure import policy_json
from jit.domain.azure.arm_json import Resource
from jit.domain.decision.standing_access import find_denials, find_earlier_end
from jit.domain.errors import StateConflict
from jit.domain.model.grant import Grant
from jit.domain.model.policy_entry import PolicyEntry
from jit.storage.request_store import RequestStore

_ATTEMPTS = 3


def make_outside_due(
    requests: RequestStore, policy_id: str, after: Resource | None, *, now: datetime
) -> None:
    """
    Make the grants due that have or get a path and that the policy *after* does not allow.

    A row that keeps changing is left to the next comparison, and so is one that this version cannot
    read.
    """
    for _ in range(_ATTEMPTS):
        try:
            _make_due(requests, policy_id, after, now)
        except StateConflict:  # a person changes a request just now: read again
            continue
        return


def _make_due(
    requests: RequestStore, policy_id: str, after: Resource | None, now: datetime
) -> None:
    rows = requests.list_policy_grants(policy_id).rows
    entries = policy_json.read_entries(after, {g.vm_key for row in rows for g in row.grants})
    changes = []
    for row in rows:
        grants = tuple(_wake(grant, entries.get(grant.vm_key), now) for grant in row.grants)
        if grants != row.grants:
            changes.append((row, grants))
    if changes:
        requests.save(changes, [])


def _wake(grant: Grant, entry: PolicyEntry | None, now: datetime) -> Grant:
    is_outside = bool(find_denials(grant, entry) or find_earlier_end(grant, entry, now=now))
    if not grant.wants_path or not is_outside:
        return grant
    return replace(grant, next_check_at=min(grant.next_check_at, now))
