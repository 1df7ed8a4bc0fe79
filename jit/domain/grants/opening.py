"""
When a path that was looked at makes its grant ``open``, and when opening has failed.

Promise P4: ``open`` means observed open and effective. A path that is borrowed from another
request, and may vanish at any moment, does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from jit.domain.grants import admission, initiate, lifetime, rule_evidence, shared_port
from jit.domain.grants.lifetime import begin_closing, explain_late, pace_opening
from jit.domain.grants.policy_view import StepContext, is_used_elsewhere
from jit.domain.grants.timing import LOOK_NOTED, LOOK_WHILE_OPENING, TIMES
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.paths import admin_check
from jit.domain.paths.effective import FAILED_UPDATE, PathState, PathView
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule, list_addresses
from jit.domain.values.prefixes import Prefix, Prefixes

_BORROWED = "what lets it in now is about to be replaced by its own rule"
_KEPT_RULES, _KEPT_ADDRESSES = 24, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSeen:
    """
    A VM port as it was just seen, the same for all its grants.

    Attributes:
        view: The VM.
        recordable: Sources whose rules the broker may record as its own; empty on a stranger's.
        joined: True if the path stands on a stranger's request.
        request_ends_at: When the request ends that the path stands on; None if there is none.
    """

    view: MachineView
    recordable: frozenset[Prefix]
    joined: bool
    request_ends_at: datetime | None


def advance_seen(grant: Grant, path: PathView, port: PortSeen, context: StepContext) -> Grant:
    """
    Record the rules of the *path* that was seen and the time of the look; advance *grant*.

    A VM that was read only in part is viewed as the inventory knows it: that is no look.
    """
    after = _advance(grant, path, port, context)
    if grant.vm_key in context.policy.unreadable:
        return after
    return note_look(grant, after, path, context.now)


def note_look(before: Grant, after: Grant, path: PathView, now: datetime) -> Grant:
    """
    Return *after* with the time of the look, if the look tells anything.

    A look that changes nothing else is noted once a minute: each note is a write of a row.
    """
    if path.state is PathState.UNCLEAR:
        return after
    last = before.observed_at
    if after == before and last is not None and now - last < LOOK_NOTED:
        return after
    return replace(after, observed_at=now)


def _advance(grant: Grant, path: PathView, port: PortSeen, context: StepContext) -> Grant:
    grant = record_rules(grant, path, port, context)
    if not grant.wants_path:
        return grant
    now = context.now
    doubt = _find_doubt(grant, port, context)
    hindrance = _find_hindrance(grant, path, doubt, port)
    if hindrance != grant.hindrance:
        grant = replace(grant, hindrance=hindrance)
    if path.state is PathState.OPEN and doubt:
        path = replace(path, state=PathState.BLOCKED, why=doubt)
    if path.state is not PathState.OPEN:
        return _keep_waiting(grant, path, now)
    ends = filter(None, (grant.expires_at, port.request_ends_at, _find_next_news(grant, now)))
    return replace(
        grant.advance(Status.OPEN),
        opened_at=grant.opened_at or now,
        connection=path.connection,
        lost_at=None,
        hindrance=None,
        next_check_at=min(ends, default=now),
        note=lifetime.add_gap(_describe_open(grant, path), grant, now=now),
    )


MOVED = "the address to connect to has changed: "
"""The note of an open grant begins with it if the person was told another address."""


def _describe_open(grant: Grant, path: PathView) -> str | None:
    """Return the note of an open grant: what its person should know about the connection."""
    old, new = grant.connection, path.connection
    if old is not None and new is not None and (old.address, old.port) != (new.address, new.port):
        return f"{MOVED}{old.address} port {old.port} is now {new.address} port {new.port}"
    if grant.note is not None and grant.note.startswith(MOVED):
        return grant.note
    return path.why or None


def wait_unread(grant: Grant, now: datetime, why: str) -> Grant:
    """Let *grant* wait because its VM could not be read; *why* becomes its note."""
    if not grant.live or grant.status is Status.SCHEDULED:
        return grant
    if grant.status is Status.CLOSING:
        return lifetime.wait_to_close(grant, now, why, unclear=True)
    if grant.status is Status.OPENING and is_overdue(grant, now):
        return begin_closing(grant, CloseReason.FAILED, now, explain_late(grant, grant.note or why))
    ends = filter(None, (now + LOOK_WHILE_OPENING, grant.expires_at))
    return replace(grant, note=why, next_check_at=min(ends))


def is_overdue(grant: Grant, now: datetime) -> bool:
    """Return True if opening, or mending a lost path, has had its time, however often asked."""
    since = max(filter(None, (grant.admitted_at, grant.lost_at)), default=now)
    return now >= since + TIMES[grant.via].opens_within


# ---- recorded rules ------------------------------------------------------------------------------


def record_rules(grant: Grant, path: PathView, port: PortSeen, context: StepContext) -> Grant:
    """Record the rules of a path that open sources that were asked for, and nothing more."""
    if path.state is PathState.UNCLEAR:
        return grant
    there = list_addresses(port.view.vm)
    own = [
        rule
        for rule in path.rules
        if rule.target in there
        and _opens_only(rule, port.recordable)
        and not is_used_elsewhere(rule.id, grant, context.rule_users)
    ]
    grant = rule_evidence.note_taken(rule_evidence.forget_vanished(grant, port.view), own)
    if not own:
        return grant
    left = grant.footprint
    rules = tuple(dict.fromkeys((*left.rules, *(rule.id for rule in own))))[-_KEPT_RULES:]
    ips = tuple(dict.fromkeys((*left.private_ips, *there)))[-_KEPT_ADDRESSES:]
    if (rules, ips) != (left.rules, left.private_ips):
        grant = replace(grant, footprint=replace(left, rules=rules, private_ips=ips))
    if path.state not in {PathState.OPEN, PathState.BLOCKED}:  # some rules are still on their way
        return grant
    grant = rule_evidence.note_written(grant, own, port.view)
    own_path = grant.status is Status.OPEN or not is_borrowed(grant, context.now)
    if grant.initiate.seen or not own_path:
        return grant
    return replace(grant, initiate=replace(grant.initiate, seen=True))


def _opens_only(rule: PathRule, asked: frozenset[Prefix]) -> bool:
    """Return True if Defender writes *rule* for *asked*. A wider rule is another's leftover."""
    return rule.exact and Prefixes(rule.sources).are_among(asked)


# ---- doubts --------------------------------------------------------------------------------------


def _find_doubt(grant: Grant, port: PortSeen, context: StepContext) -> str:
    """
    Return the reason not to call *grant* open although its path lets it in, or an empty text.

    A grant that joined a stranger's request has that path for as long as the request lasts. One
    of whose person a fact is not known waits for it, however its path came to be.
    """
    if grant.status is not Status.OPENING:
        return ""
    unread = context.policy.unreadable.get(grant.vm_key, "")
    unread = unread or admin_check.explain_unread(grant, port.view)
    unread = unread or admission.explain_unknown_person(grant, context)
    newcomer = grant.opened_at is None and not port.joined
    return unread or (_BORROWED if newcomer and is_borrowed(grant, context.now) else "")


def is_borrowed(grant: Grant, now: datetime) -> bool:
    """
    Return True if the rules that let *grant* in may vanish, because its own are on their way.

    Rules older than the grant's initiate belong to another grant, whose end is near, or are about
    to be exchanged. If its own rule looks like the older ones, that is assumed for as long as
    such an exchange takes.
    """
    asked = grant.initiate
    if asked.at is None:
        return True  # nothing was asked for it yet
    if asked.written:
        return bool(asked.before)  # Azure put the initiate off: only the older rules are there
    stood = asked.before is None or bool(asked.before)
    exchanged_by = asked.at + TIMES[grant.via].exchanged_within
    return stood and now < min(exchanged_by, _find_waiting_end(grant))


def _find_waiting_end(grant: Grant) -> datetime:
    """
    Return until when a newcomer waits for its own rule: twice as long if Azure put it off.

    Each later comer has the path asked for anew. That must not begin the wait of the others again.
    """
    began = grant.admitted_at or grant.starts_at
    tries = min(max(grant.initiate.attempts, 1), 2)
    return began + TIMES[grant.via].exchanged_within * tries


def _find_next_news(grant: Grant, now: datetime) -> datetime | None:
    """Return the time when *grant* can hear of its next hand-over, or that its gap is over."""
    known = grant.handover_at
    changed = shared_port.add_change_time(known, grant) if known is not None else now
    ends = (changed, lifetime.find_gap_end(grant) or now)
    return min((each for each in ends if each > now), default=None)


# ---- not open ------------------------------------------------------------------------------------


def _find_hindrance(grant: Grant, path: PathView, doubt: str, port: PortSeen) -> str | None:
    """
    Return the reason that holds *grant* back until somebody acts; None if there is none.

    A look that cannot tell says nothing about the reason of the look before: an update runs, Azure
    does not answer, or a rule is on its way. A look that shows the path open says that the reason
    is gone, unless it was a security admin rule and these could not be read.
    """
    known = grant.hindrance
    if path.state is PathState.BLOCKED:
        refused = grant.note if (grant.note or "").startswith(lifetime.NOT_ADDED) else None
        is_mended = bool(path.blocked_by) and not grant.footprint.companions  # by a companion
        return known if is_mended else refused or path.why
    if path.state is PathState.OPEN:
        return _keep_hindrance(grant, doubt, port)
    if path.state is PathState.UNCLEAR:
        return path.why if path.why.startswith(FAILED_UPDATE) else known
    return None if known is not None and known.startswith(FAILED_UPDATE) else known


def _keep_hindrance(grant: Grant, doubt: str, port: PortSeen) -> str | None:
    """Return the reason that still holds back a grant whose path is open but for *doubt*."""
    known = grant.hindrance
    if doubt in {_BORROWED, *admission.PERSON_NOTES}:
        return None
    if doubt != admin_check.explain_unread(grant, port.view):
        return known  # the VM was read in part: its interface may have another NSG by now
    if port.view.admin.forbidden:
        return doubt or known
    return known if known is not None and known.endswith(admin_check.STAGE) else None


def _keep_waiting(grant: Grant, path: PathView, now: datetime) -> Grant:
    if grant.status is Status.OPEN and (path.state is not PathState.UNCLEAR or path.leaving):
        grant = replace(grant.advance(Status.OPENING), lost_at=now)
    why = _explain_not_open(grant, path)
    if initiate.is_given_up(grant, path):
        return begin_closing(grant, CloseReason.FAILED, now, why)
    if grant.status is Status.OPENING and is_overdue(grant, now):
        return begin_closing(grant, CloseReason.FAILED, now, explain_late(grant, why))
    wait = pace_opening(now - _find_last_news(grant, now))
    why = lifetime.add_gap(why, grant, now=now) or ""
    return replace(grant, note=why, next_check_at=min(now + wait, grant.expires_at or now))


def _find_last_news(grant: Grant, now: datetime) -> datetime:
    """Return the time when Azure was last asked for *grant*, or last refused it; *now* if never."""
    return max(filter(None, (grant.initiate.at, grant.initiate.refused_at)), default=now)


_KEPT_NOTES = {PathState.BLOCKED: lifetime.NOT_ADDED, PathState.ABSENT: lifetime.REFUSED}
"""The beginning of a note that outlives a look with this result."""


def _explain_not_open(grant: Grant, path: PathView) -> str:
    """Return the reason that *grant* is not open. A refused request has no rules."""
    asked = grant.initiate
    if initiate.is_given_up(grant, path):
        return f"its rules were taken away again after {asked.reopens} repetitions"
    if asked.is_refused:
        return lifetime.explain_refusal(asked.refusal, again=True)
    kept = _KEPT_NOTES.get(path.state)
    if kept is not None and grant.note is not None and grant.note.startswith(kept):
        return grant.note
    if path.state is not PathState.ABSENT or asked.answered or not asked.attempts:
        return path.why
    return f"Azure has not taken the request to open it, {asked.attempts} times asked"
