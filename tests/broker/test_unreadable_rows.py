"""Rows that only a newer version can read: their VM is left alone, and nothing else stops."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.broker.locks import LEASE
from jit.storage.keys import machine_key, write_stamp
from jit.storage.table import Op, Verb
from tests.broker.inprocess import DAVE, THERE, farm, wish
from tests.broker.reconciling import NSG_FARM, Reconciling, told
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION


@pytest.fixture
def it(broker):
    """A broker that removes orphans: the most that a comparison may remove."""
    return Reconciling(broker, remove_orphans=True)


def allows(it):
    """The names of Defender's allow rules in the NSG of the farm."""
    it.broker.live(1)  # a deletion takes Azure a moment
    return [name for name in it.broker.sim.rules(NSG_FARM) if "JITRule-" in name]


def written_by_a_newer_version(broker, prefix, vm):
    """Let a newer version have written the rows of a VM."""
    machine = machine_key(vm).removeprefix("v|")
    rows = [row for row in broker.state.rows(prefix) if machine in row.key]
    assert rows
    ops = [Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99})) for row in rows]
    broker.state.write(ops)


def test_other_vms_open_and_close_while_one_cannot_be_read(it, caplog):
    """Both are in one policy, and have one worker."""
    it.opened(farm(1))
    written_by_a_newer_version(it.broker, "g|", farm(1))

    second = it.broker.ask(wish(farm(2), source=THERE), DAVE)
    it.broker.live(3)
    opened = it.broker.status(second)
    it.broker.revoke(second, DAVE)
    it.broker.live(3)

    assert (opened, it.broker.status(second)) == ("open", "closed")
    assert it.broker.reachable(farm(1))
    assert told(caplog, "row.unreadable") != []


def test_rules_of_a_vm_that_cannot_be_read_are_not_orphans(it):
    """They may belong to a live grant."""
    it.opened(farm(1))
    written_by_a_newer_version(it.broker, "g|", farm(1))

    planned = it.planned()
    it.run()

    assert planned == []
    assert it.broker.reachable(farm(1))
    assert len(allows(it)) == 1


def test_leftovers_of_other_vms_go_while_one_cannot_be_read(it):
    """A tombstone in a newer format protects its own VM alone."""
    it.closed(farm(1))
    it.closed(farm(2))
    kept = it.leave(1)
    gone = it.leave(2, destinationAddressPrefix=it.address(farm(2)))
    written_by_a_newer_version(it.broker, "t|", farm(1))

    it.run()

    assert kept in allows(it)
    assert gone not in allows(it)


def test_rows_that_cannot_be_read_send_no_messages(it):
    """They stay due for ever: the timer would else wake their worker each minute."""
    it.opened(farm(1))
    written_by_a_newer_version(it.broker, "g|", farm(1))
    it.broker.live(5)
    before = it.broker.calls.count("queues.send")

    it.broker.live(90)

    assert it.broker.calls.count("queues.send") == before


def test_a_due_row_with_an_unknown_word_sends_no_messages(it):
    """Its columns can be read, its document cannot: a pass can do nothing for it."""
    it.opened(farm(1))
    it.broker.live(10)
    rows = it.broker.state.rows("g|")
    doc, due = rows[0].values["Doc"], write_stamp(it.broker.now)
    spoilt = {"Doc": doc.replace('"open"', '"napping"'), "DueAt": due}
    before = it.broker.calls.count("queues.send")
    ops = [Op(Verb.REPLACE, replace(row, values={**row.values, **spoilt})) for row in rows]
    it.broker.state.write(ops)

    it.broker.live(10)

    assert spoilt["Doc"] != doc
    assert it.broker.calls.count("queues.send") - before < 30


def rows_of_a_newer_version(broker, prefix):
    """Let a newer version have written the rows below *prefix*; return their number."""
    rows = broker.state.rows(prefix)
    assert rows
    ops = [Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99})) for row in rows]
    broker.state.write(ops)
    return len(ops)


def test_a_policy_whose_row_cannot_be_read_is_left_alone(it, caplog):
    """No worker changes anything under it; the comparison goes on to its end."""
    it.closed(farm(1))
    left = it.leave(1)
    rows_of_a_newer_version(it.broker, "p|")

    it.run()
    it.broker.advance(10 * LEASE)
    it.run()
    last = it.broker.now

    assert left in allows(it)
    assert told(caplog, "row.unreadable") != []
    assert it.broker.subscription_rows.get(DEVELOPMENT).compared_at == last


def test_a_subscription_whose_row_cannot_be_read_is_compared(it, caplog):
    """The row says when it was compared last; no rule is safe because of it."""
    it.closed(farm(1))
    left = it.leave(1)
    rows_of_a_newer_version(it.broker, "s|")

    it.run()
    it.due_work.tick(now=it.broker.now)

    assert left not in allows(it)
    assert told(caplog, "row.unreadable") != []


def test_a_dropped_subscription_whose_row_cannot_be_read_is_still_looked_after(it):
    """The key of the row names it; the row stays as the newer version wrote it."""
    request_id = it.opened(farm(1))
    rows_of_a_newer_version(it.broker, "s|")
    it.broker.name(PRODUCTION)
    it = Reconciling(it.broker)

    it.due_work.enqueue_comparisons()
    compared = it.reconcile_messages()
    for _ in range(80):
        it.due_work.tick(now=it.broker.now)
        it.broker.live(1, ticks=False)

    assert compared == [PRODUCTION, DEVELOPMENT]
    assert it.broker.status(request_id) == "closed"
    assert [row.values["Format"] for row in it.broker.state.rows("s|")].count(99) == 1


def test_the_row_of_a_dropped_subscription_stays_while_events_cannot_be_read(it):
    """A version that can read them must find the subscription, and complete its chain."""
    it.closed(farm(1))
    it.broker.ask(wish(farm(2)))
    it.broker.live(3)
    events = rows_of_a_newer_version(it.broker, "a|")
    it.broker.advance(timedelta(days=10))
    it.broker.name(PRODUCTION)
    it = Reconciling(it.broker)
    for _ in range(3):
        it.due_work.tick(now=it.broker.now)
        it.broker.live(30, ticks=False)
        it.run(PRODUCTION)

    named = [item.subscription for item in it.broker.subscription_rows.read().subscriptions]

    assert not it.broker.requests.has_grants(DEVELOPMENT)
    assert len(it.broker.state.rows("a|")) == events
    assert DEVELOPMENT in named
