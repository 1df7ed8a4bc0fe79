"""Fixtures of the gateways: one simulator, reached in this process or over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jit.gateways.managed_identity import ManagedIdentity
from local.azure.server import Server
from local.children import Children
from tests.fakes.azure import SimulatedAzure
from tests.gateways import tls
from tests.gateways.wires import Wire
from tests.local.azure.sim import Sim


@pytest.fixture
def sim() -> Sim:
    """The simulator that is asked, with a clock that stands still."""
    return Sim()


@contextmanager
def _serving(sim: Sim) -> Iterator[str]:
    server = Server(sim.azure, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def url(sim: Sim) -> Iterator[str]:
    """The address of that simulator."""
    with _serving(sim) as url:
        yield url


@pytest.fixture(scope="session")
def managed_identity() -> Iterator[ManagedIdentity]:
    """The real credential, as App Service's identity endpoint feeds it: the simulator's."""
    with _serving(Sim()) as url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
        environment.setenv("IDENTITY_HEADER", "a secret of the platform")
        yield ManagedIdentity()


@pytest.fixture(scope="session")
def tls_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tls.TlsStorage]:
    """A storage account over TLS that takes tokens and no keys."""
    with Children() as children:
        yield tls.start(children, tmp_path_factory.mktemp("azurite-tls"))


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
