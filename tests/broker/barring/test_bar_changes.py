"""Changes of bars: recorded, once, never over the word of another operator."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.audit.event import Event
from jit.domain.errors import Conflict, NotFound, Unknown
from jit.storage import keys
from jit.storage.people.bar_rows import MOST_FORGOTTEN
from tests.broker.inprocess import ALICE, BOB, CAROL, DAVE, OLGA
from tests.builders.bars import a_bar

HOUR = timedelta(hours=1)


def trail(broker):
    """Return event, actor, and facts with texts, of each record about people."""
    events = [json.loads(str(row.values["Doc"])) for row in broker.state.rows("a|")]
    return [(each["what"], each["actor"], each["facts"] | read_texts(each)) for each in events]


def read_texts(event):
    return {name: each["text"] for name, each in event["texts"].items()}


def shape(bar):
    return (bar.person_id, bar.wanted.reason, bar.by.name, bar.revoked)


def test_a_bar_is_stored_with_its_record(broker):
    """Operator, person, reason, end."""
    done = broker.bar(ALICE, until=broker.now + HOUR)

    assert shape(done.bar) == (ALICE.id, "left the company", OLGA.name, 0)
    ((what, actor, facts),) = trail(broker)
    assert (what, actor, facts["person"]) == ("person.barred", OLGA.id, ALICE.id)
    assert (facts["reason"], facts["revoke"]) == ("left the company", False)
    assert facts["until"] is not None


def test_the_same_bar_again_changes_nothing(broker):
    """Also of another operator: it is as wanted."""
    first = broker.bar(ALICE).bar
    broker.advance(HOUR)

    assert broker.bar(ALICE, DAVE).bar == first
    assert len(trail(broker)) == 1


def test_another_bar_of_the_person_replaces_the_first(broker):
    broker.bar(ALICE)
    broker.bar(ALICE, reason="on leave of absence")

    (found,) = broker.bar_changes.list_all(broker.now)
    assert (found.wanted.reason, len(trail(broker))) == ("on leave of absence", 2)


def test_a_bar_that_has_ended_is_none(broker):
    """It ends by itself, to the microsecond."""
    broker.bar(ALICE, until=broker.now + HOUR)
    broker.advance(HOUR)

    assert broker.bar_changes.list_all(broker.now) == []
    with pytest.raises(NotFound):
        broker.bar_changes.get(ALICE.id, broker.now)


def test_a_bar_is_lifted_once(broker):
    """A repetition changes nothing and records nothing."""
    broker.bar(ALICE)
    for _ in range(2):
        broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    assert broker.bar_changes.list_all(broker.now) == []
    assert [what for what, _, _ in trail(broker)] == ["person.barred", "person.unbarred"]


def between(broker, act):
    """Let *act* run between the read and the write of the next change."""
    broker.calls.strike_before("state.write", act)


def test_the_second_of_two_operators_at_once_gets_a_conflict(broker):
    """Its bar is not stored over one that it did not see."""
    between(broker, lambda: broker.bar(ALICE, reason="on leave of absence"))

    with pytest.raises(Conflict) as error:
        broker.bar(ALICE, reason="left the company")

    assert [each.code for each in error.value.violations] == ["changed-meanwhile"]
    assert broker.bar_changes.get(ALICE.id, broker.now).wanted.reason == "on leave of absence"


def test_two_operators_with_the_same_bar_agree(broker):
    between(broker, lambda: broker.bar(ALICE))

    broker.bar(ALICE)

    assert len(trail(broker)) == 1


def test_a_bar_that_changes_while_it_is_lifted_stays(broker):
    """The operator who lifts it did not see it."""
    broker.bar(ALICE)
    between(broker, lambda: broker.bar(ALICE, reason="on leave of absence"))

    with pytest.raises(Conflict):
        broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    assert broker.bar_changes.get(ALICE.id, broker.now).wanted.reason == "on leave of absence"


def lose_answer(name, _):
    if name == "state.write":
        raise Unknown("its answer was lost")


def test_a_lost_answer_is_looked_up(broker):
    """The bar is stored once, and lifted once."""
    broker.calls.after = lose_answer
    broker.bar(ALICE)
    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    assert [what for what, _, _ in trail(broker)] == ["person.barred", "person.unbarred"]


def make_few(broker):
    """Let the broker bar two people at most."""
    broker.bar_changes = replace(
        broker.bar_changes, limits=replace(broker.bar_changes.limits, bars=2)
    )


def test_the_number_of_bars_is_bounded(broker):
    """One query reads all of them. A change of a bar is no new one."""
    make_few(broker)
    broker.bar(ALICE)
    broker.bar(BOB)

    with pytest.raises(Conflict) as error:
        broker.bar(DAVE)
    broker.bar(BOB, reason="on leave of absence")

    assert [each.code for each in error.value.violations] == ["too-many-bars"]


def test_bars_that_are_over_make_room(broker):
    """The record of the new one names them."""
    make_few(broker)
    broker.bar(ALICE, until=broker.now + HOUR)
    broker.bar(BOB)
    broker.advance(HOUR)

    broker.bar(DAVE)

    assert {bar.person_id for bar in broker.stores.bars.read().known} == {BOB.id, DAVE.id}
    assert trail(broker)[-1][2]["forgotten"] == [ALICE.id]


def lift_while_it_revokes(broker, who):
    """Bar somebody with an order, and lift that bar: its row stays."""
    broker.bar(who, revoke=True)
    broker.bar_changes.lift(who.id, OLGA, broker.now)


def test_lifted_bars_that_still_revoke_leave_room(broker):
    """Nobody is barred any more. But the number of rows is bounded, too."""
    make_few(broker)
    for who in (ALICE, BOB, CAROL):
        lift_while_it_revokes(broker, who)

    broker.bar(DAVE)
    with pytest.raises(Conflict, match="still revoke"):
        broker.bar(OLGA)
    assert len(broker.stores.bars.read().known) == 4


def test_a_lifted_bar_takes_no_place_back_beside_as_many_as_may_be_in_force(broker):
    """Its row is there, but it would be one more in force."""
    make_few(broker)
    lift_while_it_revokes(broker, ALICE)
    broker.bar(BOB)
    broker.bar(DAVE)

    with pytest.raises(Conflict, match="lift a bar first"):
        broker.bar(ALICE)


def test_a_change_forgets_no_more_bars_than_a_transaction_takes(broker):
    """The next one forgets more."""
    event = Event(at=broker.now, what="person.barred", actor=OLGA.id, request_id="")
    for number in range(MOST_FORGOTTEN + 1):
        row = a_bar(f"a11ce000-0000-4000-8000-{number:012d}", until=broker.now)
        broker.stores.bars.write(None, row, event)

    broker.bar(BOB)

    assert len(broker.stores.bars.read().known) == 2


def test_records_of_bars_are_drained_into_a_chain_of_their_own(it):
    """A bar is of no subscription. The timer finds its record."""
    it.broker.bar(ALICE)
    it.broker.use_cases.due_work().tick(now=it.broker.now)
    texts = [item.text for item in it.broker.queues.waiting("jit-reconcile")]

    assert any(keys.PEOPLE in text for text in texts)
    it.reconciler.drain(keys.PEOPLE, now=it.broker.now)
    assert [row.partition for row in it.audit.rows("c|")] == [keys.PEOPLE]


def test_an_operator_can_bar_other_operators(broker):
    """Nobody is spared: not the caller either."""
    broker.bar(DAVE, OLGA)
    broker.bar(OLGA, OLGA)

    barred = {bar.person_id for bar in broker.bar_changes.list_all(broker.now)}
    assert barred == {DAVE.id, OLGA.id}


def test_an_operator_can_lift_the_own_bar(broker):
    """A bar ends no other right. The record tells of it."""
    broker.bar(OLGA, DAVE)

    broker.bar_changes.lift(OLGA.id, OLGA, broker.now)

    assert broker.bar_changes.list_all(broker.now) == []
    assert [(what, actor) for what, actor, _ in trail(broker)][-1] == ("person.unbarred", OLGA.id)
