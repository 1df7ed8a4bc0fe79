"""Functions of access requests: one use case each, and the messages that the host sends."""

import json
from dataclasses import replace

import pytest

from jit.api.continuation import write_token
from jit.broker.requests.change import ChangeResult
from jit.broker.requests.filters import Place
from jit.domain.errors import Conflict
from jit.domain.model.people import Person
from jit.domain.model.request import Decision
from tests.broker.inprocess import InProcess, farm, wish
from tests.local.azure.sim import PRODUCTION
from tests.triggers.app_functions import CALLER_ID, call, call_and_listen, make_request

CALLER = Person(id=CALLER_ID, name=CALLER_ID)
WAKE = ['{"policy": "p1"}', '{"policy": "p2"}']


@pytest.fixture(scope="module")
def pending():
    """A request under two policies, just accepted."""
    stored = InProcess().accept(wish(farm(1)))
    return replace(stored, request=replace(stored.request, policies=("p1", "p2")))


def test_an_accepted_request_wakes_each_of_its_policies(use_case, pending):
    """202, and one message a policy."""
    calls = use_case("acceptance", accept=pending)

    answer, sent = call_and_listen(
        "create_access_request", make_request("create_access_request", body=wish(farm(1)))
    )

    ((_, (submission,), _),) = calls
    assert (answer.status_code, sent) == (202, WAKE)
    assert (submission.caller.id, submission.body) == (CALLER_ID, wish(farm(1)))
    assert answer.headers["Location"] == (
        f"https://jit.example/api/access-requests/{pending.request.id}/outcome"
    )


@pytest.mark.parametrize("host", ["[", "evil.example"])
def test_the_place_of_an_outcome_is_never_made_of_the_header_host(use_case, pending, host):
    """The request is stored by then: its answer must not fail, nor lead elsewhere."""
    use_case("acceptance", accept=pending)
    usual = make_request("create_access_request", body=wish(farm(1)))
    request = make_request(
        "create_access_request",
        url=f"http://{host}/api/access-requests",
        headers={**usual.headers, "Host": host},
        body=wish(farm(1)),
    )

    answer = call("create_access_request", request)

    assert answer.status_code == 202
    assert answer.headers["Location"].startswith("https://jit.example/api/access-requests/")


def test_a_dry_run_sends_no_message(use_case):
    """It stores nothing."""
    use_case("acceptance", preview=Decision(allowed=True, rule="jit-policy", errors=()))
    request = make_request("create_access_request", body=wish(farm(1), dryRun=True))

    answer, sent = call_and_listen("create_access_request", request)

    assert (answer.status_code, sent) == (200, None)


def test_a_list_has_its_requests_and_its_token(use_case, pending):
    """The use case gets the query as filters and a place, and returns the place of its end."""
    begin, end = Place((0, PRODUCTION), pending.request.id), Place((1, PRODUCTION), "")
    calls = use_case("queries", list_requests=([pending], end))
    params = {"vm": "x"}
    params["continuationToken"] = str(write_token(begin, params, CALLER))

    answer = call("list_access_requests", make_request("list_access_requests", params=params))

    doc = json.loads(answer.get_body())
    assert ([each["id"] for each in doc["value"]], doc["continuationToken"]) == (
        [pending.request.id],
        write_token(end, {"vm": "x"}, CALLER),
    )
    ((_, (filters, caller), named),) = calls
    assert (filters.vm, caller.id, named) == ("x", CALLER_ID, {"begin": begin})


@pytest.mark.parametrize(("name", "status"), [("get_access_request", 200), ("get_outcome", 202)])
def test_one_request_is_looked_up_by_the_id_of_the_route(use_case, pending, name, status):
    """For the caller, who may not see every request."""
    calls = use_case("queries", find_request=pending)

    answer = call(name, make_request(name))

    ((_, (request_id, caller), _),) = calls
    assert (answer.status_code, request_id, caller.id) == (status, "x", CALLER_ID)


@pytest.mark.parametrize(
    ("name", "verb", "body"),
    [
        ("revoke_access_request", "revoke", None),
        ("revoke_access_request", "revoke", {"reason": "patched early"}),
        ("extend_access_request", "extend", {"duration": "PT1H"}),
    ],
)
def test_a_changed_request_wakes_each_of_its_policies(use_case, pending, name, verb, body):
    """202, and one message a policy."""
    calls = use_case("request_changes", **{verb: ChangeResult(pending, changed=True)})

    answer, sent = call_and_listen(name, make_request(name, body=body))

    assert (answer.status_code, sent) == (202, WAKE)
    assert (calls[0][0], calls[0][1][0], calls[0][1][1].id) == (verb, "x", CALLER_ID)


@pytest.mark.parametrize(
    ("name", "verb", "body"),
    [
        ("revoke_access_request", "revoke", None),
        ("extend_access_request", "extend", {"duration": "PT1H"}),
    ],
)
def test_a_refused_change_sends_no_message(use_case, name, verb, body):
    """409, and nobody is woken."""
    use_case("request_changes", **{verb: Conflict("over")})

    answer, sent = call_and_listen(name, make_request(name, body=body))

    assert (answer.status_code, sent) == (409, None)
