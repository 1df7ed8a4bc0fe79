"""Fixtures: one running stack with two hosts for a module, an empty one for each test."""

from collections.abc import Iterator

import pytest

from local.stack import Options, Stack
from tests.e2e.stack_client import StackClient


@pytest.fixture(scope="module")
def _stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), Options(hosts=(0, 0))) as stack:
        yield stack


@pytest.fixture
def client(_stack: Stack) -> Iterator[StackClient]:
    """The running stack: no requests, Azure as in the landscape, the clock stopped."""
    client = StackClient(_stack)
    client.reset()
    yield client
    client.reset()


@pytest.fixture
def client_without_reset(_stack: Stack) -> StackClient:
    """The running stack, for a test that leaves it unchanged: empty."""
    return StackClient(_stack)
