"""Changes of bars: an operator bars a person, or lifts the bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jit import telemetry
from jit.broker.asked_bars import KEPT, AskedBars
from jit.broker.barring.bar_revocation import BarRevocation
from jit.domain.audit.event import Event
from jit.domain.errors import Conflict, NotFound, StateConflict, Unavailable, Unknown, Violation
from jit.domain.limits import Limits
from jit.domain.model.bar import Bar, WantedBar
from jit.domain.model.people import Person
from jit.domain.values.json_pointer import ROOT
from jit.domain.values.times import format_instant
from jit.storage.people.bar_rows import MOST_FORGOTTEN, BarRows, StoredBar

CHANGED_MEANWHILE = "changed-meanwhile"
TOO_MANY_BARS = "too-many-bars"

LONGEST_CALL = timedelta(minutes=5)
"""So long an HTTP call may run: ``functionTimeout`` in ``host.json``."""

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class BarChange:
    """A bar as it is now, and the JIT policies that have work because of it."""

    bar: Bar
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChanges:
    """
    Bars people, and lifts bars.

    Each change stands in the audit trail in its own transaction. The row of a bar says if access of
    the person is still to be revoked, so a process that dies loses nothing: `revoke_rest` goes on.
    """

    rows: BarRows
    asked: AskedBars
    revocation: BarRevocation
    limits: Limits

    # ---- reads -----------------------------------------------------------------------------------

    def list_known(self, now: datetime) -> list[Bar]:
        """Return the bars in force, and those that still revoke access, by object id."""
        return [bar for bar in self.rows.read().known if not bar.is_over(now)]

    def get(self, person_id: str, now: datetime) -> Bar:
        """
        Return the bar of a person; also one that has ended and still revokes access.

        Raises:
            NotFound: The person is not barred.
        """
        stored = self.rows.find(person_id)
        if stored is None or stored.bar.is_over(now):
            raise NotFound("this person is not barred")
        return stored.bar

    # ---- changes ---------------------------------------------------------------------------------

    def put(self, person_id: str, wanted: WantedBar, caller: Person, now: datetime) -> BarChange:
        """
        Bar a person; the same bar again changes nothing.

        Raises:
            Conflict: Another operator changed the bar at the same moment, or there are too many.
            Unavailable: Storage did not answer. The bar may stand, and may still revoke access.
        """
        stored = self._put(person_id, wanted, caller, now)
        self.asked.forget()
        return self._finish(stored, now)

    def lift(self, person_id: str, caller: Person, now: datetime) -> None:
        """
        Lift a bar; without one nothing changes.

        Access that it shall revoke is revoked first. If more may come, the bar ends now and its row
        stays, so that `revoke_rest` goes on.

        Raises:
            Conflict: Another operator changed the bar at the same moment.
            Unavailable: Storage did not answer.
        """
        seen = self.rows.find(person_id)
        if seen is None or seen.bar.is_over(now):
            return
        self._finish(seen, now)
        before = self.rows.find(person_id)
        if before is None or not before.bar.is_in_force(now):
            return
        if before.bar.wanted != seen.bar.wanted or before.bar.at != seen.bar.at:
            raise _tell_change()
        try:
            self._end(before, caller, now)
        except (StateConflict, Unknown):
            found = self.rows.find(person_id)
            if found is not None and found.bar.is_in_force(now):
                raise _tell_change() from None
        self.asked.forget()
        telemetry.event("person.unbarred", person_id=person_id)

    def revoke_rest(self, now: datetime) -> tuple[str, ...]:
        """
        Go on with each unfinished revocation; return the JIT policies with work.

        If one cannot go on, the others do.

        Raises:
            Unavailable: The error of the first one that cannot go on.
        """
        policies: list[str] = []
        errors: list[Unavailable] = []
        for stored in self.rows.list_stored():
            try:
                policies += self._finish(stored, now).policies
            except Unavailable as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return tuple(dict.fromkeys(policies))

    # ---- steps -----------------------------------------------------------------------------------

    def _put(self, person_id: str, wanted: WantedBar, caller: Person, now: datetime) -> StoredBar:
        """Return the bar as it is stored: written now, or found as it is wanted."""
        seen = before = self.rows.find(person_id)
        for _ in range(_ATTEMPTS):
            if before is not None and before.bar.wanted == wanted:
                return before
            if _is_other(seen, before):
                raise _tell_change()
            bar = _make_bar(person_id, wanted, before, caller, now)
            over = self._find_over(now) if before is None else ()
            event = _build_event(
                "person.barred", bar, caller, now, forgotten=[each.bar.person_id for each in over]
            )
            try:
                stored = self.rows.write(before, bar, event, over)
            except (StateConflict, Unknown):  # somebody wrote, or our answer was lost
                before = self.rows.find(person_id)
                continue
            telemetry.event("person.barred", person_id=person_id, revoke=wanted.revoke)
            return stored
        raise _tell_change()

    def _find_over(self, now: datetime) -> Sequence[StoredBar]:
        """
        Return bars that are over and may be deleted for a new one.

        Raises:
            Conflict: There are as many as one query reads.
        """
        stored = self.rows.list_stored()
        over = [each for each in stored if each.bar.is_over(now)][:MOST_FORGOTTEN]
        if len(stored) - len(over) >= self.limits.bars:
            detail = f"{self.limits.bars} people are barred: lift a bar first"
            raise Conflict(detail, (Violation(ROOT, TOO_MANY_BARS, detail),))
        return over

    def _end(self, stored: StoredBar, caller: Person, now: datetime) -> None:
        """Delete a bar that is lifted; keep its row as one that has ended while it revokes."""
        event = _build_event("person.unbarred", stored.bar, caller, now)
        if stored.bar.revoking:
            ended = replace(stored.bar, wanted=replace(stored.bar.wanted, until=now))
            self.rows.write(stored, ended, event)
        else:
            self.rows.remove(stored, event)

    def _finish(self, stored: StoredBar, now: datetime) -> BarChange:
        """
        Revoke the person's access if that is still to be done, and write how far it came.

        It is done when no call may be under way that knows the bars from before this one: such a
        call may store a request after the list of requests was read.
        """
        if not stored.bar.revoking:
            return BarChange(stored.bar)
        done = self.revocation.revoke_all(stored.bar, now)
        is_done = done.is_complete and now >= stored.bar.at + KEPT + LONGEST_CALL
        revoked = stored.bar.revoked + done.requests
        bar = replace(stored.bar, revoked=revoked, revoking=not is_done)
        if bar != stored.bar:
            self._note_revoked(stored, bar, now)
        return BarChange(bar, done.policies)

    def _note_revoked(self, stored: StoredBar, bar: Bar, now: datetime) -> None:
        """Write how far the revocation came; if somebody wrote first, that version counts."""
        event = _build_event("person.access_revoked", bar, bar.by, now, requests=bar.revoked)
        try:
            self.rows.write(stored, bar, event if not bar.revoking else None)
        except StateConflict:  # another instance finished it, or an operator changed the bar
            return
        if bar.revoking:
            return
        telemetry.event("person.access_revoked", person_id=bar.person_id, requests=bar.revoked)


def _is_other(seen: StoredBar | None, found: StoredBar | None) -> bool:
    """Return True if *found* is not the version that was *seen* at first."""
    etags = [each.row.etag if each is not None else "" for each in (seen, found)]
    return etags[0] != etags[1]


def _make_bar(
    person_id: str, wanted: WantedBar, before: StoredBar | None, caller: Person, now: datetime
) -> Bar:
    """Return a new bar; a revocation that an earlier one began goes on."""
    is_begun = before is not None and before.bar.revoking
    return Bar(
        person_id=person_id,
        wanted=wanted,
        by=Person(id=caller.id, name=caller.name),
        at=now,
        revoking=wanted.revoke or is_begun,
        revoked=before.bar.revoked if before is not None and is_begun else 0,
    )


def _build_event(what: str, bar: Bar, actor: Person, now: datetime, **facts: Any) -> Event:
    until = bar.wanted.until
    return Event(
        at=now,
        what=what,
        actor=actor.id,
        actor_name=actor.name,
        request_id="",
        facts={
            "person": bar.person_id,
            "reason": bar.wanted.reason,
            "until": format_instant(until) if until is not None else None,
            "revoke": bar.wanted.revoke,
            **facts,
        },
    )


def _tell_change() -> Conflict:
    detail = "another operator changed this bar at the same moment: look at it and try again"
    return Conflict(detail, (Violation(ROOT, CHANGED_MEANWHILE, detail),))
