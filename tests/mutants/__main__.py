"""
``make mutants``: plant each bug in a copy of the project, and see the named tests fail.

Exit code 1 when a bug goes unnoticed, or when the tests fail without any.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.planted import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
_FAILED = 1  # pytest: tests ran, and some of them failed
_COPIED = ("jit", "local", "tests", "infra", "docs", "bench")


def main(wanted: Iterable[str]) -> int:
    """Plant the bugs whose names hold one of the words *wanted*; all if there is none."""
    words = tuple(wanted)
    chosen = [mutant for mutant in MUTANTS if not words or any(w in mutant.name for w in words)]
    with tempfile.TemporaryDirectory(prefix="jit-mutants-") as name:
        home = Path(name)
        _copy(home)
        tests = sorted({test for mutant in chosen for test in mutant.caught_by})
        if _run(home, tests):
            print("the tests fail without any bug planted", file=sys.stderr)
            return 1
        caught = [_caught(home, mutant) for mutant in chosen]
    print(f"mutants: {len(caught)}, caught: {sum(caught)}")
    return 0 if all(caught) and caught else 1


def _copy(home: Path) -> None:
    for name in _COPIED:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, home / name, ignore=ignore)
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, home)
    (home / ".local").symlink_to(ROOT / ".local")  # the storage emulator, already obtained


def _caught(home: Path, mutant: Mutant) -> bool:
    """Plant one bug, run its tests, take it out again; tell whether each of them failed."""
    target = home / mutant.path
    text = target.read_text()
    target.write_text(text.replace(mutant.was, mutant.becomes))
    began = time.monotonic()
    missed = [test for test in mutant.caught_by if _run(home, [test]) != _FAILED]
    target.write_text(text)
    said = f"not by {', '.join(missed)}" if missed else f"caught by {len(mutant.caught_by)}"
    print(f"{mutant.promise} {mutant.name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return not missed


def _run(home: Path, tests: list[str]) -> int:
    """Run *tests* in the copy; return pytest's exit code."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=home, capture_output=True, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
