"""The drainer: every audit row reaches the chain once, even if drainers die or overlap."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.data.tables import TableClient

from jit.domain.audit import chain
from jit.domain.audit.chain import Head
from jit.domain.audit.event import Event
from jit.domain.audit.texts import hash_text
from jit.domain.errors import StateConflict, Unavailable, Unknown
from jit.gateways.table_storage import StorageTable
from jit.storage.audit_chain import BATCH, BATCHES, Drainer
from jit.storage.outbox import Outbox
from jit.storage.table import Op, Row, Verb
from jit.storage.trail.event_rows import pack_changes
from tests.fakes.calls import Calls, Crash
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HERE, ELSEWHERE = "5c0ffee0-0000-4000-8000-000000000001", "5c0ffee0-0000-4000-8000-000000000002"


class Trail:
    """Two tables, a clock, as many drainers as a test needs."""

    def __init__(self):
        self.clock = FakeClock()
        self.calls = Calls()
        self.state = FakeTable(self.clock, calls=self.calls, name="state")
        self.audit = FakeTable(self.clock, calls=self.calls, name="audit")
        self.outbox = Outbox(self.state)

    def happen(self, count=1, *, subscription=HERE, text="x"):
        """Write so many audit rows to the outbox."""
        for number in range(count):
            event = Event(
                at=self.clock.now,
                what=f"thing.happened{number}",
                actor="alice",
                request_id="r1",
                facts={"text": text},
            )
            self.outbox.add(subscription, [event])

    def happen_together(self, count):
        """Write so many events to the outbox in one transaction, in rows that they share."""
        event = Event(at=self.clock.now, what="", actor="alice", request_id="r1")
        events = [replace(event, what=f"thing.happened{number}") for number in range(count)]
        claim = Op(Verb.INSERT, Row(partition=HERE, key="g|1", values={}))
        ((_, rows),) = pack_changes([(claim, events)], HERE)
        self.state.write([Op(Verb.INSERT, row) for row in rows])

    def drain(self, subscription=HERE):
        return Drainer(self.outbox, self.audit).drain(subscription, now=self.clock.now)

    def records(self, subscription=HERE):
        return list(Drainer(self.outbox, self.audit).list_records(subscription))

    def told(self, subscription=HERE):
        return [record.event["what"] for record in self.records(subscription)]

    def broken(self, subscription=HERE):
        end = Drainer(self.outbox, self.audit).find_head(subscription)
        return chain.verify(self.records(subscription), start=Head(chain=subscription), end=end)

    def before(self, name, act, *, number=1):
        """Do *act* once, before the nth call *name*."""
        self.calls.before = _once(name, act, number)

    def after(self, name, act, *, number=1):
        """Do *act* once, after the nth call *name* was carried out."""
        self.calls.after = _once(name, act, number)


def _once(name, act, number):
    left = [number]

    def hook(called, _):
        left[0] -= called == name
        if called == name and left[0] == 0:
            act()

    return hook


def _die():
    raise Crash


def _lose():
    raise Unknown("the answer was lost")


@pytest.fixture
def trail():
    return Trail()


def test_rows_of_the_outbox_reach_the_chain_in_order(trail):
    """First come, first recorded; the outbox is empty afterwards."""
    trail.happen(3)

    drained = trail.drain()

    assert drained == 3
    assert sorted(trail.told()) == ["thing.happened0", "thing.happened1", "thing.happened2"]
    assert trail.state.rows("a|") == ()
    assert trail.broken() is None


def test_earlier_events_come_first(trail):
    """The outbox sorts by time."""
    trail.happen(text="early")
    trail.clock.advance(trail.clock.now - trail.clock.now.replace(hour=0))
    trail.happen(text="late")

    trail.drain()

    assert [record.event["facts"]["text"] for record in trail.records()] == ["early", "late"]


def test_texts_stand_beside_the_chain_and_their_hashes_in_it(trail):
    """So they can be erased, and the chain is still whole."""
    event = Event(
        at=NOON,
        what="request.accepted",
        actor="alice",
        actor_name="alice@example.com",
        request_id="r1",
        texts={"justification": "monthly patch", "ticket": None},
    )
    trail.outbox.add(HERE, [event])

    trail.drain()

    (record,) = trail.records()
    hashed, beside = chain.write_hashed(record), record.texts
    assert "monthly" not in hashed
    assert "alice@example.com" not in hashed
    assert record.event["texts"] == {
        name: hash_text(each["salt"], each["text"]) for name, each in beside.items()
    }
    assert beside["justification"]["text"] == "monthly patch"
    assert sorted(beside) == ["actorName", "justification"]
    assert trail.broken() is None


def test_a_record_is_the_same_if_its_row_is_drained_again_after_a_crash(trail):
    """The salts stand in the row."""
    event = Event(at=NOON, what="x.done", actor="a", request_id="r", texts={"reason": "why"})
    trail.outbox.add(HERE, [event])
    trail.after("audit.write", _die)
    with pytest.raises(Crash):
        trail.drain()
    (before,) = trail.records()

    trail.drain()

    (after,) = trail.records()
    assert (after, after.texts) == (before, before.texts)
    assert trail.state.rows("a|") == ()


def test_an_event_of_an_earlier_version_is_appended_as_it_is(trail):
    """Its name and its justification are hashed in clear, as that version did."""
    doc = {"what": "request.accepted", "actorName": "Alice", "facts": {"justification": "patch"}}
    values = {"Doc": json.dumps(doc)}
    key = "a|2026-11-22T18:00:00.000000Z|000000000000|c0d33dfff83006e2"
    trail.state.write([Op(Verb.INSERT, Row(partition=HERE, key=key, values=values))])

    trail.drain()

    (record,) = trail.records()
    assert (record.event, record.texts) == (doc, {})
    assert trail.broken() is None


def test_an_empty_outbox_writes_nothing(trail):
    """Most runs have nothing to record."""
    drained = trail.drain()

    assert drained == 0
    assert trail.audit.rows() == ()


def test_a_chain_goes_on_where_it_ended(trail):
    """Call after call, one chain."""
    trail.happen(2)
    trail.drain()
    trail.happen(2)

    trail.drain()

    assert [record.sequence for record in trail.records()] == [1, 2, 3, 4]
    assert trail.broken() is None


def test_each_subscription_has_a_chain_of_its_own(trail):
    """A subscription is the partition of everything."""
    trail.happen(1, subscription=HERE)
    trail.happen(2, subscription=ELSEWHERE)

    trail.drain(HERE)
    trail.drain(ELSEWHERE)

    assert [len(trail.records(HERE)), len(trail.records(ELSEWHERE))] == [1, 2]
    assert [trail.broken(HERE), trail.broken(ELSEWHERE)] == [None, None]


def test_more_than_a_transaction_holds_takes_several(trail):
    """A transaction has 100 operations: 49 records, their keys, the head."""
    trail.happen(2 * BATCH + 1)

    trail.drain()

    assert len(trail.records()) == 2 * BATCH + 1
    assert trail.calls.count("audit.write") == 3
    assert trail.broken() is None


def test_events_that_share_a_row_are_records_of_their_own(trail):
    """Rows of several events take less keys, so that a transaction holds more records."""
    trail.happen_together(2 * BATCH + 1)

    drained = trail.drain()

    assert drained == 2 * BATCH + 1
    assert trail.told() == [f"thing.happened{number}" for number in range(2 * BATCH + 1)]
    assert trail.broken() is None
    assert trail.state.rows("a|") == ()


def test_a_call_is_bounded_and_the_next_one_goes_on(trail):
    """A backlog of a month does not outlast a function."""
    trail.happen(BATCH * BATCHES + 1)

    drained = [trail.drain(), trail.drain()]

    assert drained == [BATCH * BATCHES, 1]
    assert trail.broken() is None


def test_a_flood_of_refusals_keeps_no_other_record_waiting(trail):
    """Whoever comes late with a change is in the next transaction."""
    refusal = Event(at=NOON, what="request.denied", actor="mallory", request_id="r0")
    for _ in range(3):
        trail.outbox.add_refusals(HERE, [refusal] * BATCH)
    trail.clock.advance(timedelta(hours=1))
    trail.happen(1)

    trail.drain()

    assert trail.told() == ["thing.happened0", *["request.denied"] * 3 * BATCH]
    assert trail.broken() is None


def test_the_longest_events_fit_into_a_transaction(trail):
    """The outbox takes 32,768 characters a row; a full batch of such rows is below 4 MiB."""
    trail.happen(BATCH, text="x" * 32_000)

    trail.drain()

    assert len(trail.records()) == BATCH


def test_a_chain_of_many_pages_is_read_as_a_whole(trail):
    """The service answers in pages, some of them short."""
    trail.audit = FakeTable(trail.clock, calls=trail.calls, name="audit", scanned=2)
    trail.happen(5)

    trail.drain()

    assert [record.sequence for record in trail.records()] == [1, 2, 3, 4, 5]


def test_a_record_can_be_found_by_its_request(trail):
    """Lists of the trail filter on columns."""
    trail.happen()

    trail.drain()

    (row,) = trail.audit.rows("c|")
    assert row.values["RequestId"] == "r1"
    assert row.values["Actor"] == "alice"
    assert row.values["What"] == "thing.happened0"


def test_a_record_says_when_it_was_recorded(trail):
    """A record that was written late shows it."""
    trail.happen()
    trail.clock.advance(trail.clock.now - trail.clock.now.replace(hour=0))

    trail.drain()

    (record,) = trail.records()
    assert record.recorded_at == "2026-11-23T00:00:00.000000Z"
    assert record.event["at"] == "2026-11-22T12:00:00Z"


def test_dying_between_the_chain_and_the_outbox_records_nothing_twice(trail):
    """The keys beside the records show which rows the chain has."""
    trail.happen(3)
    trail.before("state.write", _die)
    with pytest.raises(Crash):
        trail.drain()

    trail.drain()

    assert len(trail.records()) == 3
    assert trail.state.rows("a|") == ()
    assert trail.broken() is None


def test_dying_before_the_chain_loses_nothing(trail):
    """The outbox is emptied last."""
    trail.happen(3)
    trail.before("audit.write", _die)
    with pytest.raises(Crash):
        trail.drain()

    trail.drain()

    assert len(trail.records()) == 3


def test_a_lost_answer_of_the_chain_records_nothing_twice(trail):
    """It is resolved by reading."""
    trail.happen(3)
    trail.after("audit.write", _lose)

    trail.drain()

    assert len(trail.records()) == 3
    assert trail.broken() is None


def test_new_rows_join_recorded_rows_that_are_still_in_the_outbox(trail):
    """Only the missing rows are appended."""
    trail.happen(2)
    trail.before("state.write", _die)
    with pytest.raises(Crash):
        trail.drain()
    trail.happen(2)

    trail.drain()

    assert len(trail.records()) == 4
    assert trail.broken() is None


def test_two_drainers_at_once_record_everything_once(trail):
    """One wins the head; the other reads again."""
    trail.happen(3)
    trail.before("audit.write", lambda: _quietly(trail))

    trail.drain()

    assert len(trail.records()) == 3
    assert trail.broken() is None


def _quietly(trail):
    """Another drainer comes in between."""
    trail.calls.before = lambda _name, _number: None
    trail.drain()


def test_a_drainer_that_lost_the_head_appends_behind_the_winner(trail):
    """The rows that the winner did not take are still to be recorded."""
    trail.happen(1)
    mine = trail.state.rows("a|")[0]

    def another_wins():
        trail.calls.before = lambda _name, _number: None
        trail.state.write([Op(Verb.DELETE, mine)])
        trail.happen()
        trail.drain()

    trail.before("audit.write", another_wins)

    trail.drain()

    assert len(trail.records()) == 2
    assert trail.broken() is None


def test_a_drainer_that_keeps_losing_gives_way(trail):
    """The next run records the rest."""
    trail.happen()
    trail.calls.before = lambda name, _: _conflict() if name == "audit.write" else None

    with pytest.raises(Unavailable):
        trail.drain()

    assert len(trail.state.rows("a|")) == 1


def _conflict():
    raise StateConflict("somebody was quicker")


@pytest.mark.parametrize("call", range(1, 10))
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("happen", "count"), [(Trail.happen, BATCH + 1), (Trail.happen_together, 2 * BATCH + 1)]
)
def test_dying_at_any_call_loses_nothing_and_repeats_nothing(trail, call, side, happen, count):
    """Every crash point of a drain of two batches, followed by another drain."""
    happen(trail, count)
    begun = len(trail.calls.names)

    def die(_name, number):
        if number - begun == call:
            raise Crash

    setattr(trail.calls, side, die)
    _survive(trail.drain)
    setattr(trail.calls, side, lambda _name, _number: None)

    trail.drain()

    assert len(trail.records()) == count
    assert trail.state.rows("a|") == ()
    assert trail.broken() is None


def _survive(act):
    try:
        act()
    except Crash:
        return


def test_a_record_that_was_changed_in_the_table_is_found(trail):
    """The verification reads the table, not the broker's memory."""
    trail.happen(3)
    trail.drain()
    row = trail.audit.rows("c|")[1]
    forged = {**row.values, "Doc": str(row.values["Doc"]).replace("alice", "mallory")}
    trail.audit.write([Op(Verb.REPLACE, replace(row, values=forged))])

    assert trail.broken() == 2


# ---- over Azure Table Storage's own client -------------------------------------------------------


@pytest.fixture
def stored(storage):
    """A drainer over a real storage emulator, and its outbox."""
    tables = [
        StorageTable(TableClient.from_connection_string(storage, name))
        for name in ("JitState", "JitAudit")
    ]
    outbox = Outbox(tables[0])
    return outbox, Drainer(outbox, tables[1])


def _happened(outbox, count):
    """Write so many audit rows."""
    for number in range(count):
        event = Event(at=NOON, what=f"thing.happened{number}", actor="é", request_id="r1")
        outbox.add(HERE, [event])


def test_a_full_batch_is_one_transaction_of_the_real_client(stored):
    """A hundred operations, insertions and the head together, and another batch behind it."""
    outbox, drainer = stored
    _happened(outbox, BATCH + 1)

    drained = drainer.drain(HERE, now=NOON)

    records = list(drainer.list_records(HERE))
    assert drained == len(records) == BATCH + 1
    assert chain.verify(records, start=Head(chain=HERE), end=drainer.find_head(HERE)) is None
    assert outbox.list_oldest(HERE, limit=10) == ()


def test_an_outbox_that_comes_back_is_recorded_once_by_the_real_client(stored):
    """A backup restored, a deletion lost: the keys are there."""
    outbox, drainer = stored
    _happened(outbox, 2)
    rows = outbox.list_oldest(HERE, limit=10)
    drainer.drain(HERE, now=NOON)
    outbox._state.write([Op(Verb.INSERT, replace(row, etag="")) for row in rows])

    drainer.drain(HERE, now=NOON)

    assert len(list(drainer.list_records(HERE))) == 2
