"""Turns on firewalls: one holder at a time, and a line of waits."""

from datetime import timedelta

import pytest

from jit.broker.firewall_turns import TURN
from jit.domain.errors import StateConflict
from jit.domain.model.waiting_line import KEPT
from tests.broker.inprocess import policy_of
from tests.local.azure.sim import DB01, FW_PROD, WEB01

POLICY, OTHER = policy_of(WEB01), policy_of(DB01)
SECOND = timedelta(seconds=1)


@pytest.fixture
def turns(broker):
    """Turns in an empty table."""
    return broker.locks.firewalls


def test_a_firewall_that_nobody_has_is_free(broker, turns):
    """The first to come takes it."""
    assert turns.may_take(FW_PROD, POLICY, broker.now)
    assert turns.take(FW_PROD, POLICY, broker.now)


def test_a_firewalls_turn_belongs_to_one_policy(broker, turns):
    """One update at a time is all that a firewall takes."""
    turns.take(FW_PROD, POLICY, broker.now)

    assert not turns.may_take(FW_PROD, OTHER, broker.now)
    assert not turns.take(FW_PROD, OTHER, broker.now)


def test_a_policy_keeps_the_turn_that_it_has(broker, turns):
    """Its next pass goes on."""
    turns.take(FW_PROD, POLICY, broker.now)

    assert turns.take(FW_PROD, POLICY, broker.now)


def test_a_turn_that_was_given_back_is_free(broker, turns):
    """For anybody."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.return_turn(FW_PROD, POLICY)

    assert turns.take(FW_PROD, OTHER, broker.now)


def test_a_turn_is_given_back_by_its_holder_alone(broker, turns):
    """A late pass of another policy changes nothing."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.return_turn(FW_PROD, OTHER)

    assert not turns.may_take(FW_PROD, OTHER, broker.now)


def test_a_turn_that_nobody_gave_back_runs_out(broker, turns):
    """An operation that was forgotten does not stop everybody."""
    turns.take(FW_PROD, POLICY, broker.now)

    assert not turns.may_take(FW_PROD, OTHER, broker.now + TURN)
    assert turns.may_take(FW_PROD, OTHER, broker.now + TURN + SECOND)


def test_an_update_is_noted_with_the_turn(broker, turns):
    """The digest of the rules that it must not change."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.note_update(FW_PROD, "digest")

    assert turns.read_update(FW_PROD) == "digest"


def test_an_update_is_forgotten_with_the_turn(broker, turns):
    """The next holder begins with nothing."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.note_update(FW_PROD, "digest")
    turns.return_turn(FW_PROD, POLICY)

    assert turns.read_update(FW_PROD) == ""


def end_update(broker, turns, holder, foreign="now"):
    turns.end_update(FW_PROD, holder, foreign, broker.now)


def alerts(caplog):
    return [r for r in caplog.records if "firewall.foreign_rules_changed" in r.getMessage()]


def test_a_turn_that_ran_out_is_compared_by_another_policy(broker, turns, caplog):
    """Its holder may never look again."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.note_update(FW_PROD, "before")
    broker.advance(TURN + SECOND)
    end_update(broker, turns, OTHER)

    assert len(alerts(caplog)) == 1
    assert turns.read_update(FW_PROD) == ""


def test_a_running_turn_is_not_ended_by_another_policy(broker, turns, caplog):
    """The update of its holder goes on."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.note_update(FW_PROD, "before")
    broker.advance(TURN)
    end_update(broker, turns, OTHER)

    assert alerts(caplog) == []
    assert turns.has_turn(FW_PROD, POLICY)


@pytest.mark.parametrize(("foreign", "raised"), [("before", 0), ("now", 1)])
def test_the_next_update_compares_the_digest_that_the_last_one_left(
    broker, turns, caplog, foreign, raised
):
    """Another holder took the turn of an update whose end nobody saw."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.note_update(FW_PROD, "before")
    broker.advance(TURN + SECOND)
    turns.take(FW_PROD, OTHER, broker.now)
    turns.note_update(FW_PROD, foreign)

    assert len(alerts(caplog)) == raised
    assert turns.read_update(FW_PROD) == foreign


def test_an_update_that_azure_did_not_begin_is_not_compared(broker, turns, caplog):
    """Somebody else changed the firewall first: that is no harm of ours."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.note_update(FW_PROD, "before")
    turns.forget_update(FW_PROD)
    end_update(broker, turns, POLICY)

    assert alerts(caplog) == []
    assert not turns.has_turn(FW_PROD, POLICY)


# ---- the line ------------------------------------------------------------------------------------


def test_a_holder_takes_no_further_turn_while_somebody_waits(broker, turns):
    """A turn that its holder renews never comes round."""
    turns.take(FW_PROD, POLICY, broker.now)
    turns.wait(FW_PROD, OTHER, broker.now, closing=False)
    broker.advance(SECOND)

    assert not turns.take(FW_PROD, POLICY, broker.now)
    assert not turns.take(FW_PROD, OTHER, broker.now)
    turns.return_turn(FW_PROD, POLICY)
    assert not turns.take(FW_PROD, POLICY, broker.now)
    assert turns.take(FW_PROD, OTHER, broker.now)


def test_a_turn_to_close_is_taken_before_the_turns_to_open(broker, turns):
    """A promised end comes first (P2)."""
    turns.wait(FW_PROD, OTHER, broker.now, closing=False)
    broker.advance(SECOND)

    assert not turns.take(FW_PROD, POLICY, broker.now)
    assert turns.take(FW_PROD, POLICY, broker.now, closing=True)


def test_a_holder_who_waits_to_close_keeps_the_place_until_the_update_begins(broker, turns):
    """The firewall may be busy after all; the next try has the same place."""
    turns.wait(FW_PROD, POLICY, broker.now, closing=True)
    broker.advance(SECOND)
    turns.wait(FW_PROD, OTHER, broker.now, closing=True)
    turns.take(FW_PROD, POLICY, broker.now, closing=True)

    assert turns.take(FW_PROD, POLICY, broker.now, closing=True)
    turns.note_update(FW_PROD, "digest")
    assert not turns.take(FW_PROD, POLICY, broker.now, closing=True)


def test_a_holder_who_opened_something_waits_anew(broker, turns):
    """One turn is one change."""
    turns.wait(FW_PROD, POLICY, broker.now, closing=False)
    broker.advance(SECOND)
    turns.wait(FW_PROD, OTHER, broker.now, closing=False)

    assert turns.take(FW_PROD, POLICY, broker.now)
    assert not turns.take(FW_PROD, POLICY, broker.now)


def test_a_wait_of_a_dead_process_blocks_nobody_for_long(broker, turns):
    """By the broker's clock."""
    turns.wait(FW_PROD, OTHER, broker.now, closing=True)
    broker.advance(KEPT)
    before = turns.take(FW_PROD, POLICY, broker.now)
    broker.advance(SECOND)

    assert (before, turns.take(FW_PROD, POLICY, broker.now)) == (False, True)


def test_a_check_tells_the_rights_of_each_holder(broker, turns):
    """Another policy waits to close: nothing is opened, and the line decides about the order."""
    turns.wait(FW_PROD, OTHER, broker.now, closing=True)
    broker.advance(SECOND)

    here = turns.check(FW_PROD, POLICY, broker.now)
    there = turns.check(FW_PROD, OTHER, broker.now)

    assert (here.may_close, here.may_open, here.closing_waits) == (False, False, True)
    assert (there.may_close, there.may_open, there.closing_waits) == (True, True, False)


def test_a_write_that_lost_a_race_is_made_again(broker, turns):
    """Somebody who joins the line must not keep the holder from giving the turn back."""
    turns.take(FW_PROD, POLICY, broker.now)
    left = [1]

    def join_in_between(name, _):
        if name == "state.write" and left:
            left.clear()
            turns.wait(FW_PROD, OTHER, broker.now, closing=True)

    broker.calls.before = join_in_between
    turns.return_turn(FW_PROD, POLICY)

    assert not turns.has_turn(FW_PROD, POLICY)
    assert turns.take(FW_PROD, OTHER, broker.now, closing=True)


def test_a_race_that_is_lost_again_and_again_begins_no_update(broker, turns):
    """The digest must stand before the update does."""
    turns.take(FW_PROD, POLICY, broker.now)
    joined: list[str] = []
    busy: list[bool] = []

    def join_each_time(name, _):
        if name == "state.write" and not busy:
            busy.append(True)
            joined.append(f"{OTHER}{len(joined)}")
            turns.wait(FW_PROD, joined[-1], broker.now, closing=True)
            busy.clear()

    broker.calls.before = join_each_time

    with pytest.raises(StateConflict):
        turns.note_update(FW_PROD, "digest")
