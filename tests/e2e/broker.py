"""The broker on the local stack, as a caller sees it; minutes pass by command."""

import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from local.stack import Stack
from tests.local.calls import Answer, call

ALICE, DAVE, STRANGER = "203.0.113.7", "198.51.100.9", "192.0.2.66"
UNAVAILABLE = 503
_REAL_SECONDS = 2.0  # for queues and workers, after each minute of the stack's clock
_PAUSE_SECONDS = 0.05


class Broker:
    """Two host instances behind one name: calls take turns."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._turn = 0
        self._machines: dict[str, dict[str, Any]] = {}

    def call(
        self, method: str, path: str, body: Any = None, user: str = "alice", **headers: str
    ) -> Answer:
        self._turn += 1
        host = self._stack.hosts[self._turn % len(self._stack.hosts)]
        sent = None if body is None else json.dumps(body).encode()
        return call(f"{host.url}/api{path}", method, sent, X_Local_User=user, **headers)

    def sim(self, method: str, path: str, body: Any = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        return call(f"{self._stack.simulator_url}/_sim{path}", method, sent).json

    def machine(self, name: str) -> dict[str, Any]:
        if not self._machines:
            found = self.call("GET", "/virtual-machines", user="olga").json["value"]
            self._machines = {vm["name"]: vm for vm in found}
        return self._machines[name]

    def body(self, vm: str, port: int = 22, source: str = ALICE, **changes: Any) -> dict[str, Any]:
        wanted = {"id": self.machine(vm)["id"], "ports": [{"number": port}]}
        return {
            "virtualMachines": [wanted],
            "sources": [source],
            "duration": "PT1H",
            "justification": "CHG0030001 monthly patch",
        } | changes

    def ask(self, *place: Any, user: str = "alice", **changes: Any) -> str:
        answer = self.call("POST", "/access-requests", self.body(*place, **changes), user)
        assert answer.status == 202, answer.json
        return str(answer.json["id"])

    def shown(self, request_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/access-requests/{request_id}", user="olga").json
        return found

    def until(self, request_id: str, status: str, minutes: int = 60) -> dict[str, Any]:
        """Let minutes pass until the request has *status*."""
        for _ in range(minutes):
            found = self._soon(request_id, status)
            if found["status"] == status:
                return found
            self.advance("PT1M")
        raise AssertionError(f"not {status} in {minutes} minutes: {json.dumps(found, indent=1)}")

    def _soon(self, request_id: str, status: str) -> dict[str, Any]:
        deadline = time.monotonic() + _REAL_SECONDS
        pause = threading.Event()
        while True:
            found = self.shown(request_id)
            if found["status"] == status or time.monotonic() > deadline:
                return found
            pause.wait(_PAUSE_SECONDS)

    def eventually(self, truth: Callable[[], bool]) -> None:
        """Wait a little of real time for the queues to bring something about."""
        deadline = time.monotonic() + 10 * _REAL_SECONDS
        pause = threading.Event()
        while not truth():
            assert time.monotonic() < deadline, "it did not come about"
            pause.wait(_PAUSE_SECONDS)

    def patient(self, method: str, path: str, body: Any, user: str) -> Answer:
        """Repeat a call while the answer is 503: somebody works on the same thing."""
        answers: list[Answer] = []

        def done() -> bool:
            answers.append(self.call(method, path, body, user))
            return answers[-1].status != UNAVAILABLE

        self.eventually(done)
        return answers[-1]

    def initiates(self, vm: str) -> int:
        """Return how often Defender was asked to open ports of *vm*."""
        sent = [json.dumps(item["requestBody"]) for item in self.calls("POST", "/initiate")]
        return sum(f'/{vm}"' in body for body in sent)

    def advance(self, span: str) -> None:
        self.sim("POST", "/clock", {"advance": span})

    def reaches(self, vm: str, port: int, source: str) -> bool:
        query = {"source": source, "vm": self.machine(vm)["id"], "port": port}
        return bool(self.sim("GET", f"/reachable?{urllib.parse.urlencode(query)}")["reachable"])

    def rules(self, needle: str) -> list[str]:
        """Return the names of the allow rules in Azure that carry *needle*."""
        resources = self.sim("GET", "/state")["resources"].values()
        return [
            rule["name"]
            for nsg in resources
            for rule in nsg.get("properties", {}).get("securityRules") or []
            if needle in rule["name"] and rule["properties"]["access"] == "Allow"
        ]

    def calls(self, method: str, needle: str) -> list[dict[str, Any]]:
        """Return the ARM calls whose path carries *needle*."""
        return [
            item
            for item in self.sim("GET", "/log")
            if item["method"] == method and needle.lower() in item["path"].lower()
        ]
