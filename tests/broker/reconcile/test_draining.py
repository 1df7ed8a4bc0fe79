"""Draining: message after message until the outbox is empty, one instance at a time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit import messages
from jit.domain.audit import chain
from jit.domain.audit.event import Event
from jit.domain.errors import AccessDenied, Unavailable
from jit.storage import audit_chain
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Verb, pack_ops
from tests.broker.inprocess import DAVE, farm, wish
from tests.local.azure.sim import DEVELOPMENT

STRANGE = "99999999-0000-4000-8000-000000000001"


@pytest.fixture
def it(it, monkeypatch):
    """A broker whose drainer takes 98 rows a call, and an outbox with 250."""
    monkeypatch.setattr(audit_chain, "BATCHES", 2)
    for number in range(25):
        it.broker.outbox.add(DEVELOPMENT, [an_event(it, number)] * 10)
    return it


def an_event(it, number):
    return Event(at=it.broker.now, what=f"thing.happened{number}", actor="a", request_id="r")


def deliver(it):
    """Deliver drain messages until none is left; return how many there were."""
    count = 0
    while (text := it.broker.queues.receive(messages.RECONCILE)) is not None:
        assert messages.has_part(text.encode(), messages.AUDIT)
        it.reconciler.drain(messages.read(text.encode(), "subscription"), now=it.broker.now)
        count += 1
    return count


def broken(it):
    records, end = it.drainer.list_records(DEVELOPMENT), it.drainer.find_head(DEVELOPMENT)
    return chain.verify(records, start=chain.Head(chain=DEVELOPMENT), end=end)


def test_draining_goes_on_by_message_until_the_outbox_is_empty(it):
    it.reconciler.drain(DEVELOPMENT, now=it.broker.now)

    assert deliver(it) == 2
    assert it.broker.state.rows("a|") == ()
    assert len(list(it.drainer.list_records(DEVELOPMENT))) == 250
    assert broken(it) is None


def test_a_comparison_sends_the_message_too(it):
    it.run()

    assert it.drain_messages() == [DEVELOPMENT]


def test_a_second_instance_leaves_the_outbox_to_the_first(it):
    """It would only lose the head of the chain; the first one sends the next message."""
    lease = it.locks.claim_drain(DEVELOPMENT)

    it.reconciler.drain(DEVELOPMENT, now=it.broker.now)
    it.broker.advance(timedelta(minutes=2))
    assert (lease is not None, it.drain_messages(), it.audit.rows()) == (True, [], ())
    it.reconciler.drain(DEVELOPMENT, now=it.broker.now)

    assert it.drain_messages() == [DEVELOPMENT]


def test_a_drain_that_fails_frees_the_outbox(it):
    """The message comes back."""

    def fail(name, _):
        if name == "audit.write":
            raise Unavailable("no")

    it.broker.calls.before = fail
    with pytest.raises(Unavailable):
        it.reconciler.drain(DEVELOPMENT, now=it.broker.now)
    it.broker.calls.before = lambda *_: None

    it.reconciler.drain(DEVELOPMENT, now=it.broker.now)

    assert it.drain_messages() == [DEVELOPMENT]


def test_rows_that_cannot_be_read_send_no_message_after_message(it):
    """They wait for the version that can."""
    rows = it.broker.state.rows("a|")
    newer = [Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99})) for row in rows]
    for pack in pack_ops(newer):
        it.broker.state.write(pack)

    it.reconciler.drain(DEVELOPMENT, now=it.broker.now)

    assert it.drain_messages() == []


def test_a_message_about_an_unknown_subscription_writes_nothing(it):
    """Anybody who can write the queue can make up a name."""
    it.reconciler.drain(STRANGE, now=it.broker.now)

    assert {row.partition for row in it.broker.state.rows()} == {DEVELOPMENT}


def test_the_same_denial_is_one_record_and_one_number_in_an_unbroken_chain(it):
    """Fifty calls of one person, one call of the same person for another port."""
    for port in [443] * 50 + [444]:
        with pytest.raises(AccessDenied):
            it.broker.accept(wish(farm(1), port), DAVE)
    it.broker.advance(timedelta(minutes=20, seconds=1) + timedelta(minutes=10))
    it.reconciler.drain(DEVELOPMENT, now=it.broker.now)

    deliver(it)

    denials = [
        {**record.event["facts"], "digest": record.texts["digest"]["text"]}
        for record in it.drainer.list_records(DEVELOPMENT)
        if record.event["what"] == "request.denied"
    ]
    first, number = (each for each in denials if each["digest"] == denials[0]["digest"])
    assert len(denials) == 3
    assert "repetitions" not in first
    assert number["repetitions"] == 49
    assert it.broker.state.rows("d|") == ()
    assert broken(it) is None
