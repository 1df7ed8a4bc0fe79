"""Versions of Azure's APIs: the simulator refuses what a cloud does not have."""

import pytest

from local.azure.arm.supported_versions import read_supported
from tests.local.azure.sim import PRODUCTION, error

LIST = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Network/azureFirewalls"
VERSIONS = {"apiVersions": {"Microsoft.Network/azureFirewalls": ["2023-11-01", "2024-01-01"]}}


def ask(sim, version):
    """Return the answer to a list of firewalls in that version."""
    bearer = {"authorization": f"Bearer {sim.token('broker')}"}
    return sim.send("GET", f"{LIST}?api-version={version}", headers=bearer)


def test_a_version_that_a_type_has_not_is_refused_with_those_that_it_has(sim):
    """In ARM's words; other types take every version."""
    sim.control("PUT", "state", VERSIONS)

    response = ask(sim, "2024-05-01")

    assert error(response) == (400, "NoRegisteredProviderFound")
    assert b"'2023-11-01, 2024-01-01'" in response.content


def test_a_version_that_a_type_has_is_taken(sim):
    """As before."""
    sim.control("PUT", "state", VERSIONS)

    response = ask(sim, "2024-01-01")

    assert response.status == 200


def test_a_version_that_is_no_date_is_refused(sim):
    """As ARM refuses ``latest``."""
    response = ask(sim, "latest")

    assert error(response) == (400, "InvalidApiVersionParameter")


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"azureFirewalls": ["2024-01-01"]},
        {"Microsoft.Network/azureFirewalls": "2024-01-01"},
        {"Microsoft.Network/azureFirewalls": ["newest"]},
    ],
)
def test_versions_that_make_no_sense_are_refused(document):
    """A misspelt switch must not pass for a switched one."""
    with pytest.raises(ValueError, match=r"version|Version"):
        read_supported(document)
