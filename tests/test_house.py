"""The house: pinned packages, deployed files, commands, names, prose."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import idiom

PROJECT = Path(__file__).resolve().parent.parent
REQUIREMENTS = sorted(PROJECT.glob("requirements*.txt"))
PLAIN = ("bench", "docs", "jit", "local", "tests")
LARGEST_SHARE = 0.02
# The first words of functions. Add a verb here if none of these says what a new function does.
_VERBS = """
accept accompany act add admit advance alert announce answer append apply archive ask begin bound
build change check choose claim close compare count create decide delete describe digest drain drop
end enqueue ensure erase evaluate expand export explain extend fill find fix forget format get group
hash hear hurry initiate insert invert join judge keep leave lift list load look make mark measure
merge move name narrow note observe pace pack parse pass plan predict preview put query read
reassign rebuild recall reconcile record refuse release remember remove render renew replace report
require resolve return revoke run save send set sort split start summarize sweep take tick tidy
translate try verify view wait wake withdraw work write
"""
VERBS = frozenset(_VERBS.split())
# The first words of functions that answer yes or no.
_PREDICATES = """
aims allows are awaits belongs carries covers ends equals has is lasts leads lets matches may must
needs opens overlaps stands wants
"""
PREDICATES = frozenset(_PREDICATES.split())
# Modules whose functions have the noun of their result: conversions, parts of the broker, events.
_NOUNS = "arm_ids arm_json documents json_pointer keys messages telemetry wiring"
NOUNS = frozenset(_NOUNS.split())
# Constructors, a conversion, two decorators, and hooks that libraries name.
OTHERS = frozenset(
    {
        "of",
        "from_env",
        "doc",
        "answers",
        "answers_anybody",
        "answers_signed_in",
        "on_request",
        "redirect_request",
    }
)
_PARTICIPLES = "found gone held kept known lost made seen sent taken written"
PARTICIPLES = frozenset(_PARTICIPLES.split())
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

    assert {str(name) for name, test in tests.items() if not test.exists()} == set()


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield all functions of ``jit/`` with their modules. Properties are no functions."""
    for path in sorted((PROJECT / "jit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
                decorators = "".join(map(ast.unparse, node.decorator_list))
                if "property" not in decorators:
                    yield path.stem, node


def first_word(node: ast.FunctionDef) -> str:
    return node.name.strip("_").split("_")[0]


def is_predicate(node: ast.FunctionDef) -> bool:
    return node.returns is not None and ast.unparse(node.returns) == "bool"


def test_a_public_function_begins_with_a_verb():
    """The name of a conversion may be a noun: ``arm_ids.key``, ``kind_of``."""
    names = {
        f"{module}.{node.name}": first_word(node)
        for module, node in functions()
        if module not in NOUNS and node.name not in OTHERS and not is_predicate(node)
        if not node.name.startswith("_") and not node.name.endswith("_of")
    }

    assert {name for name, word in names.items() if word not in VERBS} == set()


def test_a_predicate_says_what_is_true():
    """An act that returns True if it was done keeps its verb."""
    names = {
        f"{module}.{node.name}": first_word(node)
        for module, node in functions()
        if module not in NOUNS and is_predicate(node)
    }

    assert {name for name, word in names.items() if word not in PREDICATES | VERBS} == set()


def test_no_function_is_named_by_a_participle():
    """Private functions too, although their names may be nouns."""
    names = {
        f"{module}.{node.name}": first_word(node)
        for module, node in functions()
        if module not in NOUNS and first_word(node) not in VERBS
    }

    assert {
        name for name, word in names.items() if word in PARTICIPLES or word.endswith(("ed", "ing"))
    } == set()
