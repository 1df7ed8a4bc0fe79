"""Audiences of access tokens: which ones are the broker's."""

import pytest

from jit.domain.authorization.audiences import build_audiences, is_arm, is_ours

CLIENT = "c11e0000-0000-4000-8000-000000000001"
OURS = build_audiences("", CLIENT)


def test_without_a_setting_the_audiences_are_the_client_id_and_its_uri():
    """v2.0 tokens name the first, v1.0 tokens the second."""
    assert {CLIENT, f"api://{CLIENT}"} == OURS


def test_audiences_of_the_setting_stand_in_place_of_the_uri():
    """The client id is the audience of each v2.0 token, whatever the URI."""
    assert build_audiences(" api://Contoso/jit/ , ,x", CLIENT) == {CLIENT, "api://contoso/jit", "x"}


def test_without_both_settings_no_audience_is_known():
    """Then the platform alone compares it."""
    assert build_audiences("", "") == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "https://management.azure.com/",
        "x,https://management.core.windows.net",
        ",".join("a" * 21),
        "x" * 256,
    ],
)
def test_an_audience_that_lets_others_in_cannot_be_set(text):
    """Everybody with an Azure account gets a token for Resource Manager."""
    with pytest.raises(ValueError, match=r"^JIT_APP_AUDIENCES "):
        build_audiences(text, CLIENT)


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        (CLIENT, True),
        (CLIENT.upper(), True),
        (f"api://{CLIENT}", True),
        (f"api://{CLIENT}/", True),
        (f"api://{CLIENT}//", False),
        (f"api://{CLIENT}/x", False),
        ("api://other", False),
        ("", False),
        (None, False),
    ],
)
def test_only_tokens_for_the_broker_are_for_it(audience, expected):
    """A token without an audience is for nobody."""
    assert is_ours(audience, OURS) is expected


@pytest.mark.parametrize(
    ("audience", "expected"),
    [("anything", True), (None, True), ("https://management.azure.com", False)],
)
def test_without_known_audiences_only_resource_manager_is_refused(audience, expected):
    """The platform compares audiences, too."""
    assert is_ours(audience, ()) is expected


@pytest.mark.parametrize(
    "audience",
    [
        "https://management.azure.com",
        "https://management.azure.com/",
        "https://management.azure.com//",
        "HTTPS://MANAGEMENT.AZURE.COM",
        "https://management.azure.com:443/",
        "https://management.azure.com.",
        " https://management.azure.com ",
        "https://management%2eazure.com",
        "management.azure.com",
        "api://management.azure.com",
        "https://management.core.windows.net/",
        "https://management.core.windows.net//",
        "https://management.usgovcloudapi.net",
        "https://management.chinacloudapi.cn",
        "797F4846-BA00-4FD7-BA43-DAC1F8F63013",
    ],
)
def test_resource_manager_is_known_in_any_spelling(audience):
    """A slip in the platform's list of audiences does not open the broker."""
    assert is_arm(audience)
    assert not is_ours(audience, {audience.strip().lower()})
