"""The machine that the figures come from."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def read_surroundings(arguments: Sequence[str]) -> dict[str, object]:
    """Return the facts beside every figure: command, Python, processor, cores, load."""
    return {
        "command": shlex.join(["python", "-m", "bench", *arguments]),
        "python": platform.python_version(),
        "cpu": _read_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else _count_cores(),
        "load": round(os.getloadavg()[0], 2),
    }


def describe(facts: dict[str, object]) -> str:
    """Return the same for a person, as one line."""
    return (
        f"{facts['command']} · Python {facts['python']} on {sys.platform} · {facts['cpu']}, "
        f"{facts['cores']} cores, load {facts['load']}"
    )


def _count_cores() -> int:
    return os.cpu_count() or 1


def _read_model() -> str:
    """Return the processor's name where the system tells it."""
    if not _CPUINFO.is_file():
        return platform.processor() or platform.machine()
    lines = _CPUINFO.read_text().splitlines()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
