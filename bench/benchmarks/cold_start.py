"""
Cold start: a fresh process that loads the app, and one that answers its first request.

The yardstick is the smallest possible app (``bench/empty_app``) in the same Python. Runs of both
alternate, so that a busy moment of the machine hits both; the first run of each, which may write
``.pyc`` files, does not count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.measures import processes
from bench.measures.figures import Figure, Goal, ratio
from bench.measures.processes import ROOT
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests

REPEATS = 11
_GOALS = {"off": 3.0, "enforce": 4.0}
_EMPTY = ROOT / "bench" / "empty_app"
_LOADS = "import function_app; function_app.app.get_functions()"
_ANSWERS = str(ROOT / "bench" / "programs" / "first_answer.py")


def cold_start_cpu_ratio(repeats: int = REPEATS) -> Iterator[Figure]:
    """CPU time (user + system) of a process that imports and indexes the app, and ends."""
    env = processes.plain_environment()

    def load(folder: Path) -> float:
        return processes.run(["-c", _LOADS], env=env, cwd=folder).cpu_seconds

    ours, theirs = _alternate(lambda: load(ROOT), lambda: load(_EMPTY), repeats)
    value, parts = ratio(ours, theirs)
    yield Figure(
        name="cold_start_cpu_ratio",
        value=value,
        unit="ratio of CPU seconds",
        goal=Goal(at_most=1.5),
        details=parts,
    )


def cold_first_accept_ratio(repeats: int = REPEATS) -> Iterator[Figure]:
    """
    Wall time from process start to the first 202, against the empty app's first 200.

    Once without the person's rights in Azure, and once with them: then the process gets a token and
    reads three lists of Azure first.
    """
    for rights, goal in _GOALS.items():
        with start_stack() as place:
            place.learn()
            accept = _make_accept(place, {"JIT_REQUESTER_RBAC": rights})
            ours, theirs = _alternate(accept, _make_empty(place), repeats)
        value, parts = ratio(ours, theirs)
        storage = "connection string, Azurite on loopback"
        yield Figure(
            name="cold_first_accept_ratio",
            value=value,
            unit="ratio of wall seconds",
            goal=Goal(at_most=goal),
            details={**parts, "requesterRbac": rights, "storage": storage},
        )


def _alternate(
    ours: Callable[[], float], theirs: Callable[[], float], repeats: int
) -> tuple[list[float], list[float]]:
    pairs = [(ours(), theirs()) for _ in range(repeats + 1)][1:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _make_accept(place: RunningStack, settings: Mapping[str, str]) -> Callable[[], float]:
    """Return an act: one fresh process accepts a request for a VM that nobody asked for yet."""
    numbers = iter(range(50))
    file = place.folder / "accept.json"

    def act() -> float:
        number = next(numbers)
        machine = landscapes.machine(number // 10, number % 10, 10)
        _write(
            file,
            function="create_access_request",
            method="POST",
            headers=access_requests.make_headers(f"cold-{number}"),
            body=json.dumps(access_requests.make_body([machine])),
            status=202,
        )
        return _measure_first_line(ROOT, file, {**place.env, **settings})

    return act


def _make_empty(place: RunningStack) -> Callable[[], float]:
    file = place.folder / "nothing.json"
    _write(file, function="empty", method="GET", headers={}, body="", status=200)
    return lambda: _measure_first_line(_EMPTY, file, place.env)


def _write(file: Path, **request: object) -> None:
    file.write_text(json.dumps({**request, "url": "http://127.0.0.1/api/access-requests"}))


def _measure_first_line(folder: Path, file: Path, env: dict[str, str]) -> float:
    run = processes.run([_ANSWERS, str(folder), str(file)], env=env, cwd=folder)
    return run.first_line_seconds
