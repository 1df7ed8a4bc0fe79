"""The audit outbox: rows lie in the order of their events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.audit.event import Event
from jit.domain.audit.refusal import SAME_WITHIN
from jit.domain.errors import StateConflict, Unavailable
from jit.storage.documents import FORMAT
from jit.storage.outbox import Outbox
from jit.storage.table import Op, Verb
from jit.storage.trail.event_rows import read_events, write_event_row
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
moments = st.integers(0, 3).map(lambda number: NOW + timedelta(microseconds=number))


def an_event(at):
    return Event(at=at, what="grant.opened", actor="broker", request_id="r")


@given(st.lists(moments, min_size=2, max_size=8))
def test_events_of_one_instant_stand_as_they_were_made(times):
    """A cause comes before its effect, even if the clock shows no difference."""
    rows = [write_event_row("p", an_event(at)) for at in sorted(times)]

    assert [row.key for row in rows] == sorted({row.key for row in rows})


def test_events_that_no_single_transaction_holds_are_written_in_several():
    """A record that is made before an act must not stop it: 90 rules, each of many sources."""
    state = FakeTable(FakeClock())
    facts = {"sources": [f"203.0.113.{n % 256}/32" for n in range(2000)]}

    Outbox(state).add("p", [replace(an_event(NOW), facts=facts) for _ in range(150)])

    found = [event["facts"] for row in state.rows("a|") for event in read_events(row)]
    assert found == [facts] * 150


def test_an_event_that_no_row_holds_has_the_digest_of_its_facts():
    """The sources of somebody's rule may be any number."""
    state = FakeTable(FakeClock())
    facts = {"sources": ["203.0.113.0/24"] * 50_000}

    Outbox(state).add("p", [replace(an_event(NOW), facts=facts)])

    (row,) = state.rows("a|")
    (event,) = read_events(row)
    assert event["what"] == "grant.opened"
    assert event["facts"].keys() == {"sha256", "characters"}


# ---- refusals that are counted -------------------------------------------------------------------

MINUTE = timedelta(minutes=1)


class Counting:
    """An outbox, and a second one over the same table: two instances."""

    def __init__(self):
        self.calls = Calls()
        self.state = FakeTable(FakeClock(), calls=self.calls, name="state")
        self.outbox, self.other = Outbox(self.state), Outbox(self.state)

    def refuse(self, request_id, *, at=NOW, digest="same", outbox=None):
        """Record a refusal; return the id under which it stands."""
        event = Event(
            at=at, what="request.denied", actor="alice", request_id=request_id, actor_name="Alice"
        )
        return (outbox or self.outbox).add_once("p", event, digest)

    def told(self):
        """Return request id and number of each event that waits."""
        events = [each for row in self.state.rows("a|") for each in read_events(row)]
        return [(event["requestId"], event["facts"].get("repetitions")) for event in events]


@pytest.fixture
def it():
    return Counting()


def test_the_same_refusal_is_one_event_and_a_number(it):
    """The first one is an event at once; its repetitions are one event after the ten minutes."""
    ids = [it.refuse(f"r{number}", at=NOW + number * MINUTE) for number in range(5)]
    before = it.told()

    it.outbox.sweep("p", now=NOW + 2 * SAME_WITHIN + MINUTE)

    assert ids == ["r0"] * 5
    assert before == [("r0", None)]
    assert sorted(it.told(), key=str) == [("r0", 4), ("r0", None)]
    assert it.state.rows("d|") == ()


def test_a_refusal_with_another_digest_is_another_event(it):
    """A different refusal is never hidden by a repeated one."""
    ids = [it.refuse("r0"), it.refuse("r1", digest="other"), it.refuse("r2")]

    assert ids == ["r0", "r1", "r0"]
    assert it.told() == [("r0", None), ("r1", None)]


@pytest.mark.parametrize("begin", range(0, 10, 3))
def test_ten_minutes_count_from_the_first_refusal(it, begin):
    """Wherever it lies between two full ten minutes of the clock."""
    first = NOW + begin * MINUTE
    last = first + SAME_WITHIN - timedelta(seconds=1)

    ids = [it.refuse("r0", at=first), it.refuse("r1", at=last)]
    ids += [it.refuse("r2", at=first + SAME_WITHIN), it.refuse("r3", at=last + SAME_WITHIN)]

    assert ids == ["r0", "r0", "r2", "r2"]


def test_two_instances_that_count_at_once_lose_no_call(it):
    """The second write names an older ETag, and is made again."""
    it.refuse("r0")

    def come_between(name, _):
        if name == "state.write":
            it.calls.before = lambda *_: None
            it.refuse("r1", outbox=it.other)

    it.calls.before = come_between
    it.refuse("r2")
    it.outbox.sweep("p", now=NOW + 3 * SAME_WITHIN)

    assert sorted(it.told(), key=str) == [("r0", 2), ("r0", None)]


def test_two_instances_that_begin_at_once_write_one_event(it):
    """The second one finds the row of the first, and counts."""

    def come_between(name, _):
        if name == "state.write":
            it.calls.before = lambda *_: None
            it.refuse("r1", outbox=it.other)

    it.calls.before = come_between

    assert it.refuse("r2") == "r1"
    assert it.told() == [("r1", None)]


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_write_that_was_made_and_answered_as_a_conflict_counts_once(it, earlier):
    """The storage client repeats a write whose answer was lost; it then meets its own row."""
    for number in range(earlier):
        it.refuse(f"r{number}")

    def repeat(name, _):
        if name == "state.write":
            it.calls.after = lambda *_: None
            raise StateConflict("the row is there, or has another ETag")

    it.calls.after = repeat
    it.refuse("again")
    it.outbox.sweep("p", now=NOW + 3 * SAME_WITHIN)

    assert [told for _, told in it.told() if told is not None] == [1] * earlier


def test_a_refusal_that_cannot_be_counted_is_an_event_of_its_own(it):
    """Too many instances count at once: more records, and nothing is hidden."""
    it.refuse("r0")
    lost: list[str] = []

    def lose(name, _):
        if name == "state.write" and len(lost) < 5:
            lost.append(name)
            raise StateConflict("somebody was quicker")

    it.calls.before = lose

    assert it.refuse("r1") == "r1"
    assert it.told() == [("r0", None), ("r1", None)]


def test_a_count_of_a_newer_version_stops_no_refusal(it):
    """It is a record of its own, and the row stays as it is."""
    it.refuse("r0")
    (row,) = it.state.rows("d|")
    it.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99}))])

    assert it.refuse("r1") == "r1"
    assert it.told() == [("r0", None), ("r1", None)]


def test_unreadable_counts_hold_up_no_other_count(it, monkeypatch):
    """A newer version wrote them. They are no reason to sweep again at once."""
    monkeypatch.setattr("jit.storage.outbox.MOST_SWEPT", 2)
    for number in range(3):
        it.refuse(f"n{number}", digest=f"a{number}")
    for row in it.state.rows("d|"):
        it.state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99}))])
    it.refuse("r0", digest="z")
    it.refuse("r1", digest="z")

    swept = it.outbox.sweep("p", now=NOW + 3 * SAME_WITHIN)

    assert swept == 1
    assert ("r0", 1) in it.told()


def test_nothing_is_swept_that_a_call_may_still_repeat(it):
    it.refuse("r0", at=NOW + 9 * MINUTE)
    it.refuse("r1", at=NOW + 18 * MINUTE)

    it.outbox.sweep("p", now=NOW + 19 * MINUTE)

    assert it.told() == [("r0", None)]
    assert it.outbox.is_empty("p") is False


def test_a_call_that_counts_while_its_row_is_swept_is_not_lost(it):
    """The deletion names the ETag that it read; the next sweep has the higher number."""
    it.refuse("r0")
    it.refuse("r1")

    def count_late(name, _):
        if name == "state.write":
            it.calls.before = lambda *_: None
            it.refuse("r2", outbox=it.other)

    it.calls.before = count_late
    it.outbox.sweep("p", now=NOW + 3 * SAME_WITHIN)
    kept = it.told()
    it.outbox.sweep("p", now=NOW + 3 * SAME_WITHIN)

    assert kept == [("r0", None)]
    assert sorted(it.told(), key=str) == [("r0", 2), ("r0", None)]


def test_a_lost_answer_of_a_sweep_writes_the_number_once(it):
    it.refuse("r0")
    it.refuse("r1")

    def lose(name, _):
        if name == "state.write":
            it.calls.after = lambda *_: None
            raise Unavailable("the answer was lost")

    it.calls.after = lose
    with pytest.raises(Unavailable):
        it.outbox.sweep("p", now=NOW + 3 * SAME_WITHIN)
    it.outbox.sweep("p", now=NOW + 3 * SAME_WITHIN)

    assert sorted(it.told(), key=str) == [("r0", 1), ("r0", None)]
