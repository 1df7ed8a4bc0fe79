"""Fixtures: one running stack for a module, two hosts by default, an empty one for each test."""

from collections.abc import Iterator

import pytest

from local.stack import Options, Stack
from tests.e2e.stack_client import MANY_CALLS, StackClient

TWO = (0, 0)
"""The ports of the hosts; 0 is any free port. A module can ask for ``HOSTS = (0,)``."""


@pytest.fixture(scope="module")
def _stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    options = Options(hosts=getattr(request.module, "HOSTS", TWO), env=MANY_CALLS)
    with Stack(tmp_path_factory.mktemp("stack"), options) as stack:
        yield stack


@pytest.fixture
def client(_stack: Stack) -> Iterator[StackClient]:
    """The running stack: no requests, Azure as in the landscape, the clock stopped."""
    client = StackClient(_stack)
    yield client
    client.reset()


@pytest.fixture
def client_without_reset(_stack: Stack) -> StackClient:
    """The running stack, for a test that leaves it unchanged: empty."""
    return StackClient(_stack)
