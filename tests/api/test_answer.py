"""Answers: status codes, places, headers, documents."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest

from jit.api.answer import (
    add_headers,
    write_accepted,
    write_change,
    write_json,
    write_outcome,
    write_preview,
)
from jit.broker.requests.change import ChangeResult
from jit.domain.errors import Violation
from jit.domain.model.request import Decision
from jit.storage.stored import StoredRequest
from tests.api.http_requests import BASED, SETTINGS
from tests.broker.inprocess import InProcess, farm, wish

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def broker() -> InProcess:
    """A broker in this process."""
    return InProcess()


@pytest.fixture
def pending(broker: InProcess) -> StoredRequest:
    """A request just accepted."""
    return broker.accept(wish(farm(1)))


@pytest.fixture
def scheduled(broker: InProcess) -> Callable[[timedelta], StoredRequest]:
    """Accept a request whose start lies ahead."""
    return lambda ahead: broker.accept(wish(farm(1), startTime=(broker.now + ahead).isoformat()))


def test_an_accepted_request_has_the_absolute_url_of_its_outcome(pending):
    """Logic Apps follows absolute URLs only."""
    answer = write_accepted(pending, SETTINGS, NOON)

    place = f"https://broker.azurewebsites.net/api/access-requests/{pending.request.id}/outcome"
    assert (answer.status_code, answer.headers["Location"]) == (202, place)


def test_the_url_of_an_outcome_begins_with_the_public_base_url(pending):
    """Callers behind a gateway use another name."""
    answer = write_accepted(pending, BASED, NOON)

    place = f"https://jit.example/api/access-requests/{pending.request.id}/outcome"
    assert answer.headers["Location"] == place


def test_an_accepted_request_is_answered_as_json(pending):
    """The body is the request."""
    answer = write_accepted(pending, SETTINGS, NOON)

    assert answer.mimetype == "application/json"
    assert json.loads(answer.get_body())["id"] == pending.request.id


def test_a_pending_request_is_polled_again_in_seconds(broker, pending):
    """It opens soon."""
    answer = write_accepted(pending, SETTINGS, broker.now)

    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [
        (timedelta(seconds=2), "5"),
        (timedelta(seconds=30), "30"),
        (timedelta(minutes=4), "240"),
        (timedelta(minutes=10), "600"),
        (timedelta(days=6), "600"),
    ],
)
def test_a_scheduled_request_is_polled_at_its_start_or_in_ten_minutes(
    broker, scheduled, ahead, seconds
):
    """A caller must not poll every few seconds for a week."""
    answer = write_accepted(scheduled(ahead), SETTINGS, broker.now)

    assert answer.headers["Retry-After"] == seconds


def test_an_outcome_is_202_until_the_request_is_settled(broker, pending):
    """Each 202 repeats the URL and the time to wait."""
    answer = write_outcome(pending, SETTINGS, broker.now)

    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"{pending.request.id}/outcome")
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize("minutes", [1, 70])
def test_the_outcome_of_an_open_or_a_closed_request_is_200(broker, minutes):
    """It is settled: no grant of it waits to be opened."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(minutes)

    answer = write_outcome(broker.whole(request_id), SETTINGS, broker.now)

    assert (answer.status_code, answer.headers.get("Location")) == (200, None)


@pytest.mark.parametrize(("changed", "status"), [(True, 202), (False, 200)])
def test_a_change_is_202_if_it_changed_something(pending, changed, status):
    """It is 200 if there was nothing to change."""
    answer = write_change(ChangeResult(pending, changed), SETTINGS, NOON)

    assert answer.status_code == status


def test_a_change_without_effect_says_why(pending):
    """Beside the request as it is."""
    why = "port 22 of farm01 was closed at 2026-11-22T18:00:00Z as expired"

    answer = write_change(ChangeResult(pending, changed=False, why=why), SETTINGS, NOON)

    doc = json.loads(answer.get_body())
    assert (doc["id"], doc["unchanged"]) == (pending.request.id, why)


def test_a_preview_shows_the_decision():
    """It is 200 with yes or no, and the reasons."""
    violation = Violation("#/sources/0", "source-not-allowed", "not from there")

    answer = write_preview(Decision(allowed=False, rule="jit-policy", errors=(violation,)))

    assert answer.status_code == 200
    assert json.loads(answer.get_body())["decision"] == {
        "allowed": False,
        "rule": "jit-policy",
        "errors": [
            {"pointer": "#/sources/0", "code": "source-not-allowed", "detail": "not from there"}
        ],
    }


# ---- headers of every answer ---------------------------------------------------------------------


def test_every_answer_has_the_time_of_the_broker_in_utc():
    """A page counts down by this time."""
    answer = add_headers(write_json({}), NOON)

    assert answer.headers["Jit-Now"] == "2026-11-22T12:00:00Z"


def test_a_browser_does_not_store_an_answer_or_guess_its_type():
    """An answer names people, machines and addresses."""
    answer = add_headers(write_json({}), NOON)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_answer_keeps_its_own_cache_control():
    """A function knows better how long its answer is true."""
    answer = write_json({}, headers={"cache-control": "private, no-cache"})

    assert add_headers(answer, NOON).headers.getlist("Cache-Control") == ["private, no-cache"]


def test_an_answer_keeps_its_other_headers():
    """One of them is the time to wait."""
    answer = func.HttpResponse(status_code=503, headers={"Retry-After": "10"})

    assert add_headers(answer, NOON).headers["Retry-After"] == "10"
