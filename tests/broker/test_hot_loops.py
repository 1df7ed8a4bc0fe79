"""Lasting faults: six hours of each one cost a bounded number of calls, and an alert."""

import logging

import pytest

from jit.domain.errors import Unavailable
from tests.broker.inprocess import InProcess, farm, wish
from tests.broker.reconciling import Reconciling, told
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION, WEB01

HOURS = 6
CALLS = 1_600  # all calls, with some 9 for each of 72 comparisons
OPENINGS = 9  # 20 minutes at 10, 20, 40, 80, 160, 300 seconds
CHANGES = 110  # 35 in the first half hour, then one with every comparison
COMPANIONS = 50  # 40 minutes, one a minute after the first few

INITIATE = {"method": "POST", "path": "/initiate"}
DELETE = {"method": "DELETE", "principal": "broker"}
WRITE = {"method": "PUT", "path": "azureFirewalls", "principal": "broker"}
COMPANION = {"method": "PUT", "path": "securityRules", "principal": "broker"}
POLICY = {"method": "GET", "path": "jitNetworkAccessPolicies", "principal": "broker"}
NSG = {"method": "GET", "path": "networkSecurityGroups", "principal": "broker"}
FIREWALL_FAILS = {"match": {"path": "azureFirewalls", "principal": "defender"}}
ALL = {"principal": "broker"}
FORGETS = {"match": {"path": "nsg-farm-1"}, "times": None, "leaveRules": True}
FORGETS_NAT = {"match": {"path": "fw-prod"}, "times": None, "leaveRules": True}


def answer(match, status, code="", **headers):
    """A call that is answered like this for ever."""
    reply = {"status": status, "code": code or "SomethingNobodyKnows", "headers": headers}
    return {"match": match, "times": None, "answer": reply}


THROTTLED = {"Retry-After": "0"}
OPENS_NEVER = {
    "forbidden": answer(INITIATE, 403, "AuthorizationFailed"),
    "locked": answer(INITIATE, 409, "ScopeLocked"),
    "unavailable": answer(INITIATE, 503, "ServiceUnavailable"),
    "throttled": answer(INITIATE, 429, "TooManyRequests", **THROTTLED),
    "busy": answer(INITIATE, 409, "AnotherOperationInProgress"),
    "strange": answer(INITIATE, 299),
    "stranger": answer(INITIATE, 418),
    "reset": {"match": INITIATE, "times": None, "drop": "before"},
    "nothing follows": {"match": INITIATE, "times": None, "neverRule": True},
    "policy unreadable": answer(POLICY, 403, "AuthorizationFailed"),
    "policy unavailable": answer(POLICY, 503),
    "nsg unreadable": answer(NSG, 403, "AuthorizationFailed"),
    "all forbidden": answer(ALL, 403, "AuthorizationFailed"),
    "all throttled": answer(ALL, 429, "TooManyRequests", **THROTTLED),
}
CLOSES_NEVER = {
    "delete forbidden": (farm(1), 22, [FORGETS, answer(DELETE, 403, "AuthorizationFailed")]),
    "delete locked": (farm(1), 22, [FORGETS, answer(DELETE, 409, "ScopeLocked")]),
    "delete throttled": (farm(1), 22, [FORGETS, answer(DELETE, 429, **THROTTLED)]),
    "firewall forbidden": (WEB01, 3389, [FORGETS_NAT, answer(WRITE, 403, "AuthorizationFailed")]),
    "firewall changes": (WEB01, 3389, [FORGETS_NAT, answer(WRITE, 412, "PreconditionFailed")]),
    "firewall throttled": (WEB01, 3389, [FORGETS_NAT, answer(WRITE, 429, **THROTTLED)]),
}

FAST = (
    "all forbidden",
    "busy",
    "delete forbidden",
    "firewall changes",
    "forbidden",
    "nothing follows",
    "nsg unreadable",
    "reset",
    "strange",
    "throttled",
)
"""The other faults run for six hours in the long run only: each is like one of these."""


def among(names, *fast):
    """The parameters *names*; all except the *fast* ones belong to the long run."""
    return [
        name if name in fast else pytest.param(name, marks=pytest.mark.long)
        for name in sorted(names)
    ]


@pytest.fixture(autouse=True)
def _events(caplog):
    caplog.set_level(logging.INFO, logger="jit")


def six_hours(it, subscription, every=5):
    """Let messages and ticks run as they would, and a comparison *every* so many minutes."""
    for _ in range(HOURS * 60 // every):
        try:
            it.run(subscription)
        except Unavailable:
            it.broker.calls.names.append("run.failed")
        it.broker.live(every)


def changes(it):
    """How often Azure was asked to change something."""
    return it.broker.calls.count("network.put") + it.broker.calls.count("network.delete")


def calls(it):
    """How often Azure was asked for anything."""
    return sum(it.broker.calls.count(name) for name in ("arm.", "policies.", "network."))


@pytest.mark.parametrize("name", among(OPENS_NEVER, *FAST))
def test_a_path_that_never_opens_is_given_up_after_a_bounded_number_of_calls(name, caplog):
    """The deadline holds for each answer of Azure; the grant has the reason; an alert is raised."""
    it = Reconciling(InProcess())
    it.run()
    it.broker.sim.faults(OPENS_NEVER[name])
    request_id = it.broker.ask(wish(farm(1)))
    it.broker.calls.names.clear()

    six_hours(it, DEVELOPMENT, every=30)

    grant = it.broker.grant(request_id)
    assert grant.close_reason == "failed"
    assert grant.status == "closed"  # of a VM that cannot be read, nothing was asked
    assert len(str(grant.note)) > len("failed")
    assert grant.initiate.attempts <= it.broker.calls.count("policies.initiate") + 1 <= OPENINGS + 1
    assert calls(it) <= CALLS
    assert len(told(caplog, "grants.failed")) == 1


@pytest.mark.parametrize("name", among(CLOSES_NEVER, *FAST))
def test_a_path_that_never_closes_is_tried_a_bounded_number_of_times(name, caplog):
    """Never given up, never taken for closed, never pressed; the rule is named in an alert."""
    vm, port, faults = CLOSES_NEVER[name]
    subscription = vm.split("/")[2]
    it = Reconciling(InProcess())
    it.run(subscription)
    request_id = it.opened(vm, 15, port=port)
    it.broker.sim.faults(*faults)
    it.broker.revoke(request_id)
    it.broker.calls.names.clear()

    six_hours(it, subscription)

    grant = it.broker.grant(request_id)
    assert grant.status == "closing"
    assert str(grant.note).startswith("still there: ")
    assert changes(it) <= CHANGES
    assert calls(it) <= CALLS
    assert len(told(caplog, "rule.overdue")) > 0


def test_a_firewall_that_stays_failed_costs_looks_and_no_changes(caplog):
    """It is not written while its last update failed; its grant names the remedy."""
    it = Reconciling(InProcess())
    it.run(PRODUCTION)
    it.broker.sim.faults(FIREWALL_FAILS | {"times": None, "operation": {"status": "Failed"}})
    request_id = it.broker.ask(wish(WEB01, 3389))
    it.broker.calls.names.clear()

    six_hours(it, PRODUCTION)

    assert it.broker.status(request_id) == "closing"
    assert it.broker.calls.count("network.put_firewall") == 0
    assert calls(it) <= CALLS
    assert len(told(caplog, "grants.failed")) == 1
    assert len(told(caplog, "grants.unverified")) > 0


@pytest.mark.parametrize("code", among(("AuthorizationFailed", "ScopeLocked"), "ScopeLocked"))
def test_a_companion_that_may_not_be_written_is_given_up(code, caplog):
    """Forty minutes, at a bounded pace."""
    it = Reconciling(InProcess())
    it.run(PRODUCTION)
    status = {"AuthorizationFailed": 403, "ScopeLocked": 409}[code]
    it.broker.sim.faults(answer(COMPANION, status, code))
    request_id = it.broker.ask(wish(WEB01, 3389))
    it.broker.calls.names.clear()

    six_hours(it, PRODUCTION, every=30)

    assert it.broker.grant(request_id).close_reason == "failed"
    assert it.broker.calls.count("network.put_rule") <= COMPANIONS
    assert calls(it) <= CALLS
    assert len(told(caplog, "grants.failed")) == 1
