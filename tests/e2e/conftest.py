"""Fixtures: one running stack with two hosts for the session, an empty one for each test."""

from collections.abc import Iterator

import pytest

from local.stack import Options, Stack
from tests.e2e.town import Town


@pytest.fixture(scope="session")
def _stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), Options(hosts=(0, 0))) as stack:
        yield stack


@pytest.fixture
def town(_stack: Stack) -> Iterator[Town]:
    """The running stack: nothing asked yet, Azure as the landscape says, the clock stopped."""
    town = Town(_stack)
    town.reset()
    yield town
    town.reset()


@pytest.fixture
def town_as_it_is(_stack: Stack) -> Town:
    """The running stack, for what must leave it as it was: empty."""
    return Town(_stack)
