"""The promises, with real SIGKILLs of a real process over real storage."""

import os
from collections.abc import Iterator

import pytest

from local.stack import Options, Stack
from tests.crash.killing import KilledLife
from tests.e2e.town import Town

CALLS = 1000
"""About as many calls to the outside does an undisturbed life make."""

CERTAIN = 600
"""A life makes at least so many, however the processes happen to run."""

SAMPLE = ("before 60", "after 150", "before 320")
STEP = 10
"""``full`` kills at every tenth call."""


def _deaths() -> tuple[str, ...]:
    """Return which calls the host dies at: a few, what JIT_KILLS says, or ``full``: hundreds."""
    wanted = os.environ.get("JIT_KILLS", "")
    if wanted == "full":
        calls = range(STEP // 2, CALLS, STEP)
        return tuple(f"{when} {number}" for number in calls for when in ("before", "after"))
    return tuple(wanted.split(",")) if wanted else SAMPLE


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("killed"), Options()) as stack:
        yield stack


@pytest.mark.e2e
@pytest.mark.parametrize("death", _deaths())
def test_a_killed_host_keeps_every_promise(stack, death, record_property):
    """SIGKILL at one call of a composite life; a fresh process goes on from what is stored."""
    life = KilledLife(Town(stack), death)

    life.live()
    record_property("crash points", life.deaths)
    record_property("violations", int(bool(life.violations)))

    assert life.violations == []
    assert life.deaths == 1 or int(death.split()[1]) > CERTAIN
