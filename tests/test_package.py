"""What a deployment takes: ``.funcignore`` is an allow-list."""

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
GOES = [
    ".python_packages/lib/x.py",
    "constraints.txt",
    "docs/problems.md",
    "function_app.py",
    "host.json",
    "jit/__init__.py",
    "jit/api/problem.py",
    "requirements.txt",
]
STAYS = [
    ".env",
    ".github/workflows/x.yml",
    ".local/python",
    ".venv/bin/python",
    "LICENSE",
    "Makefile",
    "bench/__main__.py",
    "infra/role.json",
    "jit.zip",
    "local.settings.json",
    "local/docs/x.md",
    "local/function_app.py",
    "local/host/__main__.py",
    "local/jit/x.py",
    "pyproject.toml",
    "requirements-dev.txt",
    "secrets.txt",
    "tests/test_package.py",
]


def takes_by_git(path, folder):
    """Return True if *path* goes for tools that read the file as git reads ``.gitignore``."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    ignore = PROJECT / ".funcignore"
    command = ["git", "-C", folder, "-c", f"core.excludesFile={ignore}", "check-ignore", "-q", path]
    return subprocess.run(command, check=False).returncode == 1


def takes_by_core_tools(path):
    """
    Return True if *path* goes for Azure Functions Core Tools.

    A pattern matches the beginning of a path, and any negated pattern wins: ``GitIgnoreParser.cs``
    in https://github.com/Azure/azure-functions-core-tools.
    """
    lines = [line for line in (PROJECT / ".funcignore").read_text().split("\n") if line]
    patterns = [line for line in lines if not line.startswith("#")]
    kept = [each.removeprefix("!/") for each in patterns if each.startswith("!")]
    left = [each.removeprefix("/") for each in patterns if not each.startswith("!")]
    return _begins(path, kept) or not _begins(path, left)


def _begins(path, patterns):
    return any(
        re.match(re.escape(each).replace(r"\*\*", ".+").replace(r"\*", "[^/]+"), path)
        for each in patterns
    )


@pytest.mark.parametrize("path", [*GOES, *STAYS])
def test_a_deployment_takes_what_the_list_names_and_nothing_else(path, tmp_path):
    """Two readings of the file are in use; a host that believes X-Local-User must never go."""
    expected = path in GOES

    assert (takes_by_git(path, tmp_path), takes_by_core_tools(path)) == (expected, expected)
