"""The trigger table: every function, its route or queue or schedule, as data."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import azure.functions as func
import pytest

import function_app
from jit import wiring
from jit.domain.model.people import Role
from jit.settings import Settings
from local.host import checks, functions, hostjson

PROJECT = Path(__file__).resolve().parent.parent
STORAGE = "AzureWebJobsStorage"
HTTP, QUEUE, TIMER = "httpTrigger", "queueTrigger", "timerTrigger"

ROUTES = {
    "create_access_request": ("POST", "api/access-requests"),
    "list_access_requests": ("GET", "api/access-requests"),
    "get_access_request": ("GET", "api/access-requests/{id}"),
    "get_outcome": ("GET", "api/access-requests/{id}/outcome"),
    "revoke_access_request": ("POST", "api/access-requests/{id}/revoke"),
    "extend_access_request": ("POST", "api/access-requests/{id}/extend"),
    "list_virtual_machines": ("GET", "api/virtual-machines"),
    "put_jit_policy": ("PUT", "api/virtual-machines/jit-policy"),
    "delete_jit_policy": ("DELETE", "api/virtual-machines/jit-policy"),
    "get_my_address": ("GET", "api/my-address"),
    "start_reconcile": ("POST", "api/reconcile"),
    "get_health": ("GET", "api/health"),
    "get_status": ("GET", "api/status"),
}
QUEUES = {
    "work_policy": "jit-policy",
    "alert_policy_poison": "jit-policy-poison",
    "reconcile_subscription": "jit-reconcile",
    "alert_reconcile_poison": "jit-reconcile-poison",
}
TIMERS = {"tick": "%JIT_TICK_SCHEDULE%", "reconcile": "%JIT_RECONCILE_SCHEDULE%"}
SENDS = {
    "create_access_request": "jit-policy",
    "revoke_access_request": "jit-policy",
    "extend_access_request": "jit-policy",
    "start_reconcile": "jit-reconcile",
}
SLOW = ("azure.mgmt", "azure.identity", "azure.data", "azure.storage", "azure.core", "msal")


def _indexed():
    return functions.index(function_app.app)


def _of(kind):
    return {each.name: each.trigger.fields for each in functions.of_type(_indexed(), kind)}


# ---- the table -----------------------------------------------------------------------------------


def test_there_is_no_other_function():
    """A trigger that nobody knows of is a door that nobody watches."""
    assert {each.name for each in _indexed()} == {*ROUTES, *QUEUES, *TIMERS}


def test_routes_are_those_of_the_contract():
    """Method and path; callers depend on them."""
    found = _of(HTTP)

    assert {name: (*each["methods"], each["route"]) for name, each in found.items()} == ROUTES


def test_routes_carry_their_whole_path():
    """The host adds nothing: a page can stand beside the API."""
    host_json = json.loads((PROJECT / "host.json").read_text())

    assert hostjson.route_prefix(host_json) == ""
    assert [name for name, (_, route) in ROUTES.items() if not route.startswith("api/")] == []


def test_no_route_asks_for_a_function_key():
    """App Service authentication stands in front: people and applications, not shared secrets."""
    assert {each["authLevel"] for each in _of(HTTP).values()} == {"ANONYMOUS"}


def test_queues_are_those_of_the_contract():
    """A renamed queue strands its messages; each one has its poison queue watched."""
    found = _of(QUEUE)

    assert {name: each["queueName"] for name, each in found.items()} == QUEUES
    assert {each["connection"] for each in found.values()} == {STORAGE}


def test_timers_are_set_by_settings():
    """And remembered over restarts, so that a missed one is made good."""
    found = _of(TIMER)

    assert {name: each["schedule"] for name, each in found.items()} == TIMERS
    assert {each["useMonitor"] for each in found.values()} == {True}


def test_messages_are_sent_by_the_host():
    """No queue SDK on the HTTP path; a function that raises sends nothing."""
    found = {each.name: each.outputs for each in _indexed() if each.outputs}

    sent = {name: [out.fields["queueName"] for out in outputs] for name, outputs in found.items()}
    assert sent == {name: [queue] for name, queue in SENDS.items()}


def test_every_trigger_says_what_it_does():
    """The file is the table of contents."""
    assert [each.name for each in _indexed() if not each.call.__doc__] == []


# ---- in a host -----------------------------------------------------------------------------------


def test_the_app_has_no_fault_that_a_host_would_find():
    """Signatures, bindings, annotations, routes, schedules, settings, host.json."""
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
    host_json = json.loads((PROJECT / "host.json").read_text())

    assert checks.faults(function_app.app, sample, host_json) == []


def _imported_in_a_fresh_process():
    """The modules that importing and indexing the app loads, with nothing in the environment."""
    program = (
        "import sys, json, function_app; function_app.app.get_functions();"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_importing_the_app_needs_no_settings_and_no_azure_sdk():
    """A cold start pays for nothing that it does not use."""
    loaded = _imported_in_a_fresh_process()

    assert "jit.wiring" in loaded
    assert [name for name in loaded if name.startswith(SLOW)] == []
    assert [name for name in loaded if name.split(".")[0] in {"local", "tests"}] == []


CHANGING = sorted(name for name, (method, _) in ROUTES.items() if method != "GET")


@pytest.mark.parametrize("name", CHANGING)
def test_a_route_that_changes_something_takes_no_unknown_parameter(monkeypatch, name):
    """``?dryrun=true`` is a 400 that names it, before anything is done."""
    values = {
        "AzureWebJobsStorage": "x",
        "JIT_SUBSCRIPTIONS": "5c0ffee0-0000-4000-8000-000000000001",
        "WEBSITE_AUTH_ENABLED": "True",
    }
    monkeypatch.setattr(wiring, "settings", lambda: Settings.from_env(values))
    claims = [{"typ": "oid", "val": "o"}] + [{"typ": "roles", "val": role} for role in Role]
    principal = base64.b64encode(json.dumps({"claims": claims}).encode()).decode()
    req = func.HttpRequest(
        method="POST",
        url="https://x/api",
        headers={"X-MS-CLIENT-PRINCIPAL": principal},
        params={"dryrun": "true"},
        route_params={"id": "x"},
        body=b"",
    )
    outputs = [None] * (name in SENDS)

    answer = getattr(function_app, name)(req, *outputs)

    fault = json.loads(answer.get_body())["errors"][0]
    assert (answer.status_code, fault["pointer"]) == (400, "#/dryrun")


# ---- without a host ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "queue"),
    [("alert_policy_poison", "jit-policy"), ("alert_reconcile_poison", "jit-reconcile")],
)
def test_a_poisoned_message_is_an_alert(caplog, function, queue):
    """Grants do not depend on it, but something keeps failing."""
    getattr(function_app, function)(func.QueueMessage(id="m1", body=b"{}"))

    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert json.loads(record.getMessage()) == {
        "event": "message.poisoned",
        "queue": queue,
        "message_id": "m1",
    }
