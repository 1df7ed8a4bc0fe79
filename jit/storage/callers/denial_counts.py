"""
The number of denials of each caller, within an hour.

There is one row for each caller who was ever denied, all in one partition: a caller is the same
person in each subscription. `idle_rows` sweeps them when their hour is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jit.domain.errors import Defect
from jit.domain.values.rate_window import RateWindow
from jit.storage import keys
from jit.storage.documents import INSTANT, Column, ColumnMap, RowKind, alert_unreadable
from jit.storage.table import Op, Row, Table, Verb

DENIALS_KIND = RowKind("counted denials")
DENIALS = ColumnMap(RateWindow, Column("Begin", "begin", INSTANT), Column("Count", "count"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedDenials:
    """
    The denials of a caller as they were read.

    Attributes:
        window: None if there is no row, or if this version cannot read it.
        version: The row in the table; without an ETag if it is not there yet.
    """

    window: RateWindow | None
    version: Row = field(repr=False, compare=False)
    unreadable: bool = False


class DenialCounts:
    """The counts in ``JitState``."""

    def __init__(self, state: Table) -> None:
        """Keep counts in *state*."""
        self._state = state

    def read(self, caller: str) -> CountedDenials:
        """Return the count of a caller (object id); a row that cannot be read is an alert."""
        place = Row(partition=keys.CALLERS, key=keys.denials_key(caller), values={})
        row = self._state.get(place.partition, place.key)
        if row is None:
            return CountedDenials(window=None, version=place)
        try:
            return CountedDenials(window=read_denials(row), version=row)
        except Defect as error:
            alert_unreadable(row, error)
            return CountedDenials(window=None, version=row, unreadable=True)

    def put(self, before: CountedDenials, window: RateWindow) -> None:
        """
        Write *window* over the version that *before* was read from.

        Raises:
            StateConflict: Another call was counted since then.
            Unavailable: Storage did not answer. If the answer was lost, the call may count.
        """
        row = write_denials(before.version, window)
        self._state.write([Op(Verb.REPLACE if row.etag else Verb.INSERT, row)])


def read_denials(row: Row) -> RateWindow:
    """
    Return the denials of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return DENIALS_KIND.read(row, lambda stored: DENIALS.read(stored.values))


def write_denials(place: Row, window: RateWindow) -> Row:
    """Return the row of a caller's denials, over the version *place*."""
    return replace(place, values=DENIALS_KIND.add_format(DENIALS.write(window)))
