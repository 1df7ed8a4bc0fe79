"""The identity endpoint of App Service, and tokens for tests."""

import base64
import json
import time

import pytest

from local.azure.simulator import Azure
from local.azure.timeline import Timeline
from local.azure.values.http import Request, Response
from tests.local.azure.sim import API, BROKER, HOST, LANDSCAPE, PRODUCTION, WEB01, Sim

RESOURCE = "https%3A%2F%2Fmanagement.azure.com"


def ask(query: str, header: str | None = "secret") -> Response:
    azure = Azure(LANDSCAPE, Timeline(), "secret")
    headers = {} if header is None else {"x-identity-header": header}
    return azure.handle(Request("GET", f"{HOST}/msi/token?{query}", headers))


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    decoded: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return decoded


def test_token_is_the_brokers_for_the_resource_asked():
    """The managed identity is the broker; the audience is the requested one."""
    answer = ask(f"resource={RESOURCE}&api-version=2019-08-01").json()

    assert claims(answer["access_token"])["oid"] == BROKER
    assert claims(answer["access_token"])["aud"] == "https://management.azure.com"


def test_token_expires_by_the_wall_clock():
    """The real credential caches by real time, not by the simulator's clock."""
    answer = ask(f"resource={RESOURCE}&api-version=2019-08-01").json()

    assert 3600 < int(answer["expires_on"]) - time.time() <= 24 * 3600


@pytest.mark.parametrize("header", [None, "", "guess"])
def test_identity_header_is_checked(header):
    """The header keeps other processes of the machine out."""
    assert ask(f"resource={RESOURCE}&api-version=2019-08-01", header).status == 401


@pytest.mark.parametrize(
    "query",
    [
        "api-version=2019-08-01",
        f"resource={RESOURCE}",
        f"resource={RESOURCE}&api-version=2017-09-01",
        f"resource={RESOURCE}&api-version=2019-08-01&client_id=someone",
    ],
)
def test_malformed_token_request_is_refused(query):
    """There is one identity, one version, and a resource is required."""
    assert ask(query).status == 400


def test_identity_header_is_optional_for_a_simulator_without_a_secret(sim: Sim):
    """By hand any header will do, but there must be one."""
    url = f"/msi/token?resource={RESOURCE}&api-version=2019-08-01"

    assert sim.send("GET", url, headers={"x-identity-header": "any"}).status == 200
    assert sim.send("GET", url).status == 401


def test_test_can_play_another_person(sim: Sim):
    """The control plane hands out anybody's token."""
    request = sim.initiate(WEB01, 22, as_="petra").json()

    assert request["requestor"] == "petra@contoso.example"


def test_an_unknown_person_cannot_be_played(sim: Sim):
    """A misspelt name is an error."""
    assert sim.send("POST", "/_sim/token", {"as": "mallory"}).status == 400


def test_token_for_another_audience_is_no_good_for_arm(sim: Sim):
    """A storage token does not open ARM."""
    token = sim.control("POST", "token", {"as": "petra", "audience": "https://storage.azure.com"})
    headers = {"authorization": f"Bearer {token['access_token']}"}
    response = sim.send("GET", f"/subscriptions/{PRODUCTION}?api-version={API}", headers=headers)

    assert response.status == 401
