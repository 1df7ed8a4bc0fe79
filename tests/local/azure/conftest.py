"""Fixtures: a fresh simulator for each test; one HTTP server for a module."""

import os
import threading
from collections.abc import Iterator

import pytest

from local.azure.server import Server
from local.azure.simulator import Azure
from local.azure.timeline import Timeline
from tests.local.azure.sim import LANDSCAPE, Sim


@pytest.fixture
def sim() -> Sim:
    """A simulator with a frozen clock in this process."""
    return Sim(LANDSCAPE)


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    server = Server(Azure(LANDSCAPE, Timeline(), "secret"), 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(_server: Server) -> Server:
    """The simulator behind HTTP, as the landscape says."""
    _server.azure.reset()
    return _server


@pytest.fixture
def identity(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment in which the real credential finds the simulator's identity endpoint."""
    for name in [name for name in os.environ if name.startswith(("IDENTITY_", "MSI_", "AZURE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
