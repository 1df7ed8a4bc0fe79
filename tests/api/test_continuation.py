"""Continuation tokens: one list, one caller, a bounded text that says nothing about others."""

import base64
import json
from datetime import UTC, datetime

import pytest

from jit.api.continuation import read_token, write_token
from jit.api.query import TOKEN
from jit.broker.requests.filters import BEGINNING, Place
from jit.domain.errors import InvalidRequest
from jit.domain.model.people import Person, Role
from jit.domain.values import arm_ids
from jit.domain.values.request_ids import make_request_id
from tests.local.azure.sim import PRODUCTION

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALICE, DAVE = Person(id="a11ce", name="Alice"), Person(id="da7e", name="Dave")
QUERY = {"vm": "web01", "status": "open"}
ID = make_request_id(PRODUCTION, NOON, bytes(range(10)))
HASH = arm_ids.row_hash("/vm/1")
PLACE = Place((3, PRODUCTION), ID)


def make_token(place, query, caller):
    return str(write_token(place, query, caller))


def refuses(params, caller=ALICE):
    with pytest.raises(InvalidRequest) as caught:
        read_token(params, caller)
    return [each.code for each in caught.value.violations] == ["token-malformed"]


def decode(token):
    return json.loads(base64.urlsafe_b64decode(token + "=="))


def encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize("after", ["", ID, HASH, f"{HASH}|{HASH}|{ID}"])
def test_a_place_is_read_from_its_own_token(after):
    """The next page begins at the end of this one, at any instance: no process keeps anything."""
    place = Place((3, PRODUCTION), after)
    token = make_token(place, QUERY, ALICE)

    assert read_token({**QUERY, TOKEN: token}, ALICE) == place


def test_without_a_token_a_list_begins_at_its_beginning():
    """And a list without a next page has no token."""
    assert read_token(QUERY, ALICE) == BEGINNING
    assert write_token(None, QUERY, ALICE) is None


def test_a_token_is_of_one_list():
    """Another caller, or other parameters: the list would skip requests. A new role is no other."""
    token = make_token(PLACE, QUERY, ALICE)
    promoted = Person(id=ALICE.id, name="A.", roles=frozenset({Role.OPERATOR}))

    assert refuses({**QUERY, TOKEN: token}, DAVE)
    assert refuses({"vm": "web01", TOKEN: token})
    assert refuses({**QUERY, "vm": "web02", TOKEN: token})
    assert read_token({"code": "s3cret", **QUERY, TOKEN: token}, promoted) == PLACE


def test_a_token_has_a_place_and_a_mark_alone():
    """No name, no filter, no object id; short enough for every address."""
    token = make_token(PLACE, {**QUERY, "ticket": "x" * 5000}, ALICE)

    age, subscription, after, mark = decode(token)
    assert (age, subscription, after, len(mark)) == (3, PRODUCTION, ID, 12)
    assert len(token) <= 256


@pytest.mark.parametrize(
    "place",
    [
        [],
        {},
        "abc",
        [0, PRODUCTION],
        ["0", PRODUCTION, ""],
        [True, PRODUCTION, ""],
        [-1, PRODUCTION, ""],
        [10**9, PRODUCTION, ""],
        [0, "x", ""],
        [0, PRODUCTION.upper(), ""],
        [0, PRODUCTION, "../x"],
        [0, PRODUCTION, ID + "a"],
        [0, PRODUCTION, None],
    ],
)
def test_a_token_with_another_place_is_refused(place):
    """Also if its mark is the right one, which anybody can compute."""
    mark = decode(make_token(PLACE, QUERY, ALICE))[3]
    document = [*place, mark] if isinstance(place, list) else place

    assert refuses({**QUERY, TOKEN: encode(document)})


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "é",
        "A" * 100_000,
        base64.urlsafe_b64encode(b"[" * 50_000).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_token_that_is_not_ours_is_refused(token):
    """Garbage in the query is the fault of the caller, never a failure of the broker."""
    assert refuses({**QUERY, TOKEN: token})
