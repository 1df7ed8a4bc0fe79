"""The decorators of HTTP functions: the order of checks, and the function of the worker."""

import inspect
import json
import typing
from dataclasses import replace
from typing import Any, List  # noqa: UP035 # as the triggers write it

import azure.functions as func
import pytest

from jit import wiring
from jit.api.answer import write_json
from jit.broker.call_counts import CallCounts
from jit.domain.errors import Conflict, Defect
from jit.domain.limits import LIMITS
from jit.domain.model.people import Person, Role
from jit.triggers.answers import answers, answers_anybody
from tests.triggers.app_functions import (
    CALLER_ID,
    FUNCTIONS,
    ROUTES,
    call,
    make_principal,
    make_request,
)


@answers(Role.OPERATOR, query=("dryRun",))
def change(req: func.HttpRequest, work: func.Out[List[str]], caller: Person) -> func.HttpResponse:  # noqa: UP006
    """Change something."""
    work.set([caller.id])
    return write_json({"caller": caller.id})


@answers(Role.OPERATOR)
def look(req: func.HttpRequest) -> func.HttpResponse:
    """Look at something."""
    return write_json({})


class Out:
    value = None

    def set(self, value):
        self.value = value


GOOD: dict[str, Any] = {
    "url": "https://jit.example/api/x",
    "headers": {
        "X-MS-CLIENT-PRINCIPAL": make_principal([Role.OPERATOR]),
        "Content-Type": "application/json",
    },
    "params": {"dryRun": "true"},
    "body": b"{}",
}


def send(function=change, *, out=None, without=(), headers=None, **changes):
    how = GOOD | changes
    named = {key: value for key, value in how["headers"].items() if key not in without}
    req = func.HttpRequest(method="POST", **how | {"headers": named | (headers or {})})
    return function(req=req, work=out or Out())


def code_of(answer):
    doc = json.loads(answer.get_body())
    return answer.status_code, doc["type"].rpartition("/")[2]


# ---- the function of the worker ------------------------------------------------------------------


def test_the_worker_sees_the_bindings_alone():
    """It refuses a parameter that no binding names."""
    hints = typing.get_type_hints(change)

    assert list(inspect.signature(change).parameters) == ["req", "work"]
    assert hints == {
        "req": func.HttpRequest,
        "work": func.Out[List[str]],  # noqa: UP006
        "return": func.HttpResponse,
    }


def test_a_decorated_function_keeps_its_name_and_its_words():
    """The name is the key of the function in the app."""
    assert (change.__name__, change.__doc__) == ("change", "Change something.")


def test_the_function_gets_its_bindings_and_its_caller():
    """By keyword, as the worker calls."""
    out = Out()

    answer = send(out=out)

    assert (answer.status_code, out.value) == (200, [CALLER_ID])


def test_a_function_that_does_not_name_its_caller_gets_none():
    """Some need the role alone."""
    req = func.HttpRequest(method="GET", **GOOD | {"params": {}})

    assert look(req=req).status_code == 200


def test_a_function_must_name_its_roles():
    """No role at all would let every signed-in caller in."""
    with pytest.raises(TypeError):
        answers()


def test_a_function_for_anybody_has_no_caller():
    """A principal on an excluded path comes from the client."""

    @answers_anybody
    def greet(req: func.HttpRequest, caller: Person | None = None) -> func.HttpResponse:
        return write_json({"caller": caller})

    answer = greet(req=func.HttpRequest(method="GET", **GOOD | {"params": {}}))

    assert json.loads(answer.get_body()) == {"caller": None}


# ---- the order of checks -------------------------------------------------------------------------


FAULTS: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "path": ({"url": "https://jit.example/page/../api/x"}, (404, "not-found")),
    "origin": ({"headers": {"Sec-Fetch-Site": "cross-site"}}, (403, "forbidden")),
    "caller": ({"without": {"X-MS-CLIENT-PRINCIPAL"}}, (401, "unauthenticated")),
    "query": ({"params": {"dryrun": "true"}}, (400, "invalid-request")),
    "media type": ({"headers": {"Content-Type": "text/plain"}}, (415, "unsupported-media-type")),
}


@pytest.mark.parametrize("first", range(len(FAULTS)), ids=FAULTS)
def test_the_first_of_several_faults_is_answered(first):
    """Path, origin, caller, query, media type: each check hides the later ones."""
    out = Out()
    how: dict[str, Any] = {}
    for changes, _ in list(FAULTS.values())[first:]:
        for key, value in changes.items():
            how[key] = how.get(key, {}) | value if key == "headers" else value

    answer = send(out=out, **how)

    assert code_of(answer) == list(FAULTS.values())[first][1]
    assert out.value is None


def test_a_caller_without_the_role_is_forbidden_before_the_query_is_read():
    """403 names the roles."""
    headers = {"X-MS-CLIENT-PRINCIPAL": make_principal([Role.REQUESTER])}

    answer = send(headers=headers, params={"dryrun": "true"})

    assert code_of(answer) == (403, "forbidden")
    assert "Jit.Operator" in json.loads(answer.get_body())["detail"]


def test_a_function_that_reads_its_query_itself_gets_all_of_it():
    """It names unknown filters together with faulty ones."""

    @answers(Role.OPERATOR, query=None)
    def search(req: func.HttpRequest, work: func.Out[str]) -> func.HttpResponse:
        return write_json(dict(req.params))

    assert json.loads(send(search, params={"x": "1"}).get_body()) == {"x": "1"}


# ---- calls a minute ------------------------------------------------------------------------------


def allow(monkeypatch, **limits):
    """Let each caller call so often."""
    counts = CallCounts(replace(LIMITS, **limits))
    monkeypatch.setattr(wiring, "call_counts", lambda: counts)


def test_a_call_too_many_is_429_before_the_query_is_read_and_says_when_to_come_back(monkeypatch):
    """With the headers of every answer."""
    allow(monkeypatch, changes_per_minute=2)
    first = [send().status_code for _ in range(2)]

    answer = send(params={"dryrun": "true"})

    assert first == [200, 200]
    assert code_of(answer) == (429, "limit-reached")
    assert [each["code"] for each in json.loads(answer.get_body())["errors"]] == ["limit-calls"]
    assert answer.headers["Retry-After"] == "60"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_caller_without_the_role_takes_no_call_away(monkeypatch):
    """The role is checked first."""
    allow(monkeypatch, changes_per_minute=1)
    headers = {"X-MS-CLIENT-PRINCIPAL": make_principal([Role.REQUESTER])}
    for _ in range(3):
        send(headers=headers)

    assert send().status_code == 200


@pytest.mark.parametrize("name", sorted({*ROUTES} - {"get_health"}))
def test_every_route_with_a_principal_counts_its_calls_before_it_reads_anything(monkeypatch, name):
    """No use case can be had here: a call of storage would be an error."""
    allow(monkeypatch, reads_per_minute=1, changes_per_minute=1)
    methods = set(FUNCTIONS[name].trigger.fields["methods"])
    wiring.call_counts().count(CALLER_ID, is_change=methods != {"GET"}, now=wiring.clock())

    answer = call(name, make_request(name))

    assert code_of(answer) == (429, "limit-reached")


# ---- errors --------------------------------------------------------------------------------------


def raising(error):
    @answers(Role.OPERATOR, query=("dryRun",))
    def fail(req: func.HttpRequest, work: func.Out[str]) -> func.HttpResponse:
        raise error

    return fail


def test_an_error_of_the_broker_is_a_problem():
    """With the headers of every answer."""
    answer = send(raising(Conflict("no")))

    assert code_of(answer) == (409, "conflict")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_defect_is_raised():
    """The host answers 500, and sends no message."""
    with pytest.raises(Defect):
        send(raising(Defect("ours")))
