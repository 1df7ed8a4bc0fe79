"""Why a change of a request changes nothing, and what its caller can do instead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jit.domain.grants import lifetime
from jit.domain.model.grant import ADVANCE, Grant, Status, status_of
from jit.domain.model.people import Person, Role
from jit.domain.requests.revocation import explain_no_effect
from jit.domain.values import arm_ids
from jit.domain.values.listing import list_few
from jit.domain.values.times import format_instant


def explain_revoked(grants: Iterable[Grant], caller: Person) -> str:
    """
    Return why *caller* cannot revoke *grants*, which are closing or closed already.

    An operator also learns from when on a grant may end without an observation.
    """
    meant = tuple(grants)
    unseen = [_explain_unseen(grant) for grant in meant if grant.status is Status.CLOSING]
    if Role.OPERATOR not in caller.roles or not any(unseen):
        return explain_no_effect(meant)
    return f"{explain_no_effect(meant)}; {list_few(filter(None, unseen))}"


def _explain_unseen(grant: Grant) -> str:
    begin = lifetime.find_unverified_start(grant)
    if begin is None or grant.unclear_at is None:
        return ""
    return (
        f"port {grant.port} of {arm_ids.name(grant.vm_id)} cannot be observed since"
        f" {format_instant(grant.unclear_at)}: from {format_instant(begin)} on, an operator can"
        " end it unseen by a revocation with a reason"
    )


def explain_not_open(grants: Iterable[Grant], own: str | None, now: datetime) -> str:
    """Return why no grant can be extended; *own* is another live request of the caller."""
    status = status_of(tuple(lifetime.advance_by_clock(grant, now=now) for grant in grants))
    is_over = ADVANCE.index(status) > ADVANCE.index(Status.OPEN)
    next_step = "ask for access anew" if is_over else "extend it once it is open"
    if own is not None:
        next_step = f"your own request {own} has the same port"
    return f"the request is {status}; only an open one can be extended: {next_step}"
