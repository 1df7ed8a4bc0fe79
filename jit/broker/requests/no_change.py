"""Why a change of a request changes nothing, and what its caller can do instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from jit.broker.requests.new_grants import OtherGrants
from jit.domain.decision.extension import CHANGE_ON_ITS_WAY, explain_no_change, is_step
from jit.domain.errors import Conflict, Violation
from jit.domain.grants import lifetime, shared_port
from jit.domain.grants.timing import APPEARS_WITHIN, TIMES, TOLERANCE
from jit.domain.model.grant import ADVANCE, Grant, Status, status_of
from jit.domain.model.people import Person, Role
from jit.domain.requests.revocation import explain_no_effect
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import ROOT
from jit.domain.values.listing import list_few
from jit.domain.values.times import format_instant


def explain_revoked(grants: Iterable[Grant], caller: Person) -> str:
    """
    Return the reason that *caller* cannot revoke *grants*, which are closing or closed already.

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


def check_step(
    grants: Sequence[Grant],
    others: OtherGrants,
    duration: timedelta,
    *,
    since: datetime,
    now: datetime,
) -> None:
    """
    Refuse an extension that would move no end by a step, or that comes while one is on its way.

    Each extension is a request to Defender, which replaces the one before and changes the rules of
    everybody on the VM port.

    Args:
        grants: Grants that the extension is for: opening or open.
        others: All live grants on their VM ports.
        duration: From *since* to the new end.
        since: When the first call of the extension began.
        now: Aware, UTC.

    Raises:
        Conflict: With the code ``no-change`` or ``change-on-its-way``.
    """
    if not is_step(grants, duration, now=since):
        raise Conflict("no end would move", explain_no_change(grants, duration, now=since))
    for grant in grants:
        if (until := _find_arrival(grant, others, now)) is not None:
            detail = (
                f"the extension of port {grant.port} of {arm_ids.name(grant.vm_id)} before this one"
                " is on its way: repeat the call when its path was observed, or after"
                f" {format_instant(until)}"
            )
            violations = (Violation(ROOT, CHANGE_ON_ITS_WAY, detail),)
            raise Conflict("a change is on its way", violations)


def _find_arrival(grant: Grant, others: OtherGrants, now: datetime) -> datetime | None:
    """
    Return until when the last extension of *grant* counts as on its way; None if it does not.

    It is on its way until Defender was asked, and then until the new rules were observed or Azure
    has had the time to exchange them. Requests of other people on
    the VM port can delay that, but not for longer than rules take to appear.
    """
    stored_at, asked = grant.extended_at, grant.initiate
    if stored_at is None:
        return None
    until = stored_at + APPEARS_WITHIN
    if asked.at is not None and asked.at >= stored_at:
        until = min(until, asked.at + TIMES[grant.via].exchanged_within)
        is_done = asked.written
    else:
        is_done = not _must_ask(grant, others, now)
    return None if is_done or now >= until else until


def _must_ask(grant: Grant, others: OtherGrants, now: datetime) -> bool:
    """
    Return True if the request that *grant* rests on ends before the one that its VM port needs.

    A stranger's request, which the broker never replaces, has no end here.
    """
    target = shared_port.find_wanted_request(others.get(grant.vm_port, ()), now=now)
    asked_until = grant.initiate.until
    if target is None or asked_until is None:
        return False
    return target.until > asked_until + TOLERANCE
