"""The house: pinned packages, deployed files, commands, prose."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests import idiom

PROJECT = Path(__file__).resolve().parent.parent
REQUIREMENTS = sorted(PROJECT.glob("requirements*.txt"))
PLAIN = ("local", "bench", "tests/local", "tests/bench")
LARGEST_SHARE = 0.02
UNTESTED = {
    "broker/configure/policy_writer.py",
    "broker/policy_worker/remove_rules.py",
    "broker/reconcile/comparison.py",
    "broker/reconcile/leftovers.py",
    "broker/reconcile/report.py",
    "interfaces.py",
    "wiring.py",
}
"""Modules below ``jit/`` whose namesake test is still missing. A name leaves when its test exists."""

PIN = re.compile(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*( ; python_version [<>=]+ \"3\.\d+\")?")


def entries(path):
    """Return the lines of *path* that name packages."""
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


@pytest.mark.parametrize("path", [*REQUIREMENTS, PROJECT / "constraints.txt"], ids=lambda p: p.name)
def test_every_package_is_pinned(path):
    """Two installs on two days are the same install."""
    assert [entry for entry in entries(path) if PIN.fullmatch(entry) is None] == []


def test_requirements_use_the_constraints():
    """The requirements of a package are pinned as well."""
    direct = [path for path in REQUIREMENTS if "-r requirements.txt" not in path.read_text()]

    assert [path.name for path in direct if "-c constraints.txt" not in path.read_text()] == []


def test_the_deployment_leaves_the_local_stack_at_home():
    """A host that believes X-Local-User must never be in Azure."""
    left_out = (PROJECT / ".funcignore").read_text().splitlines()

    assert {"local", "tests", "bench", "requirements-*.txt"} <= set(left_out)
    assert "constraints.txt" not in left_out


def test_azurite_is_pinned_with_all_that_it_needs():
    """The lock file names versions and hashes, and no place to get them from."""
    lock = json.loads((PROJECT / "local" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    wanted = json.loads((PROJECT / "local" / "package.json").read_text())["dependencies"]

    assert packages["node_modules/azurite"]["version"] == wanted["azurite"]
    assert [name for name, entry in packages.items() if "integrity" not in entry] == []
    assert [name for name, entry in packages.items() if "resolved" in entry] == []


def test_make_alone_lists_every_command():
    """The first thing that a newcomer types."""
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    commands = [line.split()[1] for line in shown.stdout.splitlines()]

    everyday = ["help", "demo", "run", "test", "test-long", "cover", "check", "bench"]
    assert commands == [*everyday, "mutants", "soak", "clean"]


def test_continuous_integration_runs_the_commands_of_the_readme():
    """The same two commands, and nothing that a developer would not run."""
    script = (PROJECT / ".ci" / "run").read_text().splitlines()

    assert script[-2:] == ["make test", "make check"]


@pytest.mark.parametrize("folder", PLAIN)
def test_the_prose_is_plain_english(folder):
    """At most one sentence in fifty has an idiom that ``tests/idiom.py`` lists."""
    counted = idiom.count([PROJECT / folder])

    assert counted.total > 0
    assert counted.share < LARGEST_SHARE, counted.report(PROJECT)


def test_every_module_has_its_namesake_test():
    """``jit/storage/table.py`` has ``tests/storage/test_table.py``."""
    modules = [path for path in (PROJECT / "jit").rglob("*.py") if path.name != "__init__.py"]
    names = [path.relative_to(PROJECT / "jit") for path in modules]
    tests = {name: PROJECT / "tests" / name.with_name(f"test_{name.name}") for name in names}

    assert {str(name) for name, test in tests.items() if not test.exists()} == UNTESTED
