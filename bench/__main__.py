"""
``python -m bench [name ...]``: run benchmarks, print a figure a line.

Exit codes: 0 when everything was measured, whether or not goals were met; 1 when a measurement
failed; 2 for an unknown name.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence

from bench.catalogue import BENCHMARKS, Benchmark
from bench.measures import machine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that *arguments* name; return the exit code."""
    names = _read_names(arguments)
    facts = machine.read_surroundings(names)
    _say(machine.describe(facts))
    measured = [
        _run_benchmark(benchmark, facts)
        for benchmark in _list_benchmarks(names or list(BENCHMARKS))
    ]
    return 0 if all(measured) else 1


def _list_benchmarks(names: Sequence[str]) -> list[Benchmark]:
    """Return the benchmarks of *names* in order, once each: one may yield several figures."""
    return list(dict.fromkeys(BENCHMARKS[name] for name in names))


def _run_benchmark(benchmark: Benchmark, facts: dict[str, object]) -> bool:
    """Run one benchmark and print its figures; False if the measurement failed."""
    began = time.monotonic()
    name = benchmark.__name__
    _say(f"{name} ...")
    try:
        for figure in benchmark():
            print(figure.line(facts), flush=True)
    except Exception:  # noqa: BLE001 # one that fails must not hide the others' figures
        _say(f"{name} could not be measured:\n{traceback.format_exc()}")
        return False
    _say(f"{name} took {time.monotonic() - began:.0f} s")
    return True


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _read_names(arguments: Sequence[str] | None) -> list[str]:
    """Return the names asked for; an unknown one ends the program with 2."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    names: list[str] = parser.parse_args(arguments).names
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
