"""
The faults that are injected into one call of a run: a crash, a pause, an error of storage or Azure.

A fault waits for the first call, from its number on, that it can hit; it hits once. Most faults
also say how much longer things may take because of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jit.domain.errors import StateConflict, Unavailable, Unknown
from tests.crash.scenario_run import ScenarioRun
from tests.fakes.calls import Crash
from tests.local.azure.sim import NSG_DB, NSG_WEB

Effect = Callable[[ScenarioRun, str], None]
_STORAGE = ("state.", "history.", "keys.", "audit.")
_AZURE = ("arm.", "policies.", "network.", "rights.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One fault that can happen to a call.

    Attributes:
        calls: Prefixes of the names of the calls that it can hit.
        before: Runs before the call acts.
        after: Runs when the call has acted and its answer is on the way.
        delays: How much longer a path may outlive its end because of this fault.
        gap: How long an open path may be missing because of this fault.
        counts: How the summary counts it: ``crash points`` or ``faults``.
        acts: True if the call acts, although the fault is prepared before it.
    """

    name: str
    calls: tuple[str, ...]
    before: Effect | None = None
    after: Effect | None = None
    delays: timedelta = timedelta(minutes=2)
    gap: timedelta = timedelta(0)
    counts: str = "faults"
    acts: bool = False

    @property
    def lets_act(self) -> bool:
        """True if the call acts before the fault shows."""
        return self.acts or self.after is not None

    def can_hit(self, call: str) -> bool:
        """Return True if it can hit *call*."""
        return call.startswith(self.calls)


@dataclass
class InjectedFault:
    """
    A fault in one run.

    Attributes:
        number: The number of the call from which on it hits.
        call: The name of the call that it hits; if empty, any name that it can hit.
        hit: The name of the call that it hit.
    """

    fault: Fault
    number: int
    run: ScenarioRun
    call: str = ""
    hit: str = ""
    _at: int = field(default=0)

    def arm(self) -> None:
        """Wait for the call."""
        self.run.parts.calls.before = self._before
        self.run.parts.calls.after = self._after

    def is_due(self, name: str, number: int) -> bool:
        """Return True if the fault hits that call."""
        if self.hit or number < self.number:
            return False
        return name == self.call if self.call else self.fault.can_hit(name)

    def _before(self, name: str, number: int) -> None:
        if not self.is_due(name, number):
            return
        self.hit, self._at = name, number
        if self.fault.before is not None:
            self.fault.before(self.run, name)

    def _after(self, name: str, number: int) -> None:
        if self._at == number and self.hit and self.fault.after is not None:
            self.fault.after(self.run, name)


# ---- crashes and pauses --------------------------------------------------------------------------


def _crash(_run: ScenarioRun, _name: str) -> None:
    raise Crash


def _crash_and_lose_messages(run: ScenarioRun, _name: str) -> None:
    run.parts.queues.lose_all()
    raise Crash


def _let_another_work(run: ScenarioRun, _name: str) -> None:
    run.let_another_process_work()


def _pause(minutes: float) -> Effect:
    def effect(run: ScenarioRun, _name: str) -> None:
        run.pass_time_in_another_process(timedelta(minutes=minutes))

    return effect


# ---- storage -------------------------------------------------------------------------------------


def _unavailable(_run: ScenarioRun, _name: str) -> None:
    raise Unavailable("storage did not answer")


def _unknown(_run: ScenarioRun, _name: str) -> None:
    raise Unknown("the answer was lost")


def _conflict(_run: ScenarioRun, _name: str) -> None:
    raise StateConflict("somebody wrote first")


def _storage_outage(minutes: float, prefixes: tuple[str, ...]) -> Effect:
    """Let all calls with these prefixes fail for so many minutes."""

    def effect(run: ScenarioRun, name: str) -> None:
        end = run.now + timedelta(minutes=minutes)

        def fail(later: str, _number: int) -> None:
            if run.now < end and later.startswith(prefixes):
                raise Unavailable("no answer")

        run.parts.calls.before = fail
        fail(name, 0)

    return effect


def _start_losing(run: ScenarioRun, _name: str) -> None:
    run.parts.queues.loses_messages = True


def _stop_losing(run: ScenarioRun, _name: str) -> None:
    run.parts.queues.loses_messages = False


def _lose_all(run: ScenarioRun, _name: str) -> None:
    run.parts.queues.lose_all()


# ---- Azure ---------------------------------------------------------------------------------------


def _azure_fault(**fault: Any) -> Effect:
    """Let Azure answer the call that is about to act with a fault."""

    def effect(run: ScenarioRun, _name: str) -> None:
        run.parts.sim.faults({"match": {"principal": "broker"}, **fault})

    return effect


def _answers(status: int, code: str, **headers: str) -> Effect:
    return _azure_fault(answer={"status": status, "code": code, "headers": headers})


def _azure_fault_lasting(minutes: float, **fault: Any) -> Effect:
    """Let Azure answer with a fault for so many minutes."""

    def effect(run: ScenarioRun, _name: str) -> None:
        run.parts.sim.faults({"match": {"principal": "broker"}, "times": None, **fault})
        over = (run.now - run.begin) / timedelta(minutes=1) + minutes
        run.schedule_event(over, run.parts.sim.azure.world.faults.clear)

    return effect


def _defender_fault(**fault: Any) -> Effect:
    """Let the next write by Defender fail."""

    def effect(run: ScenarioRun, _name: str) -> None:
        run.parts.sim.faults({"match": {"principal": "defender"}, **fault})

    return effect


def _supersede(run: ScenarioRun, _name: str) -> None:
    """Let a write of the NSG by its owner cancel the operation that has just begun."""
    sim = run.parts.sim
    sim.options(newerCancelsOlder=True)
    for nsg in (NSG_DB, NSG_WEB):
        if sim.azure.world.operations.find_running(nsg):
            body = sim.call("GET", nsg, as_="petra").json()
            sim.call("PUT", nsg, body, as_="petra")
    sim.options(newerCancelsOlder=False)


def _strange_status(run: ScenarioRun, _name: str) -> None:
    run.parts.sim.options(initiatingStatus="AwaitingSomethingNew")


_ANY = (*_STORAGE, "queues.", *_AZURE)
_STORAGE_WRITES = ("state.write", "history.write", "audit.write")
_AZURE_WRITES = ("policies.initiate", "policies.replace", "network.put", "network.delete")
_NETWORK_WRITES = ("network.put", "network.delete")
_MAYBE_ABSENT = ("policies.", "network.get_nsg", *_NETWORK_WRITES)
"""Resources that Azure may wrongly report as absent for a moment. VMs and firewalls are not among
them: the broker believes a 404 for these, and a later request takes another path."""

_HOUR = timedelta(hours=1, minutes=5)

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(name="dies before the call", calls=_ANY, before=_crash, counts="crash points"),
        Fault(name="dies after the call", calls=_ANY, after=_crash, counts="crash points"),
        Fault(
            name="dies, and all messages are lost",
            calls=_ANY,
            before=_crash_and_lose_messages,
            counts="crash points",
        ),
        Fault(
            name="another process does the work",
            calls=_ANY,
            before=_let_another_work,
            counts="crash points",
        ),
        Fault(
            name="pauses for 30 seconds",
            calls=_ANY,
            before=_pause(0.5),
            counts="crash points",
        ),
        Fault(
            name="pauses beyond its lease",
            calls=_ANY,
            before=_pause(3),
            delays=timedelta(minutes=5),
            gap=timedelta(minutes=2),  # a late initiate supersedes a newer one
            counts="crash points",
        ),
        Fault(name="no answer of storage", calls=_STORAGE, before=_unavailable),
        Fault(name="storage answer lost", calls=_STORAGE_WRITES, after=_unknown),
        Fault(name="storage conflict", calls=_STORAGE_WRITES, before=_conflict),
        Fault(name="storage conflict with itself", calls=_STORAGE_WRITES, after=_conflict),
        Fault(
            name="storage outage",
            calls=_STORAGE,
            before=_storage_outage(6, (*_STORAGE, "queues.")),
            delays=timedelta(minutes=9),
            gap=timedelta(minutes=8),
        ),
        Fault(name="message lost", calls=("queues.",), before=_start_losing, after=_stop_losing),
        Fault(name="all messages lost", calls=("queues.",), after=_lose_all),
        Fault(name="no answer of queues", calls=("queues.",), before=_unavailable),
        Fault(name="queue answer lost", calls=("queues.",), after=_unknown),
        Fault(
            name="429",
            calls=_AZURE,
            before=_answers(429, "TooManyRequests", **{"Retry-After": "40"}),
        ),
        Fault(
            name="another operation",
            calls=_AZURE_WRITES,
            before=_answers(409, "AnotherOperationInProgress"),
        ),
        Fault(name="412", calls=_NETWORK_WRITES, before=_answers(412, "PreconditionFailed")),
        Fault(name="500", calls=_AZURE, before=_answers(500, "InternalServerError")),
        Fault(name="503", calls=_AZURE, before=_answers(503, "ServiceUnavailable")),
        Fault(name="404", calls=_MAYBE_ABSENT, before=_answers(404, "NotFound")),
        Fault(name="400", calls=_AZURE_WRITES, before=_answers(400, "BadRequest")),
        Fault(name="reset", calls=_AZURE, before=_azure_fault(drop="before")),
        Fault(name="azure answer lost", calls=_AZURE, before=_azure_fault(drop="after"), acts=True),
        Fault(
            name="accepted, never done",
            calls=("policies.initiate",),
            before=_azure_fault(neverRule=True),
            acts=True,
            delays=timedelta(minutes=20),
            gap=timedelta(minutes=7),  # Defender lists it as open; the comparison finds it
        ),
        Fault(name="strange status", calls=("policies.initiate",), before=_strange_status),
        Fault(
            name="our operation fails",
            calls=_NETWORK_WRITES,
            before=_azure_fault(operation={"status": "Failed", "code": "InternalServerError"}),
            acts=True,
            delays=timedelta(minutes=20),
        ),
        Fault(
            name="our operation is cancelled",
            calls=_NETWORK_WRITES,
            before=_azure_fault(operation={"status": "Canceled", "code": "Canceled"}),
            acts=True,
            delays=timedelta(minutes=20),
        ),
        Fault(
            name="our operation is superseded",
            calls=("network.put_rule", "network.delete"),
            after=_supersede,
        ),
        Fault(
            name="defender's operation fails",
            calls=("policies.initiate",),
            before=_defender_fault(operation={"status": "Failed"}),
            acts=True,
            delays=timedelta(minutes=20),
        ),
        Fault(
            name="403 once",
            calls=_AZURE,
            before=_answers(403, "AuthorizationFailed"),
            delays=_HOUR,
            gap=timedelta(minutes=5),  # a comparison that cannot read waits for the next one
        ),
        Fault(
            name="403 for a while",
            calls=_AZURE,
            before=_azure_fault_lasting(15, answer={"status": 403, "code": "AuthorizationFailed"}),
            delays=_HOUR,
            gap=timedelta(minutes=18),
        ),
        Fault(
            name="azure outage",
            calls=_AZURE,
            before=_azure_fault_lasting(8, answer={"status": 503, "code": "ServiceUnavailable"}),
            delays=timedelta(minutes=12),
            gap=timedelta(minutes=11),
        ),
    )
}

DEATHS: Mapping[bool, Fault] = {
    False: FAULTS["dies before the call"],
    True: FAULTS["dies after the call"],
}
"""The death of the process, by whether the call has acted."""
