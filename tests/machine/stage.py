"""
A plot, played by the controller alone over a small Azure, looked at after every event.

What is judged are the rules that Azure holds: who can come in, since when, and who was told so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network

from jit.domain.grants import lifetime
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.model.machine import Via
from jit.domain.values.prefixes import Prefix
from tests.builders.bodies import NOW
from tests.builders.firewalls import FIREWALL_ID
from tests.builders.grants import MINUTE, a_grant
from tests.domain.azure_model import Azure
from tests.domain.azure_worker import Broker
from tests.machine.orders import Leaving, Plot

SOURCES: tuple[Prefix, ...] = tuple(
    ip_network(f"203.0.113.{number}/32") for number in (7, 8, 9, 10)
)
"""By index; the last one is nobody's."""

MOMENT = {Via.PUBLIC_IP: 12 * MINUTE, Via.FIREWALL: 24 * MINUTE}
"""From one moment of a plot to the next: time to open and to close."""

CLOSES = {Via.PUBLIC_IP: 6 * MINUTE, Via.FIREWALL: 30 * MINUTE}
"""How long a path may outlive its end."""

NOTICED = 6 * MINUTE
"""How long a grant may call itself open after a stranger has replaced its path."""

AGREES = 2 * MINUTE
"""How far a hand-over may be from what was announced."""

PORT = 22


@dataclass
class Seen(Azure):
    """An Azure after each of whose events somebody looks."""

    look: Callable[[], None] = field(default=lambda: None)

    def _happen(self) -> None:
        super()._happen()
        self.look()


@dataclass
class Stage:
    """
    One plot under way.

    Attributes:
        violations: What nobody may suffer, and somebody did.
        cuts: Since when each grant that calls itself open is not.
        handed: When the path of each grant changed under it.
    """

    plot: Plot
    via: Via
    violations: list[str] = field(default_factory=list)
    cuts: dict[str, datetime] = field(default_factory=dict)
    late: dict[Prefix, datetime] = field(default_factory=dict)
    handed: dict[str, datetime] = field(default_factory=dict)
    stranger: tuple[Prefix, datetime, datetime] | None = None

    def __post_init__(self) -> None:
        """Begin with an empty port."""
        self.azure = Seen(NOW, walled=self.via is Via.FIREWALL, look=self.look)
        self.broker = Broker(self.azure)

    @property
    def now(self) -> datetime:
        """The present."""
        return self.azure.now

    # ---- what happens ----------------------------------------------------------------------------

    def play(self) -> list[str]:
        """Play the plot until all is over, three hours at most; return what was broken."""
        for moment, who in enumerate(self.plot.order):
            self._until(NOW + moment * MOMENT[self.via])
            self._act(moment, who)
            if self.plot.stranger == moment:
                self._until(NOW + (moment + 0.5) * MOMENT[self.via])
                self._use_the_portal()
        for _ in range(12):
            if not self._at_rest():
                self._until(self.now + 15 * MINUTE)
        self._over()
        return self.violations

    def _at_rest(self) -> bool:
        over = all(not grant.live for grant in self.broker.grants.values())
        return over and not self.azure.doors(PORT) and self.azure.busy_until is None

    def _act(self, moment: int, who: int) -> None:
        if self.plot.death == moment:
            self.broker.dies = self.plot.dies
        if moment == self.plot.comes(who):
            self._come(who)
        elif self.plot.leaving[who] is Leaving.REVOKED:
            self._revoke(f"g{who}")
        self.broker.work()
        self.look()

    def _come(self, who: int) -> None:
        expires = self.plot.leaving[who] is Leaving.EXPIRES
        moments = self.plot.leaves(who) if expires else len(self.plot.order) + 1
        duration = (moments - self.plot.comes(who)) * MOMENT[self.via]
        walled = self.via is Via.FIREWALL
        self.broker.grants[f"g{who}"] = a_grant(
            f"g{who}",
            sources=(SOURCES[self.plot.sources[who]],),
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
        source, end = SOURCES[self.plot.theirs], self.now + 0.75 * MOMENT[self.via]
        self.azure.take(PORT, (source,), end)
        self.stranger = (source, self.now, end)

    def _until(self, end: datetime) -> None:
        if end > self.now:
            self.broker.live_until(end)
            self.look()

    # ---- what is judged --------------------------------------------------------------------------

    def look(self) -> None:
        """Compare who can come in with who may."""
        for grant in self.broker.grants.values():
            self._uncut(grant)
        for source in SOURCES:
            self._welcome(source)
        self._undisturbed()

    def _uncut(self, grant: Grant) -> None:
        """Whoever was told ``open`` can come in, but for the hand-over that they were told."""
        open_still = grant.status is Status.OPEN and (grant.expires_at or NOW) > self.now
        if not open_still or self._lets_in(grant.sources[0]):
            self.cuts.pop(grant.id, None)
            return
        since = self.cuts.setdefault(grant.id, self.now)
        told = grant.handover_at
        if told is not None and abs(since - told) <= AGREES:
            self.handed[grant.id] = since
        elif not self._replaced(grant, since):
            self._broken(f"{grant.id} is cut at {self._clock(since)}, told {told}")

    def _replaced(self, grant: Grant, since: datetime) -> bool:
        """Whether a stranger's request took the place of what was open, a moment ago."""
        if self.stranger is None:
            return False
        _, came, ends = self.stranger
        if (grant.admitted_at or NOW) > came:  # joined it, and was told when it ends
            return False
        return came <= since <= ends + NOTICED and self.now - since <= NOTICED

    def _welcome(self, source: Prefix) -> None:
        """Whoever can come in has a grant, or had one until just now."""
        may = any(g.wants_path and source in g.sources for g in self.broker.grants.values())
        theirs = self.stranger is not None and self.stranger[0] == source
        if may or theirs or not self._lets_in(source):
            self.late.pop(source, None)
            return
        asked = any(source in grant.sources for grant in self.broker.grants.values())
        since = self.late.setdefault(source, self.now)
        if not asked or self.now - since > CLOSES[self.via]:
            self._broken(f"{source} can come in at {self._clock(self.now)}")

    def _undisturbed(self) -> None:
        """A stranger's path stands from its opening to its end."""
        if self.stranger is None:
            return
        source, came, end = self.stranger
        if came + 6 * MINUTE <= self.now < end and not self._lets_in(source):
            self._broken("the stranger is cut")

    def _over(self) -> None:
        for grant in self.broker.grants.values():
            if grant.live:
                self._broken(f"{grant.id} ended {grant.status}")
            told = grant.handover_at
            kept = told is not None and grant.close_reason is CloseReason.EXPIRED
            if kept and self.plot.undisturbed and grant.id not in self.handed:
                self._broken(f"{grant.id} was told of a hand-over that never came")
        if self.azure.doors(PORT) or self.azure.companions:
            self._broken("something is left open")

    def _lets_in(self, source: Prefix) -> bool:
        return self.azure.lets_in(source, PORT)

    def _clock(self, instant: datetime) -> str:
        return f"{(instant - NOW) / MINUTE:.1f}"

    def _broken(self, what: str) -> None:
        text = f"{self.plot} ({self.via.value}): {what}"
        if text not in self.violations:
            self.violations.append(text)
