"""Finished requests: found by id and by month, complete or not at all."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jit.domain.errors import Unknown
from jit.domain.model.grant import CloseReason, Status
from jit.storage.history import History, write_history_rows
from jit.storage.stored import StoredRequest
from jit.storage.table import Op, Verb
from tests.builders.grants import a_grant_of, a_request
from tests.fakes.calls import Calls
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
POLICY = f"{GROUP}/Microsoft.Security/jitNetworkAccessPolicies/default"


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def table(calls):
    return FakeTable(FakeClock(NOON), calls=calls)


@pytest.fixture
def history(table):
    return History(table)


def finished(number=1, *, at=NOON, vms=3):
    """A closed request for some VMs."""
    request = a_request(at, POLICY, number=number)
    grants = tuple(
        replace(
            a_grant_of(request, f"{GROUP}/virtualMachines/web{index:02d}", index=index),
            status=Status.CLOSED,
            close_reason=CloseReason.EXPIRED,
        )
        for index in range(vms)
    )
    return StoredRequest(request, grants)


def load(history, stored, at=NOON):
    return history.load(SUBSCRIPTION, at, stored.request.id)


def test_a_finished_request_is_read_as_it_was_written(history):
    """With all its grants, in order."""
    stored = finished(vms=12)

    history.write(stored)

    assert load(history, stored) == stored


def test_writing_a_request_again_changes_nothing(history, table):
    """A process that died in between repeats it."""
    history.write(finished())
    before = table.rows()

    history.write(finished())

    assert table.rows() == before


def test_a_request_that_was_written_in_part_is_completed(history, table):
    """A large one takes several transactions."""
    first_grants = write_history_rows(finished())[1:2]
    table.write([Op(Verb.INSERT, row) for row in first_grants])

    history.write(finished())

    assert load(history, finished()) == finished()


def test_a_request_without_its_own_row_is_not_there(history, table):
    """Its row comes last: until then the live one answers."""
    table.write([Op(Verb.INSERT, row) for row in write_history_rows(finished())[1:]])

    assert load(history, finished()) is None


def test_a_write_whose_answer_was_lost_is_resolved_by_reading(history, calls):
    """All rows are there: nothing is to be repeated."""

    def lose(name, _):
        if name == "table.write":
            raise Unknown("the answer was lost")

    calls.after = lose

    history.write(finished())

    calls.after = lambda *_: None
    assert load(history, finished()) == finished()
