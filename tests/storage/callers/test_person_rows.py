"""Rows of a person: counted under an ETag, stored with the request, freed when it is closed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.errors import CannotTell, StateConflict
from jit.domain.model.sums.accepted_requests import DAY, MOST_KEPT, AcceptedRequests
from jit.storage.callers.person_rows import PersonRows, claim_request, read_accepted, write_accepted
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Row, Verb
from tests.broker.inprocess import ALICE, DAVE, farm, wish
from tests.builders.values import NOW
from tests.local.azure.sim import DEVELOPMENT


def read(broker, person=ALICE):
    return PersonRows(broker.state).read(DEVELOPMENT, person.id)


def test_a_person_without_requests_has_no_rows(broker):
    person = read(broker)

    assert (person.accepted.times, person.places, person.version.etag) == ((), {}, "")


def test_the_rows_of_one_person_are_read_with_one_query(broker):
    """Those of others are not among them."""
    mine = broker.ask(wish(farm(1)))
    broker.ask(wish(farm(2)), DAVE)
    before = broker.calls.count()

    person = read(broker)

    assert broker.calls.names[before:] == ["state.query"]
    assert (set(person.places), len(person.accepted.times)) == ({mine}, 1)


def test_the_second_of_two_calls_at_once_finds_the_row_changed(broker):
    """It counts again, with the first one."""
    for number in range(2):  # the row is new, then it is replaced
        one, other = read(broker), read(broker)
        broker.state.write(claim_request(one, f"first{number}", broker.now))

        with pytest.raises(StateConflict):
            broker.state.write(claim_request(other, f"second{number}", broker.now))


def test_a_live_request_has_a_place_until_it_is_closed(broker):
    """The time of its acceptance still counts for a day."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(2)
    live = set(read(broker).places)
    broker.live(70)

    after = read(broker)

    assert live == {request_id}
    assert (after.places, len(after.accepted.times)) == ({}, 1)


def test_a_row_of_times_that_cannot_be_read_is_not_an_empty_one(broker, caplog):
    """Nobody is let through by a number that is not known."""
    broker.accept(wish(farm(1)))
    (row, *_) = broker.state.rows("q|")
    newer = replace(row, values={**row.values, FORMAT: 99})
    broker.state.write([Op(Verb.REPLACE, newer)])

    with pytest.raises(CannotTell):
        read(broker)

    assert "row.unreadable" in caplog.text


def test_as_many_times_as_a_limit_may_be_fit_one_row(broker):
    """A text has 64 KiB of UTF-16 at most."""
    times = tuple(NOW - DAY + timedelta(seconds=each + 1) for each in range(MOST_KEPT))
    accepted = AcceptedRequests(ALICE.id, times)
    place = Row(partition=DEVELOPMENT, key="q|p", values={})

    broker.state.write([Op(Verb.INSERT, write_accepted(place, accepted))])

    assert read_accepted(broker.state.rows("q|")[0]) == accepted


def test_a_place_is_freed_once_and_may_be_gone(broker):
    """A pass may die after it, and an older version stored none."""
    request_id = broker.ask(wish(farm(1)))
    rows = PersonRows(broker.state)

    for _ in range(2):
        rows.delete_place(DEVELOPMENT, ALICE.id, request_id)

    assert read(broker).places == {}
