"""Many rules of one NSG that takes a while for each change: the time is linear in their number."""

from datetime import timedelta

import pytest

from jit import messages
from tests.broker.inprocess import InProcess, farm, wish
from tests.broker.reconciling import NSG_FARM, Reconciling

SETTLES = 15
PER_RULE = timedelta(seconds=SETTLES + 7)
"""The NSG settles, and somebody looks a few seconds later."""


@pytest.fixture
def it():
    return Reconciling(InProcess())


def count_rules(it):
    return sum("JITRule-" in name for name in it.broker.sim.rules(NSG_FARM))


def compare_if_asked(it):
    """Deliver the messages that want a comparison; the schedule sends none."""
    while (text := it.broker.queues.receive(messages.RECONCILE)) is not None:
        if not messages.has_part(text.encode(), messages.AUDIT):
            it.run()


def wait_until_gone(it, *, longest):
    """Return the time until no rule is left; *longest* if one is."""
    begun = it.broker.now
    while count_rules(it) and it.broker.now - begun < longest:
        it.broker.live(1 / 60)
        compare_if_asked(it)
    return it.broker.now - begun


def test_revoked_rules_of_one_nsg_go_one_after_the_other_without_a_growing_wait(it):
    """Six: before, each one waited for an eighth of the time since the revocation."""
    requests = [it.broker.ask(wish(farm(number))) for number in range(1, 7)]
    it.broker.live(5)
    it.broker.sim.options(nsgSeconds=SETTLES)
    for each in requests:
        it.broker.revoke(each)

    assert count_rules(it) == 6
    assert wait_until_gone(it, longest=timedelta(minutes=10)) <= 6 * PER_RULE


def test_leftovers_of_one_nsg_need_no_schedule_of_comparisons(it):
    """The NSG is still being updated when the next run looks: it comes again."""
    it.closed()
    for number in range(1, 4):
        it.leave(number)
    it.broker.sim.options(nsgSeconds=SETTLES)

    it.run()

    assert wait_until_gone(it, longest=timedelta(minutes=5)) <= 3 * PER_RULE


def test_an_nsg_that_somebody_else_keeps_busy_is_left_to_the_schedule(it):
    """Nothing of the broker is on its way there: a comparison each ten seconds is in vain."""
    it.closed()
    it.leave()
    it.end_update(NSG_FARM, "Updating")

    it.run()

    assert it.reconcile_messages() == []
