"""Rows of audit events: in order, in the transaction of their change, few for a crowd."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from jit.domain.audit.event import Event
from jit.storage.documents import FORMAT
from jit.storage.table import OPERATIONS, Op, Row, Verb, is_one_transaction, measure_op
from jit.storage.trail.event_rows import MOST_TOGETHER, pack_changes, read_events

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def an_operation(number):
    return Op(Verb.REPLACE, Row(partition="p", key=f"g|{number:04d}", values={}, etag="x"))


def an_event_of(number, text=""):
    facts = {"text": text}
    return Event(at=NOW, what="w", actor="a", request_id="r", grant_id=f"{number:04d}", facts=facts)


def read_grant_ids(rows):
    return [event["grantId"] for row in rows for event in read_events(row)]


def test_the_events_of_a_crowd_take_few_rows_and_keep_their_order():
    changes = [(an_operation(number), [an_event_of(number)]) for number in range(1000)]

    packs = list(pack_changes(changes, "p"))

    rows = [row for _, audit in packs for row in audit]
    assert all(len(ops) + len(audit) <= OPERATIONS for ops, audit in packs)
    assert len(rows) <= 1000 / MOST_TOGETHER * 1.3
    assert read_grant_ids(sorted(rows, key=lambda row: row.key)) == [
        f"{number:04d}" for number in range(1000)
    ]


@given(st.lists(st.lists(st.sampled_from([1, 100, 30_000, 119_000, 200_000]), max_size=5)))
def test_each_event_is_in_the_transaction_of_its_change(lengths):
    changes = [
        (an_operation(number), [an_event_of(number, "x" * length) for length in each])
        for number, each in enumerate(lengths)
    ]

    packs = list(pack_changes(changes, "p"))

    assert [op for ops, _ in packs for op in ops] == [op for op, _ in changes]
    for ops, audit in packs:
        told = [e.grant_id for op, events in changes if op in ops for e in events]
        assert read_grant_ids(audit) == told
        writes = [*ops, *(Op(Verb.INSERT, row) for row in audit)]
        assert len(ops) == 1 or is_one_transaction(writes)
        assert all(measure_op(op) < 1_000_000 for op in writes)  # a row takes 1 MiB


def test_a_row_with_one_event_is_read_by_older_versions():
    ((_, (row,)),) = pack_changes([(an_operation(1), [an_event_of(1)])], "p")

    assert row.values[FORMAT] == 1
    assert read_events(row) == (an_event_of(1).doc(),)
