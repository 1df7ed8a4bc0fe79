"""The versions of Azure's APIs: refused, and answered with the members that they know."""

import pytest

from jit import api_versions
from tests.local.azure.sim import (
    COMPUTE,
    DB,
    FW_PROD,
    NSG_WEB,
    PRICINGS,
    PRODUCTION,
    WEB,
    WEB01,
    Sim,
    policy,
)

LISTS = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Network/azureFirewalls"
PLANS = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Security/pricings"
OLD, NEW = "2024-05-01", "2026-03-01"
NEWER = {"extendedLocation": {"name": "edge", "type": "EdgeZone"}, "aiSecurityAddOn": {"on": "yes"}}


def ask(sim, path, version, method="GET", body=None):
    bearer = {"authorization": f"Bearer {sim.token('petra')}"}
    return sim.send(method, f"{path}?api-version={version}", body, bearer)


def read(sim, version):
    """The firewall as its own GET and as the list of the subscription show it in a version."""
    (listed,) = [each for each in ask(sim, LISTS, version).json()["value"] if each["id"] == FW_PROD]
    return ask(sim, FW_PROD, version).json(), listed


@pytest.fixture
def newer(sim: Sim) -> Sim:
    """A firewall with members that the version of 2024 does not know."""
    firewall = sim.get(FW_PROD)
    firewall["extendedLocation"] = NEWER["extendedLocation"]
    firewall["properties"]["aiSecurityAddOn"] = NEWER["aiSecurityAddOn"]
    sim.control("PUT", "state", {"resources": {FW_PROD: firewall}})
    return sim


@pytest.mark.parametrize(
    ("path", "version", "code"),
    [
        (NSG_WEB, "2099-01-01", "NoRegisteredProviderFound"),
        (NSG_WEB, "2024-05-02", "NoRegisteredProviderFound"),
        (f"{NSG_WEB}/securityRules/x", "1", "NoRegisteredProviderFound"),
        (WEB01, OLD, "NoRegisteredProviderFound"),
        (policy(DB), "2024-01-01", "NoRegisteredProviderFound"),
        (LISTS, "2024-05-01-preview", "InvalidResourceType"),
        (PLANS, "2020-01-01", "InvalidResourceType"),
        ("/subscriptions", "2026-03-01", "InvalidApiVersionParameter"),
        (f"/subscriptions/{PRODUCTION}", "x", "InvalidApiVersionParameter"),
    ],
)
def test_a_version_that_the_type_lacks_is_refused_with_those_that_it_has(sim, path, version, code):
    """A misspelt version, or the version of another provider."""
    answer = ask(sim, path, version)

    error = answer.json()["error"]
    assert (answer.status, error["code"]) == (400, code)
    assert f"'{version}'" in error["message"]
    assert "versions are '" in error["message"]


@pytest.mark.parametrize(
    ("path", "version"),
    [
        (NSG_WEB, api_versions.NETWORK),
        (NSG_WEB, NEW),
        (WEB01, api_versions.COMPUTE),
        (WEB01, COMPUTE),
        (policy(DB), api_versions.JIT_POLICIES),
        (PLANS, api_versions.PRICINGS),
        (PLANS, PRICINGS),
        ("/subscriptions", api_versions.SUBSCRIPTIONS),
        (f"{WEB}/providers/Microsoft.Network/virtualNetworks", OLD),
    ],
)
def test_a_version_that_the_type_has_is_served(sim, path, version):
    """Those that the broker speaks are among them."""
    assert ask(sim, path, version).status == 200


def test_a_test_may_say_which_versions_a_type_has(sim):
    """As another cloud may have them; other types keep theirs."""
    firewalls = {"Microsoft.Network/azureFirewalls": ["2023-11-01", "2024-01-01"]}
    sim.control("PUT", "state", {"apiVersions": firewalls})

    refused = ask(sim, LISTS, OLD)

    assert refused.status == 400
    assert b"'2023-11-01, 2024-01-01'" in refused.content
    assert ask(sim, LISTS, "2024-01-01").status == 200
    assert ask(sim, NSG_WEB, OLD).status == 200


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"azureFirewalls": ["2024-01-01"]},
        {"Microsoft.Network/azureFirewalls": "2024-01-01"},
        {"Microsoft.Network/azureFirewalls": ["newest"]},
        {"Microsoft.Network/azureFirewalls": [20240101]},
    ],
)
def test_versions_that_make_no_sense_are_refused(sim, document):
    """A misspelt switch must not pass for a switched one."""
    answer = sim.send("PUT", "/_sim/state", {"apiVersions": document})

    assert answer.status == 400
    assert b"apiVersions" in answer.content


def test_an_older_version_does_not_show_newer_members(newer):
    """Neither in a list nor in a GET; the etag is the same in all versions."""
    now, then = read(newer, NEW), read(newer, OLD)

    assert [each["extendedLocation"] for each in now] == [NEWER["extendedLocation"]] * 2
    assert [each["properties"]["aiSecurityAddOn"] for each in now] == [NEWER["aiSecurityAddOn"]] * 2
    assert not any("extendedLocation" in each for each in then)
    assert not any("aiSecurityAddOn" in each["properties"] for each in then)
    assert {each["etag"] for each in now} == {each["etag"] for each in then}


def test_a_write_in_an_older_version_leaves_newer_members_as_they_were(newer):
    """Its client could not know them."""
    body, _ = read(newer, OLD)

    assert ask(newer, FW_PROD, OLD, "PUT", body).status == 200
    newer.advance("PT10M")
    after, _ = read(newer, NEW)
    assert after["extendedLocation"] == NEWER["extendedLocation"]
    assert after["properties"]["aiSecurityAddOn"] == NEWER["aiSecurityAddOn"]
