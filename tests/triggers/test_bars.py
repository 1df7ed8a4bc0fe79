"""Functions of bars: one use case each."""

import json

import pytest

from jit import messages
from jit.broker.barring.bar_changes import BarChange
from jit.domain.model.bar import UnreadableBar, WantedBar
from tests.builders.bars import BARRED_ID, a_bar
from tests.builders.values import NOW
from tests.triggers.app_functions import CALLER_ID, PERSON, call, call_and_listen, make_request
from tests.triggers.conftest import NOON

REASON = "left the company"
SHOWN = {
    "id": BARRED_ID,
    "reason": REASON,
    "until": None,
    "by": {"id": "01ca0000-0000-4000-8000-000000000005", "name": "Olga"},
    "at": "2026-11-22T18:00:00Z",
}


def test_a_person_is_barred_by_the_object_id_in_the_path(use_case):
    """In lower case. The workers get a message for the access that ends."""
    done = BarChange(a_bar(at=NOW, revoked=2), ("/policy",))
    calls = use_case("bar_changes", put=done)
    body, path = {"reason": REASON, "revoke": True}, {"oid": PERSON.upper()}

    req = make_request("put_bar", method="PUT", body=body, route_params=path)
    answer, sent = call_and_listen("put_bar", req)

    ((_, (person, wanted, caller, now), _),) = calls
    assert (person, caller.id, now) == (PERSON, CALLER_ID, NOON)
    assert wanted == WantedBar(reason=REASON, revoke=True)
    assert json.loads(answer.get_body()) == {**SHOWN, "revoked": 2}
    assert sent == [messages.policy("/policy")]


def test_bars_are_listed(use_case):
    """Without the number of revoked requests."""
    use_case("bar_changes", list_all=[a_bar()])

    answer = call("list_bars", make_request("list_bars"))

    assert json.loads(answer.get_body()) == {"value": [SHOWN]}


@pytest.mark.parametrize(("at", "told"), [(NOW, SHOWN["at"]), (None, None)])
def test_a_bar_that_this_version_cannot_read_is_shown_as_such(use_case, at, told):
    """Its person, since when if that is known, and nothing that nobody knows."""
    use_case("bar_changes", get=UnreadableBar(person_id=BARRED_ID, at=at))

    answer = call("get_bar", make_request("get_bar"))

    nothing = {"reason": None, "until": None, "by": None}
    assert json.loads(answer.get_body()) == {
        "id": BARRED_ID,
        **nothing,
        "at": told,
        "unreadable": True,
    }


def test_one_bar_is_returned(use_case):
    calls = use_case("bar_changes", get=a_bar())

    answer = call("get_bar", make_request("get_bar"))

    assert (json.loads(answer.get_body()), calls[0][1][0]) == (SHOWN, PERSON)


def test_a_bar_is_lifted(use_case):
    calls = use_case("bar_changes", lift=None)

    answer = call("delete_bar", make_request("delete_bar", method="DELETE"))

    ((_, (person, caller, _), _),) = calls
    assert (answer.status_code, json.loads(answer.get_body())) == (200, {"id": PERSON})
    assert (person, caller.id) == (PERSON, CALLER_ID)


@pytest.mark.parametrize("name", ["put_bar", "get_bar", "delete_bar"])
def test_a_path_that_names_nobody_is_refused(name):
    """400 before anything is read."""
    req = make_request(name, body={"reason": REASON}, route_params={"oid": "alice"})

    answer = call(name, req)

    assert answer.status_code == 400
    assert json.loads(answer.get_body())["errors"][0]["code"] == "object-id-malformed"


def test_a_faulty_bar_never_reaches_the_use_case():
    assert call("put_bar", make_request("put_bar", method="PUT", body={})).status_code == 400


def test_a_bar_is_not_lifted_by_a_call_with_fields():
    """400: the route reads no body, and somebody meant something by it."""
    request = make_request("delete_bar", method="DELETE", body={"until": "2026-12-01T00:00:00Z"})

    answer = call("delete_bar", request)

    assert answer.status_code == 400
