"""
The clock's part in the life of a grant: due, too late, at its end, when to look again.

Every grant that is given up or ends passes through ``begin_closing`` or ``close``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jit.domain.grants import timing
from jit.domain.grants.timing import LOOK_NOTED, TIMES
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.model.machine import Via
from jit.domain.values import arm_ids
from jit.domain.values.times import format_instant

REFUSED = "Azure refused"
"""The beginning of a note about a refusal. Such a note outlives looks that find nothing."""

NOT_ADDED = f"{REFUSED} to add the companion rule"
"""The beginning of a note about a companion. It outlives looks that find the path blocked."""

_REFUSED_TO = f"; {REFUSED} to "
_REMEDIES = {
    "ScopeLocked": "a lock forbids it, which its owner must take away",
    "RequestDisallowedByPolicy": "an Azure Policy forbids it, from which its owner must exempt it",
}
"""The meaning of a refusal, by Azure's code."""

_PERMISSION = "compare the permissions of the broker's identity with its role"

STOPPED = "which is stopped"
"""Follows the name of a firewall that is deallocated."""

_TOLD = {CloseReason.FAILED, CloseReason.SUPERSEDED, CloseReason.DENIED}
"""Reasons to close whose note says why. That part of the note outlives the closing."""

_WAITS = "; closing: "
"""Stands between the reason to close and the reason to wait. No name in Azure holds it."""

_UNTIL_STARTED = "it is tried again until somebody starts it"
_LATE = "not open in time"
_DOUBLINGS = 5  # 10 s, doubled five times, is longer than the last wait


def advance_by_clock(grant: Grant, *, now: datetime) -> Grant:
    """Return *grant* as the clock alone makes it: due, too late, or at its end."""
    if grant.status is Status.SCHEDULED and grant.starts_at <= now:
        grant = replace(grant.advance(Status.PENDING), handover_at=None)  # an older version set it
    if grant.status is Status.PENDING and now >= grant.latest_end - grant.duration:
        return close(grant, CloseReason.FAILED, now, explain_late(grant, grant.note))
    if grant.wants_path and grant.expires_at is not None and grant.expires_at <= now:
        if grant.opened_at:
            return begin_closing(grant, CloseReason.EXPIRED, now)
        return begin_closing(grant, CloseReason.FAILED, now, explain_late(grant, grant.note))
    return grant


def explain_late(grant: Grant, why: str | None) -> str:
    """
    Return the note of a grant that failed because it was not open in time.

    It tells what held the grant back, even if the last look saw something else. *why*, the reason
    of the last look, is told if nothing did.
    """
    asked = grant.initiate
    refusal = explain_refusal(asked.refusal, again=False) if asked.is_refused else None
    reason = refusal or grant.hindrance or why
    return f"{_LATE}: {reason}" if reason else _LATE


def explain_refusal(code: str, *, again: bool) -> str:
    """Return the note of a grant that Azure refused to open; *again*: it is asked once more."""
    return f"{REFUSED} to open it ({code})" + ("; it is asked once more" if again else "")


def note_refusals(grant: Grant, refused: Mapping[str, str]) -> Grant:
    """
    Return *grant* with the refusal of Azure in its note, if one of its rules is refused.

    A person can mend a lock or an Azure Policy, and must know its rule and Azure's word.

    Args:
        grant: Any live grant.
        refused: Azure's code by the id of the rule, or of the firewall, of the refused call.
    """
    companions = set(map(arm_ids.key, grant.footprint.companions))
    note = grant.note or ""
    for resource_id, code in refused.items():
        key, name = arm_ids.key(resource_id), arm_ids.name(resource_id)
        is_stopped = f"{name}, {STOPPED}" in note
        remedy = _UNTIL_STARTED if is_stopped else _REMEDIES.get(code, _PERMISSION)
        why = f"{name} ({code}): {remedy}"
        if grant.status is Status.OPENING and key in companions:
            return replace(grant, note=f"{NOT_ADDED} {why}")
        act = "change" if key in grant.holder_keys else "remove"
        if grant.status is Status.CLOSING and (name in note or act == "change"):
            kept = note.partition(_REFUSED_TO)[0]
            return replace(grant, note=f"{kept}{_REFUSED_TO}{act} {why}")
    return grant


def begin_closing(
    grant: Grant, reason: CloseReason, now: datetime, note: str | None = None
) -> Grant:
    """Begin to close *grant*. If Azure was never asked for it, it is closed at once."""
    asked, left = grant.initiate, grant.footprint
    if asked.at is None and not asked.seen and not left.rules and not left.companions:
        return close(grant, reason, now, note)
    return replace(
        grant.advance(Status.CLOSING),
        close_reason=reason,
        closing_at=now,
        next_check_at=now,
        note=note,
    )


def close(grant: Grant, reason: CloseReason, now: datetime, note: str | None = None) -> Grant:
    """Return *grant* closed and due. Once its whole request is closed, that goes to history."""
    return replace(
        grant.advance(Status.CLOSED),
        close_reason=grant.close_reason or reason,
        closed_at=now,
        next_check_at=now,
        note=note,
    )


def may_close_unverified(grant: Grant, *, now: datetime) -> bool:
    """Return True if *grant* should be closed, and could not be observed for an hour."""
    begin = find_unverified_start(grant)
    return begin is not None and now >= begin


def find_unverified_start(grant: Grant) -> datetime | None:
    """Return from when on *grant* may be closed unseen; None while its path can be observed."""
    since = grant.unclear_at if grant.status is Status.CLOSING else None
    return None if since is None else since + timing.UNVERIFIED_AFTER


def close_unverified(grant: Grant, now: datetime) -> Grant:
    """Close *grant* although its path was not observed gone, because an operator says so."""
    return replace(
        grant.advance(Status.CLOSED),
        close_reason=CloseReason.UNVERIFIED,
        closed_at=now,
        next_check_at=now,
        note=f"closed unseen by an operator: {grant.note}",
    )


def pace_opening(elapsed: timedelta) -> timedelta:
    """Return the wait before the next look: half of the time that has passed, 3 s to 1 min."""
    return max(timing.SOONEST_LOOK, min(timing.LOOK_WHILE_OPENING, elapsed / 2))


def pace_closing(elapsed: timedelta) -> timedelta:
    """
    Return the wait before the next try to close a path, which has no deadline.

    At first it is that of ``pace_opening``, later an eighth of the time that has passed, 15 min at
    most. A lock that nobody lifts costs four tries an hour.
    """
    return max(pace_opening(elapsed), min(timing.LOOK_WHILE_CLOSING, elapsed / 8))


def pace_removals(
    grants: Sequence[Grant], changed_at: datetime | None, *, now: datetime
) -> tuple[Grant, ...]:
    """
    Return *grants*; each closing one is looked at soon after the last change of a rule.

    Azure changes one rule of an NSG at a time, so many removals take as many passes. Each of them
    begins the pace of the next try anew. After `OVERDUE` it is the usual pace: an alert names the
    rules then, and a removal that Azure takes but never makes costs no more.

    Args:
        grants: After a step.
        changed_at: When Azure last took a change of a rule; None if it took none.
        now: Aware, UTC.
    """
    if changed_at is None:
        return tuple(grants)
    soon = now + pace_closing(now - changed_at)
    return tuple(
        replace(grant, next_check_at=min(grant.next_check_at, soon))
        if grant.status is Status.CLOSING and now - (grant.closing_at or now) < timing.OVERDUE
        else grant
        for grant in grants
    )


def pace_retries(attempts: int) -> timedelta:
    """Return the wait after *attempts* that failed: 10 s, doubled each time, 5 min at most."""
    doublings = min(max(attempts, 1) - 1, _DOUBLINGS)
    return min(timing.FIRST_RETRY * (1 << doublings), timing.LAST_RETRY)


def needs_look(grant: Grant, *, now: datetime) -> bool:
    """Return True if *grant* is open by a look that is too old for somebody who asks now."""
    if grant.status is not Status.OPEN:
        return False
    return grant.observed_at is None or grant.observed_at + LOOK_NOTED <= now


def has_asked_azure(grant: Grant) -> bool:
    """Return True if Azure was ever asked for a path of *grant*. Else no rule is its own."""
    return bool(grant.initiate.ids or grant.footprint.rules or grant.footprint.companions)


def find_leftover_start(grant: Grant) -> datetime | None:
    """Return the time from which rules of *grant* are leftovers; None if it never had any."""
    if not has_asked_azure(grant):
        return None
    if grant.wants_path or grant.close_reason is CloseReason.EXPIRED:
        return (grant.expires_at or grant.latest_end) + TIMES[grant.via].grace
    return grant.closing_at or grant.closed_at or grant.latest_end


# ---- while it closes -----------------------------------------------------------------------------


def find_removal_time(grant: Grant) -> datetime:
    """
    Return the time from which the broker may remove rules: at once, or after Azure had its chance.

    Azure has no chance if it was asked for longer: Defender grants no less than five minutes.
    """
    start = grant.closing_at or grant.latest_end
    if grant.close_reason is not CloseReason.EXPIRED:
        return start
    end = grant.expires_at or start
    asked_until = grant.initiate.until
    return end if asked_until is not None and asked_until > end else end + TIMES[grant.via].grace


def wait_to_close(grant: Grant, now: datetime, note: str, *, unclear: bool = False) -> Grant:
    """
    Return the grant with a time for the next look, and with *note*: the reason to wait.

    The note of a grant that failed says both: why it failed, and why it is not closed yet.

    *unclear* means that nothing could be observed. An operator may end a grant that is
    unclear for an hour.
    """
    reason = read_reason(grant)
    both = f"{reason}{_WAITS}{note}" if reason else note
    later = pace_closing(now - (grant.closing_at or now))
    since = (grant.unclear_at or now) if unclear else None
    return replace(grant, next_check_at=now + later, note=both, unclear_at=since)


def read_reason(grant: Grant) -> str | None:
    """Return the part of the note that says why the grant was closed, or None."""
    if grant.note is None or grant.close_reason not in _TOLD:
        return None
    return grant.note.partition(_WAITS)[0]


# ---- a gap in an open path -----------------------------------------------------------------------


def find_gap(grant: Grant, *, now: datetime) -> datetime | None:
    """
    Return from when the path of *grant* may be shut if its end is put off at *now*; None if never.

    Behind a firewall Defender may take up the new request after it has begun to remove the rule of
    the old one. Then the new rule waits until the firewall is through with the removal.
    """
    asked = grant.initiate
    end = asked.until or grant.expires_at
    is_early = end is None or now <= end - timing.LAST_CHANCE
    return None if is_early or asked.at is None or grant.via is not Via.FIREWALL else end


def announce_gap(grant: Grant, since: datetime | None, *, now: datetime) -> Grant:
    """Return *grant* with a path that may be shut from *since*, and with a note that says so."""
    rest = _drop_gap(grant.note, grant)
    told = replace(grant, gap_at=since)
    return replace(told, note=add_gap(rest, told, now=now))


def add_gap(note: str | None, grant: Grant, *, now: datetime) -> str | None:
    """Return *note* with the gap of *grant* after it, until the gap is over."""
    rest, end = _drop_gap(note, grant), find_gap_end(grant)
    gap = _describe_gap(grant) if end is not None and now < end else ""
    return "; ".join(filter(None, (rest, gap))) or None


def find_gap_end(grant: Grant) -> datetime | None:
    """Return by when the path of *grant* is open again after a gap; None if it has none."""
    return None if grant.gap_at is None else grant.gap_at + TIMES[grant.via].gap


def _drop_gap(note: str | None, grant: Grant) -> str:
    return (note or "").removesuffix(_describe_gap(grant)).removesuffix("; ")


def _describe_gap(grant: Grant) -> str:
    end = find_gap_end(grant)
    if grant.gap_at is None or end is None:
        return ""
    return (
        f"the path may be shut from about {format_instant(grant.gap_at)} to {format_instant(end)},"
        " because it was extended late and a firewall takes one update at a time"
    )
