"""Changes of bars: an operator bars a person, or lifts the bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from jit import telemetry
from jit.broker.asked_bars import KEPT, AskedBars
from jit.broker.barring.bar_revocation import BarRevocation
from jit.domain.audit.event import Event
from jit.domain.errors import Conflict, NotFound, StateConflict, Unavailable, Unknown, Violation
from jit.domain.limits import Limits
from jit.domain.model.bar import Bar, UnreadableBar, WantedBar
from jit.domain.model.people import Person
from jit.domain.values.json_pointer import ROOT
from jit.domain.values.times import format_instant
from jit.storage.people.bar_rows import (
    MOST_FORGOTTEN,
    BarRows,
    StoredBar,
    StoredUnreadable,
)

CHANGED_MEANWHILE = "changed-meanwhile"
TOO_MANY_BARS = "too-many-bars"

UNREAD = "this version could not read the bar that was lifted"
"""The reason of a bar that only revokes, if nobody knows the reason of the bar before it."""

LONGEST_CALL = timedelta(minutes=5)
"""So long an HTTP call may run: ``functionTimeout`` in ``host.json``."""

ORDER_LASTS = LONGEST_CALL + KEPT + LONGEST_CALL
"""
So long after the begin of its call an order is carried out at least.

The call may write the row at its own end. Another instance keeps the bars from before for `KEPT`,
and the last call that knows them may run as long as any.
"""

_ATTEMPTS = 3

Found: TypeAlias = StoredBar | StoredUnreadable


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

    def list_all(self, now: datetime) -> list[Bar | UnreadableBar]:
        """
        Return the bars in force, and the ended ones with access to revoke, by object id.

        A bar that this version cannot read is one of them.
        """
        bars = self.rows.read()
        known = (bar for bar in bars.known if not bar.is_over(now))
        return sorted([*known, *bars.unreadable], key=lambda bar: bar.person_id)

    def get(self, person_id: str, now: datetime) -> Bar | UnreadableBar:
        """
        Return the bar of a person; also one that has ended and still revokes access.

        Raises:
            NotFound: The person is not barred.
        """
        found = self.rows.find(person_id)
        if isinstance(found, StoredUnreadable):
            return found.bar
        if found is None or found.bar.is_over(now):
            raise NotFound("this person is not barred")
        return found.bar

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
        stays, so that `revoke_rest` goes on. So it does for a bar that this version cannot read, if
        its row does not say that nothing is left to revoke.

        Raises:
            Conflict: Another operator changed the bar at the same moment.
            Unavailable: Storage did not answer.
        """
        seen = self.rows.find(person_id)
        before = seen if isinstance(seen, StoredUnreadable) else self._revoke_first(seen, now)
        if before is None:
            return
        try:
            self._end(before, caller, now)
        except (StateConflict, Unknown):
            found = self.rows.find(person_id)
            if found is not None and _is_in_force(found, now):
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
            if isinstance(before, StoredBar) and before.bar.wanted == wanted:
                return before
            if _is_other(seen, before):
                raise _tell_change()
            bar = _make_bar(person_id, wanted, before, caller, now)
            is_new = before is None or not _is_in_force(before, now)
            over = self._find_over(person_id, now) if is_new else ()
            facts: dict[str, Any] = {"forgotten": [each.bar.person_id for each in over]}
            if isinstance(before, StoredUnreadable):
                facts["overUnreadable"] = True
            event = _build_event("person.barred", bar, caller, now, **facts)
            try:
                stored = self.rows.write(before, bar, event, over)
            except (StateConflict, Unknown):  # somebody wrote, or our answer was lost
                before = self.rows.find(person_id)
                continue
            telemetry.event("person.barred", person_id=person_id, revoke=wanted.revoke)
            return stored
        raise _tell_change()

    def _find_over(self, person_id: str, now: datetime) -> Sequence[StoredBar]:
        """
        Return bars of others that are over and may be deleted for a new one.

        A bar that is lifted while it revokes keeps its row for minutes. It takes no other's place,
        up to as many as may be in force.

        Raises:
            Conflict: There are too many in force, or too many that have ended and still revoke.
        """
        found = self.rows.list_found()
        stored = (each for each in found if isinstance(each, StoredBar))
        others = (each for each in stored if each.bar.person_id != person_id)
        over = [each for each in others if each.bar.is_over(now)][:MOST_FORGOTTEN]
        most = self.limits.bars
        if sum(_is_in_force(each, now) for each in found) >= most:
            raise _refuse_more(f"{most} people are barred: lift a bar first")
        if len(found) - len(over) >= 2 * most:
            raise _refuse_more("too many lifted bars still revoke access: try again later")
        return over

    def _revoke_first(self, seen: StoredBar | None, now: datetime) -> Found | None:
        """
        Carry out the order of *seen*; return the bar as it is then, None if it is not in force.

        Raises:
            Conflict: Another operator changed it meanwhile.
        """
        if seen is None or seen.bar.is_over(now):
            return None
        self._finish(seen, now)
        found = self.rows.find(seen.bar.person_id)
        if found is None or not _is_in_force(found, now):
            return None
        if not _is_same(seen.bar, found.bar):
            raise _tell_change()
        return found

    def _end(self, found: Found, caller: Person, now: datetime) -> None:
        """Delete a bar that is lifted; keep its row as one that has ended while it revokes."""
        event = _build_event("person.unbarred", found.bar, caller, now)
        if found.bar.revoking:
            self.rows.write(found, _make_ended(found.bar, caller, now), event)
        else:
            self.rows.remove(found, event)

    def _finish(self, stored: StoredBar, now: datetime) -> BarChange:
        """
        Revoke the person's access if that is still to be done, and write how far it came.

        It is done when no call may be under way that knows the bars from before this one: such a
        call may store a request after the list of requests was read.
        """
        if not stored.bar.revoking:
            return BarChange(stored.bar)
        done = self.revocation.revoke_all(stored.bar, now)
        is_done = done.is_complete and now >= stored.bar.at + ORDER_LASTS
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


def _is_in_force(found: Found, now: datetime) -> bool:
    """Return True if the person may get no access *now*; a doubt denies."""
    return isinstance(found, StoredUnreadable) or found.bar.is_in_force(now)


def _is_same(seen: Bar, found: Bar | UnreadableBar) -> bool:
    """Return True if *found* is the bar that was *seen*, however far its revocation came."""
    return isinstance(found, Bar) and (found.wanted, found.at) == (seen.wanted, seen.at)


def _is_other(seen: Found | None, found: Found | None) -> bool:
    """Return True if *found* is not the version that was *seen* at first."""
    etags = [each.row.etag if each is not None else "" for each in (seen, found)]
    return etags[0] != etags[1]


def _make_bar(
    person_id: str, wanted: WantedBar, before: Found | None, caller: Person, now: datetime
) -> Bar:
    """
    Return a new bar; a revocation that an earlier one began goes on.

    If the person was let in between the two bars, that access ends by an order of its own only.
    """
    is_begun = before is not None and before.bar.revoking
    revoked = before.bar.revoked if isinstance(before, StoredBar) and is_begun else 0
    return Bar(
        person_id=person_id,
        wanted=wanted,
        by=Person(id=caller.id, name=caller.name),
        at=now,
        revoking=wanted.revoke or is_begun,
        revoked=revoked,
        revoke_until=None if wanted.revoke else _find_order_end(before, now),
    )


def _find_order_end(before: Found | None, now: datetime) -> datetime | None:
    """Return when the order of an earlier bar ended, if it goes on; None if it has not ended."""
    is_begun = isinstance(before, StoredBar) and before.bar.revoking
    end = before.bar.order_end if isinstance(before, StoredBar) and is_begun else None
    return end if end is not None and end <= now else None


def _make_ended(bar: Bar | UnreadableBar, caller: Person, now: datetime) -> Bar:
    """Return a bar that ends now and still revokes; one that cannot be read begins anew."""
    if isinstance(bar, Bar):
        return replace(bar, wanted=replace(bar.wanted, until=now))
    wanted = WantedBar(reason=UNREAD, until=now, revoke=True)
    return Bar(
        person_id=bar.person_id,
        wanted=wanted,
        by=Person(id=caller.id, name=caller.name),
        at=now,
        revoking=True,
    )


def _build_event(
    what: str, bar: Bar | UnreadableBar, actor: Person, now: datetime, **facts: Any
) -> Event:
    return Event(
        at=now,
        what=what,
        actor=actor.id,
        actor_name=actor.name,
        request_id="",
        facts={"person": bar.person_id, **_list_facts(bar), **facts},
        texts={"reason": bar.wanted.reason if isinstance(bar, Bar) else None},
    )


def _list_facts(bar: Bar | UnreadableBar) -> dict[str, Any]:
    if isinstance(bar, UnreadableBar):
        return {"unreadable": True}
    until = bar.wanted.until
    return {
        "until": format_instant(until) if until is not None else None,
        "revoke": bar.wanted.revoke,
    }


def _refuse_more(detail: str) -> Conflict:
    return Conflict(detail, (Violation(ROOT, TOO_MANY_BARS, detail),))


def _tell_change() -> Conflict:
    detail = "another operator changed this bar at the same moment: look at it and try again"
    return Conflict(detail, (Violation(ROOT, CHANGED_MEANWHILE, detail),))
