"""Turns on firewalls in a pass: taken, waited for, given back."""

from datetime import timedelta

import pytest

from jit.domain.grants.timing import FIREWALL_WAIT
from jit.domain.model.grant import Status
from tests.broker.inprocess import DAVE, ELSEWHERE, THERE, policy_of, wish
from tests.local.azure.sim import FW_PROD, WEB01

POLICY, OTHER = policy_of(WEB01), "/subscriptions/s/another-policy"
UPDATED = 6.0  # minutes in which a firewall has had its update


@pytest.fixture
def turns(broker):
    """Turns of a broker whose requester has an open path through the firewall."""
    return broker.locks.firewalls


def opened(broker):
    """Return the id of an open request."""
    request_id = broker.ask(wish(WEB01))
    broker.live(UPDATED)
    assert broker.status(request_id) == "open"
    return request_id


def test_a_policy_that_wants_to_close_stands_in_line_while_another_one_has_the_turn(broker, turns):
    """Also while the firewall is being updated: it must be there at the first settled moment."""
    request_id = opened(broker)
    turns.take(FW_PROD, OTHER, broker.now)
    broker.revoke(request_id)
    broker.live(2)

    assert broker.status(request_id) == "closing"
    assert turns.check(FW_PROD, OTHER, broker.now).closing_waits


def test_a_closing_grant_that_waits_for_the_turn_is_looked_at_each_minute(broker, turns):
    """Its wait counts only while it is renewed; other looks are further apart by then."""
    request_id = opened(broker)
    turns.take(FW_PROD, OTHER, broker.now)
    broker.revoke(request_id)
    broker.live(14)

    grant = broker.grant(request_id)
    assert grant.status is Status.CLOSING
    assert grant.next_check_at <= broker.now + FIREWALL_WAIT


def test_a_removal_that_azure_refuses_gives_the_turn_back_at_once(broker, turns):
    """No update began, and a lock may stay for days."""
    request_id = opened(broker)
    locked = {"status": 409, "code": "ScopeLocked"}
    match = {"method": "PUT", "path": "azureFirewalls", "principal": "broker"}
    broker.sim.faults({"match": match, "times": None, "answer": locked})

    broker.revoke(request_id)
    broker.live(1)

    assert "ScopeLocked" in broker.grant(request_id).note
    assert turns.may_take(FW_PROD, OTHER, broker.now)


def test_in_one_turn_rules_go_before_anything_is_opened(broker):
    """Two grants of one policy: the removal is the first change, and the new path comes next."""
    gone = opened(broker)
    broker.revoke(gone)
    new = broker.ask(wish(WEB01, 3389, THERE), DAVE)
    broker.sim.control("DELETE", "log")

    broker.live(1)

    assert broker.status(gone) == "closing"
    assert broker.status(new) == "pending"
    assert [rule["translatedPort"] for rule in broker.sim.nat()] == []
    broker.live(3 * UPDATED)
    assert (broker.status(gone), broker.status(new)) == ("closed", "open")


def test_a_turn_is_kept_until_the_initiate_shows_in_the_firewall(broker, turns):
    """Defender begins its update some seconds after its answer."""
    broker.ask(wish(WEB01))
    broker.deliver()

    assert turns.has_turn(FW_PROD, POLICY)
    assert not turns.may_take(FW_PROD, OTHER, broker.now)
    broker.live(UPDATED)
    assert not turns.has_turn(FW_PROD, POLICY)


def may_not_change_firewalls(broker):
    denied = ["Microsoft.Network/azureFirewalls/write"]
    broker.sim.control("PUT", "state", {"deniedActions": denied})


def open_two_ports(broker):
    """Return the ids of open requests for two ports of one VM, for an hour."""
    ids = [broker.ask(wish(WEB01, 22)), broker.ask(wish(WEB01, 3389, THERE), DAVE)]
    broker.live(14)
    assert [broker.status(each) for each in ids] == ["open"] * 2
    return ids


def test_a_removal_that_never_works_does_not_stop_what_its_policy_opens(broker):
    """It goes first for some minutes. A lock may stay for days."""
    _, leaves = open_two_ports(broker)
    may_not_change_firewalls(broker)
    broker.revoke(leaves, DAVE)
    broker.live(2)
    comes = broker.ask(wish(WEB01, 22, source=ELSEWHERE))
    broker.live(20)

    assert (broker.status(comes), broker.status(leaves)) == ("open", "closing")


def test_an_own_removal_takes_nobodys_last_chance(broker):
    """An extended path is asked for before its request ends, though a rule is to be removed."""
    stays, leaves = open_two_ports(broker)
    end = broker.grant(stays).expires_at
    may_not_change_firewalls(broker)
    broker.live((end - broker.now).total_seconds() / 60 - 9)
    broker.revoke(leaves, DAVE)
    broker.extend(stays, timedelta(hours=1))
    reached = []
    for _ in range(16):
        broker.live(1)
        reached.append(broker.reachable(WEB01, 22))

    assert all(reached)


def test_a_policy_leaves_the_line_when_nothing_is_left_to_close(broker, turns):
    """Azure took the rule out by itself. The wait would keep others from opening."""
    request_id = opened(broker)
    turns.take(FW_PROD, OTHER, broker.now)
    broker.revoke(request_id)
    broker.live(2)
    body = broker.sim.get(FW_PROD)
    body["properties"]["natRuleCollections"] = []
    broker.sim.control("PUT", "state", {"resources": {FW_PROD: body}})
    broker.live(1.5)

    assert not turns.check(FW_PROD, OTHER, broker.now).closing_waits
