"""
One long scenario over real storage and a simulated Azure, whose host dies at a chosen call.

People, hosts and the clock are as in tests/e2e. The promises are checked from outside: by the
answers of the broker over HTTP, by packets, and by the state of Azure at the end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from ipaddress import ip_network
from typing import Any

from azure.data.tables import TableClient

from jit.domain.model.grant import Grant, Status
from jit.domain.values import arm_ids
from jit.gateways.table_storage import StorageTable
from jit.storage.history import History
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest
from local.host.crash_point import SETTING
from tests.crash.promises import customers, requested
from tests.e2e.stack_client import HERE, THERE, StackClient, wish
from tests.local.azure.sim import DB01, FW_PROD, NEW01, NSG_DB, NSG_NEW, NSG_WEB, WEB01
from tests.local.calls import Answer

STEP = "PT20S"
LONG_STEP = "PT1M"  # until everything is closed
MOST_STEPS = 80  # eighty minutes of the stack's clock
_PATIENT = 12  # steps for which a promise may seem broken: the hosts follow the clock
_LONGEST_SECONDS = 25  # real time: a lease, or a message that a dead host had taken
_HOLDERS = (NSG_DB, NSG_NEW, NSG_WEB, FW_PROD)
_PATHS = ((DB01, 22, HERE), (DB01, 22, THERE), (WEB01, 3389, HERE))
_PORTS = [{"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT1H"}]
_CALL = re.compile(r"outside call (\d+): (\S+ \S+)")
_UNAVAILABLE = 503
_PATIENCE_SECONDS = 60  # real time: the lease of a dead host runs by the wall clock


@dataclass
class KilledHostRun:
    """
    A run on the stack of *client*, whose first host dies at the call *kill_at*.

    Attributes:
        kill_at: ``before 60``, ``after 60``: the number of the outside call.
        violations: The promises that were not kept.
        deaths: How often the host died.
        calls: The outside calls before that, as ``GET /path``.
    """

    client: StackClient
    kill_at: str
    violations: list[str] = field(default_factory=list)
    deaths: int = 0
    calls: list[str] = field(default_factory=list)
    _ids: dict[str, str] = field(default_factory=dict)
    _bodies: dict[str, Any] = field(default_factory=dict)
    _wrong: dict[str, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the tables with the broker's own store, beside the host."""
        storage = self.client.stack.connection_string
        state, history = (
            StorageTable(TableClient.from_connection_string(storage, name))
            for name in ("JitState", "JitHistory")
        )
        self._requests = RequestStore(state, History(history))

    def run_to_rest(self) -> None:
        """Begin with an empty stack; end when everything is closed."""
        self._start()
        before = self._customers_rules()
        self._configure()
        self._pass_time(1)
        self._ask("a", wish(DB01, 22, HERE, duration="PT10M"), "alice")
        self._pass_time(4)
        self._ask("d", wish(DB01, 22, THERE, duration="PT25M"), "dave")
        self._ask("f", wish(WEB01, 3389, HERE, duration="PT15M"), "alice")
        self._pass_time(18)
        self._revoke("d", "dave")
        self._until_closed()
        self._check_end(before)

    # ---- the host --------------------------------------------------------------------------------

    def _start(self) -> None:
        host = self.client.stack.hosts[0]
        host.stop()
        self.client.reset()
        host.env[SETTING] = self.kill_at
        host.start()

    def _revive(self) -> None:
        """Start the host again if it is dead; the new process is not killed."""
        host = self.client.stack.hosts[0]
        if host.child.exit_code is None:
            return
        self.deaths += 1
        self._read_calls()
        host.env[SETTING] = "never"  # and a short lease
        host.start()

    def _read_calls(self) -> None:
        self.calls = [
            found[2] for found in _CALL.finditer(self.client.stack.hosts[0].child.output())
        ]

    def _call_until_answered(self, act: Callable[[], Answer]) -> Answer:
        """Repeat *act* as callers do, while nobody answers or the answer is 503."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                answer = act()
            except (OSError, HTTPException):
                self._revive()
                continue
            if answer.status != _UNAVAILABLE:
                return answer
            self.client.advance("PT1S")
            self._tick()
        raise AssertionError(f"{self.kill_at}: nobody answers")

    # ---- people ----------------------------------------------------------------------------------

    def _configure(self) -> None:
        body = {"virtualMachines": [{"id": NEW01, "ports": _PORTS}]}
        put = "virtual-machines/jit-policy"
        answer = self._call_until_answered(lambda: self.client.api("PUT", put, body, as_="olga"))
        self._check(answer.status == 200, "P5", f"the policy was not changed: {answer.body!r}")

    def _ask(self, name: str, body: Any, who: str) -> None:
        """Ask twice with the same key: the id is the same."""
        self._bodies[name] = body
        key = {"Idempotency-Key": f"run-{name}"}
        ids = [
            str(self._call_until_answered(lambda: self._post(body, who, key)).json.get("id"))
            for _ in range(2)
        ]
        self._check(ids[0] == ids[1], "P8", f"{name} has two ids: {ids}")
        self._ids[name] = ids[0]

    def _post(self, body: Any, who: str, key: dict[str, str]) -> Answer:
        return self.client.api("POST", "access-requests", body, as_=who, headers=key)

    def _revoke(self, name: str, who: str) -> None:
        answer = self._call_until_answered(
            lambda: self.client.post(self._ids[name], "revoke", as_=who)
        )
        self._check(answer.status < 300, "P3", f"{name} was not revoked: {answer.body!r}")

    # ---- time ------------------------------------------------------------------------------------

    def _pass_time(self, steps: int, step: str = STEP) -> None:
        """Let a few steps of time pass; check the promises after each."""
        for _ in range(steps):
            self.client.advance(step)
            self._tick()
            self._check_paths()

    def _tick(self) -> None:
        try:
            self.client.tick()
        except (OSError, HTTPException, AssertionError):
            self._revive()

    def _until_closed(self) -> None:
        for _ in range(MOST_STEPS):
            if (
                all(each.status is Status.CLOSED for each in self._stored_requests())
                and not self._rules_left()
            ):
                return
            self._pass_time(1, LONG_STEP)
        self._check(kept=False, promise="P3", what=f"it never came to rest: {self._rules_left()}")

    def _stored_requests(self) -> list[StoredRequest]:
        """Return the accepted requests as they are stored; a lost one is missing."""
        found = [self._requests.load(request_id) for request_id in self._ids.values()]
        return [each for each in found if each is not None]

    # ---- the promises ----------------------------------------------------------------------------

    def _check(self, kept: bool, promise: str, what: str) -> None:
        if not kept:
            self.violations.append(f"{promise}: {what}")

    def _check_paths(self) -> None:
        """Compare the stored statuses with packets; a difference may last a few steps."""
        stored, now = (
            [grant for each in self._stored_requests() for grant in each.grants],
            self.client.now,
        )
        present = [grant for grant in stored if grant.expires_at is None or grant.expires_at > now]
        for vm, port, source in _PATHS:
            name = f"{vm.rsplit('/', 1)[1]}:{port} from {source}"
            states = {grant.status for grant in present if _is_for(grant, vm, port, source)}
            reached = self.client.reachable(vm, port, source)
            self._check_lasting(
                "P4", f"{name} is open, and is not", Status.OPEN in states and not reached
            )
            known = {grant.status for grant in stored if _is_for(grant, vm, port, source)}
            over = reached and not known & {Status.OPENING, Status.OPEN, Status.CLOSING}
            self._check_lasting("P1", f"{name} is open, and nobody may", over)

    def _check_lasting(self, promise: str, what: str, wrong: bool) -> None:
        if not wrong:
            self._wrong.pop(what, None)
            return
        steps, since = self._wrong.get(what, (0, time.monotonic()))
        self._wrong[what] = steps + 1, since
        if steps >= _PATIENT and time.monotonic() - since > _LONGEST_SECONDS:
            self._check(kept=False, promise=promise, what=what)
            self._wrong.pop(what)

    def _rules_left(self) -> list[str]:
        return [name for each in _HOLDERS for name in requested(self.client.resource(each))]

    def _customers_rules(self) -> list[Any]:
        return [customers(self.client.resource(each), _is_jit_rule) for each in _HOLDERS]

    def _check_end(self, before: list[Any]) -> None:
        """Check the end state, and every initiate that the broker sent."""
        self._check(self._customers_rules() == before, "P5", "what is not the broker's was changed")
        for name, request_id in self._ids.items():
            answer = self._call_until_answered(
                partial(self.client.api, "GET", f"access-requests/{request_id}", as_="olga")
            )
            self._check(answer.json.get("status") == "closed", "P3", f"{name}: {answer.body!r}")
        for vm, port, source in _PATHS:
            self._check(not self.client.reachable(vm, port, source), "P2", f"{vm} is open still")
        asked = {text for body in self._bodies.values() for text in body["sources"]}
        for call in self.client.calls("POST", "/initiate"):
            self._check(_sources(call["requestBody"]) <= asked, "P7", "nobody asked for a source")
        if not self.deaths:
            self._read_calls()


def _is_for(grant: Grant, vm: str, port: int, source: str) -> bool:
    here = arm_ids.key(grant.vm_id) == arm_ids.key(vm) and grant.port == port
    return here and ip_network(source) in grant.sources


def _sources(body: Any) -> set[str]:
    ports = [port for vm in body["virtualMachines"] for port in vm["ports"]]
    one = {port.get("allowedSourceAddressPrefix") for port in ports} - {None}
    return one.union(*(port.get("allowedSourceAddressPrefixes", ()) for port in ports))


def _is_jit_rule(name: str) -> bool:
    """Return True for the rule of a request and for the deny rule of a newly configured VM."""
    return "JITRule" in name or name.startswith("jit-broker-")
