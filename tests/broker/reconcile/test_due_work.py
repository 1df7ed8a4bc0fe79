"""The timers: they find due work and send messages."""

from datetime import timedelta

from jit import messages
from jit.domain.audit.event import Event
from jit.domain.model.bar import Bar, WantedBar
from tests.broker.inprocess import DAVE, OLGA, THERE, farm, policy_of, wish
from tests.broker.reconciling import FARM_POLICY
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION


def test_the_timer_asks_for_every_subscription_that_is_looked_after(it):
    """A subscription without live grants can still hold leftovers."""
    it.due_work.enqueue_comparisons()

    assert it.reconcile_messages() == [PRODUCTION, DEVELOPMENT]


def test_a_tick_wakes_each_policy_with_something_due_once(it):
    """A burst for one policy is one message."""
    it.broker.accept(wish((farm(1), farm(2))))
    it.broker.accept(wish(farm(3)), DAVE)
    it.broker.accept(wish(farm(11), source=THERE))

    it.due_work.tick(now=it.broker.now)

    assert sorted(it.policy_messages()) == [FARM_POLICY, policy_of(farm(11))]


def test_a_tick_wakes_nobody_before_the_time(it):
    """A scheduled request is due at its start."""
    start = it.broker.now + timedelta(hours=1)
    it.broker.accept(wish(farm(1), startTime=start.isoformat()))

    it.due_work.tick(now=it.broker.now)

    assert it.policy_messages() == []


def test_a_tick_has_an_outbox_drained_if_something_waits_there(it):
    """A record waits a minute, and not until the next comparison."""
    it.broker.accept(wish(farm(1)))

    it.due_work.tick(now=it.broker.now)

    assert it.drain_messages() == [DEVELOPMENT]


def test_a_tick_sends_a_message_for_an_unfinished_revocation_of_a_barred_person(it):
    """The row of the bar says that it is unfinished."""
    wanted = WantedBar(reason="left the company", revoke=True)
    event = Event(at=it.broker.now, what="person.barred", actor="o", request_id="")
    for revoking, sent in ((False, []), (True, [messages.revoke_barred(PRODUCTION)])):
        bar = Bar(person_id=DAVE.id, wanted=wanted, by=OLGA, at=it.broker.now, revoking=revoking)
        it.broker.stores.bars.write(it.broker.stores.bars.find(DAVE.id), bar, event)
        it.due_work.tick(now=it.broker.now)

        waiting = it.broker.queues.waiting(messages.RECONCILE)
        assert [each.text for each in waiting if '"bars"' in each.text] == sent
