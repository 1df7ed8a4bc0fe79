"""Rows of idempotency keys: one for each caller, subscription, use and key."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jit.domain.errors import Conflict
from jit.storage.callers.key_rows import (
    ENDING,
    KEPT,
    KEPT_WITHOUT_KEY,
    RepeatableCall,
    make_extension_use,
    make_key,
    parse_ending,
    read_key,
    write_ending,
    write_key,
)
from jit.storage.table import Row
from tests.broker.inprocess import ALICE, DAVE
from tests.local.azure.sim import DEVELOPMENT, PRODUCTION

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CALL = RepeatableCall(caller=ALICE.id, subscription=DEVELOPMENT, key="k", body={"a": 1})


@pytest.mark.parametrize(
    "change",
    [{"caller": DAVE.id}, {"key": "K"}, {"key": None}, {"use": make_extension_use("r")}],
    ids=["caller", "key", "body", "use"],
)
def test_another_caller_key_or_use_has_another_row(change):
    """A key is the caller's own, and stands for one call of each kind."""
    assert replace(CALL, **change).row_key != CALL.row_key


def test_the_body_is_no_part_of_the_row_key_of_a_key():
    """So another body under the key is found."""
    assert replace(CALL, body={"a": 2}).row_key == CALL.row_key
    assert replace(CALL, body={"a": 2}, key=None).row_key != replace(CALL, key=None).row_key


def test_the_subscription_is_the_partition_and_no_part_of_the_row_key():
    assert replace(CALL, subscription=PRODUCTION).row_key == CALL.row_key


@pytest.mark.parametrize(("key", "kept"), [("k", KEPT), (None, KEPT_WITHOUT_KEY)])
def test_a_key_runs_out_after_its_time(key, kept):
    """A body is a key for ten minutes only."""
    stored = make_key(replace(CALL, key=key), "r", NOON)

    assert not stored.has_run_out(NOON + kept)
    assert stored.has_run_out(NOON + kept + timedelta(microseconds=1))


def test_another_body_is_a_conflict_that_names_the_request():
    """The person sees which request the key stands for."""
    stored = make_key(CALL, "r1", NOON)

    stored.check_body(replace(CALL, body={"a": 1}))
    with pytest.raises(Conflict, match="for request r1"):
        stored.check_body(replace(CALL, body={"a": 2}))


def test_the_end_of_a_key_sorts_by_its_time_and_names_its_row():
    """Two ends of one key at one instant are two rows."""
    place = Row(partition=DEVELOPMENT, key=CALL.row_key, values={})
    row = write_key(place, make_key(CALL, "r", NOON))

    one, other = write_ending(row), write_ending(row)

    assert read_key(row).until == NOON + KEPT
    assert one.key.startswith("x|2026-11-29T12:00:00.000000Z|")
    assert (parse_ending(one).row_key, one.partition) == (row.key, DEVELOPMENT)
    assert one.key != other.key
    assert [column.name for column in ENDING.columns] == ["Key"]
