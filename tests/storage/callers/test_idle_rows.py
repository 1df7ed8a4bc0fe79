"""Idle rows: each one has an end, and a row that still counts stays."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.model.sums.accepted_requests import DAY
from jit.domain.values.rate_window import RateWindow
from jit.storage import keys
from jit.storage.callers.denial_counts import DenialCounts
from jit.storage.callers.idle_rows import DENIALS_KEPT, KEPT, MOST_SWEPT, PERIOD, IdleRows
from jit.storage.callers.person_rows import PersonRows, claim_request
from jit.storage.control_rows import ControlRows
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Row, Verb
from tests.builders.values import FIREWALL_ID, NOW, POLICY_ID
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import PRODUCTION

ROUND = 64


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def clock():
    return FakeClock(NOW)


@pytest.fixture
def table(clock, calls):
    return FakeTable(clock, calls=calls, name="state")


@pytest.fixture
def control(table):
    return ControlRows(table)


@pytest.fixture
def idle(table):
    return IdleRows(table)


def sweep_all(idle, clock, subscription=PRODUCTION):
    """Sweep each part once, as comparisons of some hours do; return how many were found."""
    found = 0
    for number in range(ROUND):
        now = clock() + number * PERIOD
        found += idle.sweep(subscription, now=now) + idle.sweep_callers(now=now)
    return found


def put_rows_of_a_caller(control):
    """Store one row of each kind that a request or a look makes."""
    firewall = FIREWALL_ID
    control.put(replace(control.make_policy(POLICY_ID), owner="a process that died"))
    control.put(control.read_looks(POLICY_ID))
    control.put(control.make_firewall(firewall))


def subscription_of(table):
    (name,) = {row.partition for row in table.rows()}
    return name


def test_control_rows_end_a_week_after_their_last_write(control, idle, clock, table):
    """Claim, looks and turn of a policy that nobody uses any more; not a moment earlier."""
    put_rows_of_a_caller(control)
    where = subscription_of(table)
    clock.advance(KEPT - ROUND * PERIOD)
    sweep_all(idle, clock, where)
    assert len(table.rows()) == 3

    clock.advance(2 * ROUND * PERIOD)

    assert sweep_all(idle, clock, where) == 3
    assert table.rows() == ()


@pytest.mark.parametrize("changes", [{"holder": "somebody"}, {FORMAT: 99}], ids=["held", "newer"])
def test_a_firewall_that_somebody_holds_and_a_row_of_a_newer_version_stay(
    control, idle, clock, table, changes
):
    """The comparison ends a turn; a newer version knows its own rows."""
    row = control.make_firewall(FIREWALL_ID)
    written = control.put(replace(row, holder=changes.get("holder", "")))
    if FORMAT in changes:
        values = {**written.version.values, **changes}
        table.write([Op(Verb.REPLACE, replace(written.version, values=values))])
    where = subscription_of(table)
    clock.advance(2 * KEPT)

    assert sweep_all(idle, clock, where) == 0
    assert len(table.rows()) == 1


def test_counts_of_denials_end_when_their_hour_is_over(idle, clock, table):
    """One row for each person who was ever denied: all go, and a count that still counts stays."""
    counts = DenialCounts(table)
    for number in range(50):
        counts.put(counts.read(f"person {number}"), RateWindow(begin=NOW, count=1))
    newer = Row(partition=keys.CALLERS, key=keys.denials_key("newer"), values={FORMAT: 99})
    table.write([Op(Verb.INSERT, newer)])
    clock.advance(DENIALS_KEPT)
    counts.put(counts.read("late"), RateWindow(begin=clock() + ROUND * PERIOD, count=1))

    assert sweep_all(idle, clock) == 50
    assert {row.key for row in table.rows()} == {newer.key, keys.denials_key("late")}


def test_the_times_of_a_persons_requests_end_when_none_counts(idle, clock, table):
    """A day after the last one; the place of a live request, and a newer row, stay."""
    people = PersonRows(table)
    for number in range(20):
        person = people.read(PRODUCTION, f"person {number}")
        table.write(claim_request(person, f"request {number}", NOW))
    newer = Row(partition=PRODUCTION, key=keys.person_key("newer"), values={FORMAT: 99})
    table.write([Op(Verb.INSERT, newer)])
    clock.advance(DAY - ROUND * PERIOD)
    assert sweep_all(idle, clock) == 0
    clock.advance(ROUND * PERIOD)

    assert sweep_all(idle, clock) == 20

    left = {row.key for row in table.rows()}
    assert left == {newer.key, *(row.key for row in table.rows() if keys.is_place(row.key))}
    assert len(left) == 21
    assert len(people.read(PRODUCTION, "person 7").places) == 1


@pytest.mark.parametrize("every", [1, 2, 3, 4, 6, 12, 288])
def test_each_part_is_read_however_often_comparisons_run(idle, table, every):
    """In periods of five minutes: each one, each hour, each day."""
    counts, over = DenialCounts(table), RateWindow(begin=NOW - DENIALS_KEPT, count=1)
    for number in range(200):
        counts.put(counts.read(f"person {number}"), over)

    for number in range(32 * ROUND):
        idle.sweep_callers(now=NOW + number * every * PERIOD)

    assert table.rows() == ()


def test_a_sweep_reads_a_bounded_number_of_rows(idle, clock, table, calls):
    """However many people were denied: one query of one part, and the next sweep goes on."""
    first_part = NOW - timedelta(seconds=NOW.timestamp() % (32 * 32 * PERIOD).total_seconds())
    over = RateWindow(begin=first_part - DENIALS_KEPT, count=1)
    counts, prefix = DenialCounts(table), "c|a"
    version = counts.read("somebody").version
    for number in range(MOST_SWEPT + 1):
        counts.put(
            replace(counts.read(""), version=replace(version, key=f"{prefix}{number}")), over
        )
    before = calls.count("state.query")

    assert idle.sweep_callers(now=first_part) == MOST_SWEPT
    assert calls.count("state.query") == before + 1
    assert len(table.rows()) == 1


def test_a_row_that_somebody_writes_meanwhile_stays(idle, clock, table, calls):
    """It is deleted as it was read, or not at all."""
    counts = DenialCounts(table)
    counts.put(counts.read("alice"), RateWindow(begin=NOW, count=1))
    clock.advance(DENIALS_KEPT)
    new = RateWindow(begin=clock() + ROUND * PERIOD, count=1)

    def strike(name, _):
        if name == "state.write":
            calls.before = lambda *_: None
            counts.put(counts.read("alice"), new)

    calls.before = strike
    sweep_all(idle, clock)

    assert counts.read("alice").window == new
