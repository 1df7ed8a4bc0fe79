"""
One run of a scenario: people ask, messages arrive, timers fire, time passes, processes die.

The clock jumps from one event to the next. A new process over the same tables replaces a process
that dies. The message that it worked on comes back, and its callers repeat their calls with the
same key.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Any

from jit import messages
from jit.domain.errors import Refused, Rejected, Unavailable
from jit.domain.limits import LIMITS
from jit.domain.model.people import Person
from jit.domain.requests.access_body import read_access_request
from jit.domain.requests.extension_body import Extension
from jit.domain.requests.policy_bodies import read_policy_put
from jit.domain.requests.revocation_body import read_revoke
from jit.domain.requests.submission import Submission
from jit.domain.values.times import format_duration
from jit.storage.stored import StoredRequest
from local.azure.values import ids
from tests.crash.durable_parts import BrokerProcess, DurableParts
from tests.crash.operator import Operator
from tests.crash.promises import PromiseChecker
from tests.crash.queue_model import Message
from tests.fakes.calls import Crash
from tests.local.azure.sim import PRODUCTION

TICK, RECONCILE = timedelta(minutes=1), timedelta(minutes=5)
REPEATED = timedelta(seconds=15)
"""After how long a caller repeats a call whose connection broke."""

LONGEST = timedelta(hours=6)
"""A run that has not come to rest by then never comes to rest."""

MOST = 20_000
"""A run with more calls than this stops: it multiplies its own work."""


class Delivery(Enum):
    """How queue messages are delivered."""

    ONCE = "once"
    TWICE = "twice"
    TIMERS_ONLY = "timers only"  # the messages of callers and workers are lost


Act = Callable[[BrokerProcess, datetime], list[str]]
"""The work of a caller's function. It returns the policies that its output binding names."""


@dataclass
class ScenarioRun:
    """
    A broker with its storage, its Azure and its callers, from its installation on.

    Attributes:
        delivery: How messages are delivered.
        downtime: How long nothing runs after a process died.
        answers: The last answer to each caller, by the name of the act: a request's id, a
            ``Rejected``, or the name itself.
        promises: Checks the promises during the run.
        calls: The names of its outside calls, when it is at rest.
    """

    delivery: Delivery = Delivery.ONCE
    downtime: timedelta = timedelta(0)
    answers: dict[str, Any] = field(default_factory=dict)
    promises: PromiseChecker = field(default_factory=PromiseChecker)
    calls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Install the broker."""
        self.parts = DurableParts(self.promises)
        self.promises.watch(self.parts)
        self.broker = BrokerProcess(self.parts)
        self.begin = self.now
        self._up_at = self.now
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._waiting: set[str] = set()
        self._every(TICK, self._tick, first=timedelta(seconds=40))
        self._every(RECONCILE, self._enqueue, first=timedelta(seconds=170))
        self._every(
            RECONCILE, Operator(self.parts.sim).repeat_failed_updates, first=timedelta(seconds=200)
        )

    @property
    def now(self) -> datetime:
        """The time of the whole run."""
        return self.parts.sim.now

    # ---- people ----------------------------------------------------------------------------------

    def at(self, minutes: float, name: str, act: Act) -> None:
        """
        Let a caller do *act* that many *minutes* after the beginning.

        If there is no answer, the caller repeats it.
        """
        self._waiting.add(name)
        self._later(self.begin + timedelta(minutes=minutes), lambda: self._call(name, act))

    def schedule_event(self, minutes: float, event: Callable[[], None]) -> None:
        """Schedule an event that is no call to the broker; the run does not end before it."""
        name = f"event {next(self._order)}"
        self._waiting.add(name)

        def fire() -> None:
            self._waiting.discard(name)
            event()

        self._later(self.begin + timedelta(minutes=minutes), fire)

    def ask(self, name: str, body: Any, caller: Person) -> Act:
        """Return the act that asks for access, with the key *name*."""
        submissions: list[Submission] = []

        def act(broker: BrokerProcess, now: datetime) -> list[str]:
            if not submissions:
                draft = read_access_request(body, now=now, limits=LIMITS)
                submissions.append(Submission(draft=draft, body=body, key=name, caller=caller))
            whole = broker.acceptance.accept(submissions[0], now=now)
            self._answer(name, whole)
            return list(whole.request.policies)

        return act

    def _answer(self, name: str, whole: StoredRequest) -> None:
        self.promises.note_accepted(name, whole)
        self.answers[name] = whole.request.id

    def revoke(self, name: str, caller: Person, *machines: Any) -> Act:
        """
        Return the act that revokes the request that *name* was answered with.

        With *machines*, each with its ``id`` and ``ports`` as in a body, only these are given back.
        """

        def act(broker: BrokerProcess, now: datetime) -> list[str]:
            body = {"virtualMachines": list(machines)} if machines else None
            part, _ = read_revoke(body)
            changed = broker.request_changes.revoke(self._answered(name), caller, part, now)
            return list(changed.stored.request.policies)

        return act

    def extend(self, name: str, span: timedelta, caller: Person) -> Act:
        """Return the act that extends the request that *name* was answered with."""
        body = {"duration": format_duration(span)}
        extension = Extension(duration=span, reason=None, body=body)

        def act(broker: BrokerProcess, now: datetime) -> list[str]:
            changed = broker.request_changes.extend(self._answered(name), caller, extension, now)
            return list(changed.stored.request.policies)

        return act

    def configure(self, name: str, vm: str, ports: list[Any], caller: Person) -> Act:
        """Return the act that changes the JIT policy of a VM."""
        body = {"virtualMachines": [{"id": vm, "ports": ports}]}
        self.promises.configured.add(ids.key(vm))

        def act(broker: BrokerProcess, now: datetime) -> list[str]:
            wanted, _ = read_policy_put(body)
            broker.configurator.put(wanted, caller, now=now)
            self.answers[name] = name
            return []

        return act

    def _answered(self, name: str) -> str:
        """
        Return the request id that *name* was answered with.

        Raises:
            Unavailable: There is no answer yet; the caller tries again later.
        """
        found = self.answers.get(name)
        if isinstance(found, Rejected):
            raise found
        if found is None:
            raise Unavailable("not answered yet")
        return str(found)

    def _call(self, name: str, act: Act) -> None:
        if self.now < self._up_at:
            self._later(self.now + REPEATED, lambda: self._call(name, act))
            return

        def function() -> None:
            for policy_id in act(self.broker, self.now):
                self.parts.queues.send(messages.POLICY, messages.policy(policy_id))

        try:
            answered = self._run_function(function)
        except Rejected as refusal:
            self.answers[name], answered = refusal, True
        if answered:
            self._waiting.discard(name)
        else:
            self._later(self.now + REPEATED, lambda: self._call(name, act))

    # ---- the Functions host ----------------------------------------------------------------------

    def _run_function(self, function: Callable[[], None], *, timer: bool = False) -> bool:
        """Run a function of the app; return False if it failed or its process died."""
        self.parts.queues.loses_messages = self.delivery is Delivery.TIMERS_ONLY and not timer
        try:
            function()
        except Crash:
            self.broker = BrokerProcess(self.parts)
            self._up_at = self.now + self.downtime
            return False
        except (Unavailable, Refused):
            return False
        finally:
            self.promises.check_now()
        return True

    def _tick(self) -> None:
        self._run_function(lambda: self.broker.due_work.tick(now=self.now), timer=True)

    def _enqueue(self) -> None:
        self._run_function(self.broker.due_work.enqueue_comparisons, timer=True)

    def _deliver(self) -> None:
        message = self.parts.queues.take()
        if message is None:
            return
        for _ in range(2 if self.delivery is Delivery.TWICE else 1):
            if not self._run_function(lambda: self._handle(message)):
                return
        self.parts.queues.delete(message)

    def _handle(self, message: Message) -> None:
        body = message.text.encode()
        if message.queue == messages.POLICY:
            policy_id, look = messages.read(body, "policy"), messages.read_look(body)
            self.broker.worker.work(policy_id, now=self.now, look=look)
        else:
            drains = messages.has_part(body, messages.AUDIT)
            act = self.broker.reconciler.drain if drains else self.broker.reconciler.run
            act(messages.read(body, "subscription"), now=self.now)

    # ---- time ------------------------------------------------------------------------------------

    def _every(self, span: timedelta, function: Callable[[], None], *, first: timedelta) -> None:
        def fire() -> None:
            self._later(self.now + span, fire)
            if self.now >= self._up_at:
                function()

        self._later(self.begin + first, fire)

    def _later(self, when: datetime, event: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._order), event))

    def pass_time(self, span: timedelta) -> None:
        """Let *span* pass, with all events in it."""
        end = self.now + span
        while (due := self._next()) <= end:
            self._step(due)
        self._move(end)

    def pass_time_in_another_process(self, span: timedelta) -> None:
        """Let *span* pass for another process, while this one is paused."""
        paused, self.broker = self.broker, BrokerProcess(self.parts)
        loses_messages = self.parts.queues.loses_messages
        self.pass_time(span)
        self.broker, self.parts.queues.loses_messages = paused, loses_messages

    def let_another_process_work(self) -> None:
        """Let another process do all outstanding work, while this one is paused."""
        paused, self.broker = self.broker, BrokerProcess(self.parts)
        loses_messages, text = self.parts.queues.loses_messages, messages.POLICY
        for policy_id in self._policies():
            again = Message(text, messages.policy(policy_id), self.now)
            self._run_function(partial(self._handle, again))
        self._run_function(partial(self.broker.reconciler.run, PRODUCTION, now=self.now))
        self.broker, self.parts.queues.loses_messages = paused, loses_messages

    def _policies(self) -> list[str]:
        rows = self.parts.state.rows("g|")
        return sorted({str(row.values["Policy"]) for row in rows})

    def run_to_rest(self) -> None:
        """Let time pass until nothing is under way, then check the end state."""
        end, most = self.now + LONGEST, self.parts.calls.count() + MOST
        while not self._is_at_rest() and self.now < end and self.parts.calls.count() < most:
            self._step(self._next())
        rested = self._is_at_rest()
        self.pass_time(RECONCILE + TICK)
        self.calls = tuple(self.parts.calls.names)
        self.parts.stop_faults()
        self.promises.check_end(self.broker, at_rest=rested and self.promises.is_at_rest())

    def _next(self) -> datetime:
        return min(max(self.parts.queues.next_visible_at(), self._up_at), self._agenda[0][0])

    def _step(self, due: datetime) -> None:
        self._move(due)
        if self._agenda[0][0] <= due:
            _, _, event = heapq.heappop(self._agenda)
            event()
        else:
            self._deliver()

    def _move(self, when: datetime) -> None:
        if when > self.now:
            self.parts.sim.azure.world.timeline.advance(when - self.now)
            self.promises.check_now()

    def _is_at_rest(self) -> bool:
        return not self._waiting and self.promises.is_at_rest()
