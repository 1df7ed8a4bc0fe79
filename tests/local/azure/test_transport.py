"""The real SDK clients with the real credential: over a socket, or over none."""

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceResponseError,
)
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.security import SecurityCenter

from local.azure.server import Server
from local.azure.simulator import Azure
from local.azure.timeline import Timeline
from local.azure.transport import SimulatorTransport
from tests.local.azure.sim import (
    ALICE,
    API,
    BOB,
    BROKER,
    COMPUTE,
    DB01,
    DEVELOPMENT,
    LANDSCAPE,
    NSG_DB,
    PRODUCTION,
    rule,
)


class AllowHttp(SansIOHTTPPolicy[Any, Any]):
    """Lets a bearer token go over plain HTTP, to this machine."""

    def on_request(self, request: Any) -> None:
        request.context.options["enforce_https"] = False


class Clients:
    """The real SDK clients with the real credential, for the simulator at *url*."""

    def __init__(self, azure: Azure, url: str, **transport: Any) -> None:
        self.azure = azure
        self.credential = ManagedIdentityCredential(**transport)
        common: dict[str, Any] = {
            "base_url": url,
            "credential_scopes": ["https://management.azure.com/.default"],
            "per_call_policies": [AllowHttp()],
            "retry_total": 0,
            "polling_interval": 0,
            **transport,
        }
        self.network: Any = NetworkManagementClient(self.credential, PRODUCTION, **common)
        self.security: Any = SecurityCenter(self.credential, PRODUCTION, **common)
        self.more_network: Any = NetworkManagementClient(self.credential, DEVELOPMENT, **common)

    def close(self) -> None:
        for client in (self.network, self.security, self.more_network):
            client.close()
        self.credential.close()

    def advance(self, seconds: float) -> None:
        self.azure.world.timeline.advance(timedelta(seconds=seconds))


def over_http(server: Server) -> Clients:
    return Clients(server.azure, server.url)


def in_process(server: Server) -> Clients:
    azure = Azure(LANDSCAPE, Timeline(), "secret")
    return Clients(azure, server.url, transport=SimulatorTransport(azure))


@pytest.fixture(params=[over_http, in_process], ids=["over HTTP", "in process"])
def clients(request: pytest.FixtureRequest, server: Server, identity: None) -> Iterator[Clients]:
    """The same clients over a socket, or over none."""
    made = request.param(server)
    made.azure.world.timeline.freeze()
    yield made
    made.close()


def test_real_credential_gets_a_token_once(clients: Clients):
    """The credential caches it by real time, so one is enough."""
    list(clients.security.jit_network_access_policies.list())
    list(clients.network.azure_firewalls.list_all())
    paths = [each["path"] for each in clients.azure.world.journal.documents()]

    assert paths.count("/msi/token") == 1


def test_policy_is_read_as_a_model(clients: Clients):
    """The SDK understands the answer."""
    policy = clients.security.jit_network_access_policies.get("rg-web", "westeurope", "default")
    machine = policy.virtual_machines[0]

    assert machine.public_ip_address == "52.137.62.53"
    assert [port.number for port in machine.ports] == [3389, 22]


def test_request_is_made_with_the_model(clients: Clients):
    """One source, as the model has it; the answer's instants are read."""
    end = clients.azure.world.timeline.now + timedelta(hours=1)
    port = {"number": 22, "endTimeUtc": end.isoformat(), "allowedSourceAddressPrefix": ALICE}
    request = clients.security.jit_network_access_policies.initiate(
        "rg-db", "westeurope", "default", {"virtualMachines": [{"id": DB01, "ports": [port]}]}
    )

    assert request.virtual_machines[0].ports[0].status == "Initiating"
    assert request.virtual_machines[0].ports[0].end_time_utc == end
    assert request.requestor == BROKER


def test_list_of_sources_goes_as_raw_json(clients: Clients):
    """The model has no list, a stream of bytes has everything."""
    end = clients.azure.world.timeline.now + timedelta(hours=1)
    port = {
        "number": 22,
        "endTimeUtc": end.isoformat(),
        "allowedSourceAddressPrefixes": [ALICE, BOB],
    }
    body = json.dumps({"virtualMachines": [{"id": DB01, "ports": [port]}]}).encode()
    clients.security.jit_network_access_policies.initiate(
        "rg-db", "westeurope", "default", BytesIO(body)
    )
    clients.advance(10)
    rules = clients.network.security_rules.list("rg-db", "nsg-db")
    allows = [each for each in rules if each.name and "JITRule-" in each.name]

    assert [each.properties.source_address_prefixes for each in allows] == [[ALICE, BOB]]


def test_pages_are_followed_by_the_sdk(clients: Clients):
    """Fifty interfaces on pages of seven."""
    clients.azure.world.options.change({"pageSize": 7})

    assert len(list(clients.more_network.network_interfaces.list_all())) == 50


def test_rule_is_written_without_waiting(clients: Clients):
    """The poller may be left alone."""
    clients.network.security_rules.begin_create_or_update(
        "rg-db", "nsg-db", "mine", rule(priority=300), polling=False
    )
    shown = clients.network.security_rules.get("rg-db", "nsg-db", "mine")

    assert shown.properties.provisioning_state == "Updating"


def test_rule_is_written_and_waited_for(clients: Clients):
    """The SDK's poller follows the operation to its end."""
    clients.azure.world.options.change({"nsgSeconds": 0})
    poller = clients.network.security_rules.begin_create_or_update(
        "rg-db", "nsg-db", "mine", rule(priority=300)
    )

    assert poller.result(timeout=10).properties.provisioning_state == "Succeeded"


def test_rule_is_deleted_and_waited_for(clients: Clients):
    """The poller is content with how a delete ends."""
    clients.azure.world.options.change({"nsgSeconds": 0})
    clients.network.security_rules.begin_delete("rg-db", "nsg-db", "allow-postgres").result(10)
    with pytest.raises(ResourceNotFoundError):
        clients.network.security_rules.get("rg-db", "nsg-db", "allow-postgres")


def test_failed_operation_is_an_error_to_the_sdk(clients: Clients):
    """The poller raises the error of the operation."""
    clients.azure.world.options.change({"nsgSeconds": 0})
    outcome = {"status": "Failed", "code": "NoLuck", "message": "none"}
    clients.azure.world.faults.plan([{"match": {"method": "PUT"}, "operation": outcome}])
    poller = clients.network.security_rules.begin_create_or_update(
        "rg-db", "nsg-db", "mine", rule(priority=300)
    )
    with pytest.raises(HttpResponseError, match="none"):
        poller.result(10)


def test_firewall_survives_the_sdks_model(clients: Clients):
    """Read as a model, written back: the customer's rules are still there."""
    firewall = clients.network.azure_firewalls.get("rg-web", "fw-prod")
    clients.network.azure_firewalls.begin_create_or_update(
        "rg-web", "fw-prod", firewall, polling=False
    )
    clients.advance(240)
    after = clients.network.azure_firewalls.get("rg-web", "fw-prod").properties

    assert [each.name for each in after.nat_rule_collections or []] == ["customer-dnat"]
    assert [each.name for each in after.application_rule_collections or []] == ["customer-web"]
    assert after.provisioning_state == "Succeeded"


def test_stale_etag_is_the_sdks_resource_modified(clients: Clients):
    """The header passes through an operation that has no parameter for it."""
    firewall = clients.network.azure_firewalls.get("rg-web", "fw-prod")
    with pytest.raises((ResourceModifiedError, HttpResponseError)) as caught:
        clients.network.azure_firewalls.begin_create_or_update(
            "rg-web", "fw-prod", firewall, polling=False, headers={"If-Match": 'W/"old"'}
        )

    assert caught.value.status_code == 412


def test_busy_firewall_is_the_sdks_resource_exists(clients: Clients):
    """409 has that class; the code names the real reason."""
    firewall = clients.network.azure_firewalls.get("rg-web", "fw-prod")
    clients.network.azure_firewalls.begin_create_or_update(
        "rg-web", "fw-prod", firewall, polling=False
    )
    with pytest.raises(ResourceExistsError) as caught:
        clients.network.azure_firewalls.begin_create_or_update(
            "rg-web", "fw-prod", firewall, polling=False
        )

    assert caught.value.error is not None
    assert caught.value.error.code == "AnotherOperationInProgress"


def test_refused_permission_is_an_error_with_arms_code(clients: Clients):
    """403 says AuthorizationFailed."""
    clients.azure.world.directory.denied.append(("broker", "*"))
    with pytest.raises(HttpResponseError) as caught:
        list(clients.security.jit_network_access_policies.list())

    assert caught.value.status_code == 403
    assert caught.value.error is not None
    assert caught.value.error.code == "AuthorizationFailed"


@pytest.mark.parametrize("when", ["before", "after"])
def test_broken_connection_is_a_lost_answer_to_the_sdk(clients: Clients, when):
    """The client cannot know whether the work was done."""
    clients.azure.world.faults.plan([{"match": {"path": "securityRules"}, "drop": when}])
    with pytest.raises(ServiceResponseError):
        clients.network.security_rules.begin_create_or_update(
            "rg-db", "nsg-db", "mine", rule(priority=300), polling=False
        )
    names = [each.name for each in clients.network.security_rules.list("rg-db", "nsg-db")]

    assert ("mine" in names) is (when == "after")


def test_plan_is_read_by_the_sdk(clients: Clients):
    """The check before any configuration."""
    plan = clients.security.pricings.get(
        scope_id=f"subscriptions/{PRODUCTION}", pricing_name="VirtualMachines"
    )

    assert (plan.pricing_tier, plan.sub_plan) == ("Standard", "P2")


def test_wrong_identity_header_leaves_the_credential_without_a_token(
    server: Server, identity: None, monkeypatch: pytest.MonkeyPatch
):
    """Another process of the machine gets nothing."""
    monkeypatch.setenv("IDENTITY_HEADER", "guess")
    clients = over_http(server)
    with pytest.raises((ClientAuthenticationError, CredentialUnavailableError)):
        list(clients.security.jit_network_access_policies.list())
    clients.close()


def test_transport_waits_by_the_function_it_was_given(server: Server):
    """In a test, waiting may be an advance of the clock."""
    waited: list[float] = []
    SimulatorTransport(server.azure, sleep=waited.append).sleep(7)

    assert waited == [7]


NETWORK = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Network"
MINE = f"{NSG_DB}/securityRules/mine"
ANSWERED = [
    ("GET", f"{DB01}?api-version={COMPUTE}", None),
    ("GET", f"{DB01}x?api-version={COMPUTE}", None),
    ("GET", DB01, None),
    ("GET", f"{NETWORK}/azureFirewalls?api-version={API}", None),
    ("GET", f"{NETWORK}/nothings?api-version={API}", None),
    ("PUT", f"{MINE}?api-version={API}", rule(priority=300)),
    ("DELETE", f"{MINE}?api-version={API}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ANSWERED)
def test_transport_answers_as_the_server_does(server: Server, method, path, body):
    """Status, headers and body are the same, byte for byte."""
    served = RequestsTransport()
    direct = SimulatorTransport(Azure(LANDSCAPE, Timeline(), "secret"))
    bearer = {"Authorization": f"Bearer {token(server)}"}
    request = HttpRequest(method, server.url + path, headers=bearer, json=body)
    over_socket, in_memory = served.send(request), direct.send(request)
    shown = [(each.status_code, each.body(), headers(each)) for each in (over_socket, in_memory)]
    served.close()

    assert shown[0] == shown[1]


def headers(response: Any) -> dict[str, str]:
    """All headers, without the headers of HTTP itself and the time."""
    added = {"date", "server", "content-length", "x-ms-routing-request-id"}
    return {name: text for name, text in response.headers.items() if name.lower() not in added}


def token(server: Server) -> str:
    directory = server.azure.world.directory
    return server.azure.world.tokens.issue(
        directory.principals["broker"], "https://management.azure.com"
    )[0]
