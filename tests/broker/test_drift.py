"""What reconcile tells of drift, and how often: each standing thing once, hundreds in one line."""

import json
import logging
from datetime import timedelta

import pytest

from jit.broker.locks import LEASE
from jit.broker.reconcile.report import ALERTS
from jit.domain.errors import Unavailable
from jit.domain.grants.initiate import REOPENS
from tests.broker.inprocess import HERE
from tests.broker.reconciling import NSG_FARM, Reconciling, told
from tests.local.azure.sim import DEVELOPMENT

STRANGER = "192.0.2.9"
RULES = "Microsoft.Network/networkSecurityGroups/securityRules"
MANY = 300


@pytest.fixture
def it(broker):
    return Reconciling(broker)


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def lines(caplog, level):
    """The events of one level, as they would be sent."""
    return [r.getMessage() for r in caplog.records if r.name == "jit" and r.levelno == level]


def allows(it):
    return [name for name in it.broker.sim.rules(NSG_FARM) if "JITRule-" in name]


def copied(it, number=1, **changes):
    """Copy the only rule of Defender's that the NSG has, under another of its names."""
    (name,) = allows(it)
    rule = it.broker.sim.rules(NSG_FARM)[name]
    return it.leave(number, **{**rule, "priority": 2000 + number, **changes})


# ---- told once -----------------------------------------------------------------------------------


def test_an_orphan_is_told_once_and_not_every_five_minutes(it, caplog):
    """The next comparison knows what the last one said."""
    it.leave(sourceAddressPrefix=STRANGER)
    it.run()
    it.broker.advance(timedelta(minutes=5))

    it.run()

    assert [event["count"] for event in told(caplog, "orphans.found")] == [1]
    assert told(caplog, "reconcile.finished")[-1]["orphan"] == 1


def test_a_new_orphan_is_told_by_its_name(it, caplog):
    """The old one is only counted."""
    it.leave(1, sourceAddressPrefix=STRANGER)
    it.run()
    name = it.leave(2, sourceAddressPrefix=STRANGER)

    it.run()

    event = told(caplog, "orphans.found")[-1]
    assert (event["count"], event["total"]) == (1, 2)
    assert event["examples"] == [f"{NSG_FARM}/{name}"]


def test_an_orphan_that_went_and_came_back_is_told_again(it, caplog):
    """It is another fact."""
    name = it.leave(sourceAddressPrefix=STRANGER)
    it.run()
    it.edit(**{f"{NSG_FARM}/securityRules/{name}": None})
    it.run()
    it.leave(sourceAddressPrefix=STRANGER)

    it.run()

    assert len(told(caplog, "orphans.found")) == 2


def test_what_could_not_be_compared_forgets_nothing(it, caplog):
    """An hour without a permission does not make old orphans news."""
    it.leave(sourceAddressPrefix=STRANGER)
    it.run()
    action = "Microsoft.Network/networkSecurityGroups/read"
    it.broker.sim.control("PUT", "state", {"deniedActions": [action]})
    it.run()
    it.broker.sim.control("PUT", "state", {"deniedActions": []})

    it.run()

    assert len(told(caplog, "orphans.found")) == 1


def test_the_first_run_on_an_old_tenant_is_one_line(it, caplog):
    """Hundreds of leftovers of the time before the broker: a summary of bounded size, no alert."""
    name = it.leave(sourceAddressPrefix=STRANGER)
    rule = it.broker.sim.rules(NSG_FARM)[name]
    nsg = it.broker.sim.get(NSG_FARM)
    nsg["properties"]["securityRules"] = [
        {
            "name": f"MicrosoftDefenderForCloud-JITRule-77-{number:032X}",
            "properties": {**rule, "priority": 1000 + number},
        }
        for number in range(MANY)
    ]
    it.edit(**{NSG_FARM: nsg})

    it.run()

    (warning,) = [line for line in lines(caplog, logging.WARNING) if "orphans" in line]
    assert json.loads(warning)["count"] == MANY
    assert len(warning) < 4096
    assert lines(caplog, logging.ERROR) == []


def test_many_overdue_rules_are_a_bounded_number_of_alerts(it, caplog):
    """Some by name, the rest as a number: an alert that nobody reads helps nobody."""
    it.closed()
    for number in range(1, ALERTS + 4):
        it.leave(number)
    it.broker.advance(timedelta(hours=2))

    it.run()

    alerts = told(caplog, "rule.overdue")
    assert len(alerts) == ALERTS + 1
    assert alerts[-1]["more"] == 3


def test_a_removal_that_is_forbidden_is_one_alert_for_an_nsg(it, caplog):
    """What holds for one of its rules holds for all."""
    it.closed()
    it.leave(1)
    it.leave(2)
    it.leave(3)
    it.broker.sim.control("PUT", "state", {"deniedActions": [f"{RULES}/delete"]})

    it.run()

    assert len(told(caplog, "permission.lost")) == 1
    assert it.broker.calls.count("network.delete_rule") == 1


# ---- one comparison at a time --------------------------------------------------------------------


def test_a_comparison_does_no_work_while_another_one_runs(it, caplog):
    """Two timers at once: the second ends before it asks Azure for anything."""
    it.turns.claim_comparison(DEVELOPMENT)
    asked = it.broker.calls.count("arm")

    it.run()

    assert it.broker.calls.count("arm") == asked
    assert len(told(caplog, "reconcile.overlapped")) == 1


def test_a_comparison_that_died_is_waited_for_a_minute(it, caplog):
    """By the storage service's clock."""
    it.turns.claim_comparison(DEVELOPMENT)
    it.broker.advance(LEASE + timedelta(seconds=1))

    it.run()

    assert len(told(caplog, "reconcile.finished")) == 1


def test_a_comparison_that_failed_makes_room_at_once(it, caplog):
    """The message comes back, and finds nobody at work."""
    it.broker.sim.faults({"match": {"path": "networkInterfaces"}, "answer": {"status": 503}})
    with pytest.raises(Unavailable):
        it.run()

    it.run()

    assert len(told(caplog, "reconcile.finished")) == 1


def test_a_comparison_that_was_overtaken_does_not_take_its_row_back(it):
    """The row belongs to whoever wrote it last."""
    slow = it.turns.claim_comparison(DEVELOPMENT)
    assert slow is not None
    it.broker.advance(LEASE + timedelta(seconds=1))
    it.turns.claim_comparison(DEVELOPMENT)

    it.turns.release_comparison(slow)

    assert it.turns.claim_comparison(DEVELOPMENT) is None


def test_a_comparison_that_goes_on_is_not_overtaken(it):
    """It says so when it has read Azure."""
    begun = it.turns.claim_comparison(DEVELOPMENT)
    assert begun is not None
    it.broker.advance(LEASE - timedelta(seconds=1))
    it.turns.renew_comparison(begun)
    it.broker.advance(LEASE - timedelta(seconds=1))

    assert it.turns.claim_comparison(DEVELOPMENT) is None


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
    assert allows(it) == []


# ---- missing -------------------------------------------------------------------------------------


def wiped(it, times):
    """Play a pipeline that wipes the rules every ten minutes."""
    for _ in range(times):
        it.broker.live(10)
        it.wipe()
        it.run()


def test_a_path_is_opened_again_three_times(it, caplog):
    """Whoever wipes it is answered while there is hope that it was an accident."""
    request_id = it.opened(duration="PT3H")

    wiped(it, REOPENS)
    it.broker.live(5)

    assert it.broker.status(request_id) == "open"
    assert told(caplog, "grants.failed") == []


def test_a_path_that_is_wiped_once_more_closes_with_an_alert(it, caplog):
    """The grant says what happened to it; nobody fights a pipeline for hours."""
    request_id = it.opened(duration="PT3H")

    wiped(it, REOPENS + 1)
    it.broker.live(20)

    grant, (alert,) = it.broker.grant(request_id), told(caplog, "grants.failed")
    assert (grant.status, grant.close_reason) == ("closed", "failed")
    assert len(it.broker.initiates()) == 1 + REOPENS
    assert alert["reasons"] == ["its rules were taken away again after 3 repetitions"]
    assert allows(it) == []
