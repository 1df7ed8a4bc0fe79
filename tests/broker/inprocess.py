"""
The broker in this process: its use cases and gateways, tables in memory, a simulated Azure.

The clock stands still until a test moves it. ``live`` delivers each message when it is due, as the
queue does, so that an hour of the broker takes a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jit import messages
from jit.api.continuation import write_token
from jit.api.list_query import read_list
from jit.api.query import TOKEN
from jit.broker.barring.bar_changes import BarChange
from jit.broker.look_pace import LOOK_PAUSE
from jit.broker.requests.change import ChangeResult
from jit.domain.errors import Unavailable
from jit.domain.limits import LIMITS
from jit.domain.model.bar import WantedBar
from jit.domain.model.grant import Grant
from jit.domain.model.people import Person
from jit.domain.model.request import Decision
from jit.domain.network_manager.security_admin_rules import KnownAdminRules
from jit.domain.requests.access_body import read_access_request
from jit.domain.requests.extension_body import read_extend
from jit.domain.requests.revocation_body import read_revoke
from jit.domain.requests.submission import Submission
from jit.domain.values.times import format_duration
from jit.interfaces import Arm
from jit.settings import RequesterRbac
from jit.storage.callers.earlier_keys import EarlierKeys
from jit.storage.callers.idempotency_keys import Idempotency
from jit.storage.stored import StoredRequest
from local.azure.landscape.file import Landscape
from tests.builders.stores import MANY, Surroundings, UseCases, stores_over
from tests.fakes.authorization import FakeAuthorization
from tests.fakes.azure import SimulatedAzure
from tests.fakes.calls import Calls, Counted
from tests.fakes.queues import FakeQueues
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import (
    DEVELOPMENT,
    LANDSCAPE,
    PRODUCTION,
    ROLE,
    Sim,
    group,
    machine,
    policy,
)

HERE, THERE, ELSEWHERE = "203.0.113.7", "203.0.113.8", "198.51.100.20"
"""Three addresses that count as public."""

REDELIVERED = timedelta(seconds=30)
"""After a failed function, its message comes back: ``visibilityTimeout`` of host.json."""

NEXT_LOOK = LOOK_PAUSE + timedelta(seconds=1)
"""After this long callers may cause another look; the storage service tells whole seconds."""

TICK = timedelta(minutes=1)
"""The period of the timer ``tick``."""


def person(name: str) -> Person:
    """Return one of the landscape's people as App Service authentication would name them."""
    found = next(each for each in LANDSCAPE.document["people"] if each["name"] == name)
    return Person(id=found["id"], name=found["displayName"], roles=frozenset(found["roles"]))


ALICE, BOB, CAROL, DAVE = map(person, ("alice", "bob", "carol", "dave"))
OLGA, AUDRA = map(person, ("olga", "audra"))


def farm(number: int) -> str:
    """Return the id of one of the fifty VMs of the subscription *Development*."""
    where = group(f"rg-farm-{(number - 1) // 10 + 1}", DEVELOPMENT)
    return machine(f"farm{number:02d}", where)


def policy_of(vm: str) -> str:
    """Return the id of the JIT policy of a VM of the landscape."""
    return policy(vm.partition("/providers/")[0])


def wish(vm: str | tuple[str, ...], port: int = 22, source: str = HERE, **changes: Any) -> Any:
    """Return a body that asks for a port of one or more VMs."""
    names = (vm,) if isinstance(vm, str) else vm
    return {
        "virtualMachines": [{"id": name, "ports": [{"number": port}]} for name in names],
        "sources": [source],
        "duration": "PT1H",
        "justification": "CHG0030001 monthly patch",
        **changes,
    }


def _keep_few_vms() -> Landscape:
    """Return the landscape with ten VMs in the first farm, and one in each other farm."""
    subscriptions = [
        {**each, "farms": [_first_vms(farm) for farm in each["farms"]]} if "farms" in each else each
        for each in ROLE.subscriptions
    ]
    return replace(ROLE, document={**ROLE.document, "subscriptions": subscriptions})


def _first_vms(farm: Mapping[str, Any]) -> Mapping[str, Any]:
    return farm if farm["first"] == 1 else {**farm, "count": 1}


FEW_VMS = _keep_few_vms()
"""Most tests need a few VMs only, and the first request reads all VMs of the subscription."""


class InProcess:
    """
    One broker, its storage, its Azure.

    Attributes:
        sim: The simulated Azure. Its clock is the clock of the whole broker.
        authorization: Azure's lists of roles; everybody is an owner at first.
        roles: The lists in place of these; `name` makes a change of them count.
        calls: Counts every call to storage, queues or Azure; its hooks may fail them.
        person_limits: The limits of one person; `name` makes a change of them count.
    """

    def __init__(self, landscape: Landscape = FEW_VMS) -> None:
        """Begin with empty tables and an unchanged *landscape*."""
        self.sim = Sim(landscape)
        self.calls = Calls()
        self.azure = SimulatedAzure(self.sim, self.calls, direct=True)
        self.state = FakeTable(self._clock, calls=self.calls, name="state")
        self.history = FakeTable(self._clock, calls=self.calls, name="history")
        self.keys = FakeTable(self._clock, calls=self.calls, name="keys")
        self.queues = FakeQueues(self._clock, calls=self.calls)
        self.authorization = FakeAuthorization()
        self.roles: Arm | None = None
        self.stores = stores_over(self.state, self.history)
        self.requests, self.inventory = self.stores.requests, self.stores.inventory
        self.outbox, self.locks = self.stores.outbox, self.stores.locks
        self.subscription_rows = self.stores.subscriptions
        self.idempotency = Idempotency(self.state, EarlierKeys(self.keys))
        self.observer = self.azure.observer(
            self._list_known_admin_rules, self.inventory.list_machines
        )
        self.person_limits = MANY
        self.name(PRODUCTION, DEVELOPMENT)

    def name(
        self,
        *subscriptions: str,
        reads_network_manager: bool = True,
        requester_rbac: RequesterRbac = RequesterRbac.ENFORCE,
    ) -> None:
        """Build the use cases anew, as a process whose settings name these *subscriptions*."""
        self.subscriptions = subscriptions
        around = Surroundings(
            observer=lambda: self.observer,
            queues=self.queues,
            policies=lambda: self.azure.policies,
            network=lambda: self.azure.network,
            limits=replace(LIMITS, subscriptions=subscriptions, **self.person_limits),
            reads_network_manager=reads_network_manager,
            authorization=self.roles or Counted(self.authorization, self.calls, "rights"),
            requester_rbac=requester_rbac,
        )
        self.use_cases = UseCases(self.stores, around)
        self.acceptance = self.use_cases.acceptance(self.idempotency)
        self.bar_changes = self.use_cases.bar_changes(self.idempotency)
        self.request_changes = self.use_cases.request_changes(self.idempotency)
        self.queries = self.use_cases.queries()
        self.fresh_looks = self.use_cases.fresh_looks()
        self.worker = self.use_cases.worker()

    def _list_known_admin_rules(self, subscription: str) -> KnownAdminRules:
        return self.use_cases.managers.list_known(subscription)

    def _clock(self) -> datetime:
        return self.sim.now

    @property
    def now(self) -> datetime:
        """The time of the broker and of Azure."""
        return self.sim.now

    # ---- callers ---------------------------------------------------------------------------------

    def submission(self, body: Any, caller: Person = ALICE, key: str | None = None) -> Submission:
        """Return a submission as the trigger builds it."""
        draft = read_access_request(body, now=self.now, limits=LIMITS)
        return Submission(draft=draft, body=body, key=key, caller=caller)

    def accept(self, body: Any, caller: Person = ALICE, *, key: str | None = None) -> StoredRequest:
        """Play ``POST access-requests``, without sending the message."""
        return self.acceptance.accept(self.submission(body, caller, key), now=self.now)

    def ask(self, body: Any, caller: Person = ALICE, *, key: str | None = None) -> str:
        """Play ``POST access-requests``; return the request's id."""
        whole = self.accept(body, caller, key=key)
        self._send(whole)
        return whole.request.id

    def preview(self, body: Any, caller: Person = ALICE) -> Decision:
        """Return the decision that would be made."""
        return self.acceptance.preview(self.submission(body, caller), now=self.now)

    def revoke(
        self, request_id: str, caller: Person = ALICE, reason: str | None = None, **body: Any
    ) -> ChangeResult:
        """Play ``POST …/revoke``."""
        revocation, _ = read_revoke(body | ({"reason": reason} if reason else {}))
        changed = self.request_changes.revoke(request_id, caller, revocation, self.now)
        self._send(changed.stored)
        return changed

    def extend(
        self, request_id: str, span: timedelta, caller: Person = ALICE, *, key: str | None = None
    ) -> ChangeResult:
        """Play ``POST …/extend``."""
        extension, _ = read_extend({"duration": format_duration(span)}, key=key)
        if extension is None:
            raise ValueError(span)
        changed = self.request_changes.extend(request_id, caller, extension, self.now)
        self._send(changed.stored)
        return changed

    def bar(self, who: Person = ALICE, caller: Person | None = None, **changes: Any) -> BarChange:
        """Play ``PUT barred/{oid}``; an operator calls unless *caller* is named."""
        wanted = WantedBar(**{"reason": "left the company", **changes})
        done = self.bar_changes.put(who.id, wanted, caller or OLGA, self.now)
        for policy_id in done.policies:
            self.queues.send(messages.POLICY, messages.policy(policy_id))
        return done

    def list_requests(
        self, caller: Person = ALICE, token: str | None = None, **query: str
    ) -> tuple[list[StoredRequest], str | None]:
        """Play ``GET access-requests``; return a page and the token of the next one."""
        params = query | ({} if token is None else {TOKEN: token})
        filters, begin = read_list(params, caller, now=self.now)
        found, end = self.queries.list_requests(filters, caller, begin=begin)
        return found, write_token(end, params, caller)

    def _send(self, whole: StoredRequest) -> None:
        for policy_id in whole.request.policies:
            self.queues.send(messages.POLICY, messages.policy(policy_id))

    def poll(self, request_id: str, caller: Person = ALICE) -> StoredRequest:
        """Play ``GET …/outcome``."""
        stored = self.queries.find_request(request_id, caller)
        self.fresh_looks.ask(stored, now=self.now)
        return stored

    def whole(self, request_id: str) -> StoredRequest:
        """Return a request as it is stored."""
        found = self.requests.load(request_id)
        if found is None:
            raise LookupError(request_id)
        return found

    def grant(self, request_id: str) -> Grant:
        """Return the only grant of a request."""
        (found,) = self.whole(request_id).grants
        return found

    def status(self, request_id: str) -> str:
        """Return a request's status."""
        return self.whole(request_id).status.value

    # ---- time ------------------------------------------------------------------------------------

    def work(self, vm: str) -> None:
        """Make one pass over the JIT policy of a VM, now."""
        self.worker.work(policy_of(vm), now=self.now)

    def live(self, minutes: float, *, ticks: bool = True) -> None:
        """Let that many minutes pass: messages arrive when they are due, the timer ticks."""
        end = self.now + timedelta(minutes=minutes)
        next_tick = self.now + TICK if ticks else end + TICK
        self.deliver()
        while (due := min(self._next_due(), next_tick)) <= end:
            self.advance(due - self.now)
            if due == next_tick:
                self.tick()
                next_tick += TICK
            self.deliver()
        self.advance(end - self.now)

    def deliver(self) -> None:
        """Deliver every visible message to the worker; if its pass fails, it comes back later."""
        while (text := self.queues.receive(messages.POLICY)) is not None:
            try:
                body = text.encode()
                policy_id, look = messages.read(body, "policy"), messages.read_look(body)
                self.worker.work(policy_id, now=self.now, look=look)
            except Unavailable:
                self.queues.send(messages.POLICY, text, delay=REDELIVERED)

    def tick(self) -> None:
        """Play the timer ``tick``: wake every policy that has something due."""
        for subscription in (PRODUCTION, DEVELOPMENT):
            rows = self.requests.list_due(subscription, self.now)
            for policy_id in sorted({row.policy_id for row in rows}):
                self.queues.send(messages.POLICY, messages.policy(policy_id))

    def advance(self, span: timedelta) -> None:
        """Advance the clock, and do nothing else."""
        if span > timedelta(0):
            self.sim.azure.world.timeline.advance(span)

    def _next_due(self) -> datetime:
        waiting = self.queues.waiting(messages.POLICY)
        return min((item.visible_at for item in waiting), default=datetime.max.replace(tzinfo=UTC))

    def initiates(self) -> list[Any]:
        """Return the bodies of the broker's initiates that Azure saw, oldest first."""
        return [each["requestBody"] for each in self._initiates()]

    def answers(self) -> list[int]:
        """Return the statuses of Azure's answers to them."""
        return [each["status"] for each in self._initiates()]

    def _initiates(self) -> list[Mapping[str, Any]]:
        log = self.sim.control("GET", "log")
        return [
            each
            for each in log
            if each["path"].endswith("/initiate") and each["principal"] == "broker"
        ]

    def reachable(self, vm: str, port: int = 22, source: str = HERE) -> bool:
        """Return True if packets from *source* would reach the VM's port."""
        return bool(self.sim.reachable(vm, port, source)["reachable"])

    def occupy(self, vm: str, port: int, source: str, minutes: float = 60) -> None:
        """Open a port as a portal user."""
        self.sim.initiate(vm, port, source, minutes, as_="petra")
