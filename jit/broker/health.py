"""
The health of the broker: storage and Azure answer, the timers run, authentication is on.

Timers can stop for good while HTTP goes on: after a deployment to a Flex Consumption plan, all
timers of an app stopped without an error
(https://github.com/Azure/azure-functions-host/issues/11828). A broker whose timers are dead looks
well from outside and closes nothing. So each tick and each complete comparison writes its instant
into a row, and health reads these rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from jit.broker.single_flight import SingleFlight
from jit.domain.errors import BrokerError, Defect, Unavailable
from jit.storage.subscription_rows import SubscriptionRow, SubscriptionRows, TickRow, TimerState
from jit.storage.table import Row
from jit.version import VERSION

_OK = "ok"

STORAGE_FAILING = "storage-failing"
AZURE_FAILING = "azure-failing"
TICK_LATE = "tick-late"
COMPARISON_LATE = "comparison-late"
AUTHENTICATION_MISCONFIGURED = "authentication-misconfigured"

TICK_WITHIN = timedelta(minutes=10)
"""The longest time since the last tick; the timer runs every minute."""

COMPARED_WITHIN = timedelta(minutes=30)
"""The longest time since the last comparison of a subscription; the timer runs every 5 minutes."""

PROBE_PAUSE = 10.0
"""Seconds from the begin of one look at storage and Azure to that of the next, in one process."""

_OLDEST_SECONDS = 60.0  # of the look that others get while a look runs
_PATIENCE_SECONDS = 5.0  # a monitor that waits longer reports an outage anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """
    One reason why the broker is not well.

    Attributes:
        code: A short name that stays the same.
        detail: The reason in words.
        resource: ARM id of the resource, ``/subscriptions/<id>``, or None if it concerns none.
        since: The instant from which on it was not well; None if that is unknown.
    """

    code: str
    detail: str
    resource: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """
    The state of the broker at one instant.

    Attributes:
        storage: ``ok``, or the reason in words.
        azure: The same.
        tick: The instant of the last tick; None if there was none, or if storage does not answer.
        comparisons: Subscription id → the instant of its last complete comparison, or None.
        problems: Empty if the broker is well.
        troubles: States of Azure that a person must mend there. The broker itself is well.
        version: The version of the code.
    """

    storage: str
    azure: str
    tick: datetime | None
    comparisons: Mapping[str, datetime | None]
    problems: tuple[Problem, ...]
    troubles: tuple[Problem, ...] = ()
    version: str = VERSION

    @property
    def is_well(self) -> bool:
        """True if there is no problem."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The answers of storage and Azure; *timers* is None if storage does not answer."""

    storage: str
    azure: str
    timers: TimerState | None


class HealthCheck:
    """
    Looks at storage and Azure, once in ten seconds, for all callers of the process.

    The route is open to anybody. It must not be a way to make the broker call Azure. Callers who
    come while a look runs get the last one, or wait for a short time.
    """

    def __init__(
        self,
        rows: Callable[[], SubscriptionRows],
        azure: Callable[[], object],
        named: Sequence[str],
        authentication_fault: str = "",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """
        Use these parts.

        Args:
            rows: Builds the rows of the timers; may raise if storage is not reachable.
            azure: Makes one cheap call to Azure Resource Manager.
            named: The subscriptions of the settings.
            authentication_fault: The setting that is wrong, in words; empty if none is.
            clock: Seconds; never goes back.
        """
        self._rows = rows
        self._azure = azure
        self._named = tuple(named)
        self._authentication_fault = authentication_fault
        self._flight = SingleFlight[_Look](
            pause=PROBE_PAUSE, oldest=_OLDEST_SECONDS, patience=_PATIENCE_SECONDS, clock=clock
        )

    def check(self, *, now: datetime) -> Health:
        """Return the health of the broker at *now*; aware, UTC."""
        look = self._find_look()
        timers = look.timers
        tick = timers.tick if timers is not None else None
        rows = {item.subscription: item for item in timers.subscriptions} if timers else {}
        problems = [*self._find_unanswered(look)]
        if timers is not None:
            problems += [*_find_late_tick(tick, now), *self._find_late_comparisons(rows, tick, now)]
        names = dict.fromkeys((*self._named, *rows))
        return Health(
            storage=look.storage,
            azure=look.azure,
            tick=tick.last_at if tick is not None else None,
            comparisons={name: rows[name].compared_at if name in rows else None for name in names},
            problems=tuple(problems),
            troubles=tuple(_list_troubles(rows.values())),
        )

    def _find_look(self) -> _Look:
        """Return the look of this call, or of another one; without any, nothing is known."""
        try:
            return self._flight.get(self._look)
        except Unavailable as error:
            return _Look(storage=str(error), azure=str(error), timers=None)

    def _look(self) -> _Look:
        storage, timers = _OK, None
        try:
            timers = self._rows().read(alert=_keep_silent)
        except BrokerError as error:
            storage = _describe_error(error)
        azure = _OK
        try:
            self._azure()
        except BrokerError as error:
            azure = _describe_error(error)
        return _Look(storage=storage, azure=azure, timers=timers)

    def _find_unanswered(self, look: _Look) -> Iterator[Problem]:
        if look.storage != _OK:
            yield Problem(code=STORAGE_FAILING, detail=look.storage)
        if look.azure != _OK:
            yield Problem(code=AZURE_FAILING, detail=look.azure)
        if self._authentication_fault:
            yield Problem(code=AUTHENTICATION_MISCONFIGURED, detail=self._authentication_fault)

    def _find_late_comparisons(
        self, rows: Mapping[str, SubscriptionRow], tick: TickRow | None, now: datetime
    ) -> Iterator[Problem]:
        """Yield a problem for each named subscription that was compared too long ago."""
        if tick is None:
            return  # a problem already
        for row in (rows[name] for name in self._named if name in rows):
            if row.unreadable:
                continue  # only a newer version knows; the row has its own alert
            since = row.compared_at or max(row.since or tick.first_at, tick.first_at)
            if now > since + COMPARED_WITHIN:
                yield Problem(
                    code=COMPARISON_LATE,
                    detail="its rules were not compared with its grants for 30 minutes",
                    resource=f"/subscriptions/{row.subscription}",
                    since=since,
                )


def _list_troubles(rows: Iterable[SubscriptionRow]) -> Iterator[Problem]:
    """Yield the troubles that the last comparison of each subscription saw."""
    for each in (trouble for row in rows for trouble in row.troubles):
        yield Problem(code=each.code, detail=each.detail, resource=each.resource, since=each.since)


def _find_late_tick(tick: TickRow | None, now: datetime) -> Iterator[Problem]:
    if tick is None:
        yield Problem(code=TICK_LATE, detail="the timer tick has never run")
    elif now > tick.last_at + TICK_WITHIN:
        detail = "the timer tick did not run for 10 minutes"
        yield Problem(code=TICK_LATE, detail=detail, since=tick.last_at)


def _keep_silent(_row: Row, _error: Defect) -> None:
    """Raise no alert: anybody can ask for the health. The timer ``tick`` raises it each minute."""


def _describe_error(error: BrokerError) -> str:
    return str(error) or type(error).__name__
