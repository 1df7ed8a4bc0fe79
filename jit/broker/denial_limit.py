"""
Denials an hour: how many refusals of one caller the trail takes.

The count stands in a row of the caller, so that all instances share it. It is written before the
record, under the ETag that was read: however many calls come at once, the trail never takes more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from jit import telemetry
from jit.domain.audit.event import Event
from jit.domain.errors import LimitReached, StateConflict, Unavailable, Violation
from jit.domain.limits import Limits
from jit.domain.model.people import Person
from jit.domain.values.json_pointer import ROOT
from jit.domain.values.rate_window import RateWindow, count_call, find_wait
from jit.domain.values.times import format_instant
from jit.storage.callers.denial_counts import CountedDenials, DenialCounts
from jit.storage.outbox import Outbox

LIMIT_DENIALS = "limit-denials"

_LIMITED = "denials.limited"
_HOUR = timedelta(hours=1)
_ATTEMPTS = 10  # each one is lost to another call of the same caller


@dataclass(frozen=True, slots=True)
class DenialLimit:
    """
    Counts denials, and refuses those beyond the limit.

    A row that this version cannot read does not limit: the denial is recorded and answered as ever.
    """

    counts: DenialCounts
    outbox: Outbox
    limits: Limits

    def admit(self, caller: Person, chain: str, *, now: datetime) -> None:
        """
        Count a denial of *caller* that is about to be recorded.

        The first call beyond the limit leaves a record in *chain*: it says until when there are no
        others. Later ones leave nothing.

        Raises:
            LimitReached: The hour is full. It ends an hour after its first denial.
            Unavailable: Storage did not answer, or the count kept changing.
        """
        for _ in range(_ATTEMPTS):
            before = self.counts.read(caller.id)
            if before.unreadable:  # a newer version counts; its row stays as it is
                return
            window = self._add(before, now)
            if window.count > self.limits.denials_per_hour:
                self._tell_once(before, window, caller, chain, now)
                raise self._refuse(window, now)
            with suppress(StateConflict):
                self.counts.put(before, window)
                return
        raise Unavailable("the count of denials kept changing")

    def _add(self, before: CountedDenials, now: datetime) -> RateWindow:
        return count_call(before.window, now=now, span=_HOUR)

    def _tell_once(
        self,
        before: CountedDenials,
        window: RateWindow,
        caller: Person,
        chain: str,
        now: datetime,
    ) -> None:
        """
        Record that the hour is full, unless another call has done so.

        The record comes before the count that says so. If the count is lost, the next call records
        it again, and that is a repetition.
        """
        if window.count > self.limits.denials_per_hour + 1:
            return
        most, since = self.limits.denials_per_hour, format_instant(window.begin)
        until = format_instant(window.begin + _HOUR)
        digest = sha256(f"{_LIMITED} {caller.id} {since}".encode()).hexdigest()
        event = Event(
            at=now,
            what=_LIMITED,
            actor=caller.id,
            actor_name=caller.name,
            request_id="",
            facts={"limit": most, "since": since, "until": until, "digest": digest},
        )
        self.outbox.add_once(chain, event, digest)
        telemetry.warning("denials.limited", caller=caller.id, limit=most, until=until)
        with suppress(StateConflict):
            self.counts.put(before, window)

    def _refuse(self, window: RateWindow, now: datetime) -> LimitReached:
        wait = find_wait(window, now=now, span=_HOUR)
        most = self.limits.denials_per_hour
        detail = (
            f"one caller may be denied {most} times an hour; the next call may come in {wait} s"
        )
        violations = (Violation(ROOT, LIMIT_DENIALS, detail),)
        return LimitReached("these are too many denials", violations, retry_after_seconds=wait)
