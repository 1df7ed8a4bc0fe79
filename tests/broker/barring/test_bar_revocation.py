"""The access of a barred person: all of it ends, and nothing is lost on the way."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from jit import messages
from jit.domain.audit.event import Event
from jit.domain.errors import Unavailable
from jit.domain.model.bar import Bar, WantedBar
from jit.domain.model.grant import CloseReason, Status
from jit.storage import keys
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Verb
from tests.broker.inprocess import ALICE, BOB, OLGA, InProcess, farm, wish
from tests.fakes.calls import Crash
from tests.local.azure.sim import DB01
from tests.sizes import sample

HOUR = timedelta(hours=1)


def ask_for_all(broker):
    """Alice has an open path, one that waits, and one in another subscription; Bob has one."""
    opened = broker.ask(wish(farm(1)))
    theirs = broker.ask(wish(farm(11)), BOB)
    broker.live(3)
    later = wish(farm(21), startTime=(broker.now + HOUR).isoformat())
    return [opened, broker.ask(later), broker.ask(wish(DB01))], theirs


def find_ended(broker, ids):
    """Return the requests of *ids* that are ended by Olga, without more than that."""
    return [
        each
        for each in ids
        for grant in broker.whole(each).grants
        if grant.status in {Status.CLOSING, Status.CLOSED}
        and grant.close_reason is CloseReason.REVOKED
        and (grant.closed_by.name, grant.close_reason_text) == (OLGA.name, "barred")
    ]


def finish(broker):
    """Let the timer look, and deliver its message about bars."""
    broker.use_cases.due_work().tick(now=broker.now)
    while (text := broker.queues.receive(messages.RECONCILE)) is not None:
        if messages.has_part(text.encode(), messages.BARS):
            broker.use_cases.due_work().wake(broker.bar_changes.revoke_rest(broker.now))


def store_unfinished(broker, who=ALICE):
    """Store the bar of an operator whose process died at once."""
    wanted = WantedBar(reason="left the company", until=broker.now + HOUR, revoke=True)
    bar = Bar(person_id=who.id, wanted=wanted, by=OLGA, at=broker.now, revoking=True)
    event = Event(at=broker.now, what="person.barred", actor=OLGA.id, request_id="")
    broker.stores.bars.write(None, bar, event)


def test_all_access_of_the_person_ends_in_all_subscriptions(broker):
    """Open and waiting requests end; other people keep theirs."""
    own, theirs = ask_for_all(broker)

    done = broker.bar(ALICE, revoke=True)
    broker.live(10)

    assert done.bar.revoked == 3
    assert find_ended(broker, own) == own
    assert [broker.status(each) for each in own] == ["closed"] * 3
    assert broker.status(theirs) == "open"
    assert not broker.reachable(farm(1))


def test_without_an_order_an_open_path_stays_open(broker):
    """A bar is asked before access is given."""
    own, _ = ask_for_all(broker)

    assert broker.bar(ALICE).bar.revoked == 0
    assert broker.status(own[0]) == "open"


def test_the_same_order_again_tells_the_same_number(broker):
    ask_for_all(broker)

    assert [broker.bar(ALICE, revoke=True).bar.revoked for _ in range(2)] == [3, 3]


def test_the_end_of_access_is_recorded_with_its_number(broker):
    """In one transaction with the row that says so."""
    ask_for_all(broker)
    broker.bar(ALICE, revoke=True)

    rows = [row for row in broker.state.rows("a|") if row.partition == keys.PEOPLE]
    events = [json.loads(str(row.values["Doc"])) for row in rows]
    assert [each["what"] for each in events] == ["person.barred", "person.access_revoked"]
    assert events[1]["facts"]["requests"] == 3


def count_calls():
    broker = InProcess()
    ask_for_all(broker)
    before = broker.calls.count()
    broker.bar(ALICE, revoke=True)
    return broker.calls.count() - before


@pytest.mark.scaled
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_timer_finishes_an_order_that_died_half_way(when):
    """Once the bar is stored, everything ends, at each call at which the process may die."""
    left = []
    for number in sample(range(1, count_calls() + 1), 7, first=3):
        broker = InProcess()
        own, _ = ask_for_all(broker)
        first = broker.calls.count()

        def die(_name, now, last=first + number):
            if now == last:
                raise Crash

        setattr(broker.calls, when, die)
        with suppress(Crash):
            broker.bar(ALICE, revoke=True)
        setattr(broker.calls, when, lambda *_: None)
        finish(broker)
        broker.live(10)
        stored = broker.stores.bars.find(ALICE.id)
        if stored is not None and (stored.bar.revoking or find_ended(broker, own) != own):
            left.append(number)

    assert left == []


def test_an_order_outlives_the_end_and_the_change_of_its_bar(broker):
    """The operator gave it; a later bar without it does not take it back."""
    own, _ = ask_for_all(broker)
    store_unfinished(broker)

    broker.bar(ALICE, reason="on leave of absence")

    assert find_ended(broker, own) == own


def test_a_bar_is_lifted_after_its_order_is_done(broker):
    """Nothing of the order is lost."""
    own, _ = ask_for_all(broker)
    store_unfinished(broker)

    broker.bar_changes.lift(ALICE.id, BOB, broker.now)

    assert find_ended(broker, own) == own
    assert broker.stores.bars.find(ALICE.id) is None


def test_a_request_that_cannot_be_read_keeps_the_order_alive(broker):
    """The other requests end; the timer tries again each minute."""
    own, _ = ask_for_all(broker)
    row = next(row for row in broker.state.rows("r|") if own[0] in row.key)
    (etag,) = broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 9}))])

    done = broker.bar(ALICE, revoke=True)
    assert (done.bar.revoked, done.bar.revoking) == (2, True)

    broker.state.write([Op(Verb.REPLACE, replace(row, etag=etag))])
    finish(broker)
    assert find_ended(broker, own) == own
    assert broker.stores.bars.find(ALICE.id).bar.revoked == 3


def test_one_order_that_cannot_go_on_stops_no_other(broker):
    """Bob's request keeps changing; Alice's ends. The error comes afterwards."""
    theirs, own = broker.ask(wish(farm(11)), BOB), broker.ask(wish(farm(1)))
    store_unfinished(broker, BOB)
    store_unfinished(broker, ALICE)
    revoke = broker.bar_changes.revocation.changes.revoke

    def fail_for_bob(request_id, *args):
        if request_id == theirs:
            raise Unavailable("the request kept changing")
        return revoke(request_id, *args)

    changes = SimpleNamespace(revoke=fail_for_bob)
    revocation = replace(broker.bar_changes.revocation, changes=changes)
    with pytest.raises(Unavailable):
        replace(broker.bar_changes, revocation=revocation).revoke_rest(broker.now)

    assert [broker.status(each) for each in (theirs, own)] == ["pending", "closed"]
    assert broker.stores.bars.find(BOB.id).bar.revoking
