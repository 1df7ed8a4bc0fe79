"""The functions of the app: the table in its docstring, the index, the process that loads them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from azure.functions.decorators.function_app import FunctionRegister

import function_app
from local.host.app import checks, functions, host_options

PROJECT = Path(__file__).resolve().parent.parent
STORAGE = "AzureWebJobsStorage"
HTTP, QUEUE, TIMER = "httpTrigger", "queueTrigger", "timerTrigger"
SENDS = {
    "create_access_request": "jit-policy",
    "revoke_access_request": "jit-policy",
    "extend_access_request": "jit-policy",
    "start_reconcile": "jit-reconcile",
    "put_bar": "jit-policy",
    "begin_erasure": "jit-reconcile",
}
SLOW = ("azure.mgmt", "azure.identity", "azure.data", "azure.storage", "azure.core", "msal")


def indexed():
    return functions.index(function_app.app)


def fields_of(kind):
    return {each.name: each.trigger.fields for each in functions.select_by_trigger(indexed(), kind)}


def rows():
    """Return the table of the docstring: (method or kind, place, function, caller) of each row."""
    head, _, body = (function_app.__doc__ or "").partition("\n------  ")
    assert head
    return [tuple(re.split(r"  +", line.strip(), maxsplit=3)) for line in body.splitlines()[1:]]


def listeners(function):
    """Return how the table must name *function*: a pair for each method, queue or schedule."""
    fields = function.trigger.fields
    if function.trigger.type == HTTP:
        return [(method, fields["route"]) for method in fields["methods"]]
    return (
        [("queue", fields["queueName"])]
        if "queueName" in fields
        else [("timer", fields["schedule"])]
    )


# ---- the table -----------------------------------------------------------------------------------


def test_the_table_names_each_function_with_its_method_route_queue_or_schedule():
    """Callers depend on methods and paths; a renamed queue strands its messages."""
    found = [(*pair, each.name) for each in indexed() for pair in listeners(each)]

    assert sorted(row[:3] for row in rows()) == sorted(found)


def test_routes_carry_their_whole_path():
    """The host adds nothing: a page can stand beside the API."""
    host_json = json.loads((PROJECT / "host.json").read_text())
    routes = [each["route"] for each in fields_of(HTTP).values()]

    assert host_options.route_prefix(host_json) == ""
    assert [route for route in routes if not route.startswith("api/")] == []


def test_no_route_asks_for_a_function_key():
    """App Service authentication stands in front: people and applications, not shared secrets."""
    assert {each["authLevel"] for each in fields_of(HTTP).values()} == {"ANONYMOUS"}


def test_each_queue_has_its_poison_queue_watched():
    """All of them at the storage account of the host."""
    found = fields_of(QUEUE).values()
    names = {each["queueName"] for each in found}
    plain = {name for name in names if not name.endswith("-poison")}

    assert plain == {"jit-policy", "jit-reconcile"}
    assert names == plain | {f"{name}-poison" for name in plain}
    assert {each["connection"] for each in found} == {STORAGE}


def test_timers_are_set_by_settings():
    """The host remembers them over restarts, and makes a missed one good."""
    found = fields_of(TIMER).values()

    assert {each["schedule"] for each in found} == {
        "%JIT_TICK_SCHEDULE%",
        "%JIT_RECONCILE_SCHEDULE%",
    }
    assert {each["useMonitor"] for each in found} == {True}


def test_messages_are_sent_by_the_host():
    """No queue SDK on the HTTP path; a function that raises sends nothing."""
    found = {each.name: each.outputs for each in indexed() if each.outputs}

    sent = {name: [out.fields["queueName"] for out in outputs] for name, outputs in found.items()}
    assert sent == {name: [queue] for name, queue in SENDS.items()}


def test_every_function_has_a_docstring():
    """Its docstring is the first sentence that a reader meets."""
    assert [each.name for each in indexed() if not each.call.__doc__] == []


def test_each_function_lives_in_a_module_of_triggers():
    """``function_app`` registers blueprints and holds no function."""
    homes = {each.call.__module__ for each in indexed()}

    assert {home.rpartition(".")[0] for home in homes} == {"jit.triggers"}


# ---- in a host -----------------------------------------------------------------------------------


def test_the_app_has_no_fault_that_a_host_would_find():
    """Signatures, bindings, annotations, routes, schedules, settings, host.json."""
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
    host_json = json.loads((PROJECT / "host.json").read_text())

    assert checks.find_faults(function_app.app, sample, host_json) == []


def test_http_leaves_each_queue_as_many_threads_as_it_works_on():
    """However many callers wait, a whole batch of the worker and the next one run beside them."""
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
    options = host_options.options(json.loads((PROJECT / "host.json").read_text()))
    threads = int(sample["PYTHON_THREADPOOL_THREAD_COUNT"])

    assert (options.http.max_concurrent_requests, threads) == (16, 48)
    queue = options.queues.batch_size + options.queues.new_batch_threshold
    assert threads - options.http.max_concurrent_requests >= queue


def test_module_has_one_function_register():
    """The worker looks for it in the module, and refuses a second name of one."""
    found = [
        name for name, value in vars(function_app).items() if isinstance(value, FunctionRegister)
    ]

    assert found == ["app"]


def _imported_in_a_fresh_process(*more):
    """The modules that importing and indexing the app loads, and *more*, without environment."""
    program = (
        "import sys, json, function_app; function_app.app.get_functions();"
        f"{''.join(f'import {name};' for name in more)}"
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
    assert [name for name in loaded if name.startswith(("jit.broker", "jit.storage"))] == []
    assert {"jit.domain.model.grant", "jit.domain.requests.body_reader"} & set(loaded) == set()


def test_accepting_a_request_loads_nothing_of_lists_denials_and_locks():
    """The first caller waits for each module: a dataclass takes about a millisecond."""
    loaded = set(_imported_in_a_fresh_process("jit.broker.requests.accept"))

    assert "jit.storage.request_store" in loaded
    assert {
        "jit.api.continuation",
        "jit.broker.requests.acceptance.denials",
        "jit.broker.rights.asked_rights",
        "jit.broker.trail",
        "jit.domain.authorization.rights",
        "jit.domain.requests.policy_bodies",
        "jit.storage.callers.denial_counts",
        "jit.storage.control_rows",
        "jit.storage.lists.search",
    } & loaded == set()
