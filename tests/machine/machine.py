"""
People, foreign changes, time and faults, which Hypothesis chooses in any order.

In ``WithoutFaults`` everybody stays within their rights, and the limits of time are strict.
``WithFaults`` adds crashes, pauses, failing storage, failing Azure and Terraform.
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
from jit.domain.requests.access_body import read_access_request
from jit.domain.requests.submission import Submission
from tests.broker.inprocess import ALICE, BOB, CAROL, DAVE, ELSEWHERE, HERE, OLGA, THERE, wish
from tests.builders.admin_rules import ALLOW, ALWAYS, DENY, GROUP, arm_admin
from tests.crash.addresses import renumber, toggle_second_address
from tests.crash.durable_parts import BrokerProcess
from tests.crash.faults import FAULTS, InjectedFault
from tests.crash.scenario_run import Act, Delivery
from tests.machine.foreign_changes import NETWORKS, NSGS, VM_PORTS, ForeignChanges
from tests.machine.promise_watch import PromiseWatch
from tests.machine.random_walk import RandomWalk

PEOPLE = {"alice": ALICE, "bob": BOB, "dave": DAVE}
GREEDY = "203.0.113.66"
MINUTE = timedelta(minutes=1)

people = st.sampled_from(sorted(PEOPLE))
vm_ports = st.sampled_from(VM_PORTS)
nsgs = st.sampled_from(sorted(NSGS))
networks = st.sampled_from(sorted(NETWORKS))
admin_sources = st.sampled_from(["*", "Internet", HERE, GROUP, "10.1.0.0/26"])
sources = st.sampled_from([HERE, THERE, ELSEWHERE])
source_sets = st.lists(sources, min_size=1, max_size=2, unique=True)
durations = st.integers(15, 60)
soon = st.sampled_from([0, 0, 0, 3, 12])
seconds = st.integers(1, 90)
minutes = st.integers(2, 7)
long_whiles = st.integers(10, 45)


class WithoutFaults(RuleBasedStateMachine):
    """A broker, people and portal users; nothing fails."""

    asked = Bundle("asked")

    def __init__(self) -> None:
        """Wait for the first choice."""
        super().__init__()
        self.watch = PromiseWatch()
        self.run = RandomWalk(promises=self.watch)
        self.foreign = ForeignChanges(self.run.parts.sim, self.watch)
        self.bodies: dict[str, tuple[Any, str]] = {}
        self.acts = 0

    @initialize(delivery=st.sampled_from(Delivery))
    def install(self, delivery: Delivery) -> None:
        """Choose how messages are delivered."""
        self.run.delivery = delivery
        if delivery is Delivery.TIMERS_ONLY:
            self.watch.tolerance.extend(gap=timedelta(0), timers_only=True)

    # ---- people ----------------------------------------------------------------------------------

    @rule(
        target=asked,
        who=people,
        vm_port=vm_ports,
        where=source_sets,
        duration=durations,
        start=soon,
    )
    def ask(
        self, who: str, vm_port: tuple[str, int], where: list[str], duration: int, start: int
    ) -> str:
        """A person asks for a VM port, now or for later."""
        starts = {"startTime": (self.run.now + start * MINUTE).isoformat()} if start else {}
        body = wish(vm_port[0], vm_port[1], sources=where, duration=f"PT{duration}M", **starts)
        name = f"request {len(self.bodies)}"
        self.bodies[name] = (body, who)
        self.call(self.run.ask(name, body, PEOPLE[who]), name)
        return name

    @rule(target=asked, who=people, choice=st.sets(vm_ports, min_size=2, max_size=4), where=sources)
    def ask_for_several(self, who: str, choice: set[tuple[str, int]], where: str) -> str:
        """A person asks for VM ports of both policies in one request."""
        ports: dict[str, list[Any]] = {}
        for vm, port in sorted(choice):
            ports.setdefault(vm, []).append({"number": port})
        machines = [{"id": vm, "ports": found} for vm, found in ports.items()]
        body = wish("", source=where, duration="PT30M", virtualMachines=machines)
        name = f"request {len(self.bodies)}"
        self.bodies[name] = (body, who)
        self.call(self.run.ask(name, body, PEOPLE[who]), name)
        return name

    @rule(name=asked)
    def repeat(self, name: str) -> None:
        """A person repeats a call: the answer is the same request, or the same refusal."""
        body, who = self.bodies[name]
        if not isinstance(self.run.answers.get(name), Rejected):
            self.call(self.run.ask(name, body, PEOPLE[who]), name)

    @rule(name=asked)
    def reuse_a_key(self, name: str) -> None:
        """A person uses a key with another body: this is never a second request."""
        body, who = self.bodies[name]
        other = {**body, "justification": "something else entirely"}
        accepted = isinstance(self.run.answers.get(name), str)

        def act(broker: BrokerProcess, now: Any) -> list[str]:
            draft = read_access_request(other, now=now, limits=LIMITS)
            submission = Submission(draft=draft, body=other, key=name, caller=PEOPLE[who])
            broker.acceptance.accept(submission, now=now)
            self.watch.add_violation("P8", f"{name} was accepted with another body")
            return []

        if accepted:
            self.call(act, f"{name} reused {self.acts}")

    @rule(name=asked, by_operator=st.booleans())
    def revoke(self, name: str, by_operator: bool) -> None:
        """A person ends a request early."""
        who = OLGA if by_operator else PEOPLE[self.bodies[name][1]]
        self.call(self.run.revoke(name, who), f"{name} revoked {self.acts}")

    @rule(name=asked, by_operator=st.booleans(), choice=st.integers(0, 7), whole=st.booleans())
    def revoke_a_part(self, name: str, by_operator: bool, choice: int, whole: bool) -> None:
        """A person gives back one port of a request, or all ports of one of its VMs."""
        who = OLGA if by_operator else PEOPLE[self.bodies[name][1]]
        machines = self.bodies[name][0]["virtualMachines"]
        machine = machines[choice % len(machines)]
        port = machine["ports"][choice % len(machine["ports"])]
        part = {"id": machine["id"]} if whole else {**machine, "ports": [port]}
        self.call(self.run.revoke(name, who, part), f"{name} revoked {self.acts}")

    @rule(name=asked, span=durations)
    def extend(self, name: str, span: int) -> None:
        """A person extends a request."""
        who = PEOPLE[self.bodies[name][1]]
        self.call(self.run.extend(name, span * MINUTE, who), f"{name} extended {self.acts}")

    @rule(vm_port=vm_ports, times=st.integers(2, 6), pause=seconds)
    def be_greedy(self, vm_port: tuple[str, int], times: int, pause: int) -> None:
        """Carol asks for a VM port and gives it back, again and again: others' ends do not wait."""
        for number in range(times):
            name = f"carol {self.acts}"
            where = [GREEDY] if number % 2 else [GREEDY, ELSEWHERE]
            self.call(self.run.ask(name, wish(*vm_port, sources=where), CAROL), name)
            self.run.pass_time(timedelta(seconds=pause))
            self.call(self.run.revoke(name, CAROL), f"{name} revoked")

    # ---- foreign changes -------------------------------------------------------------------------

    @rule(vm_port=vm_ports, where=sources, duration=st.integers(5, 30))
    def use_the_portal(self, vm_port: tuple[str, int], where: str, duration: int) -> None:
        """Petra opens a VM port without asking the broker."""
        self.foreign.request(vm_port, where, duration)

    @rule(address=st.sampled_from(["10.1.0.0/16", "10.1.1.0/24"]), port=st.integers(8000, 8010))
    def edit_the_firewall(self, address: str, port: int) -> None:
        """A customer changes rules of the firewall that no grant uses."""
        self.foreign.edit_firewall(address, port)

    @rule(port=st.sampled_from([22, 3389]))
    def publish_or_take_back(self, port: int) -> None:
        """A customer's NAT rule leads everybody to a port of web01, or no longer does."""
        self.foreign.publish(port)

    @rule(network_id=networks, where=admin_sources)
    def always_allow(self, network_id: str, where: str) -> None:
        """The owner of a network manager lets a source in before every NSG."""
        self.foreign.manage(network_id, arm_admin(ALWAYS, where, port="0-65535"))

    @rule(network_id=networks)
    def stop_managing(self, network_id: str) -> None:
        """The owner of a network manager takes the security admin rules of a network away."""
        self.foreign.manage(network_id)

    @rule(vm_port=vm_ports)
    def give_or_take_an_address(self, vm_port: tuple[str, int]) -> None:
        """A customer gives a VM a second IP configuration, or takes it away."""
        toggle_second_address(self.run.parts.sim, vm_port[0])

    @rule(vm_port=vm_ports)
    def renumber(self, vm_port: tuple[str, int]) -> None:
        """The public address of a VM changes while people are connected to it."""
        renumber(self.run.parts.sim, vm_port[0])

    # ---- time ------------------------------------------------------------------------------------

    @rule(span=seconds)
    def wait_a_moment(self, span: int) -> None:
        """A little time passes."""
        self.run.pass_time(timedelta(seconds=span))

    @rule(span=minutes)
    def wait(self, span: int) -> None:
        """Time passes."""
        self.run.pass_time(span * MINUTE)

    @rule(span=long_whiles)
    def wait_long(self, span: int) -> None:
        """Much time passes."""
        self.run.pass_time(span * MINUTE)

    # ---- checks ----------------------------------------------------------------------------------

    @invariant()
    def every_promise_is_kept(self) -> None:
        """No violation so far."""
        assert not self.watch.violations, self.watch.violations

    def teardown(self) -> None:
        """Stop all faults and wait: every grant closes, and no rule is left."""
        if not self.watch.violations:  # else report the step that broke it
            self.run.parts.stop_faults()
            self.run.pass_time(max(self.watch.released_at - self.run.now, timedelta(0)))
            self.run.run_to_rest()
            assert not self.watch.violations, self.watch.violations

    def call(self, act: Act, name: str) -> None:
        """Let a caller do *act* now, and repeat it until there is an answer."""
        self.acts += 1
        self.run.at((self.run.now - self.run.begin) / MINUTE, name, act)
        self.run.pass_time(timedelta(0))


class WithFaults(WithoutFaults):
    """The same, with faults, crashes, Terraform and changes of policies."""

    @rule(fault=st.sampled_from(sorted(FAULTS)), after=st.integers(1, 60))
    def inject(self, fault: str, after: int) -> None:
        """A fault hits one of the next calls to storage, queues or Azure."""
        found, run = FAULTS[fault], self.run
        timers_only = run.delivery is Delivery.TIMERS_ONLY
        self.watch.tolerance.extend(
            found.delays, gap=found.gap + 2 * MINUTE, timers_only=timers_only
        )
        if fault.startswith("defender"):
            self.watch.stop_expecting_foreign_access()
        InjectedFault(found, run.parts.calls.count() + after, run).arm()

    @rule(times=st.integers(1, 2))
    def forget_to_close(self, times: int) -> None:
        """Defender leaves rules of the broker's requests where they are."""
        match = {"path": "initiate", "principal": "broker"}
        self.watch.tolerance.extend(10 * MINUTE, gap=timedelta(0), timers_only=False)
        self.run.parts.sim.faults({"match": match, "leaveRules": True, "times": times})

    @rule(nsg=nsgs)
    def wipe_an_nsg(self, nsg: str) -> None:
        """Terraform removes the rules that it does not know from an NSG."""
        self.foreign.wipe_nsg(nsg)

    @rule(nsg=nsgs, number=st.integers(0, 7))
    def lose_a_rule(self, nsg: str, number: int) -> None:
        """One of Defender's allow rules disappears."""
        self.foreign.lose_a_rule(nsg, number)

    @rule()
    def wipe_the_firewall(self) -> None:
        """Terraform removes the collections that it does not know from the firewall."""
        self.foreign.wipe_firewall()

    @rule(nsg=nsgs, where=sources, priority=st.integers(100, 4000))
    def block(self, nsg: str, where: str, priority: int) -> None:
        """A customer denies a source."""
        self.foreign.block(nsg, where, priority)

    @rule(nsg=nsgs)
    def unblock(self, nsg: str) -> None:
        """A customer removes that deny rule."""
        self.foreign.unblock(nsg)

    @rule(network_id=networks, access=st.sampled_from([DENY, ALLOW]), where=admin_sources)
    def manage(self, network_id: str, access: str, where: str) -> None:
        """The owner of a network manager deploys a security admin rule, in place of the last."""
        rule = arm_admin(access, where, port="0-65535")
        self.foreign.manage(network_id, rule)

    @rule(vm_port=vm_ports, longest=st.sampled_from(["PT20M", "PT3H"]))
    def edit_a_policy(self, vm_port: tuple[str, int], longest: str) -> None:
        """A portal user changes the longest access of a VM's ports."""
        self.foreign.edit_policy(vm_port[0], maxRequestAccessDuration=longest)

    @rule(vm_port=vm_ports, where=st.sampled_from(["203.0.113.0/24", "*"]))
    def narrow_a_policy(self, vm_port: tuple[str, int], where: str) -> None:
        """A portal user changes who may ask for a VM's ports."""
        self.foreign.edit_policy(vm_port[0], allowedSourceAddressPrefix=where)

    @rule(vm_port=vm_ports)
    def drop_from_a_policy(self, vm_port: tuple[str, int]) -> None:
        """A portal user takes a VM out of just-in-time access."""
        self.foreign.drop_from_policy(vm_port[0])

    @rule(vm_port=vm_ports, hours=st.integers(1, 3))
    def configure(self, vm_port: tuple[str, int], hours: int) -> None:
        """An operator sets a VM's ports; the broker refuses it while a grant is live."""
        shared = {"protocol": "TCP", "allowedSources": ["*"], "maxDuration": f"PT{hours}H"}
        ports = [{"number": port, **shared} for vm, port in VM_PORTS if vm == vm_port[0]]
        name = f"configure {self.acts}"
        self.call(self.run.configure(name, vm_port[0], ports, OLGA), name)
