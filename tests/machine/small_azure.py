"""
A sharing order, run by the policy step alone over a small Azure, and checked after every event.

The checks compare the rules in Azure with the grants: which sources reach the port, and since when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network

from jit.domain.grants import lifetime
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.model.machine import Via
from jit.domain.values.prefixes import Prefix, is_inside_any
from tests.builders.grants import a_grant
from tests.builders.values import FIREWALL_ID, MINUTE, NOW
from tests.domain.azure_model import Azure
from tests.domain.azure_worker import Broker
from tests.machine.orders import Leaving, SharingOrder

SOURCES: tuple[Prefix, ...] = (
    *(ip_network(f"203.0.113.{number}/32") for number in (7, 8, 9, 10)),
    ip_network("203.0.113.4/30"),
)
"""Sources by index. Nobody asks for the fourth one; the last one contains the first one."""

MOMENT = {Via.PUBLIC_IP: 12 * MINUTE, Via.FIREWALL: 24 * MINUTE}
"""The time from one moment of an order to the next: enough to open and to close."""

CLOSES = {Via.PUBLIC_IP: 6 * MINUTE, Via.FIREWALL: 30 * MINUTE}
"""How long a path may outlive its end."""

NOTICED = 6 * MINUTE
"""How long a grant may stay ``open`` after foreign access has replaced its path."""

AGREES = 2 * MINUTE
"""How far a hand-over may be from its announced time."""

PORT = 22


@dataclass
class ObservedAzure(Azure):
    """An Azure that calls ``look`` after each of its events."""

    look: Callable[[], None] = field(default=lambda: None)

    def _happen(self) -> None:
        super()._happen()
        self.look()


@dataclass
class SmallAzureRun:
    """
    A run of one order.

    Attributes:
        violations: The promises that were not kept.
        cuts: Since when the path of each ``open`` grant is missing.
        late: Since when each source reaches the port without a grant.
        handed: When the hand-over of each grant took place.
        foreign: Source, beginning and end of foreign access.
    """

    order: SharingOrder
    via: Via
    violations: list[str] = field(default_factory=list)
    cuts: dict[str, datetime] = field(default_factory=dict)
    late: dict[Prefix, datetime] = field(default_factory=dict)
    handed: dict[str, datetime] = field(default_factory=dict)
    foreign: tuple[Prefix, datetime, datetime] | None = None

    def __post_init__(self) -> None:
        """Begin with an empty port."""
        self.azure = ObservedAzure(NOW, walled=self.via is Via.FIREWALL, look=self.check_now)
        self.broker = Broker(self.azure)

    @property
    def now(self) -> datetime:
        """The time of the run."""
        return self.azure.now

    # ---- events ----------------------------------------------------------------------------------

    def run(self) -> list[str]:
        """Run the order, and three more hours at most; return the violations."""
        for moment, who in enumerate(self.order.moments):
            self._until(NOW + moment * MOMENT[self.via])
            self._act(moment, who)
            if self.order.foreign == moment:
                self._until(NOW + (moment + 0.5) * MOMENT[self.via])
                self._use_the_portal()
        for _ in range(12):
            if not self._is_at_rest():
                self._until(self.now + 15 * MINUTE)
        self._check_end()
        return self.violations

    def _is_at_rest(self) -> bool:
        closed = all(not grant.live for grant in self.broker.grants.values())
        return closed and not self.azure.doors(PORT) and self.azure.busy_until is None

    def _act(self, moment: int, who: int) -> None:
        if self.order.crash == moment:
            self.broker.dies = self.order.crashes
        if moment == self.order.comes(who):
            self._come(who)
        elif self.order.leaving[who] is Leaving.REVOKED:
            self._revoke(f"g{who}")
        self.broker.work()
        self.check_now()

    def _come(self, who: int) -> None:
        expires = self.order.leaving[who] is Leaving.EXPIRES
        moments = self.order.leaves(who) if expires else len(self.order.moments) + 1
        duration = (moments - self.order.comes(who)) * MOMENT[self.via]
        walled = self.via is Via.FIREWALL
        self.broker.grants[f"g{who}"] = a_grant(
            f"g{who}",
            sources=(SOURCES[self.order.sources[who]],),
            starts_at=self.now,
            duration=duration,
            latest_end=self.now + duration + timedelta(hours=1),
            next_check_at=self.now,
            via=self.via,
            firewall_id=FIREWALL_ID if walled else None,
        )

    def _revoke(self, name: str) -> None:
        grant = self.broker.grants[name]
        if grant.live and grant.status is not Status.CLOSING:
            gone = lifetime.begin_closing(grant, CloseReason.REVOKED, self.now)
            self.broker.grants[name] = gone

    def _use_the_portal(self) -> None:
        source, end = SOURCES[self.order.foreign_source], self.now + 0.75 * MOMENT[self.via]
        self.azure.take(PORT, (source,), end)
        self.foreign = (source, self.now, end)

    def _until(self, end: datetime) -> None:
        if end > self.now:
            self.broker.live_until(end)
            self.check_now()

    # ---- checks ----------------------------------------------------------------------------------

    def check_now(self) -> None:
        """Compare the sources that reach the port with the sources that may."""
        for grant in self.broker.grants.values():
            self._check_open(grant)
        for source in SOURCES:
            self._check_outsider(source)
        self._check_foreign_access()

    def _check_open(self, grant: Grant) -> None:
        """Check that an ``open`` grant lets its sources in, except at its announced hand-over."""
        open_still = grant.status is Status.OPEN and (grant.expires_at or NOW) > self.now
        if not open_still or self._lets_in(grant.sources[0]):
            self.cuts.pop(grant.id, None)
            return
        since = self.cuts.setdefault(grant.id, self.now)
        announced = grant.handover_at
        if announced is not None and abs(since - announced) <= AGREES:
            self.handed[grant.id] = since
        elif not self._is_superseded(grant, since):
            self._add_violation(f"{grant.id} is cut at {self._clock(since)}, announced {announced}")

    def _is_superseded(self, grant: Grant, since: datetime) -> bool:
        """Return True if foreign access superseded the path a moment ago."""
        if self.foreign is None:
            return False
        _, came, ends = self.foreign
        if (grant.admitted_at or NOW) > came:  # joined it, and knows its end
            return False
        return came <= since <= ends + NOTICED and self.now - since <= NOTICED

    def _check_outsider(self, source: Prefix) -> None:
        """Check that a source that reaches the port has a grant, or had one until a moment ago."""
        grants = [g for g in self.broker.grants.values() if is_inside_any(source, g.sources)]
        may = any(grant.wants_path for grant in grants)
        is_foreign = self.foreign is not None and self.foreign[0] == source
        if may or is_foreign or not self._lets_in(source):
            self.late.pop(source, None)
            return
        since = self.late.setdefault(source, self.now)
        if not grants or self.now - since > CLOSES[self.via]:
            self._add_violation(f"{source} can come in at {self._clock(self.now)}")

    def _check_foreign_access(self) -> None:
        """Check that foreign access is reachable from its opening to its end."""
        if self.foreign is None:
            return
        source, came, end = self.foreign
        if came + 6 * MINUTE <= self.now < end and not self._lets_in(source):
            self._add_violation("foreign access is cut")

    def _check_end(self) -> None:
        for grant in self.broker.grants.values():
            if grant.live:
                self._add_violation(f"{grant.id} ended {grant.status}")
            announced = grant.handover_at
            expired = announced is not None and grant.close_reason is CloseReason.EXPIRED
            if expired and self.order.is_undisturbed and grant.id not in self.handed:
                self._add_violation(f"{grant.id} announced a hand-over that never came")
        if self.azure.doors(PORT) or self.azure.companions:
            self._add_violation("something is left open")

    def _lets_in(self, source: Prefix) -> bool:
        return self.azure.lets_in(source, PORT)

    def _clock(self, instant: datetime) -> str:
        return f"{(instant - NOW) / MINUTE:.1f}"

    def _add_violation(self, what: str) -> None:
        text = f"{self.order} ({self.via.value}): {what}"
        if text not in self.violations:
            self.violations.append(text)
