"""The stand-in for App Service authentication."""

import base64
import json

import pytest

from local.host import principal
from local.host.principal import UnknownPerson


@pytest.fixture
def authentication(project):
    return principal.read(project / "local" / "landscape.json", ["/api/webhooks", "/api/health"])


def claims(headers):
    document = json.loads(base64.b64decode(dict(headers)["X-MS-CLIENT-PRINCIPAL"]))
    return [(claim["typ"].rpartition("/")[2], claim["val"]) for claim in document["claims"]]


def test_without_a_choice_alice_calls(authentication):
    """The default person is the one who asks for access."""
    headers = authentication.headers("/api/x", [])

    assert dict(headers)["X-MS-CLIENT-PRINCIPAL-NAME"] == "Alice Ashdown"


def test_the_principal_carries_id_tenant_and_every_role(authentication):
    """What the broker decides by is what Entra ID would have said."""
    said = claims(authentication.headers("/api/x", [("X-Local-User", "bob")]))

    assert ("objectidentifier", "b0b00000-0000-4000-8000-000000000002") in said
    assert ("tenantid", "7e4a4700-0000-4000-8000-000000000000") in said
    assert [value for kind, value in said if kind == "roles"] == ["Jit.Approver", "Jit.Requester"]


def test_an_application_is_known_by_its_client_id(authentication):
    """A ticketing system has no user name."""
    kinds = [kind for kind, _ in claims(authentication.headers("/", [("x-local-user", "snow")]))]

    assert "azp" in kinds
    assert "preferred_username" not in kinds


@pytest.mark.parametrize(
    "name", ["X-MS-CLIENT-PRINCIPAL", "x-ms-client-principal-id", "X-Ms-Token-Aad-Access-Token"]
)
def test_a_client_cannot_say_who_it_is(authentication, name):
    """Headers of the platform's are stripped, whatever their letter case."""
    headers = authentication.headers("/api/x", [(name, "forged")])

    assert "forged" not in [value for _, value in headers]


def test_other_headers_pass(authentication):
    """Logic Apps names its run in a header that begins alike."""
    run = ("x-ms-workflow-run-id", "08584")

    assert run in authentication.headers("/api/x", [run])


def test_anonymous_calls_have_no_principal(authentication):
    """The app then says what it thinks of strangers."""
    assert authentication.headers("/api/x", [("X-Local-User", "-")]) == []


@pytest.mark.parametrize(
    "path", ["/api/health", "/API/Health/", "/api/webhooks/servicenow", "/api/webhooks"]
)
def test_excluded_paths_have_no_principal(authentication, path):
    """What authenticates by itself is not authenticated by the platform."""
    assert authentication.headers(path, [("X-Local-User", "alice")]) == []


def test_a_path_that_only_begins_like_an_excluded_one_is_not_excluded(authentication):
    """Exclusion ends at a slash."""
    assert authentication.headers("/api/healthy", [])


def test_a_stranger_is_refused_by_name(authentication):
    """A slip in the name must not become somebody else."""
    with pytest.raises(UnknownPerson, match="mallory"):
        authentication.headers("/api/x", [("X-Local-User", "mallory")])


def test_the_peer_is_added_to_those_it_names_itself():
    """Only the last address is the platform's word."""
    headers = principal.forwarded([("X-Forwarded-For", "10.0.0.1")], ("203.0.113.7", 5555))

    assert dict(headers)["X-Forwarded-For"] == "10.0.0.1, 203.0.113.7:5555"


def test_a_local_address_stands_in_for_the_peer():
    """On one machine every peer is loopback, so a test names another."""
    headers = principal.forwarded([("X-Local-Address", "2001:db8::7")], ("127.0.0.1", 5555))

    assert ("X-Forwarded-For", "[2001:db8::7]:5555") in headers
    assert "x-local-address" not in [name.lower() for name, _ in headers]
