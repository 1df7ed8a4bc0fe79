"""Rows of audit events: in order, in the transaction of their change, few for a crowd."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.audit.event import Event
from jit.domain.audit.texts import SALT_BYTES
from jit.storage.documents import FORMAT
from jit.storage.table import OPERATIONS, Op, Row, Verb, is_one_transaction, measure_op
from jit.storage.trail.event_rows import (
    MOST_TOGETHER,
    check_events,
    pack_changes,
    read_events,
    write_event_row,
)

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


def a_told_event():
    return Event(
        at=NOW, what="w", actor="a", actor_name="Alice", request_id="r", texts={"reason": "why"}
    )


def test_each_text_waits_with_a_salt_of_its_own():
    """The drainer hashes with it: a repeated append makes the same record."""
    row = write_event_row("p", a_told_event())

    ((first,), (again,)) = (read_events(row), read_events(row))
    texts = first["texts"]
    assert {name: each["text"] for name, each in texts.items()} == {
        "actorName": "Alice",
        "reason": "why",
    }
    assert len({each["salt"] for each in texts.values()}) == len(texts)
    assert all(len(bytes.fromhex(each["salt"])) == SALT_BYTES for each in texts.values())
    assert first == again


def test_a_row_with_texts_is_left_alone_by_older_versions():
    """They would write the texts into the chain, and no one can erase them there."""
    events = [an_event_of(1), a_told_event()]
    ((_, (row,)),) = pack_changes([(an_operation(1), events)], "p")

    assert row.values[FORMAT] == 3


def test_a_row_whose_texts_cannot_be_hashed_is_unreadable():
    """It stays in the outbox, with an alert, and stops no other row."""
    row = write_event_row("p", a_told_event())
    broken = replace(row, values={**row.values, "Doc": '{"texts": {"reason": {"text": "x"}}}'})

    with pytest.raises(LookupError):
        check_events(broken)
