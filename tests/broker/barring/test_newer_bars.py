"""Bars that this version cannot read: they bar, and an operator lifts or replaces them."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, Conflict, Unknown
from jit.domain.model.bar import UnreadableBar
from jit.storage import keys
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Verb
from tests.broker.inprocess import ALICE, BOB, DAVE, OLGA, farm, wish

HOUR = timedelta(hours=1)


@pytest.fixture
def newer(broker):
    """Return a function that bars Alice by a row of a newer version; columns may be changed."""

    def put(**columns):
        broker.bar(ALICE)
        row = broker.stores.bars.find(ALICE.id).row
        values = {**row.values, FORMAT: 99, **columns}
        broker.state.write([Op(Verb.REPLACE, replace(row, values=values))])

    return put


def last_record(broker):
    """Return event, actor and facts of the last record about people."""
    *_, last = [json.loads(str(row.values["Doc"])) for row in broker.state.rows("a|")]
    return (last["what"], last["actor"], last["facts"])


def count_records(broker):
    return len(broker.state.rows("a|"))


def test_a_bar_that_cannot_be_read_bars_and_is_shown(broker, newer):
    """Its person and its time, between the bars that can be read."""
    newer()
    broker.bar(BOB)

    found = {bar.person_id: bar for bar in broker.bar_changes.list_all(broker.now)}
    assert found.keys() == {ALICE.id, BOB.id}
    assert found[ALICE.id] == broker.bar_changes.get(ALICE.id, broker.now)
    assert found[ALICE.id] == UnreadableBar(person_id=ALICE.id, at=broker.now, revoking=False)
    with pytest.raises(AccessDenied):
        broker.accept(wish(farm(1)))


def test_an_operator_lifts_a_bar_that_cannot_be_read(broker, newer):
    """The record says that nobody could read it. The person is let in again."""
    newer()

    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    facts = {"person": ALICE.id, "unreadable": True}
    assert last_record(broker) == ("person.unbarred", OLGA.id, facts)
    assert broker.stores.bars.find(ALICE.id) is None
    assert broker.ask(wish(farm(1)))


def test_an_operator_replaces_a_bar_that_cannot_be_read(broker, newer):
    """The record says so."""
    newer()

    done = broker.bar(ALICE, DAVE, reason="on leave of absence")

    assert broker.bar_changes.get(ALICE.id, broker.now) == done.bar
    what, actor, facts = last_record(broker)
    assert (what, actor, facts["overUnreadable"]) == ("person.barred", DAVE.id, True)


@pytest.mark.parametrize("revoking", [True, "perhaps"])
def test_a_lifted_bar_that_cannot_be_read_ends_access_if_that_may_be_its_order(
    broker, newer, revoking
):
    """A doubt closes: access from before the lift ends, and later access stays."""
    before = broker.ask(wish(farm(1)))
    broker.live(5)
    newer(Revoking=revoking)

    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)
    broker.advance(timedelta(seconds=1))
    later = broker.ask(wish(farm(2)))
    broker.bar_changes.revoke_rest(broker.now)
    broker.live(10)

    assert (broker.status(before), broker.status(later)) == ("closed", "open")


def test_a_new_bar_goes_on_with_the_order_of_one_that_cannot_be_read(broker, newer):
    """Also if the new bar orders nothing."""
    newer(Revoking=True)

    assert broker.bar(ALICE).bar.revoking


def between(broker, act):
    """Let *act* run between the read and the write of the next change."""
    broker.calls.strike_before("state.write", act)


@pytest.mark.parametrize("change", ["lift", "bar"])
def test_a_bar_that_cannot_be_read_and_changes_meanwhile_stays(broker, newer, change):
    """The operator did not see the new one."""
    newer()
    between(broker, lambda: newer(By="the newer version"))
    act = {
        "lift": lambda: broker.bar_changes.lift(ALICE.id, OLGA, broker.now),
        "bar": lambda: broker.bar(ALICE, reason="on leave of absence"),
    }

    with pytest.raises(Conflict):
        act[change]()

    row = broker.state.get(keys.PEOPLE, keys.bar_key(ALICE.id))
    assert (row.values[FORMAT], row.values["By"]) == (99, "the newer version")


def test_a_lost_answer_to_the_lift_of_an_unreadable_bar_is_looked_up(broker, newer):
    """It is lifted once."""
    newer()
    before = count_records(broker)

    def lose(name, _):
        if name == "state.write":
            raise Unknown("its answer was lost")

    broker.calls.after = lose
    broker.bar_changes.lift(ALICE.id, OLGA, broker.now)

    assert count_records(broker) == before + 1


def test_a_bar_of_a_newer_version_is_left_alone_by_the_timer(broker, newer):
    """Only an operator writes over it."""
    newer(Revoking=True)
    before = broker.state.get(keys.PEOPLE, keys.bar_key(ALICE.id))

    broker.bar_changes.revoke_rest(broker.now)

    assert broker.state.get(keys.PEOPLE, keys.bar_key(ALICE.id)) == before


def test_bars_that_cannot_be_read_count_in_the_limit_of_bars(broker, newer):
    """The limit is that of the query."""
    few = replace(broker.bar_changes.limits, bars=1)
    broker.bar_changes = replace(broker.bar_changes, limits=few)
    newer()

    with pytest.raises(Conflict):
        broker.bar(BOB)
