"""Messages that come while new grants are gathered: they are cheap and delay nothing urgent."""

from datetime import timedelta

from jit.domain.model.grant import Status
from jit.storage.request_rows import LAST_BEGUN, NEW
from tests.broker.inprocess import farm, policy_of, wish


def _gathering(broker):
    """A policy that has just initiated, and has noted when it will gather new grants."""
    first = broker.ask(wish(farm(1)))
    broker.deliver()
    broker.ask(wish(farm(2)))
    broker.deliver()
    return first


def test_a_message_for_gathered_grants_only_reads(broker):
    """A burst of two hundred requests must not become two hundred passes."""
    _gathering(broker)
    broker.accept(wish(farm(3)))
    broker.calls.names.clear()

    broker.work(farm(3))

    assert broker.calls.names == ["state.query", "state.get", "state.query"]


def test_a_request_that_came_while_gathering_opens_by_the_message_on_its_way(broker):
    """Its own message ended without effect, and no timer is needed."""
    _gathering(broker)
    late = broker.ask(wish(farm(3)))

    broker.live(1, ticks=False)

    assert broker.status(late) == "open"
    assert len(broker.initiates()) == 2


def test_gathered_grants_open_by_the_timer_if_the_message_is_lost(broker):
    """A note that a message comes is not that message."""
    _gathering(broker)
    late = broker.ask(wish(farm(3)))
    broker.queues.lose()

    broker.live(3)

    assert broker.status(late) == "open"


def test_a_revocation_is_worked_at_once_while_new_grants_are_gathered(broker):
    """Closing never waits for the sake of a burst of openings."""
    first = _gathering(broker)
    broker.revoke(first)

    broker.deliver()

    assert broker.whole(first).status is Status.CLOSING


def test_a_note_written_meanwhile_does_not_cost_a_worker_its_claim(broker):
    """Only another lease is a reason to end: the writer of a note does not look again."""
    _gathering(broker)
    turns = broker.locks
    seen = turns.read_policy(policy_of(farm(1)))
    noted: list[str] = []

    def note(name, _number):
        if name == "state.write" and not noted:
            noted.append(name)
            turns.note_message(seen, timedelta(seconds=5))

    broker.calls.before = note

    assert turns.claim(policy_of(farm(1))) is not None


def test_the_statuses_that_a_query_leaves_out_are_the_new_ones():
    """A table compares text: the order of the words carries the meaning here."""
    left_out = {status for status in Status if status.value > LAST_BEGUN}

    assert left_out == NEW
