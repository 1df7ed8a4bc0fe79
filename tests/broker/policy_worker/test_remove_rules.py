"""The removal of rules of closing grants: recorded before it is made."""

import pytest

from tests.broker.inprocess import HERE, farm, policy_of, wish
from tests.local.azure.sim import DEVELOPMENT, FW_PROD, WEB01


def test_a_removal_of_the_worker_is_recorded_before_it_is_made(it):
    """A path that is revoked goes at once, by the pass of its policy."""
    request_id = it.opened()
    (name,) = it.allow_rules()
    it.broker.sim.faults({"match": {"method": "DELETE"}, "drop": "before"})

    it.broker.revoke(request_id)
    it.broker.live(0.1)
    it.run()

    records = it.drainer.list_records(DEVELOPMENT)
    removals = [r.event for r in records if r.event["what"] == "rule.removal_began"]
    assert {event["requestId"] for event in removals} == {request_id}
    assert {event["facts"]["rule"] for event in removals} == {name}


def test_a_strangers_request_that_is_over_does_not_delay_a_revocation(broker):
    """Its rule went with it; the rule that is left is ours."""
    broker.occupy(farm(1), 22, HERE, 10)
    broker.live(10.5)
    request_id = broker.ask(wish(farm(1), duration="PT1H"))
    broker.live(1.5)
    opened = broker.status(request_id)

    broker.revoke(request_id)
    broker.live(2)

    assert (opened, broker.status(request_id)) == ("open", "closed")
    assert not broker.reachable(farm(1))


def forget_ends(broker, vm):
    """Let Defender list the ended requests of a VM's policy as if they were active."""
    where = policy_of(vm)
    policy = broker.sim.get(where)
    for request in policy["properties"]["requests"]:
        for machine in request["virtualMachines"]:
            for port in machine["ports"]:
                if port.get("statusReason") == "Expired":
                    port["status"] = "Initiated"
    broker.sim.control("PUT", "state", {"resources": {where: policy}})


@pytest.mark.parametrize(("vm", "port"), [(farm(1), 22), (WEB01, 3389)])
def test_a_strangers_request_that_is_still_listed_after_its_end_holds_no_rule_back(it, vm, port):
    """Nobody is entitled to it any more; and a firewall's turn is given back."""
    broker = it.broker
    broker.occupy(vm, port, HERE, 10)
    broker.live(60)
    request_id = it.opened(vm, 15, port=port, duration="PT3H")
    forget_ends(broker, vm)

    broker.revoke(request_id)
    broker.live(30)

    assert (broker.status(request_id), broker.reachable(vm, port)) == ("closed", False)
    assert broker.locks.firewalls.may_take(FW_PROD, "somebody-else", broker.now)
