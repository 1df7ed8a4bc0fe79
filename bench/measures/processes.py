"""Fresh processes: the cost of one from its start, in CPU time and until its first line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class MeasurementFailed(Exception):
    """The event to be measured did not happen; the figure would be a lie."""


@dataclass(frozen=True, slots=True)
class Run:
    """
    One process, from start to end.

    Attributes:
        cpu_seconds: User and system time of the process and the children it waited for.
        first_line_seconds: Wall time from its start until its first line arrived.
        output: Everything it wrote to standard output.
    """

    cpu_seconds: float
    first_line_seconds: float
    output: str


def run(arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path = ROOT) -> Run:
    """
    Run this Python with *arguments* and exactly the environment *env*.

    Raises:
        MeasurementFailed: It did not end with 0.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=cwd, env=dict(env), stdout=subprocess.PIPE
    )
    with process:
        out = process.stdout
        if out is None:
            raise MeasurementFailed("a child process without standard output")
        first = out.readline()
        answered = time.perf_counter()
        rest = out.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise MeasurementFailed(f"{arguments} ended with {process.returncode}")
    return Run(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        first_line_seconds=answered - began,
        output=(first + rest).decode(),
    )


def plain_environment() -> dict[str, str]:
    """Return an environment without any setting of an app."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: value for name, value in os.environ.items() if name in kept}
