"""
One composite life over real storage and a simulated Azure, whose host dies at a chosen call.

People, hosts and the clock are as in tests/e2e; the promises are checked from outside: by what the
broker answers over HTTP, by packets, and by what Azure holds at the end.
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
from local.host.death import SETTING
from tests.crash.promises import customers, requested
from tests.e2e.town import HERE, THERE, Town, wish
from tests.local.azure.sim import DB01, FW_PROD, NEW01, NSG_DB, NSG_NEW, NSG_WEB, WEB01
from tests.local.calls import Answer

STEP = "PT20S"
MOST_STEPS = 240  # eighty minutes of the stack's clock
_PATIENT = 12  # steps that a promise may seem broken: the hosts follow the clock, not the reverse
_LONGEST_SECONDS = 25  # of real time: a lease, a message in a dead host's hands
_HOLDERS = (NSG_DB, NSG_NEW, NSG_WEB, FW_PROD)
_DOORS = ((DB01, 22, HERE), (DB01, 22, THERE), (WEB01, 3389, HERE))
_PORTS = [{"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT1H"}]
_CALL = re.compile(r"outside call (\d+): (\S+ \S+)")
_UNAVAILABLE = 503
_PATIENCE_SECONDS = 60  # of real time: a lease that a death left behind runs by the wall's clock


@dataclass
class KilledLife:
    """
    A life of the stack in *town*, whose first host dies as *death* says.

    Attributes:
        violations: What was promised and not kept.
        deaths: How often the host died.
        calls: The outside calls that were made before that, in words.
    """

    town: Town
    death: str
    violations: list[str] = field(default_factory=list)
    deaths: int = 0
    calls: list[str] = field(default_factory=list)
    _ids: dict[str, str] = field(default_factory=dict)
    _bodies: dict[str, Any] = field(default_factory=dict)
    _wrong: dict[str, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look into the tables by the broker's own reader, beside the host."""
        storage = self.town.stack.connection_string
        state, history = (
            StorageTable(TableClient.from_connection_string(storage, name))
            for name in ("JitState", "JitHistory")
        )
        self._requests = RequestStore(state, History(history))

    def live(self) -> None:
        """Begin with nothing; end when everything is closed."""
        self._begin()
        before = self._foreign()
        self._configure()
        self._pass(1)
        self._ask("a", wish(DB01, 22, HERE, duration="PT10M"), "alice")
        self._pass(4)
        self._ask("d", wish(DB01, 22, THERE, duration="PT25M"), "dave")
        self._ask("f", wish(WEB01, 3389, HERE, duration="PT15M"), "alice")
        self._pass(18)
        self._revoke("d", "dave")
        self._until_closed()
        self._judge(before)

    # ---- the host ------------------------------------------------------------------------------

    def _begin(self) -> None:
        host = self.town.stack.hosts[0]
        host.stop()
        self.town.reset()
        host.env[SETTING] = self.death
        host.start()

    def _revive(self) -> None:
        """Start the host again if it is dead; one that dies again is not meant to."""
        host = self.town.stack.hosts[0]
        if host.child.exit_code is None:
            return
        self.deaths += 1
        self._read_calls()
        host.env[SETTING] = "never"  # and a short lease
        host.start()

    def _read_calls(self) -> None:
        self.calls = [found[2] for found in _CALL.finditer(self.town.stack.hosts[0].child.output())]

    def _alive(self, act: Callable[[], Answer]) -> Answer:
        """Repeat *act* while nobody answers or the answer is 503: callers do."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            try:
                answer = act()
            except (OSError, HTTPException):
                self._revive()
                continue
            if answer.status != _UNAVAILABLE:
                return answer
            self.town.advance("PT1S")
            self._tick()
        raise AssertionError(f"{self.death}: nobody answers")

    # ---- people --------------------------------------------------------------------------------

    def _configure(self) -> None:
        body = {"virtualMachines": [{"id": NEW01, "ports": _PORTS}]}
        put = "virtual-machines/jit-policy"
        answer = self._alive(lambda: self.town.api("PUT", put, body, as_="olga"))
        self._check(answer.status == 200, "P5", f"the policy was not changed: {answer.body!r}")

    def _ask(self, name: str, body: Any, who: str) -> None:
        """Ask with a key, and once more when it is answered: the same id."""
        self._bodies[name] = body
        key = {"Idempotency-Key": f"life-{name}"}
        ids = [
            str(self._alive(lambda: self._post(body, who, key)).json.get("id")) for _ in range(2)
        ]
        self._check(ids[0] == ids[1], "P8", f"{name} has two ids: {ids}")
        self._ids[name] = ids[0]

    def _post(self, body: Any, who: str, key: dict[str, str]) -> Answer:
        return self.town.api("POST", "access-requests", body, as_=who, headers=key)

    def _revoke(self, name: str, who: str) -> None:
        answer = self._alive(lambda: self.town.post(self._ids[name], "revoke", as_=who))
        self._check(answer.status < 300, "P3", f"{name} was not revoked: {answer.body!r}")

    # ---- time ----------------------------------------------------------------------------------

    def _pass(self, steps: int) -> None:
        """Let a few steps of time pass; look after each."""
        for _ in range(steps):
            self.town.advance(STEP)
            self._tick()
            self._look()

    def _tick(self) -> None:
        try:
            self.town.tick()
        except (OSError, HTTPException, AssertionError):
            self._revive()

    def _until_closed(self) -> None:
        for _ in range(MOST_STEPS):
            if all(each.status is Status.CLOSED for each in self._stored()) and not self._left():
                return
            self._pass(1)
        self._check(kept=False, promise="P3", what=f"it never came to rest: {self._left()}")

    def _stored(self) -> list[StoredRequest]:
        """Return what the tables hold of everything that was accepted; lost ones are missing."""
        found = [self._requests.load(request_id) for request_id in self._ids.values()]
        return [each for each in found if each is not None]

    # ---- the promises --------------------------------------------------------------------------

    def _check(self, kept: bool, promise: str, what: str) -> None:
        if not kept:
            self.violations.append(f"{promise}: {what}")

    def _look(self) -> None:
        """Compare what is told with what packets do; a difference may last a few steps."""
        stored, now = [grant for each in self._stored() for grant in each.grants], self.town.now
        told = [grant for grant in stored if grant.expires_at is None or grant.expires_at > now]
        for vm, port, source in _DOORS:
            name = f"{vm.rsplit('/', 1)[1]}:{port} from {source}"
            states = {grant.status for grant in told if _leads(grant, vm, port, source)}
            reached = self.town.reachable(vm, port, source)
            self._lasts("P4", f"{name} is open, and is not", Status.OPEN in states and not reached)
            known = {grant.status for grant in stored if _leads(grant, vm, port, source)}
            over = reached and not known & {Status.OPENING, Status.OPEN, Status.CLOSING}
            self._lasts("P1", f"{name} is open, and nobody may", over)

    def _lasts(self, promise: str, what: str, wrong: bool) -> None:
        if not wrong:
            self._wrong.pop(what, None)
            return
        steps, since = self._wrong.get(what, (0, time.monotonic()))
        self._wrong[what] = steps + 1, since
        if steps >= _PATIENT and time.monotonic() - since > _LONGEST_SECONDS:
            self._check(kept=False, promise=promise, what=what)
            self._wrong.pop(what)

    def _left(self) -> list[str]:
        return [name for each in _HOLDERS for name in requested(self.town.resource(each))]

    def _foreign(self) -> list[Any]:
        return [customers(self.town.resource(each), _of_jit) for each in _HOLDERS]

    def _judge(self, before: list[Any]) -> None:
        """Judge what is left, and everything that the broker ever asked Defender for."""
        self._check(self._foreign() == before, "P5", "what is not the broker's was changed")
        for name, request_id in self._ids.items():
            told = self._alive(
                partial(self.town.api, "GET", f"access-requests/{request_id}", as_="olga")
            )
            self._check(told.json.get("status") == "closed", "P3", f"{name}: {told.body!r}")
        for vm, port, source in _DOORS:
            self._check(not self.town.reachable(vm, port, source), "P2", f"{vm} is open still")
        asked = {text for body in self._bodies.values() for text in body["sources"]}
        for call in self.town.calls("POST", "/initiate"):
            self._check(_sources(call["requestBody"]) <= asked, "P7", "nobody asked for a source")
        if not self.deaths:
            self._read_calls()


def _leads(grant: Grant, vm: str, port: int, source: str) -> bool:
    here = arm_ids.key(grant.vm_id) == arm_ids.key(vm) and grant.port == port
    return here and ip_network(source) in grant.sources


def _sources(body: Any) -> set[str]:
    ports = [port for vm in body["virtualMachines"] for port in vm["ports"]]
    one = {port.get("allowedSourceAddressPrefix") for port in ports} - {None}
    return one.union(*(port.get("allowedSourceAddressPrefixes", ()) for port in ports))


def _of_jit(name: str) -> bool:
    """Whether a rule is of a request, or the deny of a VM newly configured."""
    return "JITRule" in name or name.startswith("jit-broker-")
