"""The log of calls of the Azure simulator, read for counting."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench.measures.processes import MeasurementFailed
from bench.stack.simulator import Simulator

_MARK = "/subscriptions/the-log-begins-here"


@dataclass(frozen=True, slots=True)
class Call:
    """
    One call that Azure saw.

    Attributes:
        at: When it arrived, by the simulator's clock.
        method: HTTP's.
        path: Without query.
        status: The status of the answer; None if none went out.
        body: The body of the request, as JSON.
    """

    at: datetime
    method: str
    path: str
    status: int | None
    body: Any


@contextmanager
def record_calls(simulator: Simulator) -> Iterator[list[Call]]:
    """
    Give a list that holds the calls of ARM made inside the context once it has ended.

    Raises:
        MeasurementFailed: The log was too short to hold them all.
    """
    calls: list[Call] = []
    simulator.call("DELETE", "log")
    _make_marked_call(simulator)
    yield calls
    entries = simulator.call("GET", "log")
    if not entries or entries[0]["path"] != _MARK:
        raise MeasurementFailed("the simulator's log has lost its first calls")
    calls += [_read_call(entry) for entry in entries[1:] if not entry["path"].startswith("/msi/")]


def _make_marked_call(simulator: Simulator) -> None:
    """Make a call that is refused and logged: the log after it is complete."""
    try:
        urllib.request.urlopen(simulator.url + _MARK, timeout=10)
    except urllib.error.HTTPError:
        return
    raise MeasurementFailed("the simulator answered a call without a token")


def _read_call(entry: Mapping[str, Any]) -> Call:
    return Call(
        at=datetime.fromisoformat(entry["at"]),
        method=entry["method"],
        path=entry["path"],
        status=entry["status"],
        body=entry["requestBody"],
    )


def select_initiates(calls: list[Call]) -> list[Call]:
    """Return the calls that ask Defender to open something."""
    return [call for call in calls if call.method == "POST" and call.path.endswith("/initiate")]


def count_ports(initiate: Call) -> int:
    """Return how many VM ports one call of initiate asks for."""
    return sum(len(machine["ports"]) for machine in initiate.body["virtualMachines"])
