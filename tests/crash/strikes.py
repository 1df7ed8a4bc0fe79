"""
What strikes a life at one of its calls: a death, a long pause, a fault of storage or Azure.

A strike waits for the first call from its number on that it can strike; it strikes once. Most of
them also say how much longer things may take because of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jit.domain.errors import StateConflict, Unavailable, Unknown
from tests.crash.life import Life
from tests.fakes.calls import Crash
from tests.local.azure.sim import NSG_DB, NSG_WEB

Blow = Callable[[Life, str], None]
_STORAGE = ("state.", "history.", "keys.", "audit.")
_AZURE = ("arm.", "policies.", "network.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """
    One thing that may happen to a call.

    Attributes:
        calls: What the names of calls begin with that it can strike.
        before: Done before the call acts.
        after: Done when it has acted, its answer on the way.
        delays: How much longer a path may outlive its end because of it.
        gap: How long an open path may be missing because of it.
        counts: ``crash points`` or ``faults``.
    """

    name: str
    calls: tuple[str, ...]
    before: Blow | None = None
    after: Blow | None = None
    delays: timedelta = timedelta(minutes=2)
    gap: timedelta = timedelta(0)
    counts: str = "faults"

    def can(self, call: str) -> bool:
        """Tell whether it can strike *call*."""
        return call.startswith(self.calls)


@dataclass
class Struck:
    """A strike at work on one life."""

    strike: Strike
    number: int
    life: Life
    hit: str = ""
    _at: int = field(default=0)

    def arm(self) -> None:
        """Wait for the call."""
        self.life.plant.calls.before = self._before
        self.life.plant.calls.after = self._after

    def _before(self, name: str, number: int) -> None:
        if self.hit or number < self.number or not self.strike.can(name):
            return
        self.hit, self._at = name, number
        if self.strike.before is not None:
            self.strike.before(self.life, name)

    def _after(self, name: str, number: int) -> None:
        if self._at == number and self.hit and self.strike.after is not None:
            self.strike.after(self.life, name)


# ---- deaths and pauses ---------------------------------------------------------------------------


def _die(_life: Life, _name: str) -> None:
    raise Crash


def _die_with_messages(life: Life, _name: str) -> None:
    life.plant.queues.lose()
    raise Crash


def _meanwhile(life: Life, _name: str) -> None:
    life.meanwhile()


def _stand_still(minutes: float) -> Blow:
    def blow(life: Life, _name: str) -> None:
        life.elsewhere(timedelta(minutes=minutes))

    return blow


# ---- storage -------------------------------------------------------------------------------------


def _unavailable(_life: Life, _name: str) -> None:
    raise Unavailable("storage did not answer")


def _unknown(_life: Life, _name: str) -> None:
    raise Unknown("the answer was lost")


def _conflict(_life: Life, _name: str) -> None:
    raise StateConflict("somebody wrote first")


def _outage(minutes: float, prefixes: tuple[str, ...]) -> Blow:
    """Every call of a kind fails for a while."""

    def blow(life: Life, name: str) -> None:
        end = life.now + timedelta(minutes=minutes)

        def fail(later: str, _number: int) -> None:
            if life.now < end and later.startswith(prefixes):
                raise Unavailable("no answer")

        life.plant.calls.before = fail
        fail(name, 0)

    return blow


def _swallow(life: Life, _name: str) -> None:
    life.plant.queues.deaf = True


def _hear(life: Life, _name: str) -> None:
    life.plant.queues.deaf = False


def _lose(life: Life, _name: str) -> None:
    life.plant.queues.lose()


# ---- Azure ---------------------------------------------------------------------------------------


def _fault(**fault: Any) -> Blow:
    """Plan a fault for the call that is about to act."""

    def blow(life: Life, _name: str) -> None:
        life.plant.sim.faults({"match": {"principal": "broker"}, **fault})

    return blow


def _answers(status: int, code: str, **headers: str) -> Blow:
    return _fault(answer={"status": status, "code": code, "headers": headers})


def _for_a_while(minutes: float, **fault: Any) -> Blow:
    """Plan a fault without end, and its end."""

    def blow(life: Life, _name: str) -> None:
        life.plant.sim.faults({"match": {"principal": "broker"}, "times": None, **fault})
        over = (life.now - life.begin) / timedelta(minutes=1) + minutes
        life.happen(over, life.plant.sim.azure.world.faults.clear)

    return blow


def _of_defender(**fault: Any) -> Blow:
    """Let Defender's next write go wrong."""

    def blow(life: Life, _name: str) -> None:
        life.plant.sim.faults({"match": {"principal": "defender"}, **fault})

    return blow


def _supersede(life: Life, _name: str) -> None:
    """Let an owner's own write of the NSG take the place of what was just begun."""
    sim = life.plant.sim
    sim.options(newerCancelsOlder=True)
    for nsg in (NSG_DB, NSG_WEB):
        if sim.azure.world.operations.find_running(nsg):
            body = sim.call("GET", nsg, as_="petra").json()
            sim.call("PUT", nsg, body, as_="petra")
    sim.options(newerCancelsOlder=False)


def _strange_status(life: Life, _name: str) -> None:
    life.plant.sim.options(initiatingStatus="AwaitingSomethingNew")


_ANY = (*_STORAGE, "queues.", *_AZURE)
_WRITES = ("state.write", "history.write", "keys.write", "audit.write")
_CHANGES = ("policies.initiate", "policies.replace", "network.put", "network.delete")
_SLOW = ("network.put", "network.delete")
_DENIABLE = ("policies.", "network.nsg", *_SLOW)
"""What an Azure that is out of step may call absent. A VM or firewall that Azure says is not there
is believed (404 means gone): who asks then is led another way."""

_HOUR = timedelta(hours=1, minutes=5)

STRIKES: Mapping[str, Strike] = {
    strike.name: strike
    for strike in (
        Strike(name="dies before", calls=_ANY, before=_die, counts="crash points"),
        Strike(name="dies after", calls=_ANY, after=_die, counts="crash points"),
        Strike(
            name="dies with all messages",
            calls=_ANY,
            before=_die_with_messages,
            counts="crash points",
        ),
        Strike(name="another one goes on", calls=_ANY, before=_meanwhile, counts="crash points"),
        Strike(
            name="stands still for a while",
            calls=_ANY,
            before=_stand_still(0.5),
            counts="crash points",
        ),
        Strike(
            name="stands still beyond its lease",
            calls=_ANY,
            before=_stand_still(3),
            delays=timedelta(minutes=5),
            gap=timedelta(minutes=2),  # an initiate that comes late supersedes what is newer
            counts="crash points",
        ),
        Strike(name="no answer of storage", calls=_STORAGE, before=_unavailable),
        Strike(name="storage answer lost", calls=_WRITES, after=_unknown),
        Strike(name="storage conflict", calls=_WRITES, before=_conflict),
        Strike(name="storage conflict with itself", calls=_WRITES, after=_conflict),
        Strike(
            name="storage outage",
            calls=_STORAGE,
            before=_outage(6, (*_STORAGE, "queues.")),
            delays=timedelta(minutes=9),
            gap=timedelta(minutes=8),
        ),
        Strike(name="message lost", calls=("queues.",), before=_swallow, after=_hear),
        Strike(name="all messages lost", calls=("queues.",), after=_lose),
        Strike(name="no answer of queues", calls=("queues.",), before=_unavailable),
        Strike(name="queue answer lost", calls=("queues.",), after=_unknown),
        Strike(
            name="429",
            calls=_AZURE,
            before=_answers(429, "TooManyRequests", **{"Retry-After": "40"}),
        ),
        Strike(
            name="another operation",
            calls=_CHANGES,
            before=_answers(409, "AnotherOperationInProgress"),
        ),
        Strike(name="412", calls=_SLOW, before=_answers(412, "PreconditionFailed")),
        Strike(name="500", calls=_AZURE, before=_answers(500, "InternalServerError")),
        Strike(name="503", calls=_AZURE, before=_answers(503, "ServiceUnavailable")),
        Strike(name="404", calls=_DENIABLE, before=_answers(404, "NotFound")),
        Strike(name="400", calls=_CHANGES, before=_answers(400, "BadRequest")),
        Strike(name="reset", calls=_AZURE, before=_fault(drop="before")),
        Strike(name="azure answer lost", calls=_AZURE, before=_fault(drop="after")),
        Strike(
            name="accepted, never done",
            calls=("policies.initiate",),
            before=_fault(neverRule=True),
            delays=timedelta(minutes=20),
            gap=timedelta(minutes=7),  # Defender lists it as if it were open: found by comparison
        ),
        Strike(name="strange status", calls=("policies.initiate",), before=_strange_status),
        Strike(
            name="our operation fails",
            calls=_SLOW,
            before=_fault(operation={"status": "Failed", "code": "InternalServerError"}),
            delays=timedelta(minutes=20),
        ),
        Strike(
            name="our operation is cancelled",
            calls=_SLOW,
            before=_fault(operation={"status": "Canceled", "code": "Canceled"}),
            delays=timedelta(minutes=20),
        ),
        Strike(
            name="our operation is superseded",
            calls=("network.put_rule", "network.delete"),
            after=_supersede,
        ),
        Strike(
            name="defender's operation fails",
            calls=("policies.initiate",),
            before=_of_defender(operation={"status": "Failed"}),
            delays=timedelta(minutes=20),
        ),
        Strike(
            name="403 once",
            calls=_AZURE,
            before=_answers(403, "AuthorizationFailed"),
            delays=_HOUR,
            gap=timedelta(minutes=5),  # a comparison that may not read waits for the next one
        ),
        Strike(
            name="403 for a while",
            calls=_AZURE,
            before=_for_a_while(15, answer={"status": 403, "code": "AuthorizationFailed"}),
            delays=_HOUR,
            gap=timedelta(minutes=18),
        ),
        Strike(
            name="azure outage",
            calls=_AZURE,
            before=_for_a_while(8, answer={"status": 503, "code": "ServiceUnavailable"}),
            delays=timedelta(minutes=12),
            gap=timedelta(minutes=11),
        ),
    )
}
