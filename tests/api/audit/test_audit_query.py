"""Queries of the audit trail: every fault at once, and tokens that nobody can make up."""

import base64
import json
from datetime import UTC, datetime

import pytest

from jit.api.audit.audit_query import (
    RecordFormat,
    read_after,
    read_chain_name,
    read_records_query,
    write_record_token,
)
from jit.broker.auditing.record_pages import BEGINNING, RecordPlace
from jit.domain.audit.record_filter import RecordFilter
from jit.domain.errors import InvalidRequest, NotFound
from jit.domain.model.people import Person

HERE = "5c0ffee0-0000-4000-8000-000000000001"
AUDRA, OTHER = Person(id="a", name="audra"), Person(id="b", name="other")
PLACE = RecordPlace("", ((HERE, 12), ("people", 3)))


def make_token(place: RecordPlace, query: dict[str, str]) -> str:
    return str(write_record_token(place, query, AUDRA))


def faults(query):
    with pytest.raises(InvalidRequest) as caught:
        read_records_query(query, AUDRA)
    return [(violation.pointer, violation.code) for violation in caught.value.violations]


def test_a_query_without_parameters_wants_everything():
    assert read_records_query({}, AUDRA) == (RecordFilter(), RecordFormat.JSON, BEGINNING)


def test_every_parameter_is_a_filter():
    query = {
        "subscription": HERE.upper(),
        "from": "2026-11-22T12:00:00Z",
        "to": "2026-11-22T14:00:00+01:00",
        "person": "p",
        "vm": "web01",
        "request": "r",
        "ticket": "t",
        "what": "w",
        "format": "csv",
    }

    wanted, written, _ = read_records_query(query, AUDRA)

    assert wanted == RecordFilter(
        chain=HERE,
        since=datetime(2026, 11, 22, 12, tzinfo=UTC),
        until=datetime(2026, 11, 22, 13, tzinfo=UTC),
        person="p",
        vm="web01",
        request="r",
        ticket="t",
        what="w",
    )
    assert written is RecordFormat.CSV


def test_all_faults_are_named_at_once():
    query = {
        "colour": "red",
        "subscription": "../x",
        "from": "yesterday",
        "to": "2026-11-22T12:00:00",
        "vm": "x" * 1025,
        "format": "xml",
        "continuationToken": "x",
    }

    assert sorted(faults(query)) == [
        ("#/colour", "unknown-field"),
        ("#/continuationToken", "token-malformed"),
        ("#/format", "format-unknown"),
        ("#/from", "time-malformed"),
        ("#/subscription", "chain-unknown"),
        ("#/to", "time-without-zone"),
        ("#/vm", "text-too-long"),
    ]


def test_parameters_of_the_host_are_no_filters():
    assert read_records_query({"code": "x", "clientId": "y"}, AUDRA)[2] == BEGINNING


def test_a_token_leads_to_its_place():
    query = {"what": "w", "format": "csv"}

    token = make_token(PLACE, query)

    found = read_records_query({**query, "continuationToken": token, "code": "x"}, AUDRA)
    assert found[2] == PLACE
    assert write_record_token(None, query, AUDRA) is None


@pytest.mark.parametrize(
    ("query", "caller"),
    [
        ({"what": "v"}, AUDRA),
        ({}, AUDRA),
        ({"what": "w", "vm": "x"}, AUDRA),
        ({"what": "w"}, OTHER),
    ],
)
def test_a_token_is_for_the_same_list_and_the_same_caller(query, caller):
    token = make_token(PLACE, {"what": "w"})

    with pytest.raises(InvalidRequest):
        read_records_query({**query, "continuationToken": token}, caller)


MARK = json.loads(base64.b64decode(make_token(BEGINNING, {}) + "=="))[2]


@pytest.mark.parametrize(
    "document",
    [
        [],
        ["", [], "x"],
        ["", [[HERE, 0]], MARK],
        ["", [[HERE, -1]], MARK],
        ["", [[HERE, 10**13]], MARK],
        ["", [[HERE, True]], MARK],
        ["", [[HERE, 1.5]], MARK],
        ["", [[HERE, "1"]], MARK],
        ["", [["x", 1]], MARK],
        ["", [[1, 1]], MARK],
        ["", [[HERE]], MARK],
        ["", [[HERE, 1]] * 6, MARK],
        ["x", [], MARK],
        [1, [], MARK],
        [None, [], MARK],
        ["", 1, MARK],
        ["", [[[HERE], 1]], MARK],
    ],
)
def test_a_forged_token_is_refused(document):
    """The place must be one that the broker could have written."""
    token = base64.urlsafe_b64encode(json.dumps(document).encode()).decode()

    assert faults({"continuationToken": token}) == [("#/continuationToken", "token-malformed")]


@pytest.mark.parametrize("token", ["", "é", "[" * 2000, base64.b64encode(b"[" * 700).decode()])
def test_text_that_is_no_token_is_refused(token):
    assert faults({"continuationToken": token}) == [("#/continuationToken", "token-malformed")]


def test_the_largest_token_can_be_read():
    ends = tuple((f"5c0ffee0-0000-4000-8000-00000000000{number}", 10**12) for number in range(5))
    place = RecordPlace(HERE, ends)

    token = make_token(place, {})

    assert read_records_query({"continuationToken": token}, AUDRA)[2] == place


@pytest.mark.parametrize(("name", "found"), [(HERE.upper(), HERE), ("people", "people")])
def test_a_chain_is_named_by_its_subscription_or_people(name, found):
    assert read_chain_name(name) == found


@pytest.mark.parametrize("name", ["", "x", "h", "../people", f"{HERE}x", "a" * 5000])
def test_a_name_that_no_chain_has_is_not_found(name):
    with pytest.raises(NotFound):
        read_chain_name(name)


@pytest.mark.parametrize(("query", "after"), [({}, 0), ({"after": "0"}, 0), ({"after": "12"}, 12)])
def test_an_export_begins_after_a_sequence(query, after):
    assert read_after(query) == after


@pytest.mark.parametrize("text", ["", "-1", "1.5", "01", "x", "1" * 13, "٣"])
def test_a_sequence_that_is_no_number_is_refused(text):
    with pytest.raises(InvalidRequest) as caught:
        read_after({"after": text})

    assert [each.code for each in caught.value.violations] == ["number-malformed"]
