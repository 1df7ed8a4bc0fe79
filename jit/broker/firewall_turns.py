"""
Turns on firewalls: one holder at a time starts changes, and the others wait in a line.

The turn on a firewall is a courtesy that avoids collisions between our own updates: ``If-Match`` is
the safety. The line lets each turn come round: a holder takes no further turn while somebody waits
who comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.domain.errors import StateConflict
from jit.domain.model import waiting_line
from jit.domain.values import arm_ids
from jit.storage.control_rows import ControlRows, FirewallRow

TURN = timedelta(minutes=15)
"""After this long a turn that was not given back is free again."""

_ATTEMPTS = 4  # everybody who waits for a firewall writes its row once a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """
    The rights of a holder on a firewall.

    Attributes:
        may_close: It may take the turn, or has it, to remove rules.
        may_open: The same to open something.
        closing_waits: Somebody else waits to remove rules.
        waits: The holder stands in the line itself.
    """

    may_close: bool
    may_open: bool
    closing_waits: bool
    waits: bool = False


class FirewallTurns:
    """Takes turns on firewalls and gives them back."""

    def __init__(self, rows: ControlRows) -> None:
        """Keep turns in *rows*."""
        self._rows = rows

    def check(self, firewall_id: str, holder: str, now: datetime) -> Turn:
        """Return the rights of *holder* on a firewall now."""
        row = self._rows.find_firewall(firewall_id)
        if row is None:
            return Turn(may_close=True, may_open=True, closing_waits=False)
        others = waiting_line.list_others(row.waiting, arm_ids.row_hash(holder), now)
        return Turn(
            may_close=_may_take(row, holder, now, closing=True),
            may_open=_may_take(row, holder, now, closing=False),
            closing_waits=any(each.closing for each in others),
            waits=len(others) < len(waiting_line.list_standing(row.waiting, now)),
        )

    def may_take(
        self, firewall_id: str, holder: str, now: datetime, *, closing: bool = False
    ) -> bool:
        """Return True if *holder* may take the turn on a firewall, also if it has it already."""
        row = self._rows.find_firewall(firewall_id)
        return row is None or _may_take(row, holder, now, closing=closing)

    def take(self, firewall_id: str, holder: str, now: datetime, *, closing: bool = False) -> bool:
        """
        Take the turn on a firewall for *holder*, to close or to open something.

        Return False if another holder has it, or waits for it and comes first. A holder takes
        each further turn like anybody else.
        """

        def take_turn(row: FirewallRow) -> FirewallRow | None:
            if not _may_take(row, holder, now, closing=closing):
                return None
            name = arm_ids.row_hash(holder)
            rest = waiting_line.drop_waits(row.waiting, name, closing=False)
            return replace(row, holder=name, since=now, waiting=rest)

        return self._change(firewall_id, take_turn, make=True) is not None

    def wait(self, firewall_id: str, holder: str, now: datetime, *, closing: bool) -> bool:
        """Stand in the line for a firewall, or go on doing so; return False if that failed."""

        def join(row: FirewallRow) -> FirewallRow:
            name = arm_ids.row_hash(holder)
            return replace(
                row, waiting=waiting_line.join_line(row.waiting, name, closing=closing, now=now)
            )

        return self._change(firewall_id, join, make=True) is not None

    def leave(self, firewall_id: str, holder: str, *, closing: bool) -> None:
        """Leave the line for a firewall: nothing is to be closed, or to be opened, any more."""

        def drop(row: FirewallRow) -> FirewallRow:
            name = arm_ids.row_hash(holder)
            return replace(row, waiting=waiting_line.drop_waits(row.waiting, name, closing=closing))

        self._change(firewall_id, drop)

    def has_turn(self, firewall_id: str, holder: str) -> bool:
        """Return True if *holder* has the turn on a firewall."""
        return _is_holder(self._rows.find_firewall(firewall_id), holder)

    def note_update(self, firewall_id: str, foreign: str) -> None:
        """
        Write the digest of the rules that the update about to begin must not change.

        The holder no longer waits to close. The digest of an earlier update that nobody has
        compared is compared first.

        Raises:
            StateConflict: Others write the row all the time, or it cannot be read.
        """

        def note(row: FirewallRow) -> FirewallRow:
            rest = waiting_line.drop_waits(row.waiting, row.holder, closing=True)
            return replace(row, foreign=foreign, waiting=rest)

        if self._rows.find_firewall(firewall_id) is None:
            return
        before = self._change(firewall_id, note)
        if before is None:
            raise StateConflict("the turn on the firewall could not be written")
        _compare_foreign(before, foreign)

    def forget_update(self, firewall_id: str) -> None:
        """Forget the digest of an update that Azure did not begin."""
        self._change(firewall_id, lambda row: replace(row, foreign=""))

    def read_update(self, firewall_id: str) -> str:
        """Return the digest of the running update; empty text if there is none."""
        row = self._rows.find_firewall(firewall_id)
        return row.foreign if row is not None else ""

    def end_update(self, firewall_id: str, holder: str, foreign: str, now: datetime) -> None:
        """
        End the turn on a settled firewall, if it is the turn of *holder* or has run out.

        *foreign* is the digest of its foreign rules now. Another digest than before the update is
        an alert.
        """

        def end(row: FirewallRow) -> FirewallRow | None:
            is_over = _is_holder(row, holder) or _has_run_out(row, now)
            return _free(row) if row.holder and is_over else None

        before = self._change(firewall_id, end)
        if before is not None:
            _compare_foreign(before, foreign)

    def return_turn(self, firewall_id: str, holder: str) -> None:
        """Give the turn on a firewall back, if *holder* has it."""
        self._change(firewall_id, lambda row: _free(row) if _is_holder(row, holder) else None)

    def _change(
        self,
        firewall_id: str,
        change: Callable[[FirewallRow], FirewallRow | None],
        *,
        make: bool = False,
    ) -> FirewallRow | None:
        """
        Write the row of a firewall as *change* makes it; return the row before, None without one.

        If somebody wrote the row in between, it is read and changed again, a few times.
        """
        for _ in range(_ATTEMPTS):
            row = self._rows.find_firewall(firewall_id)
            if row is None and make:
                row = self._rows.make_firewall(firewall_id)
            changed = change(row) if row is not None and not row.unreadable else None
            if row is None or changed is None:
                return None
            if changed == row and row.version.etag:
                return row
            with suppress(StateConflict):
                self._rows.put(changed)
                return row
        return None


def _compare_foreign(row: FirewallRow, foreign: str) -> None:
    """Raise an alert if *foreign* is another digest than before the update in the row."""
    if row.foreign and row.foreign != foreign:
        telemetry.alert("firewall.foreign_rules_changed", firewall_id=row.firewall_id)


def _is_holder(row: FirewallRow | None, holder: str) -> bool:
    return row is not None and row.holder == arm_ids.row_hash(holder)


def _may_take(row: FirewallRow, holder: str, now: datetime, *, closing: bool) -> bool:
    """Return True if nobody else has the turn, and nobody who waits for it comes first."""
    if row.holder and not _is_holder(row, holder) and not _has_run_out(row, now):
        return False
    return waiting_line.is_first(row.waiting, arm_ids.row_hash(holder), closing=closing, now=now)


def _has_run_out(row: FirewallRow, now: datetime) -> bool:
    return row.since is not None and now - row.since > TURN


def _free(row: FirewallRow) -> FirewallRow:
    return replace(row, holder="", since=None, foreign="")
