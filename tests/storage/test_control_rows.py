"""Control rows: written under their ETags, read by column maps."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jit.domain.errors import StateConflict
from jit.domain.model.waiting_line import MOST_WAITING, Line, Wait, join_line
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.control_rows import MOST_REPORTED, ControlRows
from jit.storage.documents import PART
from jit.storage.table import Op, Verb
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
POLICY = f"{GROUP}/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"
FIREWALL = f"{GROUP}/Microsoft.Network/azureFirewalls/fw"


@pytest.fixture
def table():
    return FakeTable(FakeClock(NOON))


@pytest.fixture
def rows(table):
    return ControlRows(table)


def age(table, key):
    """Let a newer version have written a row."""
    row = table.get(SUBSCRIPTION, key)
    newer = replace(row, values={**row.values, "Format": 99})
    table.write([Op(Verb.REPLACE, newer)])


def test_a_control_row_is_read_as_it_was_written(rows):
    """Every field of each kind."""
    policy = replace(
        rows.make_policy(POLICY), owner="x", not_before=NOON, attempts=1, burst=2, wake_at=NOON
    )
    waits = (
        Wait(holder="a", closing=True, since=NOON, renewed_at=NOON),
        Wait(holder="b", closing=False, since=NOON, renewed_at=NOON),
    )
    firewall = replace(
        rows.make_firewall(FIREWALL), holder="h", since=NOON, foreign="d", waiting=waits
    )
    comparison = replace(rows.make_comparison(SUBSCRIPTION), owner="x", reported=frozenset("ab"))
    looks = replace(rows.read_looks(POLICY), asked={"r": NOON})

    for row in (policy, firewall, comparison, looks):
        rows.put(row)

    assert rows.find_policy(POLICY) == policy
    assert rows.find_firewall(FIREWALL) == firewall
    assert rows.find_comparison(SUBSCRIPTION) == comparison
    assert rows.read_looks(POLICY) == looks


def test_a_row_that_is_not_there_is_none(rows):
    """The first to come inserts it."""
    assert rows.find_policy(POLICY) is None
    assert rows.find_firewall(FIREWALL) is None
    assert rows.find_comparison(SUBSCRIPTION) is None


def test_a_row_is_inserted_once(rows):
    """Two processes that saw no row cannot both insert it."""
    rows.put(rows.make_policy(POLICY))

    with pytest.raises(StateConflict):
        rows.put(rows.make_policy(POLICY))


def test_a_row_is_current_until_somebody_writes_it(rows):
    """Its own writer keeps it current."""
    first = rows.put(rows.make_policy(POLICY))
    second = rows.put(replace(first, attempts=1))

    assert rows.is_current(second)
    assert not rows.is_current(first)
    with pytest.raises(StateConflict):
        rows.put(first)


def test_a_policy_in_a_newer_format_is_held_for_good(rows, table, caplog):
    """To act without understanding its lease could be to act twice; the alert names its row."""
    rows.put(rows.make_policy(POLICY))
    age(table, keys.policy_key(POLICY))

    found = rows.find_policy(POLICY)

    assert found is not None
    assert found.owner
    assert found.version.written_at is None
    assert "has format 99" in caplog.text


def test_a_firewall_in_a_newer_format_is_held_for_good(rows, table, caplog):
    """Passes go on and leave the firewall alone; the alert names its row."""
    rows.put(rows.make_firewall(FIREWALL))
    age(table, keys.firewall_key(FIREWALL))

    found = rows.find_firewall(FIREWALL)

    assert found.holder
    assert found.since is None
    (record,) = caplog.records
    assert json.loads(record.getMessage())["key"] == keys.firewall_key(FIREWALL)


def test_a_comparison_in_a_newer_format_is_free(rows, table, caplog):
    """The comparison goes on and writes the row anew; the alert names it."""
    rows.put(replace(rows.make_comparison(SUBSCRIPTION), owner="x"))
    age(table, keys.COMPARISON)

    rows.put(replace(rows.find_comparison(SUBSCRIPTION), owner="y"))

    assert rows.find_comparison(SUBSCRIPTION).owner == "y"
    (record,) = caplog.records
    assert json.loads(record.getMessage())["event"] == "row.unreadable"


def test_names_of_reported_rules_fit_one_property(rows):
    """If there are too many, the first names in the order of text are kept."""
    names = frozenset(f"{number:010d}" for number in range(MOST_REPORTED + 1))
    rows.put(replace(rows.make_comparison(SUBSCRIPTION), reported=names))

    found = rows.find_comparison(SUBSCRIPTION).reported

    assert found == names - {max(names)}
    assert len(" ".join(found)) <= PART


def test_a_line_that_nobody_stands_in_is_not_written(rows, table):
    """The row is as yesterday's version wrote it."""
    rows.put(rows.make_firewall(FIREWALL))

    assert "Waiting" not in table.get(SUBSCRIPTION, keys.firewall_key(FIREWALL)).values


def test_the_longest_line_fits_one_property(rows, table):
    """A property holds 64 KiB of UTF-16."""
    line: Line = ()
    for number in range(MOST_WAITING):
        line = join_line(line, arm_ids.row_hash(str(number)), closing=True, now=NOON)
    rows.put(replace(rows.make_firewall(FIREWALL), waiting=line))

    stored = table.get(SUBSCRIPTION, keys.firewall_key(FIREWALL)).values["Waiting"]
    assert len(stored) < PART
    assert rows.find_firewall(FIREWALL).waiting == line
