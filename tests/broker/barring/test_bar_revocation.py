"""The access of a barred person: all of it ends, and nothing is lost on the way."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from jit import messages
from jit.broker.asked_bars import AskedBars
from jit.broker.barring.bar_changes import LONGEST_CALL, ORDER_LASTS
from jit.domain.audit.event import Event
from jit.domain.errors import Unavailable, Unknown
from jit.domain.model.bar import Bar, WantedBar
from jit.domain.model.grant import CloseReason, Status
from jit.storage import keys
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Verb
from tests.broker.inprocess import ALICE, BOB, OLGA, InProcess, farm, wish
from tests.fakes.calls import Crash
from tests.local.azure.sim import DB01
from tests.sizes import sample
from tests.test_docs import PROJECT

HOUR = timedelta(hours=1)
WINDOW = ORDER_LASTS


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


def list_records(broker):
    """Return the records about people."""
    rows = [row for row in broker.state.rows("a|") if row.partition == keys.PEOPLE]
    return [json.loads(str(row.values["Doc"])) for row in rows]


def list_events(broker):
    return [each["what"] for each in list_records(broker)]


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
    """Once, in one transaction with the row that says that it is done."""
    ask_for_all(broker)
    broker.bar(ALICE, revoke=True)
    broker.advance(WINDOW)
    finish(broker)
    finish(broker)

    assert list_events(broker) == ["person.barred", "person.access_revoked"]
    assert list_records(broker)[1]["facts"]["requests"] == 3


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
        broker.advance(WINDOW)
        finish(broker)
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


def test_before_a_bar_is_lifted_its_access_is_revoked(broker):
    """Nothing of the order is lost. Its row is over when nothing can be under way."""
    own, _ = ask_for_all(broker)
    store_unfinished(broker)

    broker.bar_changes.lift(ALICE.id, BOB, broker.now)

    assert find_ended(broker, own) == own
    assert not broker.stores.bars.find(ALICE.id).bar.is_in_force(broker.now)
    broker.advance(WINDOW)
    finish(broker)
    assert broker.stores.bars.find(ALICE.id).bar.is_over(broker.now)


def test_a_bar_whose_order_is_done_is_lifted_without_a_trace_in_its_row(broker):
    """The records have it."""
    broker.bar(ALICE, revoke=True)
    broker.advance(WINDOW)

    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    assert broker.stores.bars.find(ALICE.id) is None
    assert list_events(broker) == ["person.barred", "person.access_revoked", "person.unbarred"]


def test_a_request_that_cannot_be_read_keeps_the_order_alive(broker):
    """The other requests end; the timer tries again each minute."""
    own, _ = ask_for_all(broker)
    row = next(row for row in broker.state.rows("r|") if own[0] in row.key)
    (etag,) = broker.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 9}))])

    assert broker.bar(ALICE, revoke=True).bar.revoked == 2
    broker.advance(WINDOW)
    finish(broker)
    assert broker.stores.bars.find(ALICE.id).bar.revoking

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


# ---- access that is allowed again ----------------------------------------------------------------


def test_the_order_of_an_earlier_bar_leaves_access_from_between_two_bars_alone(broker):
    """It was allowed after the lift, and the second bar has no order. Older access still ends."""
    hidden = broker.ask(wish(farm(11)))
    broker.live(5)
    rows = hide(broker, hidden)
    broker.bar(ALICE, revoke=True)
    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)
    broker.advance(timedelta(seconds=5))
    later = broker.ask(wish(farm(1)))
    broker.live(3)

    for reason in ("on leave of absence", "left the company"):
        broker.bar(ALICE, reason=reason)
    show(broker, rows)
    finish(broker)
    broker.live(10)

    assert [broker.status(each) for each in (hidden, later)] == ["closed", "open"]


def test_a_second_order_ends_access_from_between_two_bars(broker):
    broker.bar(ALICE, revoke=True)
    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)
    broker.advance(timedelta(seconds=5))
    later = broker.ask(wish(farm(1)))

    broker.bar(ALICE, revoke=True)

    assert find_ended(broker, [later]) == [later]


def test_an_order_under_way_leaves_access_alone_that_is_allowed_meanwhile(broker):
    """The timer has read the bar; then an operator lifts it, and the person asks anew."""
    broker.ask(wish(farm(3)))
    broker.bar(ALICE, revoke=True)
    broker.advance(timedelta(seconds=30))
    revocation, later = broker.bar_changes.revocation, list[str]()

    def let_in_first():
        if not later:
            broker.bar_changes.lift(ALICE.id, OLGA, broker.now)
            broker.advance(timedelta(seconds=2))
            later.append(broker.ask(wish(farm(1))))
        return revocation.subscriptions()

    slow = replace(revocation, subscriptions=let_in_first)
    replace(broker.bar_changes, revocation=slow).revoke_rest(broker.now)
    broker.live(3)

    assert [broker.status(each) for each in later] == ["open"]


# ---- bookings that a call accepts which does not know the bar ------------------------------------


def make_booking(broker):
    """Return a wish whose path opens in three days."""
    return wish(farm(1), startTime=(broker.now + 72 * HOUR).isoformat())


def book_late(broker):
    """Bar Alice; half a minute later another instance, with older bars, accepts her booking."""
    here, there = broker.acceptance.bars, AskedBars(broker.stores.bars)
    there.read(broker.now)
    broker.bar(ALICE, revoke=True)
    broker.advance(timedelta(seconds=30))
    broker.acceptance = replace(broker.acceptance, bars=there)
    booking = broker.ask(make_booking(broker))
    broker.acceptance = replace(broker.acceptance, bars=here)
    return booking


def test_a_booking_by_old_bars_is_revoked_by_the_timer(broker):
    """It would open when the bar is lifted. The number tells of it, and the record comes once."""
    booking = book_late(broker)
    assert broker.status(booking) == "scheduled"

    finish(broker)
    assert broker.status(booking) == "closed"
    broker.advance(WINDOW)
    finish(broker)

    assert list_events(broker) == ["person.barred", "person.access_revoked"]
    assert list_records(broker)[1]["facts"]["requests"] == 1
    assert not broker.stores.bars.find(ALICE.id).bar.revoking


def test_an_order_that_was_stored_late_still_revokes_a_booking_by_old_bars(broker):
    """Storage was slow. Bars of before count for a minute from then on, and a call is long."""
    begin, there = broker.now, AskedBars(broker.stores.bars)

    def wait(name, _):
        if name == "state.write":
            broker.calls.before = lambda *_: None
            broker.advance(timedelta(minutes=4))
            there.read(broker.now)

    broker.calls.before = wait
    broker.bar(ALICE, revoke=True)
    broker.advance(timedelta(seconds=50))
    began, submission = broker.now, broker.submission(make_booking(broker))
    broker.advance(begin + timedelta(minutes=7) - broker.now)
    finish(broker)
    broker.advance(timedelta(minutes=2))
    booking = replace(broker.acceptance, bars=there).accept(submission, now=began).request.id
    broker.advance(begin + WINDOW - broker.now)
    finish(broker)

    assert broker.status(booking) == "closed"


def test_the_same_order_again_revokes_a_booking_by_old_bars(broker):
    booking = book_late(broker)

    assert broker.bar(ALICE, revoke=True).bar.revoked == 1
    assert broker.status(booking) == "closed"


def test_before_a_bar_is_lifted_a_booking_by_old_bars_is_revoked(broker):
    booking = book_late(broker)

    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    assert broker.status(booking) == "closed"


def test_a_booking_is_revoked_if_the_bar_came_between_its_judgement_and_its_row(broker):
    """On the same instance. The bar is lifted before the timer comes."""

    def strike(name, _):
        if name == "state.write":
            broker.calls.before = lambda *_: None
            broker.bar(ALICE, revoke=True)
            broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    broker.calls.before = strike
    booking = broker.ask(make_booking(broker))
    finish(broker)

    assert broker.status(booking) == "closed"


def test_the_host_ends_a_call_before_an_order_counts_as_done():
    """A call that is under way knows the bars of its beginning."""
    host = json.loads((PROJECT / "host.json").read_text())

    assert host["functionTimeout"] == f"00:0{LONGEST_CALL // timedelta(minutes=1)}:00"


# ---- orders that cannot be done ------------------------------------------------------------------


def hide(broker, request_id):
    """Write the grants of a request as a newer version would; return the rows to put back."""
    rows = [row for row in broker.state.rows("g|") if request_id in row.key]
    newer = [replace(row, values={**row.values, FORMAT: 99}) for row in rows]
    etags = [broker.state.write([Op(Verb.REPLACE, row)])[0] for row in newer]
    return [replace(row, etag=etag) for row, etag in zip(rows, etags, strict=True)]


def show(broker, rows):
    """Write the rows of grants back."""
    for row in rows:
        broker.state.write([Op(Verb.REPLACE, row)])


def test_after_the_end_of_a_bar_its_order_leaves_new_access_alone(broker):
    """One request of before cannot be read, so the order goes on for that one."""
    hidden = broker.ask(wish(farm(1)))
    broker.live(5)
    hide(broker, hidden)
    broker.bar(ALICE, until=broker.now + HOUR, revoke=True)
    broker.advance(2 * HOUR)
    later = broker.ask(wish(farm(11)))

    finish(broker)
    broker.live(5)

    assert broker.status(later) == "open"
    assert broker.stores.bars.find(ALICE.id).bar.revoking


def test_an_order_that_is_not_done_is_shown_after_the_end_of_its_bar(broker):
    """An operator sees why access ends."""
    store_unfinished(broker)
    broker.advance(2 * HOUR)

    assert [bar.person_id for bar in broker.bar_changes.list_all(broker.now)] == [ALICE.id]
    assert broker.bar_changes.get(ALICE.id, broker.now).revoking


def test_a_lifted_bar_keeps_an_order_that_is_not_done(broker):
    """The person is let in again, and the request of before ends when it can be read."""
    hidden = broker.ask(wish(farm(1)))
    broker.live(5)
    rows = hide(broker, hidden)
    broker.bar(ALICE, revoke=True)
    for _ in range(2):
        broker.bar_changes.lift(ALICE.id, OLGA, broker.now)
    assert list_events(broker) == ["person.barred", "person.unbarred"]
    broker.advance(timedelta(seconds=1))
    later = broker.ask(wish(farm(11)))

    show(broker, rows)
    finish(broker)
    broker.live(10)

    assert broker.status(hidden) == "closed"
    assert broker.status(later) == "open"
    assert not broker.reachable(farm(1))


def test_a_lift_whose_answer_was_lost_keeps_its_order(broker):
    broker.bar(ALICE, revoke=True)

    def lose_answer(name, _):
        if name == "state.write":
            raise Unknown("its answer was lost")

    broker.calls.after = lose_answer
    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    stored = broker.stores.bars.find(ALICE.id)
    assert (stored.bar.is_in_force(broker.now), stored.bar.revoking) == (False, True)
