"""The promises hold after a real SIGKILL of a real process over real storage."""

import os
from collections.abc import Iterator

import pytest

from local.stack import Options, Stack
from tests.crash.killed_host import KilledHostRun
from tests.e2e.stack_client import MANY_CALLS, StackClient
from tests.sizes import LONG

CALLS = 1000
"""About the number of outside calls of a run without a kill."""

CERTAIN = 600
"""Every run makes at least so many outside calls."""

SAMPLE = ("after 320",)
"""One kill in ``make test``: the call has acted, and nobody has its answer."""

STEP = 50
"""The long run kills before and after every fiftieth call: 40 kills."""

FULL_STEP = 10
"""``JIT_KILLS=full`` kills before and after every tenth call: 200 kills."""


def _kill_points() -> tuple[str, ...]:
    """Return the calls at which the host dies: a few, many, or those of ``JIT_KILLS``."""
    wanted = os.environ.get("JIT_KILLS", "")
    if wanted == "full":
        return _every(FULL_STEP)
    if wanted:
        return tuple(wanted.split(","))
    return _every(STEP) if LONG else SAMPLE


def _every(step: int) -> tuple[str, ...]:
    calls = range(step // 2, CALLS, step)
    return tuple(f"{when} {number}" for number in calls for when in ("before", "after"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("killed"), Options(env=MANY_CALLS)) as stack:
        yield stack


@pytest.mark.e2e
@pytest.mark.scaled
@pytest.mark.parametrize("kill_at", _kill_points())
def test_a_killed_host_keeps_every_promise(stack, kill_at, record_property):
    """SIGKILL at one call of a long scenario; a new process continues from the stored rows."""
    run = KilledHostRun(StackClient(stack), kill_at)

    run.run_to_rest()
    record_property("crash points", run.deaths)
    record_property("violations", int(bool(run.violations)))

    assert run.violations == []
    assert run.deaths == 1 or int(kill_at.split()[1]) > CERTAIN
