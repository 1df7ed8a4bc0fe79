"""The stand-in for App Service authentication."""

import base64
import json

import pytest

from jit.api.principal import read_principal
from jit.domain.authorization.audiences import build_audiences
from jit.domain.authorization.platform_authentication import EXCLUDED_PATHS, find_fault
from jit.domain.model.people import Kind
from local.host import __main__ as host
from local.host.web import platform_auth
from local.host.web.platform_auth import UnknownPerson


@pytest.fixture
def authentication(project):
    excluded = ["/api/webhooks/*", "/api/health", "/page", "/page/*"]
    return platform_auth.read(project / "local" / "landscape.json", excluded)


def claims(headers):
    document = json.loads(base64.b64decode(dict(headers)["X-MS-CLIENT-PRINCIPAL"]))
    return [(claim["typ"].rpartition("/")[2], claim["val"]) for claim in document["claims"]]


def test_without_a_choice_alice_calls(authentication):
    """The default person is the one who asks for access."""
    headers = authentication.headers("/api/x", [])

    assert dict(headers)["X-MS-CLIENT-PRINCIPAL-NAME"] == "Alice Ashdown"


def test_the_principal_carries_id_tenant_and_every_role(authentication):
    """The broker decides by the claims that Entra ID would send."""
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
    ("name", "kind", "roles"),
    [
        ("alice", Kind.PERSON, {"Jit.Requester"}),
        ("snow", Kind.APPLICATION, {"Jit.Requester", "Jit.System"}),
    ],
)
def test_the_broker_believes_the_principal_in_full(authentication, name, kind, roles):
    """With tenant and audience compared, as in the deployed app."""
    headers = dict(authentication.headers("/api/x", [("X-Local-User", name)]))
    ours = build_audiences("", authentication.client_id)

    found = read_principal(
        headers["X-MS-CLIENT-PRINCIPAL"],
        provider=headers["X-MS-CLIENT-PRINCIPAL-IDP"],
        tenant=authentication.tenant,
        audiences=ours,
    )

    assert found is not None
    assert (found.kind, found.roles) == (kind, roles)


def test_the_configuration_that_the_platform_passes_has_no_fault(authentication):
    """It has the excluded paths of the host, and the application of the principals."""
    configuration = authentication.write_configuration()

    assert find_fault(configuration, client_id=authentication.client_id) == ""


def test_the_host_excludes_the_paths_that_the_broker_knows():
    """Each of them, in its spelling."""
    assert host._EXCLUDED == EXCLUDED_PATHS


@pytest.mark.parametrize(
    "name", ["X-MS-CLIENT-PRINCIPAL", "x-ms-client-principal-id", "X-Ms-Token-Aad-Access-Token"]
)
def test_a_client_cannot_name_itself(authentication, name):
    """Headers of the platform's are stripped in any letter case."""
    headers = authentication.headers("/api/x", [(name, "forged")])

    assert "forged" not in [value for _, value in headers]


def test_other_headers_pass(authentication):
    """Logic Apps names its run in a header that begins alike."""
    run = ("x-ms-workflow-run-id", "08584")

    assert run in authentication.headers("/api/x", [run])


def test_anonymous_calls_have_no_principal(authentication):
    """The app then decides about a caller without a name."""
    assert authentication.headers("/api/x", [("X-Local-User", "-")]) == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/health",
        "/API/Health/",
        "/api/webhooks/servicenow",
        "/api/webhooks",
        "/page",
        "/Page/1/app.js",
        "/page/../api/access-requests",
        "/page/%2e%2e/api/access-requests",
        "/page%2f..%2fapi/access-requests",
        "/page\\..\\api\\access-requests",
        "/page;/../api/access-requests",
    ],
)
def test_excluded_paths_have_no_principal(authentication, path):
    """The raw path counts: the platform may compare before it resolves dot segments."""
    assert authentication.headers(path, [("X-Local-User", "alice")]) == []


@pytest.mark.parametrize("name", ["X-MS-CLIENT-PRINCIPAL", "x-ms-token-aad-access-token"])
def test_an_excluded_path_passes_a_forged_principal(authentication, name):
    """The worse case: the platform may leave the client's headers as they are."""
    assert authentication.headers("/page", [(name, "forged")]) == [(name, "forged")]


@pytest.mark.parametrize(
    "path",
    [
        "/api/healthy",
        "/api/health-of-others",
        "/api/health.json",
        "/pages",
        "/",
        "/api/access-requests",
        "//page/../api/access-requests",
        "/api/access-requests/../../page",
        "/%70age",
    ],
)
def test_a_path_that_only_begins_like_an_excluded_one_is_not_excluded(authentication, path):
    """Exclusion ends with the name; a path that only resolves to an excluded one is none."""
    assert authentication.headers(path, [])


def test_without_excluded_paths_every_path_has_a_principal(project):
    """An empty list excludes nothing."""
    everywhere = platform_auth.read(project / "local" / "landscape.json")

    assert everywhere.headers("/api/health", [])


def test_a_stranger_is_refused_by_name(authentication):
    """A slip in the name must not become somebody else."""
    with pytest.raises(UnknownPerson, match="mallory"):
        authentication.headers("/api/x", [("X-Local-User", "mallory")])
