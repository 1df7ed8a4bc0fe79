"""Fixtures of the whole suite: one real storage emulator, an empty account for each test."""

import base64
import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from local import azurite as emulator
from local.children import Children
from tests.crash import summary
from tests.sizes import LONG, examples

# Examples share two busy cores with the emulator: a slow example is no failure. The short run has
# the same examples each time, so that a green commit stays green; the long run searches on.
settings.register_profile(
    "project", deadline=None, max_examples=examples(50, 1000), derandomize=not LONG
)
settings.load_profile("project")


_REPETITIVE = {"crash", "machine"}
"""Folders of tests that pass thousands of times where other tests pass: not measured, for speed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark the tests without coverage, and the tests with more examples in the long run.

    The longest tests come first: then all workers end at about the same moment.
    """
    items.sort(key=lambda item: item.path.parent.name != "crash")
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.scaled)
        if item.path.parent.name in _REPETITIVE:
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """
    Keep Python's garbage collector away from the collected tests, which live until the end.

    It would look at thousands of them again and again. That took a sixth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run of all scenarios fail if it had too few crash points and faults."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and session.exitstatus == 0 and _complain(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED  # the workers of a run have no reporter


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print at the end how many crash points and faults ran, and how many broke a promise."""
    line, complaint = summary.summary_line(_reports(terminalreporter)), _complain(terminalreporter)
    for text in filter(None, (line, complaint)):
        terminalreporter.write_line(text)


def _complain(reporter: pytest.TerminalReporter) -> str:
    """Return the complaint about too few crash points; ``JIT_CRASH`` chooses another number."""
    return "" if os.environ.get("JIT_CRASH") else summary.shortfall_line(_reports(reporter))


def _reports(reporter: pytest.TerminalReporter) -> Iterator[Any]:
    return itertools.chain.from_iterable(reporter.stats.values())


_ACCOUNTS = 1000
_KEY = base64.b64encode(b"an empty account for one test").decode()


@pytest.fixture(scope="session")
def _emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.Azurite]:
    run = tmp_path_factory.mktemp("azurite")
    accounts = {f"test{number:04}": _KEY for number in range(_ACCOUNTS)}
    with Children() as children:
        yield emulator.start(
            children, run, in_memory=True, accounts={emulator.ACCOUNT: emulator.KEY} | accounts
        )


@pytest.fixture(scope="session")
def _fresh_accounts() -> Iterator[str]:
    return (f"test{number:04}" for number in itertools.count())


@pytest.fixture(scope="session")
def azurite(_emulator: emulator.Azurite) -> str:
    """The connection string of an Azurite account that the whole session shares."""
    return _emulator.connection_string()


@pytest.fixture
def storage(_emulator: emulator.Azurite, _fresh_accounts: Iterator[str]) -> str:
    """The connection string of an empty storage account that belongs to one test."""
    return _emulator.connection_string(next(_fresh_accounts), _KEY)


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the project."""
    return Path(__file__).resolve().parent.parent
