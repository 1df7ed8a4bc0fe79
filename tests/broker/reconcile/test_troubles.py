"""Troubles in Azure stand in the log, in the status and on the VMs, until they are mended."""

import logging
from datetime import timedelta

import pytest

from jit.broker.health import HealthCheck
from tests.broker.inprocess import ALICE, farm, wish
from tests.broker.reconciling import NSG_FARM, told
from tests.local.azure.sim import DEVELOPMENT, FW_PROD, PRODUCTION, WEB01

FIVE_MINUTES = timedelta(minutes=5)
FAILED = "the last update of firewall fw-prod failed; repeat it in Azure"
REFUSED = (
    "Azure does not take API version 2024-05-01 of Microsoft.Network/azureFirewalls; it takes "
    "2023-11-01, 2023-09-01; jit/api_versions.py names the version: deploy a build with another one"
)


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def put_versions(it, **versions):
    """Let Azure take only these versions of a type of Microsoft.Network."""
    known = {f"Microsoft.Network/{kind}": found for kind, found in versions.items()}
    it.broker.sim.control("PUT", "state", {"apiVersions": known})


def troubles(it):
    """Return the states of Azure that the status of the broker shows."""
    broker = it.broker
    check = HealthCheck(lambda: broker.subscription_rows, lambda: None, broker.subscriptions)
    return check.check(now=broker.now).troubles


def warnings_of(it, vm):
    """Return code and detail of each warning of a VM, as it is listed."""
    found, _ = it.broker.queries.list_machines(None, ALICE, now=it.broker.now)
    (machine,) = [each for each, _ in found if each.id.lower() == vm.lower()]
    return [(warning.code, warning.detail) for warning in machine.warnings]


def test_a_failed_firewall_is_a_problem_and_a_warning_until_it_is_repaired(it):
    """While it is being updated again, the last word stays. It began when it was first seen."""
    it.end_update(FW_PROD, "Failed")
    it.run(PRODUCTION)
    began = it.broker.now
    shown = []
    for state in ("Failed", "Updating", "Succeeded"):
        it.broker.advance(FIVE_MINUTES)
        it.end_update(FW_PROD, state)
        it.run(PRODUCTION)
        codes = [code for code, _ in warnings_of(it, WEB01)]
        shown.append(([each.since for each in troubles(it)], codes.count("update-failed")))

    assert shown == [([began], 1), ([began], 1), ([], 0)]


def test_a_failed_update_says_the_action_to_take(it):
    """In the status and on each VM behind it; the broker itself is well."""
    it.end_update(FW_PROD, "Failed")
    it.end_update(NSG_FARM, "Failed")

    it.run(PRODUCTION)
    it.run(DEVELOPMENT)

    assert [(each.code, each.detail) for each in troubles(it)] == [
        ("update-failed", FAILED),
        ("update-failed", FAILED.replace("firewall fw-prod", "NSG nsg-farm-1")),
    ]
    ((_, detail),) = [w for w in warnings_of(it, farm(1)) if w[0] == "update-failed"]
    assert detail.startswith("the last update of NSG nsg-farm-1 failed; repeat it in Azure")


def test_a_resource_that_is_being_updated_is_no_trouble(it):
    """Nobody has to repeat anything."""
    it.end_update(FW_PROD, "Updating")

    it.run(PRODUCTION)

    assert troubles(it) == ()
    assert "update-failed" not in dict(warnings_of(it, WEB01))


def test_an_api_version_that_azure_refuses_names_itself(it, caplog):
    """In the log and in the status; a comparison that is complete again takes it back."""
    it.end_update(FW_PROD, "Failed")
    it.run(PRODUCTION)
    put_versions(it, azureFirewalls=["2023-11-01", "2023-09-01"])

    it.run(PRODUCTION)
    (refused, failed) = troubles(it)
    put_versions(it)
    it.run(PRODUCTION)

    assert (refused.code, refused.detail) == ("api-version-refused", REFUSED)
    assert refused.resource == f"/subscriptions/{PRODUCTION}"
    (alert,) = told(caplog, "api_version.refused")
    assert (alert["type"], alert["version"]) == ("Microsoft.Network/azureFirewalls", "2024-05-01")
    assert alert["supported"] == ["2023-11-01", "2023-09-01"]
    assert told(caplog, "permission.lost") == []
    assert troubles(it) == (failed,)


def test_a_refused_version_of_a_type_for_warnings_only_does_not_stop_the_comparison(it, caplog):
    """Bastions are read for warnings. The alert names them."""
    put_versions(it, bastionHosts=["2023-11-01"])

    it.run(PRODUCTION)

    (alert,) = told(caplog, "api_version.refused")
    assert alert["type"] == "Microsoft.Network/bastionHosts"
    assert len(told(caplog, "reconcile.finished")) == 1


def test_people_who_wait_read_that_a_version_is_refused(it):
    """It is no outage that passes."""
    request_id = it.broker.ask(wish(WEB01, 3389))
    put_versions(it, azureFirewalls=["2023-11-01"])
    it.broker.live(3)

    assert "Azure does not take API version 2024-05-01" in str(it.broker.grant(request_id).note)
