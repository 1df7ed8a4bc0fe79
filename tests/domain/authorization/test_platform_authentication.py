"""The configuration of App Service authentication: its faults keep every caller out."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.authorization.platform_authentication import EXCLUDED_PATHS, find_fault

CLIENT = "c11e0000-0000-4000-8000-000000000001"
GOOD: dict[str, Any] = {
    "platform": {"enabled": True, "runtimeVersion": "~1"},
    "globalValidation": {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "Return401",
        "excludedPaths": ["/api/health", "/api/webhooks/*", "/page", "/page/*"],
    },
    "identityProviders": {
        "azureActiveDirectory": {"enabled": True, "registration": {"clientId": CLIENT.upper()}}
    },
    "login": {"tokenStore": {"enabled": False}},
}
NAME = "WEBSITE_AUTH_V2_CONFIG_JSON"
REGISTRATION = ("identityProviders", "azureActiveDirectory", "registration")


def find(document, client_id=CLIENT):
    return find_fault(json.dumps(document), client_id=client_id)


def with_change(value, *names):
    """Return the good configuration with one other value; no value removes the member."""
    changed: dict[str, Any] = copy.deepcopy(GOOD)
    part = changed
    for name in names[:-1]:
        part = part[name]
    if value is None:
        del part[names[-1]]
    else:
        part[names[-1]] = value
    return changed


@pytest.mark.parametrize(
    "document",
    [
        GOOD,
        {"properties": GOOD},
        {"id": "/subscriptions/x", "name": "authsettingsV2", "properties": GOOD},
        with_change(None, "platform"),
        with_change(None, "login"),
        with_change(None, "globalValidation", "excludedPaths"),
        with_change([], "globalValidation", "excludedPaths"),
        with_change(["/api/health"], "globalValidation", "excludedPaths"),
        with_change(None, "globalValidation", "unauthenticatedClientAction"),
        with_change("RedirectToLoginPage", "globalValidation", "unauthenticatedClientAction"),
        with_change("", "platform", "configFilePath"),
        with_change({"enabled": True, "configFilePath": None}, "platform"),
        with_change({"enabled": False}, "identityProviders", "gitHub"),
        with_change({"Enabled": False, "registration": {}}, "identityProviders", "facebook"),
        with_change({}, "identityProviders", "customOpenIdConnectProviders"),
        with_change(
            {"apple": None, "customOpenIdConnectProviders": None} | GOOD["identityProviders"],
            "identityProviders",
        ),
        with_change({"clientId": CLIENT, "openIdIssuer": None}, *REGISTRATION),
        with_change(
            {"clientId": CLIENT, "openIdIssuer": f"https://sts.windows.net/{CLIENT}/v2.0"},
            *REGISTRATION,
        ),
        with_change(
            {"clientId": CLIENT, "openIdIssuer": f"https://Login.MicrosoftOnline.us/{CLIENT}/v2.0"},
            *REGISTRATION,
        ),
        with_change(None, "identityProviders", "azureActiveDirectory", "enabled"),
        json.loads(json.dumps(GOOD).replace("requireAuth", "RequireAuth")),
    ],
)
def test_a_configuration_that_signs_everybody_in_has_no_fault(document):
    """With and without ARM's envelope, and in any letter case of the names."""
    assert find(document) == ""


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (with_change(False, "platform", "enabled"), "turns authentication off"),
        (with_change(None, "platform", "enabled"), "turns authentication off"),
        (with_change([], "platform"), "turns authentication off"),
        (with_change(False, "globalValidation", "requireAuthentication"), "does not require"),
        (with_change("true", "globalValidation", "requireAuthentication"), "does not require"),
        (with_change(1, "globalValidation", "requireAuthentication"), "does not require"),
        (with_change(None, "globalValidation", "requireAuthentication"), "does not require"),
        (with_change(None, "globalValidation"), "does not require"),
        (
            with_change("AllowAnonymous", "globalValidation", "unauthenticatedClientAction"),
            "lets callers through",
        ),
        (with_change(1, "globalValidation", "unauthenticatedClientAction"), "lets callers through"),
        (
            with_change(False, "identityProviders", "azureActiveDirectory", "enabled"),
            "turns Microsoft Entra ID off",
        ),
        (with_change(None, "identityProviders"), "names another application"),
        (
            with_change(
                "x", "identityProviders", "azureActiveDirectory", "registration", "clientId"
            ),
            "names another application",
        ),
        (
            with_change(
                [CLIENT], "identityProviders", "azureActiveDirectory", "registration", "clientId"
            ),
            "names another application",
        ),
        ({"properties": GOOD, "platform": {"enabled": True}}, "cannot be read"),
        ({"properties": [GOOD]}, "cannot be read"),
        ({}, "does not require"),
        ([], "cannot be read"),
        (None, "cannot be read"),
        (GOOD | {"x": "x" * 70_000}, "cannot be read"),
    ],
)
def test_a_configuration_that_could_let_somebody_in_is_a_fault(document, words):
    """The first word of the fault is the setting."""
    fault = find(document)

    assert fault.startswith(f"{NAME} {words}")


@pytest.mark.parametrize(
    "paths",
    [
        ["/api/*"],
        ["/api/health", "/"],
        ["/*"],
        ["/api/webhooks"],
        ["/api/health*"],
        ["/API/health"],
        ["/api/health "],
        ["/api/health;/api"],
        [""],
        [None],
        [["/page"]],
        [{}],
        "/api/health",
        {"0": "/page"},
        False,
    ],
)
def test_any_other_excluded_path_is_a_fault(paths):
    """The client's own principal headers may arrive there."""
    fault = find(with_change(paths, "globalValidation", "excludedPaths"))

    assert fault.startswith(NAME)
    assert "exclude" in fault


@pytest.mark.parametrize(
    "path", ["auth.json", "/home/site/wwwroot/auth.json", " ", 1, 0, False, [], {}]
)
def test_a_configuration_in_a_file_is_a_fault(path):
    """Then the file counts, and not the members that are judged here."""
    fault = find(with_change(path, "platform", "configFilePath"))

    assert fault.startswith(f"{NAME} lets a file configure authentication")


@pytest.mark.parametrize("name", ["aadv2", "aad", "other"])
@pytest.mark.parametrize("is_enabled", [True, False])
def test_a_custom_provider_is_a_fault(name, is_enabled):
    """Its issuer chooses tenant, audience and object id of its tokens."""
    custom = {name: {"enabled": is_enabled, "registration": {"clientId": "x"}}}

    fault = find(with_change(custom, "identityProviders", "customOpenIdConnectProviders"))

    assert fault.startswith(f"{NAME} lets another identity provider sign callers in")


@pytest.mark.parametrize("name", ["gitHub", "google", "azureStaticWebApps", "oneOfTomorrow"])
@pytest.mark.parametrize(
    "provider", [{"enabled": True}, {}, {"enabled": "false"}, {"enabled": 0}, [], "off", False]
)
def test_another_provider_that_is_not_turned_off_is_a_fault(name, provider):
    """Microsoft does not document that it is off without the member."""
    fault = find(with_change(provider, "identityProviders", name))

    assert fault.startswith(f"{NAME} lets another identity provider sign callers in")


@pytest.mark.parametrize(
    "issuer",
    [
        "https://evil.example/v2.0",
        "https://evil.example/{tenant}",
        f"https://login.microsoftonline.com.evil.example/{CLIENT}/v2.0",
        "",
        7,
        ["https://login.microsoftonline.com/"],
    ],
)
def test_an_issuer_that_is_not_entra_id_is_a_fault(issuer):
    """Its keys sign tokens with any tenant in them."""
    fault = find(with_change({"clientId": CLIENT, "openIdIssuer": issuer}, *REGISTRATION))

    assert fault.startswith(f"{NAME} names an issuer that is not Microsoft Entra ID")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "true",
        "NaN",
        json.dumps(GOOD).replace('"~1"', "Infinity"),
        "[" * 60_000,
        '{"a":' * 60_000,
        json.dumps(GOOD)[:-1] + ', "Platform": {"enabled": false}}',
        json.dumps(GOOD).replace('"excludedPaths"', '"ExcludedPaths": ["/*"], "excludedPaths"'),
    ],
)
def test_a_configuration_that_cannot_be_read_for_certain_is_a_fault(text):
    """A reader that takes the first or the last of two members may differ from the platform."""
    assert find_fault(text, client_id=CLIENT) == f"{NAME} cannot be read"


@pytest.mark.parametrize("client_id", ["", "x", "api://x", f"{{{CLIENT}}}", "0" * 32])
def test_the_configuration_needs_the_client_id_that_it_must_name(client_id):
    """Without one, any application would do."""
    assert find(GOOD, client_id).startswith("JIT_APP_CLIENT_ID ")


@pytest.mark.parametrize(
    ("client_id", "word"), [("", ""), (CLIENT, ""), ("api://x", "JIT_APP_CLIENT_ID")]
)
def test_a_platform_without_a_configuration_is_believed_by_its_flag_alone(client_id, word):
    """Microsoft does not say on which plans the configuration is passed to the app."""
    assert find_fault(None, client_id=client_id).partition(" ")[0] == word


def test_a_fault_quotes_no_more_than_a_few_words():
    """It goes to a log."""
    fault = find(with_change(["/" + "x" * 10_000], "globalValidation", "excludedPaths"))

    assert len(fault) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
PLACES = [
    ("platform",),
    ("globalValidation",),
    ("globalValidation", "requireAuthentication"),
    ("globalValidation", "excludedPaths"),
    ("identityProviders",),
    ("identityProviders", "azureActiveDirectory"),
    ("identityProviders", "azureActiveDirectory", "registration"),
    ("identityProviders", "azureActiveDirectory", "registration", "clientId"),
]


@given(st.sampled_from(PLACES), JSON.filter(lambda value: value not in (None, [])))
def test_no_odd_value_passes(place, value):
    """Every value is a fault except the right one, and none makes the check fail."""
    is_right = value is True or value in list(EXCLUDED_PATHS)

    assert is_right or find(with_change(value, *place))


@given(st.text(max_size=300))
def test_no_text_makes_the_check_fail(text):
    """It runs before the app can close anything."""
    assert find_fault(text, client_id=CLIENT).startswith(NAME)
