"""Unseen grants: looked at again after a repair, and an alert only if nobody can tell."""

import logging
from datetime import timedelta

import pytest

from tests.broker.inprocess import farm
from tests.broker.reconciling import NSG_FARM, told
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION, WEB01

LOCKED = {"status": 409, "code": "ScopeLocked"}
OBSTACLES = {
    "rule": (farm(1), 22, {"method": "DELETE", "path": "JITRule-", "principal": "broker"}),
    "companion": (WEB01, 3389, {"method": "DELETE", "path": "jit-broker-"}),
    "NAT rule": (WEB01, 3389, {"method": "PUT", "path": "azureFirewalls", "principal": "broker"}),
}


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def revoke_and_fail(it, request_id, match, minutes):
    """Revoke under a lock, until the grant is overdue and its next look is far away."""
    it.broker.sim.faults({"match": match, "times": None, "answer": LOCKED})
    it.broker.revoke(request_id)
    it.broker.live(2)
    it.broker.advance(timedelta(minutes=minutes))
    it.broker.live(1)


def live_compared(it, subscription, minutes):
    """Let time pass, with a comparison every five minutes."""
    for _ in range(0, minutes, 5):
        it.broker.live(5)
        it.run(subscription)


@pytest.mark.parametrize("what", OBSTACLES)
def test_an_obstacle_is_named_and_its_repair_is_no_alert(it, caplog, what):
    """Its note has the rule, Azure's word and the person who can mend it."""
    vm, port, match = OBSTACLES[what]
    subscription = DEVELOPMENT if vm == farm(1) else PRODUCTION
    request_id = it.opened(vm, port=port, minutes=8)
    revoke_and_fail(it, request_id, match, 40)
    note = it.broker.grant(request_id).note or ""

    it.broker.sim.send("DELETE", "/_sim/faults")
    caplog.clear()
    live_compared(it, subscription, 15)

    assert note.startswith("still there: ")
    assert "(ScopeLocked): a lock forbids it, which its owner must take away" in note
    assert it.broker.status(request_id) == "closed"
    assert told(caplog, "grants.unverified") == []


def test_a_rule_that_a_person_removed_by_hand_closes_its_grant_with_the_next_comparison(it, caplog):
    """The broker need not wait for its own next try, which may be a quarter of an hour away."""
    _, _, match = OBSTACLES["rule"]
    request_id = it.opened(minutes=8)
    revoke_and_fail(it, request_id, match, 120)
    it.wipe()

    live_compared(it, DEVELOPMENT, 5)
    it.broker.live(1)

    assert it.broker.status(request_id) == "closed"
    assert told(caplog, "grants.unverified") == []


def test_a_grant_whose_path_a_comparison_sees_and_its_worker_does_not_is_an_alert(it, caplog):
    """Azure lists the NSG, and refuses each single read of it: nothing closes."""
    request_id = it.opened(minutes=8)
    it.broker.revoke(request_id)
    it.wipe()
    single = {"method": "GET", "path": NSG_FARM, "principal": "broker"}
    it.broker.sim.faults({"match": single, "times": None, "answer": {"status": 500}})

    it.broker.live(2)
    it.broker.advance(timedelta(minutes=31))
    live_compared(it, DEVELOPMENT, 10)

    assert it.broker.status(request_id) == "closing"
    assert len(told(caplog, "grants.unverified")) > 0
