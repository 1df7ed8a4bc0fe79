"""The grants that a pass has work for."""

from datetime import timedelta

from tests.broker.inprocess import farm, policy_of, wish


def looks(broker):
    """The number of reads of the JIT policy."""
    return broker.calls.count("policies.get")


def test_a_look_that_somebody_asks_for_is_one_look_a_minute(broker):
    """The message may come twice, or late."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(2)
    broker.advance(timedelta(minutes=2))
    before = looks(broker)

    for _ in range(3):
        broker.worker.work(policy_of(farm(1)), now=broker.now, look=request_id)
        broker.advance(timedelta(seconds=20))
    once = looks(broker) - before
    broker.worker.work(policy_of(farm(1)), now=broker.now, look=request_id)

    assert (once, looks(broker) - before) == (1, 2)


def test_a_look_is_about_the_machines_of_its_request(broker):
    """Another request under the policy is left alone."""
    request_id, other = broker.ask(wish(farm(1))), broker.ask(wish(farm(2)))
    broker.live(2)
    broker.advance(timedelta(minutes=2))
    stood = broker.grant(other)

    broker.worker.work(policy_of(farm(1)), now=broker.now, look=request_id)

    assert broker.grant(request_id).observed_at == broker.now
    assert broker.grant(other) == stood


def test_a_look_at_a_request_that_is_over_is_nothing(broker):
    """The message came late."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(70)
    before = looks(broker)

    broker.worker.work(policy_of(farm(1)), now=broker.now, look=request_id)

    assert looks(broker) == before
