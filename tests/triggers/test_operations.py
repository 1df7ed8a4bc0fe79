"""Functions of operations: health, status, comparisons, the caller's address."""

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from jit import wiring
from jit.broker.health import Health, Problem
from jit.domain.errors import Unavailable
from jit.version import VERSION
from tests.triggers.app_functions import (
    CALLER_ID,
    SETTINGS,
    call,
    call_and_listen,
    make_principal,
    make_request,
)
from tests.triggers.conftest import NOON


def test_a_comparison_is_asked_for_by_one_message_a_subscription(use_case):
    """202: the workers do it."""
    use_case("due_work", list_subscriptions=("s1", "s2"))
    recorded = use_case("trail", record_comparison=None)

    answer, sent = call_and_listen("start_reconcile", make_request("start_reconcile"))

    assert (answer.status_code, json.loads(answer.get_body())) == (
        202,
        {"dryRun": False, "subscriptions": ["s1", "s2"]},
    )
    assert sent == ['{"subscription": "s1"}', '{"subscription": "s2"}']
    ((_, (_, subscriptions), how),) = recorded
    assert (subscriptions, how) == (("s1", "s2"), {"dry_run": False, "now": NOON})


def test_a_dry_run_returns_the_plan_and_sends_no_message(use_case):
    """It looks, and does not act."""
    use_case("due_work", list_subscriptions=("s1",))
    recorded = use_case("trail", record_comparison=None)
    use_case("dry_runs", make=[SimpleNamespace(doc=lambda: {"action": "report"})])

    answer, sent = call_and_listen(
        "start_reconcile", make_request("start_reconcile", params={"dryRun": "true"})
    )

    assert (answer.status_code, sent) == (200, None)
    assert json.loads(answer.get_body()) == {"dryRun": True, "plan": [{"action": "report"}]}
    assert [how["dry_run"] for _, _, how in recorded] == [True]


def test_a_comparison_that_cannot_be_recorded_is_not_made(use_case):
    """503: it would leave no trace."""
    use_case("due_work", list_subscriptions=("s1",))
    use_case("trail", record_comparison=Unavailable("no"))

    answer, sent = call_and_listen("start_reconcile", make_request("start_reconcile"))

    assert (answer.status_code, sent) == (503, None)


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ([], []),
        (["Jit.Requester", "Jit.Approver"], ["Jit.Approver", "Jit.Requester"]),
        (["Contoso.Admin", "Jit.Auditor", "Jit.Unknown"], ["Jit.Auditor"]),
    ],
)
def test_every_signed_in_caller_gets_the_own_name_and_roles(roles, told):
    """Also without any role of the broker: the answer shows that they are missing."""
    headers = {
        "X-MS-CLIENT-PRINCIPAL": make_principal(roles),
        "X-Forwarded-For": "203.0.113.7:50123",
    }

    answer = call("get_me", make_request("get_me", headers=headers))

    assert answer.status_code == 200
    assert json.loads(answer.get_body()) == {
        "id": CALLER_ID,
        "name": CALLER_ID,
        "kind": "person",
        "roles": told,
        "now": "2026-11-22T12:00:00Z",
        "address": "203.0.113.7",
        "addressReason": None,
        "features": [],
        "version": VERSION,
        "limits": {
            "virtualMachines": 90,
            "ports": 10,
            "sources": 10,
            "widestSource": 24,
            "widestSourceV6": 64,
            "shortest": "PT5M",
            "shortestBehindFirewall": "PT15M",
            "longest": "PT24H",
            "longestWithExtensions": "PT8H",
            "startHorizon": "P7D",
            "justification": [5, 500],
        },
    }


@pytest.mark.parametrize(
    ("horizon", "told"),
    [(timedelta(days=1), "P1D"), (timedelta(hours=36), "PT36H"), (timedelta(0), "P0D")],
)
def test_the_limits_of_a_caller_are_those_of_the_settings(horizon, told, monkeypatch):
    """A form that offers more would be refused."""
    limits = replace(SETTINGS.limits, widest_source_v4=28, start_horizon=horizon)
    behind = replace(SETTINGS.proxies, unknown=True)
    moved = replace(SETTINGS, limits=limits, proxies=behind)
    monkeypatch.setattr(wiring, "settings", lambda: moved)

    me = json.loads(call("get_me", make_request("get_me")).get_body())

    assert (me["limits"]["widestSource"], me["limits"]["startHorizon"]) == (28, told)
    assert (me["address"], me["addressReason"]) == (None, "behind-gateway")


@pytest.mark.parametrize("text", ["", "1", "yes"])
def test_a_misspelt_dry_run_never_acts(text):
    """400; no use case is called."""
    request = make_request("start_reconcile", params={"dryRun": text})

    assert call_and_listen("start_reconcile", request)[0].status_code == 400


def test_a_dry_run_that_is_meant_in_the_body_never_acts():
    """400: other routes have it in the body, and this one reads the query only."""
    request = make_request("start_reconcile", body={"dryRun": True})

    answer, sent = call_and_listen("start_reconcile", request)

    (fault,) = json.loads(answer.get_body())["errors"]
    assert (answer.status_code, sent) == (400, None)
    assert (fault["pointer"], fault["code"]) == ("#/dryRun", "unknown-field")


WELL = Health(
    storage="ok", azure="ok", tick=NOON, comparisons={"one": NOON, "two": None}, problems=()
)
LATE = Problem(code="comparison-late", detail="late", resource="/subscriptions/two", since=NOON)
STUCK = Problem(code="update-failed", detail="repeat it", resource="/subscriptions/f", since=NOON)
UNWELL = replace(WELL, azure="Azure did not answer", tick=None, problems=(LATE,))


@pytest.mark.parametrize(
    ("health", "status", "word"), [(WELL, 200, "ok"), (UNWELL, 503, "failing")]
)
def test_health_is_one_word_and_a_status(use_case, health, status, word):
    """It is open to anybody: the problems stand in the route `status`."""
    use_case("health", check=health)

    answer = call("get_health", make_request("get_health", headers={}))

    assert (answer.status_code, json.loads(answer.get_body())) == (status, {"status": word})


def test_a_trouble_in_azure_is_a_problem_of_a_broker_that_is_well(use_case):
    """An availability test must not report a broken broker for a customer's firewall."""
    use_case("health", check=replace(WELL, troubles=(STUCK,)))

    health = call("get_health", make_request("get_health", headers={}))
    status = json.loads(call("get_status", make_request("get_status")).get_body())

    assert health.status_code == 200
    assert (status["status"], [each["code"] for each in status["problems"]]) == (
        "ok",
        ["update-failed"],
    )


def test_status_of_a_broker_that_is_well(use_case):
    """No configuration file exists yet."""
    use_case("health", check=WELL)

    answer = call("get_status", make_request("get_status"))

    assert answer.status_code == 200
    assert json.loads(answer.get_body()) == {
        "status": "ok",
        "version": "0.1.0",
        "storage": "ok",
        "azure": "ok",
        "tick": "2026-11-22T12:00:00Z",
        "comparisons": {"one": "2026-11-22T12:00:00Z", "two": None},
        "configuration": {"source": "none", "sha256": None},
        "problems": [],
    }


def test_status_names_each_problem(use_case):
    """200: the answer is about the broker, and it could be given."""
    use_case("health", check=UNWELL)

    answer = call("get_status", make_request("get_status"))

    shown = json.loads(answer.get_body())
    assert (answer.status_code, shown["status"], shown["tick"]) == (200, "failing", None)
    assert shown["azure"] == "Azure did not answer"
    assert shown["problems"] == [
        {
            "code": "comparison-late",
            "detail": "late",
            "resource": "/subscriptions/two",
            "since": "2026-11-22T12:00:00Z",
        }
    ]


def test_a_type_of_problem_is_explained_to_callers_without_any_role():
    """They need it most; the address is the `type` of the problem that they got."""
    headers = {"X-MS-CLIENT-PRINCIPAL": make_principal(())}
    refused = json.loads(call("get_status", make_request("get_status", headers=headers)).get_body())
    slug = refused["type"].removeprefix("https://jit.example/api/problems/")

    answer = call(
        "get_problem", make_request("get_problem", headers=headers, route_params={"slug": slug})
    )

    assert (answer.status_code, answer.mimetype, answer.charset) == (200, "text/plain", "utf-8")
    assert answer.get_body().decode().startswith("### forbidden\n")


def test_my_address_is_the_last_hop():
    """The platform appended it; a client can write the others."""
    headers = {
        "X-MS-CLIENT-PRINCIPAL": make_principal(),
        "X-Forwarded-For": "1.2.3.4, 203.0.113.99:50123",
    }

    answer = call("get_my_address", make_request("get_my_address", headers=headers))

    assert json.loads(answer.get_body()) == {"address": "203.0.113.99", "addressReason": None}
