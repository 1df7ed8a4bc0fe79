"""
A client of the running local stack: calls over HTTP, and Azure's clock, faults and log.

The clock stands still. A test that waits moves it between two looks, so that four minutes of a
firewall take seconds and no test sleeps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from local.stack import Stack
from tests.local.azure.sim import DEVELOPMENT, group, machine
from tests.local.calls import Answer, call

HERE, THERE, ELSEWHERE = "203.0.113.7", "203.0.113.8", "198.51.100.20"
"""Three addresses that count as public."""

_TABLES = ("JitState", "JitIdempotency", "JitHistory")
_OK, _UNAVAILABLE = 200, 503
_STEPS = 30  # looks on the way to the end of the wait, a few seconds apart at least
MANY_CALLS = {
    "JIT_READS_PER_MINUTE": "100000",
    "JIT_CHANGES_PER_MINUTE": "100000",
    "JIT_LIVE_ON_ONE_PORT": "2000",
    "JIT_LIVE_REQUESTS": "2000",
    "JIT_REQUESTS_PER_DAY": "2000",
}
"""
Settings of a stack in which one person plays many people.

Its clock stands still: all calls of a test come in one minute of it.
"""

_PATIENCE_SECONDS = 60  # real time, for the hosts to catch up with a clock that was moved


class DidNotHappen(AssertionError):
    """The condition that a test waited for did not hold; the message shows the state."""


def farm(number: int) -> str:
    """Return the id of one of the fifty VMs of the subscription *Development*."""
    where = group(f"rg-farm-{(number - 1) // 10 + 1}", DEVELOPMENT)
    return machine(f"farm{number:02d}", where)


def wish(vm: str, port: int = 22, source: str = HERE, **changes: Any) -> dict[str, Any]:
    """Return a body that asks for a port of a VM."""
    return {
        "virtualMachines": [{"id": vm, "ports": [{"number": port}]}],
        "sources": [source],
        "duration": "PT1H",
        "justification": "CHG0030001 monthly patch",
        **changes,
    }


class StackClient:
    """A client of a stack: two hosts of the broker, one storage account, one Azure."""

    def __init__(self, stack: Stack) -> None:
        """Call *stack*, which is running."""
        self.stack = stack

    # ---- callers ---------------------------------------------------------------------------------

    def api(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        as_: str = "alice",
        host: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call the broker as one of the landscape's people; *body* may be bytes already."""
        content = body if isinstance(body, bytes) else None if body is None else _bytes(body)
        named = {"X-Local-User": as_, "Content-Type": "application/json", **(headers or {})}
        return call(f"{self.stack.hosts[host].url}/api/{path}", method, content, **named)

    def ask(self, body: object, *, as_: str = "alice", **how: Any) -> str:
        """Make a request that is accepted; return its id."""
        answer = self.api("POST", "access-requests", body, as_=as_, **how)
        if answer.status != 202:
            raise DidNotHappen(f"{answer.status} {answer.body!r}")
        return str(answer.json["id"])

    def request(self, request_id: str, *, as_: str = "olga") -> dict[str, Any]:
        """Return a request as an operator sees it."""
        found: dict[str, Any] = self.api("GET", f"access-requests/{request_id}", as_=as_).json
        return found

    def listed(self, as_: str = "olga") -> list[dict[str, Any]]:
        """Return every request, live or finished."""
        found: list[dict[str, Any]] = self.api("GET", "access-requests", as_=as_).json["value"]
        return found

    def post(
        self, request_id: str, verb: str, body: object = None, *, as_: str = "alice"
    ) -> Answer:
        """Change a request: ``revoke`` or ``extend``."""
        return self.api("POST", f"access-requests/{request_id}/{verb}", body, as_=as_)

    def repeat_while_busy(self, method: str, path: str, body: object, *, as_: str) -> Answer:
        """Repeat a call while the answer is 503: another call works on the same thing."""
        answers = [self.api(method, path, body, as_=as_)]

        def answered() -> bool:
            if answers[-1].status == _UNAVAILABLE:
                answers.append(self.api(method, path, body, as_=as_))
            return answers[-1].status != _UNAVAILABLE

        self.until(answered, 1)
        return answers[-1]

    # ---- time ------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time of the stack."""
        return datetime.fromisoformat(self.sim("GET", "clock")["now"])

    def advance(self, span: str) -> None:
        """Advance the clock of the stack."""
        self.sim("POST", "clock", {"advance": span})

    def until(self, holds: Callable[[], bool], minutes: float) -> None:
        """
        Move the clock, *minutes* at most, until *holds*.

        At their end the hosts get real time to catch up, in which the clock goes on slowly.

        Raises:
            DidNotHappen: It does not hold even then.
        """
        end = self.now + timedelta(minutes=minutes)
        step = f"PT{max(4, int(minutes * 60 / _STEPS))}S"
        while self.now < end:
            if holds():
                return
            self.advance(step)
            self.tick()
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > _PATIENCE_SECONDS:
                raise DidNotHappen(f"not within {minutes} minutes\n{self._describe_state()}")
            self.advance("PT0.2S")
            self.tick()

    def tick(self) -> None:
        """
        Run the timer function now.

        The clock moves in jumps, but delayed messages come back after real seconds.
        """
        url = f"{self.stack.url}/admin/functions/tick"
        answer = call(url, "POST", b"{}", X_Local_Wait="true")
        if answer.status != 200:
            raise DidNotHappen(f"tick: {answer.status}\n{self.stack.hosts[0].log[-3000:]}")

    def wait_until_healthy(self) -> None:
        """Have the timer look, and wait for a health check that knows it: it uses ten seconds."""
        self.tick()
        self.until(lambda: self.api("GET", "health").status == _OK, 1)

    def until_status(self, request_id: str, status: str, minutes: float = 3) -> dict[str, Any]:
        """Wait until a request has *status*; return it."""
        self.until(lambda: self.request(request_id)["status"] == status, minutes)
        return self.request(request_id)

    def _describe_state(self) -> str:
        logs = "\n".join(host.log[-3000:] for host in self.stack.hosts)
        return f"{json.dumps(self.listed(), indent=1)}\n{logs}"

    # ---- Azure -----------------------------------------------------------------------------------

    def sim(self, method: str, name: str, body: object = None) -> Any:
        """Use the simulator's control plane."""
        content = None if body is None else _bytes(body)
        answer = call(f"{self.stack.simulator_url}/_sim/{name}", method, content)
        if answer.status >= 400:
            raise DidNotHappen(f"/_sim/{name}: {answer.status} {answer.body!r}")
        return answer.json if answer.body else None

    def reachable(self, vm: str, port: int = 22, source: str = HERE) -> bool:
        """Return True if packets from *source* reach the VM's port."""
        query = f"source={source}&port={port}&vm={quote(vm, safe='')}"
        return bool(self.sim("GET", f"reachable?{query}")["reachable"])

    def resource(self, resource_id: str) -> Any:
        """Return a resource of Azure."""
        found = self.sim("GET", "state")["resources"]
        return next(value for key, value in found.items() if key.lower() == resource_id.lower())

    def rule_of(self, vm: str) -> dict[str, Any]:
        """Return the allow rule for a VM of a farm, as a patch that restores it."""
        group_id = vm.partition("/providers/")[0]
        name = group_id.rsplit("/", 1)[1].replace("rg-", "nsg-")
        nsg = f"{group_id}/providers/Microsoft.Network/networkSecurityGroups/{name}"
        rules = self.resource(nsg)["properties"]["securityRules"]
        (found,) = (rule for rule in rules if "JITRule-" in rule["name"])
        return {f"{nsg}/securityRules/{found['name']}": found}

    def faults(self, *faults: object) -> None:
        """Let calls to Azure fail."""
        self.sim("POST", "faults", {"faults": list(faults)})

    def calls(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """Return the broker's calls to Azure since the test began."""
        return [
            each
            for each in self.sim("GET", "log")
            if each["principal"] == "broker" and method in each["method"] and path in each["path"]
        ]

    def open_in_portal(self, vm: str, port: int, source: str, minutes: float = 60) -> None:
        """Open a port as a portal user."""
        token = self.sim("POST", "token", {"as": "petra"})["access_token"]
        end = (self.now + timedelta(minutes=minutes)).isoformat()
        wanted = {"number": port, "endTimeUtc": end, "allowedSourceAddressPrefix": source}
        body = {"virtualMachines": [{"id": vm, "ports": [wanted]}], "justification": "portal"}
        where = vm.partition("/providers/")[0]
        kind = "Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies"
        url = f"{self.stack.simulator_url}{where}/providers/{kind}/default/initiate"
        answer = call(
            f"{url}?api-version=2020-01-01", "POST", _bytes(body), Authorization=f"Bearer {token}"
        )
        if answer.status != 202:
            raise DidNotHappen(f"{answer.status} {answer.body!r}")

    # ---- before each test ------------------------------------------------------------------------

    def reset(self) -> None:
        """Empty tables and queues; put Azure back as the landscape says; stop the clock."""
        self._empty_queues()
        self._wait_for_idle_hosts()
        self._empty_queues()  # a pass that just ended may have sent the message for the next one
        self._empty_tables()
        self.sim("POST", "reset")
        self.sim("POST", "clock", {"freeze": True})
        self.sim("PUT", "state", {"options": {"throttling": False}})
        self.sim("DELETE", "log")

    def _wait_for_idle_hosts(self) -> None:
        """Wait for the passes under way: a late call to Azure would be the next test's."""
        for host in (each for each in self.stack.hosts if each.child.exit_code is None):
            url = f"{host.url}/admin/host/status"
            if call(url, "GET", X_Local_Wait="true").status != _OK:
                raise DidNotHappen(f"{host.name} is still busy\n{self._describe_state()}")

    def _empty_queues(self) -> None:
        with QueueServiceClient.from_connection_string(self.stack.connection_string) as service:
            for queue in service.list_queues():
                service.get_queue_client(queue.name).clear_messages()

    def _empty_tables(self) -> None:
        service = TableServiceClient.from_connection_string(self.stack.connection_string)
        with service:
            known = {table.name for table in service.list_tables()}
            for name in known.intersection(_TABLES):
                table = service.get_table_client(name)
                for row in table.list_entities(select=["PartitionKey", "RowKey"]):
                    table.delete_entity(row["PartitionKey"], row["RowKey"])


def _bytes(body: object) -> bytes:
    return json.dumps(body).encode()
