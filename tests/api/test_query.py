"""Query parameters: flags, filters, continuation tokens, parameters of no contract."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from jit.api import query
from jit.broker.requests.filters import BEGINNING, Place
from jit.domain.errors import InvalidRequest
from jit.domain.model.grant import Status
from jit.domain.values.request_ids import make_request_id
from tests.api.http_requests import make_request
from tests.local.azure.sim import PRODUCTION

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False)])
def test_a_flag_of_the_query_is_true_or_false(text, value):
    """In upper and in lower case."""
    assert query.read_flag(make_request(params={"dryRun": text}), "dryRun") is value


def test_a_flag_that_is_missing_is_false():
    """A missing flag means no."""
    assert query.read_flag(make_request(params={}), "dryRun") is False


@pytest.mark.parametrize("text", ["", "1", "yes", "yes e"])
def test_a_flag_that_is_neither_is_refused(text):
    """A dry run that was meant must never act."""
    with pytest.raises(InvalidRequest) as caught:
        query.read_flag(make_request(params={"dryRun": text}), "dryRun")

    assert [each.pointer for each in caught.value.violations] == ["#/dryRun"]


def test_a_parameter_that_the_contract_does_not_have_is_refused():
    """A misspelt wish for a dry run must not act."""
    with pytest.raises(InvalidRequest) as caught:
        query.refuse_unknown(
            make_request(params={"dryrun": "true", "dryRun": "true", "x/y": ""}), "dryRun"
        )

    found = [(each.pointer, each.code) for each in caught.value.violations]
    assert found == [("#/dryrun", "unknown-field"), ("#/x~1y", "unknown-field")]


@pytest.mark.parametrize(
    ("known", "detail"),
    [((), "no such parameter"), (("a", "b"), "no such parameter; known are a, b")],
)
def test_a_refused_parameter_comes_with_the_known_ones(known, detail):
    """The caller need not look them up."""
    with pytest.raises(InvalidRequest) as caught:
        query.refuse_unknown(make_request(params={"colour": "red"}), *known)

    assert [each.detail for each in caught.value.violations] == [detail]


def test_the_parameters_of_the_host_pass():
    """A function key and its name belong to the host."""
    params = {"code": "s3cret", "clientId": "default", "dryRun": "true"}

    query.refuse_unknown(make_request(params=params), "dryRun")

    assert query.read_flag(make_request(params=params), "dryRun")


# ---- filters of a list ---------------------------------------------------------------------------


def test_a_query_without_filters_lists_the_last_thirty_days():
    """Live requests have no bound unless the caller names one."""
    filters = query.read_filters({}, now=NOON)

    assert (filters.since, filters.start, filters.end) == (None, NOON - timedelta(days=30), NOON)
    assert (filters.status, filters.vm, filters.requester, filters.ticket) == (None,) * 4


def test_each_filter_is_read():
    """As the caller wrote it."""
    named = {"status": "open", "vm": "Web01", "requester": "A11CE", "ticket": "CHG1"}
    named["person"] = "alice@example.com"
    span = {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z"}

    filters = query.read_filters(named | span, now=NOON)

    assert (filters.status, filters.vm) == (Status.OPEN, "Web01")
    assert (filters.requester, filters.ticket) == ("A11CE", "CHG1")
    assert filters.person == "alice@example.com"
    assert (filters.since, filters.start) == (datetime(2026, 11, 1, tzinfo=UTC),) * 2
    assert filters.end == datetime(2026, 11, 2, tzinfo=UTC)


def test_a_list_ends_now_at_the_latest():
    """A caller's clock may be ahead."""
    filters = query.read_filters({"to": "2027-01-01T00:00:00Z"}, now=NOON)

    assert filters.end == NOON


def test_a_query_is_refused_with_all_its_faults_at_once():
    """The token of the next page is one of them."""
    query_of_four = {"continuationToken": "zz", "from": "yesterday", "status": "x", "colour": "red"}
    with pytest.raises(InvalidRequest) as caught:
        query.read_filters(query_of_four, now=NOON)

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
        query.read_filters(filters, now=NOON)

    assert [(each.pointer, each.code) for each in caught.value.violations] == [(pointer, code)]


def test_all_faults_of_a_query_come_at_once():
    """As the faults of a body do."""
    with pytest.raises(InvalidRequest) as caught:
        query.read_filters({"status": "x", "from": "x", "to": "x", "x": "x"}, now=NOON)

    assert len(caught.value.violations) == 4


def encode_token(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "é",
        "A" * 100_000,
        encode_token({}),
        encode_token([0, PRODUCTION]),
        encode_token([0, PRODUCTION, "../x"]),
        encode_token(["0", PRODUCTION, ""]),
        encode_token("abc"),
        base64.urlsafe_b64encode(b"[" * 50_000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_token_that_is_not_ours_is_refused(token):
    """Garbage in the query is the fault of the caller, never a failure of the broker."""
    with pytest.raises(InvalidRequest) as caught:
        query.read_token(token)

    assert [each.code for each in caught.value.violations] == ["token-malformed"]


def test_a_place_is_read_from_its_own_token():
    """The next page begins where this one ended."""
    place = Place((3, PRODUCTION), make_request_id(PRODUCTION, NOON, bytes(10)))

    assert query.read_token(query.write_token(place)) == place


def test_without_a_token_a_list_begins_at_its_beginning():
    """And a list without a next page has no token."""
    assert query.read_token(None) == BEGINNING
    assert query.write_token(None) is None
