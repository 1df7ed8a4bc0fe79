"""The managed identity: the real credential, fed by the platform's identity endpoint."""

import pytest
from azure.data.tables import TableClient
from azure.storage.queue import QueueClient

from jit.api_versions import COMPUTE
from jit.domain.errors import Unavailable
from jit.gateways.arm import ThinArm
from jit.gateways.managed_identity import ManagedIdentity
from jit.gateways.queue_storage import StorageQueues
from jit.gateways.table_storage import StorageTable
from jit.storage.table import Op, Row, Verb
from tests.fakes.azure import SCOPE
from tests.local.azure.sim import BROKER, WEB01

STORAGE = "https://127.0.0.1:1/account"


@pytest.fixture
def identity(url, monkeypatch):
    """The credential of a function app whose platform is the simulator."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "a secret of the platform")
    return ManagedIdentity()


@pytest.fixture
def nobody(monkeypatch):
    """The credential of a function app whose identity endpoint does not answer."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "a secret of the platform")
    return ManagedIdentity()


def test_the_real_credential_reaches_azure(identity, url, sim):
    """Token and call, both over HTTP on loopback; Azure knows the caller."""
    found = ThinArm(url, identity, SCOPE).get(WEB01, COMPUTE)
    last = sim.control("GET", "log")[-1]

    assert (found["name"], last["principal"]) == ("web01", "broker")


def test_one_token_serves_many_calls(identity, url, sim):
    """The identity endpoint is asked once."""
    arm = ThinArm(url, identity, SCOPE)
    arm.get(WEB01, COMPUTE)
    arm.get(WEB01, COMPUTE)
    paths = [entry["path"] for entry in sim.control("GET", "log")]

    assert paths.count("/msi/token") == 1


def test_a_user_assigned_identity_is_asked_for_by_its_client_id(url, sim, monkeypatch):
    """The platform may hold several; this one holds none."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "a secret of the platform")
    with pytest.raises(Unavailable):
        ManagedIdentity(BROKER).get_token(SCOPE)

    assert sim.control("GET", "log")[-1]["query"]["client_id"] == BROKER


@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_a_platform_that_gives_no_token_is_an_outage(identity, url, sim, status):
    """Its refusal must not pass for Azure's refusal of the call: nothing was sent."""
    fault = {"match": {"path": "/msi"}, "times": None, "answer": {"status": status, "body": {}}}
    sim.faults(fault)
    with pytest.raises(Unavailable) as error:
        ThinArm(url, identity, SCOPE).get(WEB01, COMPUTE)

    assert type(error.value) is Unavailable
    assert {entry["path"] for entry in sim.control("GET", "log")} == {"/msi/token"}


def test_without_a_token_no_row_is_written(nobody):
    """Nothing was sent, so nothing is unknown."""
    table = StorageTable(TableClient(STORAGE, "t", credential=nobody, retry_total=0))
    with pytest.raises(Unavailable) as error:
        table.write([Op(Verb.INSERT, Row(partition="p", key="k", values={}))])

    assert type(error.value) is Unavailable


def test_without_a_token_no_message_is_sent(nobody):
    """The same for queues."""
    queues = StorageQueues(lambda name: QueueClient(STORAGE, name, credential=nobody))

    with pytest.raises(Unavailable, match="managed identity"):
        queues.send("jit-policy", "x")
