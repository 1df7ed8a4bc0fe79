"""
Cold start: a fresh process that loads the app, and one that answers its first request.

The yardstick is the smallest possible app (``bench/empty_app``) in the same Python. Runs of both
alternate, so that a busy moment of the machine hits both; the first run of each, which may write
``.pyc`` files, does not count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measures import processes
from bench.measures.figures import Figure, Goal, ratio
from bench.measures.processes import ROOT
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests

REPEATS = 11
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
    """Wall time from process start to the first 202, against the empty app's first 200."""
    with start_stack() as place:
        place.learn()
        ours, theirs = _alternate(_make_accept(place), _make_empty(place), repeats)
    value, parts = ratio(ours, theirs)
    yield Figure(
        name="cold_first_accept_ratio",
        value=value,
        unit="ratio of wall seconds",
        goal=Goal(at_most=3),
        details={**parts, "storage": "connection string, Azurite on loopback"},
    )


def _alternate(
    ours: Callable[[], float], theirs: Callable[[], float], repeats: int
) -> tuple[list[float], list[float]]:
    pairs = [(ours(), theirs()) for _ in range(repeats + 1)][1:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _make_accept(place: RunningStack) -> Callable[[], float]:
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
        return _measure_first_line(ROOT, file, place.env)

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
