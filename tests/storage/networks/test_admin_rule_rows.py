"""Rows of security admin rules."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.errors import StateConflict
from jit.domain.model.admin_reading import AdminReading
from jit.storage.keys import admin_rules_key
from jit.storage.networks.admin_rule_rows import AdminRuleRows
from jit.storage.table import Op, Verb
from tests.builders.admin_rules import arm_admin
from tests.builders.values import NOW, SUBSCRIPTION
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

VNETS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network"
ONE, TWO = (f"{VNETS}/virtualNetworks/{name}" for name in ("one", "two"))
LATER = NOW + timedelta(minutes=15)


@pytest.fixture
def table():
    return FakeTable(FakeClock(NOW))


@pytest.fixture
def rows(table):
    return AdminRuleRows(table)


RULES = (arm_admin(),)


def a_reading(network_id=ONE, read_at=NOW, items=RULES, **changes):
    return AdminReading(network_id=network_id, read_at=read_at, items=items, **changes)


def test_a_reading_is_found_as_it_was_kept(rows):
    """By its network in any case, alone or with all of a subscription."""
    refused = a_reading(TWO, items=(), unread="no permission", forbidden=True)
    rows.keep([a_reading(), refused])

    assert rows.find_readings([ONE.upper()]) == [a_reading()]
    assert rows.find_readings([f"{ONE}-other"]) == []
    assert sorted(rows.list_readings(SUBSCRIPTION), key=lambda each: each.network_id) == [
        a_reading(),
        refused,
    ]


def test_a_later_reading_replaces_an_earlier_one_and_never_the_other_way(rows):
    """Two instances may read at the same time."""
    later = a_reading(read_at=LATER, items=())
    rows.keep([a_reading()])
    rows.keep([later])
    rows.keep([a_reading()])

    assert rows.find_readings([ONE]) == [later]


@pytest.mark.parametrize("exists", [False, True])
def test_a_row_that_somebody_writes_meanwhile_stays(rows, table, monkeypatch, exists):
    """Under its ETag: their reading is as good as ours."""
    if exists:
        rows.keep([a_reading()])

    def refuse(_ops):
        raise StateConflict("somebody was faster")

    monkeypatch.setattr(table, "write", refuse)
    rows.keep([a_reading(read_at=LATER), a_reading(TWO)])

    assert len(rows.list_readings(SUBSCRIPTION)) == int(exists)


def test_rules_that_no_row_holds_count_as_unread(rows):
    """A part of them would look like all of them."""
    many = tuple(arm_admin(number=number, name="x" * 400) for number in range(1, 1000))
    rows.keep([a_reading(items=many)])

    (kept,) = rows.find_readings([ONE])
    assert (kept.items, bool(kept.unread)) == ((), True)


def test_networks_without_a_machine_are_forgotten(rows):
    """Their rows would stay for ever."""
    rows.keep([a_reading(ONE), a_reading(TWO)])
    rows.forget_others(SUBSCRIPTION, [TWO.upper()])

    assert [each.network_id for each in rows.list_readings(SUBSCRIPTION)] == [TWO]


def test_a_row_of_a_newer_version_counts_as_missing_and_is_replaced(rows, table):
    """It saves calls and nothing else."""
    rows.keep([a_reading()])
    row = table.get(SUBSCRIPTION, admin_rules_key(ONE))
    table.write([Op(Verb.REPLACE, replace(row, values={**row.values, "Format": 99}))])

    assert rows.list_readings(SUBSCRIPTION) == []

    rows.keep([a_reading()])

    assert rows.list_readings(SUBSCRIPTION) == [a_reading()]


def test_a_failed_reading_leaves_the_last_settled_word(rows):
    """It says nothing about the rules. After a day the settled word is too old."""
    rows.keep([a_reading()])
    rows.keep([a_reading(read_at=LATER, items=(), unread="Azure does not answer")])
    assert rows.find_readings([ONE]) == [a_reading()]

    late = a_reading(read_at=LATER + timedelta(days=1), items=(), unread="Azure does not answer")
    rows.keep([late])

    assert rows.find_readings([ONE]) == [late]


def test_a_missing_permission_replaces_what_was_read(rows):
    """Somebody must act, and an alert must say so."""
    rows.keep([a_reading()])
    lost = a_reading(read_at=LATER, items=(), unread="no permission", forbidden=True)

    rows.keep([lost])

    assert rows.find_readings([ONE]) == [lost]
