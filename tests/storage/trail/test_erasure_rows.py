"""Rows of erasure orders: stored with their record, one for each person and chain."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.audit.erasure import ErasureOrder, WantedErasure, build_erasure_event
from jit.domain.errors import StateConflict
from jit.domain.model.people import Person
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Verb
from jit.storage.trail.erasure_rows import ErasureRows
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HERE = "5c0ffee0-0000-4000-8000-000000000001"
ALICE, BOB = "a11ce000-0000-4000-8000-000000000001", "b0b00000-0000-4000-8000-000000000002"


@pytest.fixture
def state():
    return FakeTable(FakeClock(NOON))


@pytest.fixture
def rows(state):
    return ErasureRows(state)


def store(rows, person=ALICE, at=NOON):
    wanted = WantedErasure(person_id=person, reason="asked for it")
    event = build_erasure_event(wanted, Person(id="o", name="olga"), now=at)
    rows.add(HERE, ErasureOrder(person_id=person, at=at), event)


def test_an_order_is_stored_with_its_record_in_one_transaction(rows, state):
    """No text goes without a record."""
    store(rows)

    (keys,) = state.transactions
    assert [key[:2] for key in keys] == ["e|", "a|"]
    assert [stored.order for stored in rows.list_few(HERE)] == [
        ErasureOrder(person_id=ALICE, at=NOON)
    ]


def test_a_later_order_begins_anew(rows):
    """The person has acted since the first one."""
    store(rows)
    (stored,) = rows.list_few(HERE)
    rows.note(stored, reached=7, months=2)

    store(rows, at=NOON + timedelta(hours=1))

    assert [stored.order for stored in rows.list_few(HERE)] == [
        ErasureOrder(person_id=ALICE, at=NOON + timedelta(hours=1), reached=0)
    ]


def test_progress_is_written_over_the_version_that_was_read(rows):
    store(rows)
    (stored,) = rows.list_few(HERE)
    after = rows.note(stored, reached=7)

    assert [each.order.reached for each in rows.list_few(HERE)] == [7]
    assert rows.note(after, months=8).order == ErasureOrder(
        person_id=ALICE, at=NOON, reached=7, months=8
    )
    with pytest.raises(StateConflict):
        rows.note(stored, reached=9)


def test_a_newer_order_outlives_the_end_of_the_one_before(rows):
    store(rows)
    (stored,) = rows.list_few(HERE)
    store(rows, at=NOON + timedelta(hours=1))

    with pytest.raises(StateConflict):
        rows.delete(stored)

    assert rows.has_orders(HERE)


def test_a_finished_order_is_gone(rows):
    store(rows)
    store(rows, BOB)
    first, second = rows.list_few(HERE)

    rows.delete(first)

    assert [each.order for each in rows.list_few(HERE)] == [second.order]
    rows.delete(second)
    assert not rows.has_orders(HERE)


def test_an_order_that_only_a_newer_version_reads_is_left(rows, state, caplog):
    store(rows)
    (row,) = state.rows("e|")
    state.write([Op(Verb.REPLACE, replace(row, values={**row.values, FORMAT: 99}))])

    assert rows.list_few(HERE) == []
    assert rows.has_orders(HERE)
    assert "row.unreadable" in caplog.text
