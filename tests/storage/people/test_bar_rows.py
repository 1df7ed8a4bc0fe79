"""Rows of bars: one query, one transaction with the audit row, no overwriting."""

from dataclasses import replace

import pytest

from jit.domain.audit.event import Event
from jit.domain.errors import StateConflict
from jit.domain.model.bar import UnreadableBar
from jit.storage import keys
from jit.storage.documents import FORMAT
from jit.storage.people.bar_rows import MOST_FORGOTTEN, BarRows, read_known_columns
from jit.storage.table import Op, Row, Verb
from tests.builders.bars import BARRED_ID, a_bar
from tests.builders.values import HOUR, NOW
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

EVENT = Event(at=NOW, what="person.barred", actor="o", request_id="")


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def table(calls):
    return FakeTable(FakeClock(), calls=calls, name="state")


@pytest.fixture
def rows(table):
    return BarRows(table)


def people(number):
    return [f"a11ce000-0000-4000-8000-{each:012d}" for each in range(number)]


def put_newer_row(table, rows):
    """Write a bar in a format that only a newer version reads."""
    stored = rows.write(None, a_bar(), EVENT)
    row = replace(stored.row, values={**stored.row.values, FORMAT: 99})
    table.write([Op(Verb.REPLACE, row)])


def test_a_bar_is_read_as_it_was_written(rows):
    """With an end and without."""
    rows.write(None, a_bar(), EVENT)
    rows.write(None, other := a_bar("b" + BARRED_ID[1:], until=NOW + HOUR, revoking=True), EVENT)

    assert rows.read().known == (a_bar(), other)
    assert rows.find(BARRED_ID).bar == a_bar()
    assert rows.find("nobody") is None


def test_a_thousand_bars_are_one_query(rows, calls):
    """A request and a pass ask for all of them."""
    for person in people(1000):
        rows.write(None, a_bar(person), EVENT)
    before = calls.count()

    assert len(rows.read().known) == 1000
    assert calls.count() == before + 1


def test_a_bar_and_its_audit_row_are_one_transaction(rows, table, calls):
    """No change without a trace."""
    before = calls.count()

    rows.write(None, a_bar(), EVENT)

    assert calls.count() == before + 1
    assert {row.partition for row in table.rows()} == {keys.PEOPLE}
    assert [row.key[:2] for row in table.rows()] == ["a|", "b|"]


def test_a_bar_that_somebody_wrote_is_not_overwritten(rows, table):
    """Neither as a new one nor as the one that was read, and there is no audit row of it."""
    first = rows.write(None, a_bar(), EVENT)
    rows.write(first, a_bar(revoked=1), EVENT)

    for before in (None, first):
        with pytest.raises(StateConflict):
            rows.write(before, a_bar(revoked=2), EVENT)
    with pytest.raises(StateConflict):
        rows.remove(first, EVENT)

    assert (rows.find(BARRED_ID).bar.revoked, len(table.rows("a|"))) == (1, 2)


def test_a_bar_is_removed_with_an_audit_row(rows, table):
    rows.remove(rows.write(None, a_bar(), EVENT), EVENT)

    assert (rows.find(BARRED_ID), len(table.rows("a|"))) == (None, 2)


def test_a_new_bar_forgets_as_many_as_one_transaction_takes(rows):
    """Bars that are over make room."""
    over = [rows.write(None, a_bar(each, until=NOW), EVENT) for each in people(MOST_FORGOTTEN)]

    rows.write(None, a_bar("b" + BARRED_ID[1:]), EVENT, over)

    assert [bar.person_id for bar in rows.read().known] == ["b" + BARRED_ID[1:]]


def test_a_bar_of_a_newer_version_counts_and_stays(rows, table):
    """Its key names the person: a doubt denies."""
    put_newer_row(table, rows)
    bar = UnreadableBar(person_id=BARRED_ID, at=NOW, revoking=False)

    assert (rows.read().known, rows.read().unreadable) == ((), (bar,))
    assert rows.list_stored() == []
    assert [found.bar for found in rows.list_found()] == [bar]
    assert rows.find(BARRED_ID).bar == bar


@pytest.mark.parametrize("values", [{}, {"At": "soon", "Revoking": "no"}, {"At": 1, "Revoking": 0}])
def test_a_broken_row_of_a_bar_tells_its_person_alone(values):
    """The key names the person. Access may still be to revoke."""
    row = Row(partition=keys.PEOPLE, key=keys.bar_key(BARRED_ID), values=values)

    assert read_known_columns(row) == UnreadableBar(person_id=BARRED_ID)


def test_a_bar_that_cannot_be_read_is_replaced_under_the_version_that_was_seen(rows, table):
    """An operator's word replaces it, and two operators at once do not both."""
    put_newer_row(table, rows)
    found = rows.find(BARRED_ID)

    rows.write(found, a_bar(), EVENT)

    assert rows.find(BARRED_ID).bar == a_bar()
    with pytest.raises(StateConflict):
        rows.remove(found, EVENT)


@pytest.mark.parametrize(("until", "written"), [(None, 1), (NOW, 2)])
def test_a_bar_with_the_end_of_an_earlier_order_has_a_format_of_its_own(rows, until, written):
    """A version that does not know that end would revoke access that was allowed after it."""
    stored = rows.write(None, replace(a_bar(), revoke_until=until), None)

    assert stored.row.values[FORMAT] == written
    assert rows.find(stored.bar.person_id).bar == stored.bar
