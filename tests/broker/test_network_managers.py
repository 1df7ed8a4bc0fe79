"""When Azure is asked for security admin rules, and what they do to grants."""

import logging
from datetime import timedelta

import pytest

from jit.observer.admin_readings import ACTION
from tests.broker.inprocess import HERE, farm, wish
from tests.broker.reconciling import Reconciling, told
from tests.builders.admin_rules import ALLOW, ALWAYS, DENY, GROUP, arm_admin
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION, WEB, WEB01, group, network

VNET = network("virtualNetworks", "vnet-farm-1", group("rg-farm-1", DEVELOPMENT))
VNET_WEB = network("virtualNetworks", "vnet-prod", WEB)
ASKED = "network.list_admin_rules"
QUARTER = 15


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def manage(it, *rules, vnet=VNET):
    """Let the network have these rules."""
    it.broker.sim.control("PUT", "state", {"adminRules": {vnet: list(rules)}})


def forbid(it, *actions):
    it.broker.sim.control("PUT", "state", {"deniedActions": list(actions)})


def compare_all(it):
    """Let a quarter of an hour pass, and compare until every network was read."""
    it.broker.live(QUARTER)
    for _ in range(3):
        it.run()


def asked(it):
    return it.broker.calls.count(ASKED)


# ---- opening -------------------------------------------------------------------------------------


def test_the_rules_are_read_once_before_a_path_is_called_open(it):
    """One call for the VM's network, and none while it stays open."""
    request_id = it.opened()
    it.broker.live(20)

    assert it.broker.status(request_id) == "open"
    assert asked(it) == 1


def test_a_denied_path_is_not_open_and_says_why(it):
    """Its rule is there, and no NSG would stop it."""
    manage(it, arm_admin(DENY, "Internet"))
    request_id = it.opened()

    assert it.broker.status(request_id) == "opening"
    assert not it.broker.reachable(farm(1))
    assert it.broker.grant(request_id).note == (
        "security admin rule deny-10 of network manager nm-hub blocks it before every NSG"
    )


def test_a_path_opens_a_quarter_of_an_hour_after_nobody_denies_it_any_more(it):
    """The reading that denied it counts for so long."""
    manage(it, arm_admin(DENY, "Internet"))
    request_id = it.opened()
    manage(it, arm_admin(ALLOW))
    it.broker.live(QUARTER - 3)

    assert it.broker.status(request_id) == "open"
    assert it.broker.reachable(farm(1))


def test_a_path_that_a_comparison_finds_free_opens_at_the_next_look(it):
    """Its reading is newer; the look that opens the path reads once more."""
    manage(it, arm_admin(DENY, "Internet"))
    request_id = it.opened(minutes=1)
    manage(it, arm_admin(ALLOW))
    it.broker.live(QUARTER)
    it.run()
    it.broker.live(1)

    assert it.broker.status(request_id) == "open"


def test_a_grant_that_waits_under_a_deny_reads_the_rules_every_quarter_of_an_hour(it):
    """Its looks of each minute use that reading; the VM is read no more often either."""
    manage(it, arm_admin(DENY, "Internet"))
    it.opened(minutes=1)

    assert asked(it) == 1

    it.broker.live(QUARTER - 2)

    assert asked(it) == 1

    it.broker.live(4)

    assert asked(it) == 2


def test_a_path_that_stays_denied_fails_with_the_reason(it):
    """Nobody waits for ever."""
    manage(it, arm_admin(DENY, "Internet"))
    request_id = it.opened(minutes=45)

    grant = it.broker.grant(request_id)
    assert (grant.status, grant.close_reason) == ("closed", "failed")
    assert "security admin rule deny-10" in grant.note


@pytest.mark.parametrize(
    "last",
    [
        {"match": {"method": "GET"}, "times": None, "answer": {"status": 503}},
        {"match": {"path": "networkSecurityGroups"}, "times": None, "answer": {"status": 503}},
        {"match": {"path": "listNetworkManager"}, "times": None, "answer": {"status": 503}},
    ],
    ids=["no answer", "no NSG", "no rules"],
)
def test_a_path_that_was_denied_fails_with_that_reason_whatever_the_last_look_saw(it, last):
    """The last look could not tell anything; the looks before could."""
    manage(it, arm_admin(DENY, "Internet"))
    request_id = it.opened(minutes=18)
    it.broker.sim.faults(last)
    it.broker.live(3)

    grant = it.broker.grant(request_id)
    assert grant.close_reason == "failed"
    assert grant.note.startswith("not open in time: security admin rule deny-10 of network manager")


def test_behind_a_firewall_a_deny_for_the_internet_stops_nobody(it):
    """Microsoft recommends that rule; the firewall's own addresses are not the internet."""
    manage(it, arm_admin(DENY, "Internet", port="3389"), vnet=VNET_WEB)
    request_id = it.opened(WEB01, minutes=9, port=3389)

    assert it.broker.status(request_id) == "open"
    assert it.broker.reachable(WEB01, 3389)


@pytest.mark.parametrize("answer", [{"status": 503}, {"status": 404, "code": "NotFound"}])
def test_a_path_does_not_open_while_the_rules_cannot_be_read(it, answer):
    """Unread is not none. Afterwards it opens."""
    it.broker.sim.faults({"match": {"path": "listNetworkManager"}, "times": None, "answer": answer})
    request_id = it.opened()

    assert it.broker.status(request_id) == "opening"

    it.broker.sim.control("DELETE", "faults")
    it.broker.live(2)

    assert it.broker.status(request_id) == "open"


def test_without_the_permission_nothing_opens_and_the_note_says_what_to_do(it):
    """Cannot tell, so not open."""
    forbid(it, ACTION)
    request_id = it.opened()

    grant = it.broker.grant(request_id)
    assert grant.status == "opening"
    assert f"grant the broker {ACTION}, or set JIT_NETWORK_MANAGER=none" in grant.note


def test_an_operator_can_say_that_no_manager_is_in_use(it):
    """Then nobody asks, and nothing waits for the permission."""
    forbid(it, ACTION)
    it.broker.name(PRODUCTION, DEVELOPMENT, reads_network_manager=False)
    it = Reconciling(it.broker)
    request_id = it.opened()
    it.run()

    assert it.broker.status(request_id) == "open"
    assert asked(it) == 0


# ---- while it is open ----------------------------------------------------------------------------


def test_an_open_path_that_is_denied_later_is_open_no_longer(it):
    """A comparison sees it within a quarter of an hour."""
    request_id = it.opened(duration="PT3H")
    manage(it, arm_admin(DENY))
    compare_all(it)
    it.broker.live(1)

    assert it.broker.status(request_id) == "opening"
    assert "blocks it before every NSG" in it.broker.grant(request_id).note


def test_an_open_path_stays_open_while_the_rules_cannot_be_read(it):
    """Nothing is known to be wrong with it."""
    request_id = it.opened(duration="PT3H")
    forbid(it, ACTION)
    compare_all(it)
    it.broker.live(5)

    assert it.broker.status(request_id) == "open"


# ---- closing -------------------------------------------------------------------------------------


def test_what_is_always_allowed_is_said_when_a_grant_closes(it, caplog):
    """The broker cannot remove it: the note says so, and an alert names the rule."""
    manage(it, arm_admin(ALWAYS, "203.0.113.0/24"))
    request_id = it.opened()
    it.broker.revoke(request_id)
    it.broker.live(5)

    grant, (alert,) = it.broker.grant(request_id), told(caplog, "access.left_open")
    assert grant.status == "closed"
    assert it.broker.reachable(farm(1), source=HERE)
    assert grant.note == alert["reason"]
    assert grant.note == (
        "security admin rule alwaysallow-10 of network manager nm-hub lets 203.0.113.7/32 in "
        "at any time, before every NSG"
    )


def test_rules_that_are_not_known_keep_no_grant_from_closing(it, caplog):
    """Doubt keeps closing, and the note says that it is a doubt."""
    request_id = it.opened(duration="PT3H")
    forbid(it, ACTION)
    compare_all(it)
    it.broker.revoke(request_id)
    it.broker.live(5)

    assert it.broker.status(request_id) == "closed"
    assert told(caplog, "access.left_open") == []
    assert (
        "cannot tell whether a security admin rule lets it in" in it.broker.grant(request_id).note
    )


# ---- comparisons ---------------------------------------------------------------------------------


def test_a_comparison_reads_a_third_of_the_networks_and_each_once_in_a_quarter(it):
    """Five networks: two, two, one, and then none that was read lately."""
    counts = []
    for _ in range(5):
        before = asked(it)
        it.run()
        counts.append(asked(it) - before)
        it.broker.advance(timedelta(minutes=5))

    assert counts == [2, 2, 1, 2, 2]


def test_a_reading_of_the_worker_spares_the_comparison_its_own(it):
    """It is kept in the same row."""
    it.opened()
    seen = asked(it)
    for _ in range(3):
        it.run()

    assert asked(it) - seen == 4


def test_a_missing_permission_is_one_alert_a_subscription(it, caplog):
    """Not one for each network, VM or run; again only after it was mended."""
    forbid(it, ACTION)
    for _ in range(4):
        it.run()
        it.broker.advance(timedelta(minutes=5))
    (alert,) = told(caplog, "admin_rules.unreadable")

    assert alert["subscription"] == DEVELOPMENT
    assert ACTION in alert["examples"][0]

    forbid(it)
    for _ in range(4):
        it.run()
        it.broker.advance(timedelta(minutes=5))
    forbid(it, ACTION)
    for _ in range(4):
        it.run()
        it.broker.advance(timedelta(minutes=5))

    assert len(told(caplog, "admin_rules.unreadable")) == 2


def test_a_dry_run_asks_for_nothing(it):
    """It is on the way of an HTTP call; the last readings are good enough."""
    assert it.planned() == []
    assert asked(it) == 0


def test_an_answer_to_a_caller_asks_for_nothing(it):
    """A denial is decided on a fresh look at the lists, and warnings keep what was last read."""
    manage(it, arm_admin(DENY, GROUP))
    for _ in range(3):
        it.run()
    seen = asked(it)

    it.broker.preview(wish(farm(1), 4711))

    assert asked(it) == seen
    (vm,) = (vm for vm in it.broker.inventory.list_machines(DEVELOPMENT) if vm.name == "farm01")
    assert "admin-rule-blocks" in {warning.code for warning in vm.warnings}
