"""Searches: what the row of a request tells, and the bounds of its id."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.storage.lists.machine_names import count_machines, list_machine_hashes, name_machines
from jit.storage.lists.search import Sought, make_bound
from jit.storage.request_rows import write_request_row
from tests.builders.crowds import MINE, OTHER, SUBSCRIPTION, a_vm_of, a_whole_request

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)
OLD = write_request_row(a_whole_request(NOON, ticket="CHG1").request)
ROW = name_machines(OLD, [a_vm_of(1), a_vm_of(2), a_vm_of(1)])


@pytest.mark.parametrize(
    ("sought", "fits"),
    [
        ({}, True),
        ({"requester": MINE.id}, True),
        ({"requester": OTHER.id}, False),
        ({"ticket": "CHG1"}, True),
        ({"ticket": "CHG"}, False),
        ({"machine": "WEB01"}, True),
        ({"machine": a_vm_of(2).upper()}, True),
        ({"machine": "web03"}, False),
        ({"machine": ""}, False),
        ({"machine": "web01", "requester": OTHER.id}, False),
    ],
)
def test_a_row_tells_person_ticket_and_machines(sought, fits):
    """Before the rows of its grants are read."""
    assert Sought(last=NOON, **sought).matches(ROW) is fits


def test_a_row_of_an_older_version_may_be_of_any_machine():
    """Its grants tell."""
    assert Sought(last=NOON, machine="web03").matches(OLD)
    assert (count_machines(OLD), list_machine_hashes(OLD)) == (None, [])


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        (NOON - MS, False),
        (NOON, True),
        (NOON + timedelta(hours=1), True),
        (NOON + timedelta(hours=1) + MS, False),
    ],
)
def test_the_bounds_of_an_id_are_those_of_its_creation(at, inside):
    """Both instants are included."""
    sought = Sought(first=NOON, last=NOON + timedelta(hours=1))
    request_id = a_whole_request(at).request.id

    first, last = sought.find_first_id(SUBSCRIPTION), sought.find_last_id(SUBSCRIPTION)

    assert (first <= request_id < last) is inside


def test_without_a_first_instant_an_id_has_no_lower_bound():
    """Live requests of any age."""
    assert Sought(last=NOON).find_first_id(SUBSCRIPTION) == ""


def test_a_bound_is_no_later_than_any_id_of_its_instant():
    """It has no random bits."""
    assert make_bound(SUBSCRIPTION, NOON) <= a_whole_request(NOON, number=0).request.id
    early = datetime(1969, 1, 1, tzinfo=UTC)
    assert make_bound(SUBSCRIPTION, early) == make_bound(SUBSCRIPTION, early + timedelta(1))
