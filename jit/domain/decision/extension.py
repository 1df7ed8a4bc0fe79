"""
Decision about an extension: may a grant stay open for that long from now?

The new end is the present and the wanted duration. It is never cut to the longest one that would be
allowed: a caller who asked for more must learn it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from jit.domain.errors import Violation
from jit.domain.limits import Limits
from jit.domain.model.grant import Grant
from jit.domain.model.machine import PortRule, VirtualMachine
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.times import format_duration, format_instant

OVER_MAXIMUM = "over-maximum"
LONGEST_ACCESS = "longest-access"
NO_CHANGE = "no-change"
CHANGE_ON_ITS_WAY = "change-on-its-way"

LEAST_STEP = timedelta(minutes=5)
"""The least by which an extension moves an end: each one is a request to Defender."""

_DURATION = at(ROOT, "duration")


def find_new_end(duration: timedelta, *, now: datetime) -> datetime:
    """Return the end that an extension gives, in whole seconds."""
    return (now + duration).replace(microsecond=0)


def find_latest_end(grant: Grant, limits: Limits) -> datetime:
    """
    Return the latest end that extensions may give *grant*.

    It counts from the opening. If the path was not seen open yet, it counts from the admission,
    which comes before.
    """
    opened = grant.opened_at or grant.admitted_at or grant.starts_at
    return opened + max(grant.duration, limits.longest_access)


def explain_unlisted(vm: VirtualMachine) -> str:
    """
    Return which of *vm* and its JIT policy the last lists of Azure lacked; empty if they had both.

    The inventory keeps it until the next comparison, because a list may be short. A decision by it
    would extend access by a policy that may be deleted.
    """
    missed = {absence.key for absence in vm.absences}
    parts = ((vm.id, vm.name), (vm.policy_id or "", f"the JIT policy of {vm.name}"))
    lacked = [name for resource_id, name in parts if arm_ids.key(resource_id) in missed]
    return f"Azure did not list {lacked[0]}" if lacked else ""


def check_extension(
    grant: Grant, rule: PortRule | None, duration: timedelta, *, now: datetime, limits: Limits
) -> Iterator[Violation]:
    """
    Yield the reasons why *grant* may not stay open for *duration* from *now*.

    Args:
        grant: Opening or open.
        rule: The JIT policy's rule for its port, as known today; None if there is none.
        duration: From now to the new end.
        now: Aware, UTC.
        limits: The contract's numbers.
    """
    name = f"port {grant.port} of {arm_ids.name(grant.vm_id)}"
    if rule is not None and duration > rule.max_duration:
        most = format_duration(rule.max_duration)
        yield Violation(_DURATION, OVER_MAXIMUM, f"{name} allows at most {most} from now")
    latest = find_latest_end(grant, limits)
    if find_new_end(duration, now=now) > latest:
        detail = (
            f"{name} can stay open until {format_instant(latest)} at the latest, extensions"
            " included: name a shorter duration, or ask for access anew"
        )
        yield Violation(_DURATION, LONGEST_ACCESS, detail)


def is_step(grants: Iterable[Grant], duration: timedelta, *, now: datetime) -> bool:
    """Return True if *duration* from *now* moves an end of *grants* by the least step or more."""
    new_end = find_new_end(duration, now=now)
    ends = (grant.expires_at for grant in grants if grant.expires_at is not None)
    return any(new_end >= end + LEAST_STEP for end in ends)


def explain_no_change(
    grants: Sequence[Grant], duration: timedelta, *, now: datetime
) -> tuple[Violation, ...]:
    """Return why *duration* from *now* is no step for any of *grants*, which all have an end."""
    ends = sorted(grant.expires_at for grant in grants if grant.expires_at is not None)
    until = " and ".join(dict.fromkeys(map(format_instant, (ends[0], ends[-1]))))
    new_end = format_instant(find_new_end(duration, now=now))
    detail = (
        f"access is open until {until} already; the duration counts from now, so"
        f" {format_duration(duration)} would end at {new_end}; an extension moves an end by"
        f" {format_duration(LEAST_STEP)} at least"
    )
    return (Violation(_DURATION, NO_CHANGE, detail),)
