"""Sweeping callers' keys: bounded, patient with short pages, never a key that was taken over."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.storage.idempotency_keys import Idempotency
from jit.storage.keys import write_stamp
from jit.storage.table import Op, Row, Verb
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

SWEPT, PAGES = 200, 20


@pytest.fixture
def clock():
    return FakeClock()


def a_table(clock, *, old=0, fresh=0, scanned=1000, calls=None):
    """Keys of as many callers, some of them run out."""
    table = FakeTable(clock, calls=calls, scanned=scanned)
    for number in range(old + fresh):
        spare = timedelta(hours=1 if number >= old else -1)
        row = Row(
            partition=f"caller{number:04}",
            key="k",
            values={"BodyHash": "h", "RequestId": "r", "Until": write_stamp(clock.now + spare)},
        )
        table.write([Op(Verb.INSERT, row)])
    return table


def test_keys_that_have_run_out_go_and_the_others_stay(clock):
    """Also of several callers."""
    table = a_table(clock, old=3, fresh=2)

    swept = Idempotency(table).sweep(now=clock.now)

    assert swept == 3
    assert len(table.rows()) == 2


def test_a_sweep_is_bounded(clock):
    """The next one goes on."""
    table = a_table(clock, old=SWEPT + 9)

    Idempotency(table).sweep(now=clock.now)

    assert len(table.rows()) == 9


def test_a_sweep_goes_on_after_an_empty_page(clock):
    """The service answers without rows, and with a token, where its filter matched little."""
    table = a_table(clock, old=1, fresh=0, scanned=1)
    late = Row(
        partition="aaa",
        key="k",
        values={"BodyHash": "h", "RequestId": "r", "Until": "9999-12-31T23:59:59.000000Z"},
    )
    table.write([Op(Verb.INSERT, late)])

    swept = Idempotency(table).sweep(now=clock.now)

    assert swept == 1


def test_a_sweep_gives_up_after_some_pages(clock):
    """A table of a million keys in use is not read through every five minutes."""
    calls = Calls()
    table = a_table(clock, fresh=PAGES + 5, scanned=1, calls=calls)

    Idempotency(table).sweep(now=clock.now)

    assert calls.count("table.query") == PAGES


def test_a_key_that_is_taken_over_meanwhile_stays(clock):
    """It has another version than the one that was found."""
    calls = Calls()
    table = a_table(clock, old=1, calls=calls)
    (row,) = table.rows()

    def renew(name, _number):
        calls.before = lambda _name, _number: None
        table.write([Op(Verb.REPLACE, replace(row, values={**row.values, "RequestId": "new"}))])

    calls.before = lambda name, number: renew(name, number) if name == "table.write" else None

    Idempotency(table).sweep(now=clock.now)

    assert [kept.values["RequestId"] for kept in table.rows()] == ["new"]
