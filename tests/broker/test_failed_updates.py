"""A failed update of an NSG or firewall: an alert when it is seen, and true notes meanwhile."""

import logging

import pytest

from tests.broker.inprocess import farm, wish
from tests.broker.reconciling import NSG_FARM, told
from tests.local.azure.sim import DEVELOPMENT, FW_PROD, PRODUCTION, WEB01

FAILS = "the last update of firewall fw-prod failed; repeat it in Azure"


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def test_a_person_who_waits_for_a_failed_firewall_reads_that_it_failed(it, caplog):
    """It is no turn that will come: somebody must repeat the update."""
    it.end_update(FW_PROD, "Failed")

    request_id = it.broker.ask(wish(WEB01, 3389))
    it.broker.live(3)

    assert it.broker.grant(request_id).note == FAILS
    (alert,) = told(caplog, "update.failed")
    assert (alert["resource_id"].lower(), alert["reason"]) == (WEB01.lower(), FAILS)


def test_a_comparison_tells_of_a_failed_nsg_once(it, caplog):
    """Nobody has to wait for a grant to find out. An alert for each comparison would be noise."""
    it.end_update(NSG_FARM, "Failed")

    for _ in range(3):
        it.run(DEVELOPMENT)

    (alert,) = told(caplog, "update.failed")
    assert alert["resource_id"].lower() == NSG_FARM.lower()


def test_a_second_failure_after_a_repair_is_told_again(it, caplog):
    """The first alert was closed when the update was repeated."""
    for state in ("Failed", "Succeeded", "Failed"):
        it.end_update(NSG_FARM, state)
        it.run(DEVELOPMENT)

    assert len(told(caplog, "update.failed")) == 2


def test_a_failed_nsg_of_no_jit_machine_is_nobodys_alert(it, caplog):
    """The subscription has other NSGs."""
    it.edit(
        **{
            NSG_FARM.replace("nsg-farm-1", "nsg-other"): {
                "name": "nsg-other",
                "location": "westeurope",
                "properties": {"provisioningState": "Failed", "securityRules": []},
            }
        }
    )

    it.run(DEVELOPMENT)
    it.run(PRODUCTION)

    assert told(caplog, "update.failed") == []


def test_an_open_grant_on_an_nsg_that_fails_alerts_when_a_look_sees_it(it, caplog):
    """Within its pass, and once for all grants of the same NSG."""
    it.opened(farm(1))
    it.opened(farm(2))
    it.end_update(NSG_FARM, "Failed")

    it.broker.revoke(it.opened(farm(3), minutes=0.1))
    it.broker.live(5)

    assert {alert["reason"] for alert in told(caplog, "update.failed")} == {
        "the last update of NSG nsg-farm-1 failed; repeat it in Azure"
    }
