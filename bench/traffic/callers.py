"""Callers of the broker over HTTP: many at once, each on a connection of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

from bench.measures.processes import MeasurementFailed
from bench.traffic import access_requests
from local.host.web.platform_auth import DEFAULT_USER

_TIMEOUT_SECONDS = 60
_WARM_SECONDS = 120
_LOOK_SECONDS = 0.1
_ACCEPTED, _OK, _UNAVAILABLE = 202, 200, 503
_TRIES = 3  # many calls of one person at once wait for each other, ten seconds at most
_PATH = "/api/access-requests"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the broker, its JSON, how many seconds it took."""

    status: int
    document: Mapping[str, Any]
    seconds: float


class Callers:
    """Calls the broker at *url*, from as many threads as want to."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url).netloc
        self._mine = threading.local()
        self._opened: list[HTTPConnection] = []

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()

    def ask(self, key: str, body: Mapping[str, Any], person: str = DEFAULT_USER) -> Answer:
        """
        Ask for access, as somebody of the landscape; repeat a 503, as the contract says.

        Raises:
            MeasurementFailed: The last answer is not 202.
        """
        headers = {"Idempotency-Key": key, "X-Local-User": person}
        for _ in range(_TRIES):
            answer = self._call("POST", _PATH, json.dumps(body), headers)
            if answer.status != _UNAVAILABLE:
                break
        if answer.status != _ACCEPTED:
            raise MeasurementFailed(f"POST {_PATH}: {answer.status} {answer.document}")
        return answer

    def ask_all(
        self,
        bodies: Sequence[Mapping[str, Any]],
        *,
        at_once: int,
        people: Sequence[str] = (DEFAULT_USER,),
    ) -> list[Answer]:
        """
        Ask for all of *bodies*, *at_once* of them at a time; return the answers in order.

        *people* ask in turn. The requests of one person are stored one after the other.
        """
        with ThreadPoolExecutor(at_once) as pool:
            keys = [f"{time.monotonic_ns()}-{number}" for number in range(len(bodies))]
            return list(pool.map(self.ask, keys, bodies, cycle(people)))

    def revoke(self, request_id: str) -> Answer:
        """
        End a request early.

        Raises:
            MeasurementFailed: The answer is not 202.
        """
        answer = self._call("POST", f"{_PATH}/{request_id}/revoke", "{}")
        if answer.status != _ACCEPTED:
            raise MeasurementFailed(f"revoke: {answer.status} {answer.document}")
        return answer

    def statuses(self, request_id: str) -> set[str]:
        """Return the statuses of a request's grants."""
        shown = self._call("GET", f"{_PATH}/{request_id}").document
        return {grant["status"] for grant in shown["grants"]}

    def warm_up(self, machine: str) -> None:
        """Open port 22 of a VM that is not measured: afterwards the host has loaded every SDK."""
        answer = self.ask(f"warm-up-{time.monotonic_ns()}", access_requests.make_body([machine]))
        self.wait_until_open(answer.document["id"], seconds=_WARM_SECONDS)

    def wait_until_open(self, request_id: str, *, seconds: float) -> Mapping[str, Any]:
        """
        Wait until every grant of a request is open; return the request.

        Raises:
            MeasurementFailed: One closed, or *seconds* passed.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            shown = self._call("GET", f"{_PATH}/{request_id}").document
            statuses = {grant["status"] for grant in shown["grants"]}
            if statuses == {"open"}:
                return shown
            if "closed" in statuses or "closing" in statuses:
                raise MeasurementFailed(f"{request_id} did not open: {_describe_grants(shown)}")
            time.sleep(_LOOK_SECONDS)
        raise MeasurementFailed(
            f"{request_id} did not open in {seconds:g} s: {_describe_grants(shown)}"
        )

    def _call(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        began = time.perf_counter()
        connection = self._connection()
        media_type = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, body, {**media_type, **headers})
        response = connection.getresponse()
        document = json.loads(response.read() or b"{}")
        return Answer(response.status, document, time.perf_counter() - began)

    def _connection(self) -> HTTPConnection:
        if not hasattr(self._mine, "connection"):
            self._mine.connection = HTTPConnection(self._place, timeout=_TIMEOUT_SECONDS)
            self._opened.append(self._mine.connection)
        kept: HTTPConnection = self._mine.connection
        return kept


def _describe_grants(shown: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    grants = shown["grants"]
    return [(grant["virtualMachineId"][-8:], grant["port"], grant["status"]) for grant in grants][
        :5
    ]
