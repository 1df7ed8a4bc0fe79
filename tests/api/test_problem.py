"""Problems of RFC 9457: errors as answers, and as events in the log."""

import json

import azure.functions as func
import pytest

from jit.api.problem import answer_or_problem, write_problem
from jit.domain.errors import (
    AccessDenied,
    CannotTell,
    Conflict,
    Defect,
    Forbidden,
    Gone,
    InvalidRequest,
    NotFound,
    PermissionLost,
    Refused,
    Throttled,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unknown,
    UnsupportedMediaType,
    Violation,
)
from tests.api.http_requests import SETTINGS, make_request


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (InvalidRequest("no"), 400, "invalid-request"),
        (Unauthenticated("no"), 401, "unauthenticated"),
        (Forbidden("no"), 403, "forbidden"),
        (AccessDenied("no"), 403, "access-denied"),
        (NotFound("no"), 404, "not-found"),
        (Conflict("no"), 409, "conflict"),
        (TooLarge("no"), 413, "too-large"),
        (UnsupportedMediaType("no"), 415, "unsupported-media-type"),
        (Unavailable("no"), 503, "unavailable"),
    ],
)
def test_a_problem_has_the_members_of_rfc_9457(error, status, slug):
    """Type, title, status, detail, instance; a page explains each type."""
    answer = write_problem(error, make_request(), SETTINGS)

    document = json.loads(answer.get_body())
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert document["type"] == f"https://broker.azurewebsites.net/api/problems/{slug}"
    assert (document["status"], document["detail"].partition(";")[0]) == (status, "no")
    assert document["instance"] == "/api/access-requests"
    assert document["title"]
    assert not document["title"].endswith(".")


def test_the_title_of_forbidden_fits_each_of_its_causes():
    """A missing role, another person's request, a page of another web site."""
    document = json.loads(write_problem(Forbidden("no"), make_request(), SETTINGS).get_body())

    assert document["title"] == "The caller may not do this"


def test_a_problem_names_every_fault():
    """Pointer, code, sentence."""
    faults = (Violation("#/sources", "too-few", "one at least"), Violation("#/x", "unknown", "?"))

    document = json.loads(
        write_problem(InvalidRequest("no", faults), make_request(), SETTINGS).get_body()
    )

    assert document["errors"] == [
        {"pointer": "#/sources", "code": "too-few", "detail": "one at least"},
        {"pointer": "#/x", "code": "unknown", "detail": "?"},
    ]


def test_a_denial_names_the_audited_request():
    """A caller who asks why can name this id."""
    error = AccessDenied("no", (), request_id="r1")

    document = json.loads(write_problem(error, make_request(), SETTINGS).get_body())

    assert document["requestId"] == "r1"


def test_a_problem_without_faults_has_no_request_id():
    """A member without a value is left out."""
    document = json.loads(write_problem(Conflict("no"), make_request(), SETTINGS).get_body())

    assert "requestId" not in document


def test_an_outage_says_when_to_come_back():
    """The failing service named the seconds."""
    answer = write_problem(Throttled("slow", retry_after_seconds=37), make_request(), SETTINGS)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "37")
    assert json.loads(answer.get_body())["detail"] == "slow; wait 37 s, then repeat the same call"


@pytest.mark.parametrize("error", [NotFound("no"), Unavailable("no")])
def test_an_error_of_the_broker_becomes_a_problem(error):
    """The caller reads it."""

    def act() -> func.HttpResponse:
        raise error

    assert answer_or_problem(make_request(), SETTINGS, act).status_code == error.status


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (PermissionLost("no", code="AuthorizationFailed", resource_id="/x"), "permission.lost"),
        (Gone("no", code="SubscriptionNotFound", resource_id="/x"), "look.refused"),
        (Refused("no", azure_status=400, resource_id="/x"), "look.refused"),
    ],
)
def test_a_look_that_azure_refuses_is_an_outage_and_an_alert(caplog, error, name):
    """The caller repeats the request, and a person mends the permission."""

    def act() -> func.HttpResponse:
        raise error

    answer = answer_or_problem(make_request(), SETTINGS, act)

    alert = json.loads(caplog.records[0].getMessage())
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "60"
    assert json.loads(answer.get_body())["type"].endswith("/unavailable")
    assert (caplog.records[0].levelname, alert["event"], alert["resource_id"]) == (
        "ERROR",
        name,
        "/x",
    )
    assert alert["code"] == (error.code or str(error.azure_status))


@pytest.mark.parametrize("error", [Defect("ours"), KeyError("x"), ZeroDivisionError()])
def test_a_defect_is_raised_and_not_answered(error):
    """The host answers 500 without a body and sends no message."""

    def act() -> func.HttpResponse:
        raise error

    with pytest.raises(type(error)):
        answer_or_problem(make_request(), SETTINGS, act)


@pytest.mark.parametrize(
    ("method", "told"),
    [("GET", False), ("POST", True)],
)
def test_only_a_change_may_have_happened(method, told):
    """A look at a list changes nothing, although a copy of what Azure shows could not be kept."""

    def act():
        raise Unknown("the write may have happened", retry_after_seconds=7)

    answer = answer_or_problem(make_request(method=method), SETTINGS, act)

    document = json.loads(answer.get_body())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert ("happened" in f"{document['title']} {document['detail']}") is told


def test_a_problem_names_the_fact_that_could_not_be_read():
    """503 with a code: a program can tell it from other outages."""
    document = json.loads(write_problem(CannotTell("no"), make_request(), SETTINGS).get_body())

    assert document["type"].endswith("/unavailable")
    assert document["errors"] == [{"pointer": "#", "code": "cannot-tell", "detail": "no"}]
