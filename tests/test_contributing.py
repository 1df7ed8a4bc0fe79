"""The worked example of the contributors' page: it is typed, it runs, and its rule decides."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"^   ```(python|diff)\n(.*?)^   ```$", flags=re.DOTALL | re.MULTILINE)
_RULE = "jit/domain/decision/single_source.py"
_TEST = "tests/domain/decision/test_single_source.py"
_CALLER = "jit/domain/decision/jit_policy.py"
_IMPORT = "from jit.domain.decision.single_source import find_several_sources\n"
_ABOVE = "from jit.domain.decision.verdict import"


def apply(diff: str, text: str) -> str:
    """Return *text* with the removed lines of *diff* replaced by the added ones."""
    lines = diff.splitlines(keepends=True)
    removed, added = ("".join(x[1:] for x in lines if x[0] == sign) for sign in "-+")
    assert text.count(removed) == 1, "the example changes a line that is not there"
    return text.replace(removed, added)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A copy of the project with the example in it."""
    home = tmp_path_factory.mktemp("example")
    for name in ("jit", "tests/builders"):
        shutil.copytree(PROJECT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", home)
    blocks = [textwrap.dedent(text) for _, text in _BLOCK.findall(read_page())]
    rule, test, diff = blocks
    (home / _RULE).write_text(rule)
    (home / _TEST).parent.mkdir(parents=True)
    (home / _TEST).write_text(test)
    caller = apply(diff, (home / _CALLER).read_text())
    (home / _CALLER).write_text(caller.replace(_ABOVE, _IMPORT + _ABOVE))
    return home


def read_page() -> str:
    return (PROJECT / "CONTRIBUTING.md").read_text()


def run(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in *home*; its output and its exit code."""
    said = [sys.executable, "-B", "-m", *command]
    return subprocess.run(said, cwd=home, capture_output=True, text=True, check=False)


def test_the_example_passes_its_own_test(example):
    done = run(example, "pytest", "-q", "-p", "no:cacheprovider", _TEST)

    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("checker", [("mypy",), ("ruff", "check"), ("ruff", "format", "--check")])
def test_the_example_passes_the_checks(example, checker):
    done = run(example, *checker, _RULE, _TEST, _CALLER)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_for_one_test_selects_some():
    """As it is printed on the page."""
    command = re.search(r"`\.venv/bin/python -m (pytest [^`]+)`", read_page())
    assert command is not None

    done = run(PROJECT, *command[1].split(), "--collect-only", "-q", "-p", "no:cacheprovider")

    assert done.returncode == 0, done.stdout


def test_the_decision_follows_the_rule_of_the_example(example):
    script = """
        from jit.domain.decision.jit_policy import decide
        from tests.builders.bodies import a_draft, a_machine, a_port
        from tests.builders.values import NOW
        draft = a_draft(
            virtualMachines=[a_machine(ports=[a_port(3389)])],
            sources=["203.0.113.7", "198.51.100.9"],
        )
        print(*(finding.violation.code for finding in decide(draft, {}, now=NOW)))
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(script)],
        cwd=example,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == ["vm-not-found", "several-sources"], done.stderr
