"""
People, neighbours, time, trouble: chosen by Hypothesis, in any order.

``Calm`` has everybody do what they may do, and is strict about time. ``Storm`` adds all that goes
wrong: deaths, pauses, failing storage, failing Azure, Terraform.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from jit.domain.errors import Rejected
from jit.domain.limits import LIMITS
from jit.domain.requests import bodies
from jit.domain.requests.submission import Submission
from tests.broker.inprocess import ALICE, BOB, DAVE, ELSEWHERE, HERE, OLGA, THERE, wish
from tests.crash.life import Act, Posting
from tests.crash.plant import Broker
from tests.crash.strikes import STRIKES, Struck
from tests.machine.neighbours import DOORS, GUARDS, Neighbours
from tests.machine.walk import Walk
from tests.machine.watch import Watch

PEOPLE = {"alice": ALICE, "bob": BOB, "dave": DAVE}
MINUTE = timedelta(minutes=1)

people = st.sampled_from(sorted(PEOPLE))
doors = st.sampled_from(DOORS)
guards = st.sampled_from(sorted(GUARDS))
sources = st.sampled_from([HERE, THERE, ELSEWHERE])
source_sets = st.lists(sources, min_size=1, max_size=2, unique=True)
durations = st.integers(15, 60)
soon = st.sampled_from([0, 0, 0, 3, 12])
seconds = st.integers(1, 90)
minutes = st.integers(2, 7)
long_whiles = st.integers(10, 45)


class Calm(RuleBasedStateMachine):
    """A broker, people and portal users; nothing fails."""

    asked = Bundle("asked")

    def __init__(self) -> None:
        """Wait for the first choice."""
        super().__init__()
        self.watch = Watch()
        self.life = Walk(promises=self.watch)
        self.neighbours = Neighbours(self.life.plant.sim, self.watch)
        self.bodies: dict[str, tuple[Any, str]] = {}
        self.acts = 0

    @initialize(posting=st.sampled_from(Posting))
    def install(self, posting: Posting) -> None:
        """Decide what becomes of messages."""
        self.life.posting = posting
        if posting is Posting.TIMERS:
            self.watch.patience.add(gap=timedelta(0), timers_only=True)

    # ---- people ----------------------------------------------------------------------------------

    @rule(
        target=asked,
        who=people,
        door=doors,
        where=source_sets,
        duration=durations,
        start=soon,
    )
    def ask(
        self, who: str, door: tuple[str, int], where: list[str], duration: int, start: int
    ) -> str:
        """Somebody asks for a VM port, now or for later."""
        starts = {"startTime": (self.life.now + start * MINUTE).isoformat()} if start else {}
        body = wish(door[0], door[1], sources=where, duration=f"PT{duration}M", **starts)
        name = f"request {len(self.bodies)}"
        self.bodies[name] = (body, who)
        self.call(self.life.ask(name, body, PEOPLE[who]), name)
        return name

    @rule(target=asked, who=people, choice=st.sets(doors, min_size=2, max_size=4), where=sources)
    def ask_for_several(self, who: str, choice: set[tuple[str, int]], where: str) -> str:
        """Somebody asks for VM ports of both policies in one request."""
        ports: dict[str, list[Any]] = {}
        for vm, port in sorted(choice):
            ports.setdefault(vm, []).append({"number": port})
        machines = [{"id": vm, "ports": found} for vm, found in ports.items()]
        body = wish("", source=where, duration="PT30M", virtualMachines=machines)
        name = f"request {len(self.bodies)}"
        self.bodies[name] = (body, who)
        self.call(self.life.ask(name, body, PEOPLE[who]), name)
        return name

    @rule(name=asked)
    def repeat(self, name: str) -> None:
        """The same call once more: the same request, or the same refusal."""
        body, who = self.bodies[name]
        if not isinstance(self.life.answers.get(name), Rejected):
            self.call(self.life.ask(name, body, PEOPLE[who]), name)

    @rule(name=asked)
    def reuse_a_key(self, name: str) -> None:
        """The same key with another body is never a second request."""
        body, who = self.bodies[name]
        other = {**body, "justification": "something else entirely"}
        accepted = isinstance(self.life.answers.get(name), str)

        def act(broker: Broker, now: Any) -> list[str]:
            draft = bodies.read_access_request(other, now=now, limits=LIMITS)
            submission = Submission(draft=draft, body=other, key=name, caller=PEOPLE[who])
            broker.acceptor.accept(submission, now=now)
            self.watch.broken("P8", f"{name} was accepted with another body")
            return []

        if accepted:
            self.call(act, f"{name} reused {self.acts}")

    @rule(name=asked, by_operator=st.booleans())
    def revoke(self, name: str, by_operator: bool) -> None:
        """Somebody ends a request early."""
        who = OLGA if by_operator else PEOPLE[self.bodies[name][1]]
        self.call(self.life.revoke(name, who), f"{name} revoked {self.acts}")

    @rule(name=asked, span=durations)
    def extend(self, name: str, span: int) -> None:
        """Somebody wants to stay."""
        who = PEOPLE[self.bodies[name][1]]
        self.call(self.life.extend(name, span * MINUTE, who), f"{name} extended {self.acts}")

    # ---- neighbours ------------------------------------------------------------------------------

    @rule(door=doors, where=sources, duration=st.integers(5, 30))
    def use_the_portal(self, door: tuple[str, int], where: str, duration: int) -> None:
        """Petra opens a VM port without asking the broker."""
        self.neighbours.request(door, where, duration)

    @rule(address=st.sampled_from(["10.1.0.0/16", "10.1.1.0/24"]), port=st.integers(8000, 8010))
    def edit_the_firewall(self, address: str, port: int) -> None:
        """A customer changes rules of the firewall that have nothing to do with anybody."""
        self.neighbours.edit_firewall(address, port)

    # ---- time ------------------------------------------------------------------------------------

    @rule(span=seconds)
    def wait_a_moment(self, span: int) -> None:
        """A little time passes."""
        self.life.pass_time(timedelta(seconds=span))

    @rule(span=minutes)
    def wait(self, span: int) -> None:
        """Time passes."""
        self.life.pass_time(span * MINUTE)

    @rule(span=long_whiles)
    def wait_long(self, span: int) -> None:
        """Much time passes."""
        self.life.pass_time(span * MINUTE)

    # ---- judging ---------------------------------------------------------------------------------

    @invariant()
    def every_promise_is_kept(self) -> None:
        """Whatever happened."""
        assert not self.watch.violations, self.watch.violations

    def teardown(self) -> None:
        """Heal everything and wait: all ends, nothing is left."""
        if not self.watch.violations:  # else the step that broke it is what matters
            self.life.plant.calm()
            self.life.pass_time(max(self.watch.tidied - self.life.now, timedelta(0)))
            self.life.live()
            assert not self.watch.violations, self.watch.violations

    def call(self, act: Act, name: str) -> None:
        """Have a caller call now, and again until answered."""
        self.acts += 1
        self.life.at((self.life.now - self.life.begin) / MINUTE, name, act)
        self.life.pass_time(timedelta(0))


class Storm(Calm):
    """Everything, and all that goes wrong."""

    @rule(strike=st.sampled_from(sorted(STRIKES)), after=st.integers(1, 60))
    def strike(self, strike: str, after: int) -> None:
        """One of the next calls to storage, queues or Azure goes wrong."""
        found, life = STRIKES[strike], self.life
        timers_only = life.posting is Posting.TIMERS
        self.watch.patience.add(found.delays, gap=found.gap + 2 * MINUTE, timers_only=timers_only)
        if strike.startswith("defender"):
            self.watch.unpromised()
        Struck(found, life.plant.calls.count() + after, life).arm()

    @rule(times=st.integers(1, 2))
    def forget_to_close(self, times: int) -> None:
        """Defender leaves rules of the broker's requests where they are."""
        match = {"path": "initiate", "principal": "broker"}
        self.watch.patience.add(10 * MINUTE, gap=timedelta(0), timers_only=False)
        self.life.plant.sim.faults({"match": match, "leaveRules": True, "times": times})

    @rule(guard=guards)
    def wipe_a_group(self, guard: str) -> None:
        """Terraform removes the rules that it does not know from an NSG."""
        self.neighbours.wipe_group(guard)

    @rule()
    def wipe_the_firewall(self) -> None:
        """Terraform removes the collections that it does not know from the firewall."""
        self.neighbours.wipe_firewall()

    @rule(guard=guards, where=sources, priority=st.integers(100, 4000))
    def block(self, guard: str, where: str, priority: int) -> None:
        """A customer shuts somebody out."""
        self.neighbours.block(guard, where, priority)

    @rule(guard=guards)
    def unblock(self, guard: str) -> None:
        """And lets them in again."""
        self.neighbours.unblock(guard)

    @rule(door=doors, longest=st.sampled_from(["PT20M", "PT3H"]))
    def edit_a_policy(self, door: tuple[str, int], longest: str) -> None:
        """A portal user changes the longest access of a VM's ports."""
        self.neighbours.edit_policy(door[0], maxRequestAccessDuration=longest)

    @rule(door=doors, where=st.sampled_from(["203.0.113.0/24", "*"]))
    def narrow_a_policy(self, door: tuple[str, int], where: str) -> None:
        """A portal user changes who may ask for a VM's ports."""
        self.neighbours.edit_policy(door[0], allowedSourceAddressPrefix=where)

    @rule(door=doors)
    def drop_from_a_policy(self, door: tuple[str, int]) -> None:
        """A portal user takes a VM out of just-in-time access."""
        self.neighbours.drop_from_policy(door[0])

    @rule(door=doors, hours=st.integers(1, 3))
    def configure(self, door: tuple[str, int], hours: int) -> None:
        """An operator sets a VM's ports through the broker: refused while anything is live."""
        shared = {"protocol": "TCP", "allowedSources": ["*"], "maxDuration": f"PT{hours}H"}
        ports = [{"number": port, **shared} for vm, port in DOORS if vm == door[0]]
        name = f"configure {self.acts}"
        self.call(self.life.configure(name, door[0], ports, OLGA), name)
