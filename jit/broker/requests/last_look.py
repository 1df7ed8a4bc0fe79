"""The last look at a grant's path: by the worker, or by a comparison that found it open."""

from __future__ import annotations

from dataclasses import replace

from jit.domain.model.grant import Grant, Status
from jit.storage.stored import StoredRequest
from jit.storage.subscription_rows import SubscriptionRow


def add_last_look(grant: Grant, row: SubscriptionRow | None) -> Grant:
    """
    Return *grant* with the time of its last look.

    The worker stores its looks with the grant. A comparison stores its own once for a subscription,
    with the VMs whose paths it did not see open. It counts for a grant that was open before it.

    Args:
        grant: As stored.
        row: The row of its subscription; None if there is none, or if it was not read.
    """
    if grant.status is not Status.OPEN or row is None or row.compared_at is None:
        return grant
    earlier = max(filter(None, (grant.opened_at, grant.observed_at)), default=None)
    if earlier is None or row.compared_at <= earlier or not row.has_seen(grant.vm_id):
        return grant
    return replace(grant, observed_at=row.compared_at)


def add_last_looks(stored: StoredRequest, row: SubscriptionRow | None) -> StoredRequest:
    """Return a request whose grants have the times of their last looks."""
    grants = tuple(add_last_look(grant, row) for grant in stored.grants)
    return replace(stored, grants=grants)


def has_open_grant(stored: StoredRequest) -> bool:
    """Return True if a grant of the request is open."""
    return any(grant.status is Status.OPEN for grant in stored.grants)
