"""The grants that a pass has work for."""

from datetime import timedelta

import pytest

from jit.domain.errors import Unavailable
from tests.broker.inprocess import BOB, THERE, farm, policy_of, wish

INITIATE = {"method": "POST", "path": "/initiate"}
REMOVAL_LOOKS = 2  # the look of the pass, and one just before the removal


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


def test_what_must_close_is_removed_before_anything_new_is_asked_for(broker):
    """However many wait for their beginning, nobody's end waits for them."""
    ended = broker.ask(wish(farm(1)))
    broker.live(2)
    broker.advance(timedelta(minutes=1))
    broker.revoke(ended)
    asked = broker.ask(wish(farm(2)))
    broker.calls.names.clear()

    broker.work(farm(1))

    calls = broker.calls.names
    assert calls.index("network.delete_rule") < calls.index("policies.initiate")
    assert (broker.status(ended), broker.status(asked)) == ("closing", "opening")


def test_what_must_close_is_removed_although_the_storage_fails_what_is_new(broker):
    """The first phase of a pass is stored and sent before the second begins."""
    ended = broker.ask(wish(farm(1)))
    broker.live(2)
    broker.revoke(ended)
    broker.ask(wish(farm(2)))
    broker.calls.before = fail_after_removal(broker)

    with pytest.raises(Unavailable):
        broker.work(farm(1))
    broker.advance(timedelta(minutes=1))  # Azure writes the NSG

    assert not broker.reachable(farm(1))


def test_nothing_new_is_stored_before_what_must_close_is_removed(broker):
    """Four hundred new grants take many writes: an end does not wait for them."""
    ended = broker.ask(wish(farm(1)))
    broker.live(2)
    broker.revoke(ended)
    asked, seen = broker.ask(wish(farm(2))), []
    broker.calls.before = lambda name, _number: (
        seen.append(broker.status(asked)) if name == "network.delete_rule" else None
    )

    broker.work(farm(1))

    assert set(seen) == {"pending"}


def fail_after_removal(broker):
    """Return a hook: no initiate is made, and nothing is stored, after the first removal."""

    def fail(name, _number):
        late = "network.delete_rule" in broker.calls.names
        if late and name in {"state.write", "policies.initiate"}:
            raise Unavailable("storage is down")

    return fail


def test_a_pass_that_only_closes_looks_once(broker):
    """The first phase costs nothing if there is no second one."""
    ended = broker.ask(wish(farm(1)))
    broker.live(2)
    broker.revoke(ended)
    before = looks(broker)

    broker.work(farm(1))

    assert looks(broker) - before == REMOVAL_LOOKS


def test_azure_that_asks_to_wait_is_not_asked_in_the_second_phase(broker):
    """The remainder of a shared path is asked for first; a 429 counts for everything new."""
    leaves, _ = broker.ask(wish(farm(1))), broker.ask(wish(farm(1), source=THERE), BOB)
    broker.live(3)
    broker.revoke(leaves)
    broker.ask(wish(farm(2)))
    broker.sim.faults({"match": INITIATE, "times": None, "answer": {"status": 429}})
    before = len(broker.initiates())

    broker.work(farm(1))

    assert len(broker.initiates()) - before == 1
