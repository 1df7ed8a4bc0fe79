"""Filters of records: each by itself, all together."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jit.domain.audit.record_filter import RecordFilter
from tests.builders.exports import ALICE, OLGA, an_event, erase, make_records

GROUP = "/subscriptions/5c0ffee0-0000-4000-8000-000000000001/resourceGroups/rg"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/Web01"


def a_record(**changes):
    event = an_event(1, actorName="Alice@example.com", ticket="servicenow CHG0030001")
    return make_records([event | changes])[0]


RECORD = a_record(facts={"grants": [{"virtualMachineId": VM, "ports": [22]}]})
OLD = make_records(
    [{**an_event(1), "actorName": "Alice@example.com", "facts": {"ticket": "jira JIT-7"}}]
)[0]


def at(second):
    return datetime(2026, 11, 22, 12, 0, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        (RecordFilter(what="thing.happened"), RecordFilter(what="Thing.happened")),
        (RecordFilter(request="r1"), RecordFilter(request="r")),
        (RecordFilter(person=ALICE.upper()), RecordFilter(person=OLGA)),
        (RecordFilter(person="alice@EXAMPLE.com"), RecordFilter(person="alice")),
        (RecordFilter(vm=VM.upper()), RecordFilter(vm=f"{VM}2")),
        (RecordFilter(vm="WEB01"), RecordFilter(vm="web")),
        (RecordFilter(ticket="chg0030001"), RecordFilter(ticket="CHG003000")),
        (RecordFilter(ticket="servicenow CHG0030001"), RecordFilter(ticket="jira CHG0030001")),
        (RecordFilter(since=at(1)), RecordFilter(since=at(2))),
        (RecordFilter(until=at(1)), RecordFilter(until=at(0))),
    ],
)
def test_a_filter_lets_a_fitting_record_through(wanted, other):
    assert wanted.matches(RECORD)
    assert not other.matches(RECORD)


def test_a_record_must_fit_every_filter():
    both = RecordFilter(what="thing.happened", vm="web01")

    assert both.matches(RECORD)
    assert not replace(both, request="r2").matches(RECORD)


@pytest.mark.parametrize(
    "facts", [{"virtualMachineId": VM}, {"virtualMachines": [VM]}], ids=["grant", "refusal"]
)
def test_a_vm_is_found_in_records_of_every_kind(facts):
    assert RecordFilter(vm="web01").matches(a_record(facts=facts))


def test_a_person_is_found_whom_others_barred():
    """By the object id: the record has no name of that person."""
    assert RecordFilter(person=OLGA).matches(a_record(facts={"person": OLGA}))


def test_texts_of_an_earlier_version_are_found_among_its_facts():
    assert RecordFilter(ticket="JIT-7", person="alice@example.com").matches(OLD)


def test_erased_texts_are_not_found():
    """The object id still is."""
    erased = erase(RECORD)

    assert not RecordFilter(ticket="CHG0030001").matches(erased)
    assert not RecordFilter(person="alice@example.com").matches(erased)
    assert RecordFilter(person=ALICE).matches(erased)


@pytest.mark.parametrize(
    "event", [{"facts": None}, {"at": "yesterday"}, {"facts": {"grants": ["x"]}}]
)
def test_a_record_that_somebody_changed_stops_no_search(event):
    """It is not found by a fact that it lacks."""
    found = RecordFilter(vm="web01", since=at(0)).matches(a_record(**event))

    assert not found


def test_storage_selects_by_name_and_request():
    assert RecordFilter(what="w", request="r", person="p").columns == {
        "What": "w",
        "RequestId": "r",
    }
    assert not RecordFilter(since=at(0)).is_selective
    assert RecordFilter(until=at(0)).is_selective
