"""The documents are true: each name in them exists, and each part of the code is in them."""

import ast
import inspect
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from jit import messages, settings
from jit.domain import errors
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.people import Role
from tests import packages

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "local/**/*.md", "infra/*.md", "bench/*.md", "tests/*.md")
    for path in PROJECT.glob(pattern)
    if "node_modules" not in path.parts
)
SOURCES = sorted([PROJECT / "function_app.py", *PROJECT.glob("jit/**/*.py")])
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}

CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
EVENT = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
NAMED_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
NAMED_PATH = re.compile(r"`((?:bench|docs|infra|jit|local|tests)/[\w/.]*)`")
LEVELS = {"event": "INFO", "warning": "WARNING", "alert": "ERROR"}
# Queues, an actor, a policy, a state of health, the key and the holder of a row.
NOT_CODES = {
    "audit",
    "d",
    "bars",
    "bastion",
    "jit-policy",
    "jit-reconcile",
    "broker",
    "default",
    "ok",
    "people",
    "tick",
    "unreadable",
}


def read(name: str) -> str:
    return (PROJECT / name).read_text()


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


# ---- reading documents ---------------------------------------------------------------------------


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Headings as GitHub turns them into anchors."""
    titles = re.findall(r"^#+ (.+)$", without_code(path.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def resolves(document: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = (document.parent / file).resolve() if file else document
    return target.exists() and (not anchor or anchor in anchors(target))


def section(document: str, heading: str) -> str:
    """Return the text below a heading, down to the next one of its depth or above."""
    depth = heading.split(" ", 1)[0]
    below = read(document).split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{len(depth)}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text; heads left out."""
    lines = re.findall(r"^\|(.*)\|$", text, flags=re.MULTILINE)
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) <= set("-:")]
    heads = {number for rule in rules for number in (rule - 1, rule)}
    return [row for number, row in enumerate(cells) if number not in heads]


def first_column(text: str) -> list[str]:
    """The code spans in the first column of all tables in a text."""
    return [span for row in rows(text) for span in re.findall(r"`([^`]+)`", row[0])]


# ---- reading code --------------------------------------------------------------------------------


def columns(trees: Iterable[ast.AST]) -> Iterator[str]:
    """The fields behind stored columns: ``initiate.ids`` is no event."""
    for node in chain.from_iterable(map(ast.walk, trees)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Column":
            yield from strings(node.args)


def strings(trees: Iterable[ast.AST]) -> Iterator[str]:
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def constants(tree: ast.Module) -> Iterator[str]:
    """The texts that a module names in upper case, for others to use."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if isinstance(node.value.value, str) and all(map(_public, names)):
                yield node.value.value


def _public(name: str) -> bool:
    return name.isupper() and not name.startswith("_")


def calls(name: str) -> Iterator[ast.Call]:
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) == name:
                yield node


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def codes() -> set[str]:
    """Codes of violations: constants of their modules, or written where the fault is named."""
    direct = (argument for call in calls("Violation") for argument in call.args[1:2])
    named = (text for tree in TREES.values() for text in constants(tree))
    return {text for text in (*strings(direct), *named) if CODE.fullmatch(text)} - NOT_CODES


def levels() -> set[tuple[str, str]]:
    """Names of events with their levels, where both stand in one call."""
    return {
        (str(call.args[0].value), level)
        for function, level in LEVELS.items()
        for call in calls(function)
        if call.args and isinstance(call.args[0], ast.Constant)
    }


@cache
def functions_of(path: str) -> set[str]:
    file = PROJECT / path
    tree = ast.parse(file.read_text() if file.exists() else "")
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def slugs() -> set[str]:
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass)]
    return {item.slug for item in classes if issubclass(item, errors.BrokerError)}


# ---- the laws ------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document):
    """A file of the project, and a heading in it if the link names one."""
    links = LINK.findall(without_code(document.read_text()))

    assert [link for link in links if not resolves(document, link)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_named_test_exists(document):
    """A proof that is not there proves nothing."""
    named = set(NAMED_TEST.findall(document.read_text()))

    assert [(path, test) for path, test in named if test not in functions_of(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_named_file_exists(document):
    """Rooms are renamed; the words must follow."""
    named = set(NAMED_PATH.findall(document.read_text()))

    assert [path for path in sorted(named) if not (PROJECT / path).exists()] == []


def test_every_promise_names_the_tests_that_prove_it():
    """Nine promises, each with a section and at least one test."""
    numbers = re.findall(r"^## (P\d): ", read("docs/promises.md"), flags=re.MULTILINE)
    titles = re.findall(r"^(## P\d: .+)$", read("docs/promises.md"), flags=re.MULTILINE)

    assert numbers == [f"P{number}" for number in range(1, 10)]
    assert [t for t in titles if not NAMED_TEST.search(section("docs/promises.md", t))] == []


def test_every_line_of_the_threat_model_names_a_test():
    """A line that nothing shows is a hope."""
    lines = rows(read("docs/threat-model.md"))

    assert len({title for title, _ in lines}) == len(lines) > 0
    assert [title for title, proof in lines if not NAMED_TEST.search(proof)] == []


def test_problem_types_are_those_of_the_error_tree():
    """The type of a problem leads to its heading."""
    headings = re.findall(r"^### (\S+)$", section("docs/problems.md", "## Types"), re.MULTILINE)

    assert sorted(headings) == sorted(slugs())


def test_the_documents_list_exactly_the_codes_of_the_code():
    """A caller's program may rely on any of them."""
    told = first_column(section("docs/problems.md", "## Codes"))

    assert len(told) == len(set(told))
    assert set(told) == codes()


OF_THE_WORKER = {"PYTHON_THREADPOOL_THREAD_COUNT"}
"""Settings that the worker of Functions reads."""


def test_the_documents_list_exactly_the_settings_of_the_code():
    """The settings of the broker, and the schedules that its timers name."""
    schedules = set(re.findall(r'schedule="%(\w+)%"', read("jit/triggers/timers.py")))
    told = first_column(section("docs/operations.md", "## Settings"))

    assert sorted(told) == sorted({*settings.NAMES, *schedules, *OF_THE_WORKER})


def test_the_sample_holds_known_settings_only():
    """Beside the settings of Functions itself."""
    sample = set(json.loads(read("local.settings.sample.json"))["Values"])
    told = set(first_column(section("docs/operations.md", "## Settings")))

    assert sample - told == {"FUNCTIONS_WORKER_RUNTIME"}


def test_each_permission_of_the_role_is_explained():
    """Nobody grants a right without an explanation."""
    actions = json.loads(read("infra/role.json"))["Actions"]
    told = first_column(section("docs/operations.md", "## Permissions of the broker's identity"))

    assert sorted(told) == sorted(actions)


def test_every_app_role_is_explained():
    """The roles of the Entra ID application."""
    told = first_column(section("docs/operations.md", "## App roles"))

    assert sorted(told) == sorted(Role)


def test_every_event_is_explained():
    """Names are constants in the code, so that both can be searched for."""
    texts = {*strings(TREES.values())} - {*columns(TREES.values())}
    found = {text for text in texts if EVENT.fullmatch(text)}
    told = first_column(section("docs/operations.md", "## Events"))

    assert len(told) == len(set(told))
    assert set(told) == found


def test_events_have_the_level_of_the_documents():
    """An ERROR wakes somebody."""
    told = {(row[0].strip("`"), row[1]) for row in rows(section("docs/operations.md", "## Events"))}

    assert levels() <= told


def test_every_benchmark_is_in_the_table():
    """A figure without its meaning is a number."""
    catalogue = ast.parse(read("bench/catalogue.py"))
    figures = {
        text for text in strings([catalogue]) if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", text)
    }

    assert figures <= set(first_column(section("docs/operations.md", "## Benchmarks")))


def test_every_warning_on_a_machine_is_explained():
    """They ask the owner of a VM to act."""
    advice = ("admin_rule_warnings", "failed_updates", "nat_rules", "nsg", "setup")
    obstacles = ("admin_obstacles", "nsg_obstacles", "route_obstacles")
    names = [*(f"advice/{name}.py" for name in advice), "paths/published_ports.py"]
    names += [f"obstacles/{name}.py" for name in obstacles]
    texts = strings([TREES[PROJECT / "jit" / "domain" / name] for name in names])
    told = first_column(section("docs/operations.md", "### Warnings on virtual machines"))

    assert len(told) == len(set(told))
    assert set(told) == {text for text in texts if "-" in text and CODE.fullmatch(text)}


def test_the_architecture_lists_every_module_by_its_first_sentence():
    """If this fails, run ``python -m tests.packages`` and read the result."""
    document = packages.DOCUMENT.read_text()

    assert packages.write_table(document) == document


def test_every_queue_is_in_the_architecture():
    """Operators see queues, and ask for their purpose."""
    queues = (
        messages.POLICY,
        messages.POLICY_POISON,
        messages.RECONCILE,
        messages.RECONCILE_POISON,
    )
    told = first_column(section("docs/architecture.md", "## Queues and timers"))

    assert set(queues) <= set(told)


def test_every_timer_is_in_the_architecture():
    """They run without a call."""
    timers = re.findall(r"@bp\.timer_trigger\(.*\)\ndef (\w+)", read("jit/triggers/timers.py"))

    assert timers
    assert set(timers) <= set(first_column(section("docs/architecture.md", "## Queues and timers")))


def test_every_state_and_close_reason_is_in_the_architecture():
    """A caller can see them."""
    states = section("docs/architecture.md", "## States")

    assert [status for status in Status if str(status) not in states] == []
    assert sorted(first_column(states)) == sorted(CloseReason)


def test_the_readme_names_commands_that_exist():
    """The first thing that a newcomer types."""
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.MULTILINE))
    named = set(re.findall(r"^make (\w+)", read("README.md"), flags=re.MULTILINE))

    assert {"demo", "test", "check", "run"} <= named <= targets


def test_the_changelog_has_a_place_for_the_next_release():
    """Keep a Changelog: the next release gathers under Unreleased."""
    assert "\n## [Unreleased]\n" in read("CHANGELOG.md")


def test_the_readme_names_the_oldest_python():
    """The README and the tools name the same version."""
    target = tomllib.loads(read("pyproject.toml"))["tool"]["ruff"]["target-version"]

    assert f"Python {target[2]}.{target[3:]} or newer" in read("README.md")
