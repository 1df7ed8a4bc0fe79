"""The queries of lists: filters, and the place of a page."""

from datetime import UTC, datetime, timedelta

import pytest

from jit.api.continuation import write_token
from jit.api.list_query import read_access_list, read_list
from jit.api.query import TOKEN
from jit.broker.requests.filters import BEGINNING, AccessFilters, Place
from jit.domain.errors import InvalidRequest
from jit.domain.model.grant import Status
from jit.domain.model.people import Person
from tests.local.azure.sim import DB01, PRODUCTION

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CALLER = Person(id="a11ce", name="Alice")


def read_filters(params):
    return read_list(params, CALLER, now=NOON)[0]


def test_a_query_without_filters_lists_the_last_thirty_days():
    """Live requests have no bound unless the caller names one."""
    filters = read_filters({})

    assert (filters.since, filters.start, filters.end) == (None, NOON - timedelta(days=30), NOON)
    assert (filters.status, filters.vm, filters.requester, filters.ticket) == (None,) * 4


def test_each_filter_is_read():
    """As the caller wrote it."""
    named = {"status": "open", "vm": "Web01", "requester": "A11CE", "ticket": "CHG1"}
    named["person"] = "alice@example.com"
    span = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}

    filters = read_filters(named | span)

    assert (filters.status, filters.vm) == (Status.OPEN, "Web01")
    assert (filters.requester, filters.ticket) == ("A11CE", "CHG1")
    assert filters.person == "alice@example.com"
    assert (filters.since, filters.start) == (datetime(2026, 11, 1, tzinfo=UTC),) * 2
    assert filters.end == datetime(2026, 11, 2, tzinfo=UTC)


def test_a_list_ends_now_at_the_latest():
    """A caller's clock may be ahead."""
    filters = read_filters({"to": "2027-01-01T00:00:00Z"})

    assert filters.end == NOON


def test_a_query_is_refused_with_all_its_faults_at_once():
    """The token of the next page is one of them."""
    query_of_four = {"continuationToken": "zz", "from": "yesterday", "status": "x", "colour": "red"}
    with pytest.raises(InvalidRequest) as caught:
        read_filters(query_of_four)

    found = {each.pointer for each in caught.value.violations}
    assert found == {"#/continuationToken", "#/from", "#/status", "#/colour"}


@pytest.mark.parametrize(
    ("filters", "pointer", "code"),
    [
        ({"status": "opened"}, "#/status", "status-unknown"),
        ({"from": "yesterday"}, "#/from", "time-malformed"),
        ({"to": "2026-11-22T18:00:00"}, "#/to", "time-without-zone"),
        ({"to": "0001-01-01T00:00:00Z"}, "#/to", "time-out-of-range"),
        ({"colour": "red"}, "#/colour", "unknown-field"),
    ],
)
def test_a_faulty_query_is_refused_with_its_place(filters, pointer, code):
    """A filter that is ignored would look like an answer."""
    with pytest.raises(InvalidRequest) as caught:
        read_filters(filters)

    assert [(each.pointer, each.code) for each in caught.value.violations] == [(pointer, code)]


@pytest.mark.parametrize(
    ("name", "most"), [("ticket", 128), ("vm", 1024), ("requester", 1024), ("person", 1024)]
)
def test_a_text_longer_than_any_stored_one_is_refused_with_its_place(name, most):
    """Table storage refuses a long filter, and the caller would get 500."""
    assert getattr(read_filters({name: "'" * most}), name) == "'" * most

    with pytest.raises(InvalidRequest) as caught:
        read_filters({name: "'" * (most + 1)})

    (violation,) = caught.value.violations
    assert (violation.pointer, violation.code) == (f"#/{name}", "text-too-long")
    assert violation.detail == f"characters: {most + 1}; write at most {most}"


def test_all_faults_of_a_query_come_at_once():
    """As the faults of a body do."""
    with pytest.raises(InvalidRequest) as caught:
        read_filters({"status": "x", "from": "x", "to": "x", "x": "x"})

    assert len(caught.value.violations) == 4


def test_a_list_begins_at_the_place_of_its_token():
    """Without a token it begins at its beginning."""
    params, place = {"vm": "web01"}, Place((3, PRODUCTION), "")
    token = write_token(place, params, CALLER)

    assert read_list({**params, TOKEN: str(token)}, CALLER, now=NOON)[1] == place
    assert read_list(params, CALLER, now=NOON)[1] == BEGINNING


# ---- access --------------------------------------------------------------------------------------


@pytest.mark.parametrize("vm", ["db01", DB01, DB01.upper()])
def test_the_filters_of_access_are_read_as_they_were_written(vm):
    """Without a token the list begins at its beginning."""
    params = {"vm": vm, "person": "Alice", "subscription": PRODUCTION}

    found = read_access_list(params, CALLER)

    assert found == (AccessFilters(**params), BEGINNING)
    assert read_access_list({}, CALLER) == (AccessFilters(), BEGINNING)


def test_the_parameters_of_the_host_are_no_filters_of_access():
    """A function key in the query is none of ours."""
    assert read_access_list({"code": "x", "clientId": "y"}, CALLER)[0] == AccessFilters()


@pytest.mark.parametrize(
    ("params", "faults"),
    [
        ({"status": "open"}, [("#/status", "unknown-field")]),
        ({"vm": "x" * 1025}, [("#/vm", "text-too-long")]),
        ({"person": "x" * 1025}, [("#/person", "text-too-long")]),
        ({"vm": f"{DB01}/"}, [("#/vm", "vm-id-malformed")]),
        ({"vm": "/subscriptions/5c0f/web01"}, [("#/vm", "vm-id-malformed")]),
        (
            {"vm": DB01.replace("Compute/virtualMachines", "Network/publicIPAddresses")},
            [("#/vm", "vm-id-not-a-vm")],
        ),
        (
            {"continuationToken": "zz", "vm": "/x"},
            [("#/vm", "vm-id-malformed"), ("#/continuationToken", "token-malformed")],
        ),
    ],
)
def test_a_query_of_access_is_refused_with_its_faults(params, faults):
    """A slip in an id must not look like a machine that nobody reaches."""
    with pytest.raises(InvalidRequest) as caught:
        read_access_list(params, CALLER)

    assert [(each.pointer, each.code) for each in caught.value.violations] == faults


@pytest.mark.parametrize("name", ["code", "clientId"])
def test_parameters_of_the_functions_host_are_no_filters(name):
    """Its key stands in the query; each other route lets it pass."""
    filters = read_filters({name: "x", "vm": "web01"})

    assert filters.vm == "web01"
