"""Fixtures of the gateways: one simulator, reached in this process or over HTTP."""

import threading
from collections.abc import Iterator

import pytest

from local.azure.server import Server
from tests.fakes.azure import SimulatedAzure
from tests.gateways.wires import Wire
from tests.local.azure.sim import Sim


@pytest.fixture
def sim() -> Sim:
    """The simulator that is asked, with a clock that stands still."""
    return Sim()


@pytest.fixture
def url(sim: Sim) -> Iterator[str]:
    """Where that simulator listens."""
    server = Server(sim.azure, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A client's way to that server."""
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture(params=["in-process", "http"])
def azure(request: pytest.FixtureRequest, sim: Sim) -> SimulatedAzure:
    """The gateways, over an in-process transport or a socket."""
    if request.param == "in-process":
        return SimulatedAzure(sim)
    url, wire = map(request.getfixturevalue, ("url", "wire"))
    return SimulatedAzure(sim, endpoint=url, transport=wire.transport)
