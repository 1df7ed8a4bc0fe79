"""
One life of the broker: people ask, messages arrive, timers fire, time passes, processes die.

Everything happens in the order of a clock that jumps from one event to the next. A process that
dies is replaced by a fresh one over the same tables; the message it worked on comes back, its
callers repeat their calls with the same key.
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
from jit.domain.requests import bodies
from jit.domain.requests.submission import Submission
from jit.storage.stored import StoredRequest
from local.azure import ids
from tests.crash.plant import Broker, Plant
from tests.crash.post import Message
from tests.crash.promises import Promises
from tests.crash.runbook import Operator
from tests.fakes.calls import Crash
from tests.local.azure.sim import PRODUCTION

TICK, RECONCILE = timedelta(minutes=1), timedelta(minutes=5)
REPEATED = timedelta(seconds=15)
"""When a caller whose connection broke asks again."""

LONGEST = timedelta(hours=6)
"""A life that has not come to rest by then never will."""

MOST = 20_000
"""Calls after which a life is cut short: it multiplies its own work."""


class Posting(Enum):
    """What becomes of queue messages."""

    ONCE = "once"
    TWICE = "twice"
    TIMERS = "timers only"  # what callers and workers send is lost


Act = Callable[[Broker, datetime], list[str]]
"""What a caller's function does: it returns the policies that its output binding names."""


@dataclass
class Life:
    """
    A broker with all its surroundings, from its installation on.

    Attributes:
        posting: What becomes of messages.
        downtime: How long nothing runs after a process died.
        answers: What each caller was told in the end, by the name of the act.
        promises: Looks on.
    """

    posting: Posting = Posting.ONCE
    downtime: timedelta = timedelta(0)
    answers: dict[str, Any] = field(default_factory=dict)
    promises: Promises = field(default_factory=Promises)

    def __post_init__(self) -> None:
        """Install the broker."""
        self.plant = Plant(self.promises)
        self.promises.watch(self.plant)
        self.broker = Broker(self.plant)
        self.begin = self.now
        self._up_at = self.now
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._waiting: set[str] = set()
        self._every(TICK, self._tick, first=timedelta(seconds=40))
        self._every(RECONCILE, self._enqueue, first=timedelta(seconds=170))
        self._every(RECONCILE, Operator(self.plant.sim).come_by, first=timedelta(seconds=200))

    @property
    def now(self) -> datetime:
        """The present of everybody."""
        return self.plant.sim.now

    # ---- what people do --------------------------------------------------------------------------

    def at(self, minutes: float, name: str, act: Act) -> None:
        """Have a caller do *act* then, and again until it is answered."""
        self._waiting.add(name)
        self._later(self.begin + timedelta(minutes=minutes), lambda: self._call(name, act))

    def happen(self, minutes: float, event: Callable[[], None]) -> None:
        """Have something happen then that is no call to the broker; nothing is over before."""
        name = f"event {next(self._order)}"
        self._waiting.add(name)

        def fire() -> None:
            self._waiting.discard(name)
            event()

        self._later(self.begin + timedelta(minutes=minutes), fire)

    def ask(self, name: str, body: Any, caller: Person) -> Act:
        """Return the act of asking for access, with the key *name*."""
        submissions: list[Submission] = []

        def act(broker: Broker, now: datetime) -> list[str]:
            if not submissions:
                draft = bodies.read_access_request(body, now=now, limits=LIMITS)
                submissions.append(Submission(draft=draft, body=body, key=name, caller=caller))
            whole = broker.acceptor.accept(submissions[0], now=now)
            self._answer(name, whole)
            return list(whole.request.policies)

        return act

    def _answer(self, name: str, whole: StoredRequest) -> None:
        self.promises.accepted(name, whole)
        self.answers[name] = whole.request.id

    def revoke(self, name: str, caller: Person) -> Act:
        """Return the act of revoking what *name* was answered."""

        def act(broker: Broker, now: datetime) -> list[str]:
            decided = broker.decisions.revoke(self._answered(name), caller, None, now)
            return list(decided.whole.request.policies)

        return act

    def extend(self, name: str, span: timedelta, caller: Person) -> Act:
        """Return the act of extending what *name* was answered."""

        def act(broker: Broker, now: datetime) -> list[str]:
            decided = broker.decisions.extend(self._answered(name), caller, span, None, now)
            return list(decided.whole.request.policies)

        return act

    def configure(self, name: str, vm: str, ports: list[Any], caller: Person) -> Act:
        """Return the act of changing the JIT policy of a VM."""
        body = {"virtualMachines": [{"id": vm, "ports": ports}]}
        self.promises.configured.add(ids.key(vm))

        def act(broker: Broker, now: datetime) -> list[str]:
            wanted, _ = bodies.read_policy_put(body)
            broker.configurator.put(wanted, caller, now=now)
            self.answers[name] = name
            return []

        return act

    def _answered(self, name: str) -> str:
        """Return the id that *name* was answered; whoever has none yet waits for it."""
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
                self.plant.queues.send(messages.POLICY, messages.policy(policy_id))

        try:
            answered = self._run(function)
        except Rejected as refusal:
            self.answers[name], answered = refusal, True
        if answered:
            self._waiting.discard(name)
        else:
            self._later(self.now + REPEATED, lambda: self._call(name, act))

    # ---- what the host does ----------------------------------------------------------------------

    def _run(self, function: Callable[[], None], *, timer: bool = False) -> bool:
        """Run a function of the app; False if it failed or its process died."""
        self.plant.queues.deaf = self.posting is Posting.TIMERS and not timer
        try:
            function()
        except Crash:
            self.broker = Broker(self.plant)
            self._up_at = self.now + self.downtime
            return False
        except (Unavailable, Refused):
            return False
        finally:
            self.promises.look()
        return True

    def _tick(self) -> None:
        self._run(lambda: self.broker.reconciler.tick(now=self.now), timer=True)

    def _enqueue(self) -> None:
        self._run(self.broker.reconciler.enqueue_all, timer=True)

    def _deliver(self) -> None:
        message = self.plant.queues.take()
        if message is None:
            return
        for _ in range(2 if self.posting is Posting.TWICE else 1):
            if not self._run(lambda: self._handle(message)):
                return
        self.plant.queues.delete(message)

    def _handle(self, message: Message) -> None:
        body = message.text.encode()
        if message.queue == messages.POLICY:
            self.broker.worker.work(messages.read(body, "policy"), now=self.now)
        else:
            self.broker.reconciler.run(messages.read(body, "subscription"), now=self.now)

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
        """Let *span* pass, with all that happens in it."""
        end = self.now + span
        while (due := self._next()) <= end:
            self._step(due)
        self._move(end)

    def elsewhere(self, span: timedelta) -> None:
        """Let *span* pass for another process, while the present one stands still."""
        standing, self.broker = self.broker, Broker(self.plant)
        deaf = self.plant.queues.deaf
        self.pass_time(span)
        self.broker, self.plant.queues.deaf = standing, deaf

    def meanwhile(self) -> None:
        """Let another process do all there is to do, while the present one stands still."""
        standing, self.broker = self.broker, Broker(self.plant)
        deaf, text = self.plant.queues.deaf, messages.POLICY
        for policy_id in self._policies():
            again = Message(text, messages.policy(policy_id), self.now)
            self._run(partial(self._handle, again))
        self._run(partial(self.broker.reconciler.run, PRODUCTION, now=self.now))
        self.broker, self.plant.queues.deaf = standing, deaf

    def _policies(self) -> list[str]:
        rows = self.plant.state.rows("g|")
        return sorted({str(row.values["Policy"]) for row in rows})

    def live(self) -> None:
        """Let time pass until everything has come to rest, then judge what is left."""
        end, most = self.now + LONGEST, self.plant.calls.count() + MOST
        while not self._at_rest() and self.now < end and self.plant.calls.count() < most:
            self._step(self._next())
        rested = self._at_rest()
        self.pass_time(RECONCILE + TICK)
        self.plant.calm()
        self.promises.rest(self.broker, at_rest=rested and self.promises.at_rest())

    def _next(self) -> datetime:
        return min(max(self.plant.queues.due(), self._up_at), self._agenda[0][0])

    def _step(self, due: datetime) -> None:
        self._move(due)
        if self._agenda[0][0] <= due:
            _, _, event = heapq.heappop(self._agenda)
            event()
        else:
            self._deliver()

    def _move(self, when: datetime) -> None:
        if when > self.now:
            self.plant.sim.azure.world.timeline.advance(when - self.now)
            self.promises.look()

    def _at_rest(self) -> bool:
        return not self._waiting and self.promises.at_rest()
