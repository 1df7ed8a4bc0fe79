"""Requests whose grants are all closed move to history, a bounded number at a time."""

from datetime import timedelta

from jit.broker.finishing import FINISHED
from tests.broker.inprocess import farm, policy_of, wish


def cancelled(broker, number):
    """Many scheduled requests of one policy, revoked before anything was asked of Azure."""
    start = (broker.now + timedelta(hours=1)).isoformat()
    for index in range(number):
        body = wish(farm(1), startTime=start, justification=f"CHG{index:07d}")
        broker.revoke(broker.ask(body))
    broker.queues.lose()


def test_history_moves_in_bounded_batches(broker):
    """The claim's lease of a minute outlasts a pass, however many requests ended together."""
    cancelled(broker, FINISHED + 5)
    broker.advance(timedelta(hours=2))

    broker.work(farm(1))

    assert len(broker.state.rows("r|")) == 5


def test_what_one_pass_left_comes_with_the_next(broker):
    """A message brings the worker back; nothing stays behind."""
    cancelled(broker, FINISHED + 5)
    broker.advance(timedelta(hours=2))

    broker.live(2)

    assert broker.state.rows("r|") == ()
    assert broker.store.grants(policy_of(farm(1)).split("/")[2], "g") == ()


def test_a_request_for_several_vms_is_moved_by_one_pass(broker):
    """Its rows are buried together: none is looked for again under a version that is gone."""
    request_id = broker.ask(wish((farm(1), farm(2), farm(3))))
    broker.live(2)
    broker.revoke(request_id)

    broker.live(2)

    assert len(broker.state.rows("t|")) == 3
    assert broker.state.rows("p|")[0].values["Attempts"] == 0
