"""Drift: rules that somebody copied or wiped."""

import logging

import pytest

from jit.domain.grants.initiate import REOPENS
from tests.broker.inprocess import HERE
from tests.broker.reconciling import NSG_FARM, told

STRANGER = "192.0.2.9"
RULES = "Microsoft.Network/networkSecurityGroups/securityRules"


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def copied(it, number=1, **changes):
    """Copy the only rule of Defender's that the NSG has, under another of its names."""
    (name,) = it.allow_rules(minutes=0)
    rule = it.broker.sim.rules(NSG_FARM)[name]
    return it.leave(number, **{**rule, "priority": 2000 + number, **changes})


# ---- several rules for one path ------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"sourceAddressPrefix": HERE, "sourceAddressPrefixes": []}]
)
def test_a_copy_of_a_live_grants_rule_is_left_alone_without_a_word(it, changes):
    """It opens nothing that is not open anyway, and goes with the grant."""
    it.opened(sources=[HERE, STRANGER])
    copied(it, **changes)

    assert it.planned() == []


def test_rules_for_two_sources_of_one_port_are_both_expected(it):
    """Each of the two is needed."""
    it.opened(sources=[HERE])
    it.opened(sources=[STRANGER])

    assert it.planned() == []


def test_both_rules_go_when_the_grant_ends(it):
    """A copy does not outlive the grant that it stood for."""
    request_id = it.opened()
    copied(it)
    it.broker.revoke(request_id)

    it.broker.live(3)

    assert it.broker.status(request_id) == "closed"
    assert it.allow_rules(minutes=0) == []


# ---- missing -------------------------------------------------------------------------------------


def wiped(it, times):
    """Play a pipeline that wipes the rules every ten minutes."""
    for _ in range(times):
        it.broker.live(10)
        it.wipe()
        it.run()


def test_a_path_is_opened_again_three_times(it, caplog):
    """It is opened again as long as it may have been an accident."""
    request_id = it.opened(duration="PT3H")

    wiped(it, REOPENS)
    it.broker.live(5)

    assert it.broker.status(request_id) == "open"
    assert told(caplog, "grants.failed") == []


def test_a_path_that_is_wiped_once_more_closes_with_an_alert(it, caplog):
    """The grant says the reason; the broker does not fight a pipeline for hours."""
    request_id = it.opened(duration="PT3H")

    wiped(it, REOPENS + 1)
    it.broker.live(20)

    grant, (alert,) = it.broker.grant(request_id), told(caplog, "grants.failed")
    assert (grant.status, grant.close_reason) == ("closed", "failed")
    assert len(it.broker.initiates()) == 1 + REOPENS
    assert alert["reasons"] == ["its rules were taken away again after 3 repetitions"]
    assert it.allow_rules(minutes=0) == []
