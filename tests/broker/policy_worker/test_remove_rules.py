"""The removal of rules of closing grants: recorded before it is made."""

import pytest

from tests.broker.inprocess import HERE, farm, wish
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import DEVELOPMENT


@pytest.fixture
def it(broker):
    return Reconciling(broker)


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
