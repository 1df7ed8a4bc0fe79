"""The stack: its processes, the settings of its hosts, its end."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress

import pytest
from azure.storage.queue import QueueServiceClient

from local import stack as stacks
from local.azurite import Ports
from local.children import ChildFailed
from local.stack import NoCoreTools, Options, Stack, make_run_folder
from tests.local.calls import call

APP = """
import json, os
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="environment")
def environment(req: func.HttpRequest) -> str:
    return json.dumps(dict(os.environ))
"""
SAMPLE = {
    "IsEncrypted": False,
    "Values": {"JIT_TICK_SCHEDULE": "0 * * * * *", "JIT_ARM_ENDPOINT": "overruled"},
}


def write_app(folder):
    """Write a small app that shows its environment."""
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "local.settings.sample.json").write_text(json.dumps(SAMPLE))
    return folder


@pytest.fixture
def app(tmp_path_factory):
    """The small app, in a folder of its own."""
    return write_app(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """One whole stack with two hosts of the small app, started by a developer who is signed in."""
    app = write_app(tmp_path_factory.mktemp("app"))
    options = Options(app=app, hosts=(0, 0), env={"JIT_EXTRA": "said by the test"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_CLIENT_SECRET", "of the real thing")
        patch.setenv("JIT_WIDEST_SOURCE", "a real one")
        stack = Stack(tmp_path_factory.mktemp("run"), options).__enter__()
    with ExitStack() as closing:
        closing.push(stack)
        yield stack


def make_queue(connection_string, name):
    with QueueServiceClient.from_connection_string(connection_string) as service:
        service.create_queue(name)


def queues(connection_string):
    with QueueServiceClient.from_connection_string(connection_string) as service:
        return [queue.name for queue in service.list_queues()]


def environment(host):
    return call(f"{host.url}/api/environment").json


def test_hosts_find_the_simulator_the_storage_and_the_tenant(stack):
    """The broker's real clients need no more than these settings."""
    seen = environment(stack.hosts[0])

    assert seen["AzureWebJobsStorage"] == stack.connection_string
    assert seen["JIT_ARM_ENDPOINT"] == stack.simulator_url
    assert seen["IDENTITY_ENDPOINT"] == f"{stack.simulator_url}/msi/token"
    assert seen["JIT_TENANT_ID"] == "7e4a4700-0000-4000-8000-000000000000"
    assert seen["JIT_APP_CLIENT_ID"] == "a991c000-0000-4000-8000-00000000000a"
    assert seen["JIT_LOCAL_CLOCK"] == str(stack.clock_file)
    assert len(seen["JIT_SUBSCRIPTIONS"].split(",")) == 2


def test_settings_come_from_the_sample_under_the_callers(stack):
    """A setting that no other source has comes from the sample."""
    seen = environment(stack.hosts[0])

    assert seen["JIT_TICK_SCHEDULE"] == "0 * * * * *"
    assert seen["JIT_EXTRA"] == "said by the test"


def test_every_host_has_the_same_settings(stack):
    """All settings except the own address."""
    first, second = map(environment, stack.hosts)

    assert first.pop("WEBSITE_HOSTNAME") != second.pop("WEBSITE_HOSTNAME")
    assert first.pop("JIT_PUBLIC_BASE_URL") == stack.hosts[0].url
    assert second.pop("JIT_PUBLIC_BASE_URL") == stack.hosts[1].url
    assert first == second


def test_the_identity_endpoint_wants_the_stacks_secret(stack):
    """Only clients that know the header get tokens, as in App Service."""
    path = "/msi/token?api-version=2019-08-01&resource=https://management.azure.com/"
    secret = environment(stack.hosts[0])["IDENTITY_HEADER"]

    assert call(stack.simulator_url + path, X_IDENTITY_HEADER="guessed").status == 401
    assert call(stack.simulator_url + path, X_IDENTITY_HEADER=secret).json["access_token"]


def test_a_host_can_be_killed_and_started_again(stack):
    """On its port, with its settings, while the others go on."""
    before = environment(stack.hosts[1])
    stack.hosts[1].kill()
    answer = call(f"{stack.hosts[0].url}/api/environment")
    stack.hosts[1].start()

    assert answer.status == 200
    assert environment(stack.hosts[1]) == before


def test_settings_that_would_lead_to_a_real_azure_do_not_get_in(stack):
    """A developer is often signed in somewhere."""
    seen = environment(stack.hosts[0])

    assert "AZURE_CLIENT_SECRET" not in seen
    assert "JIT_WIDEST_SOURCE" not in seen


def test_core_tools_that_are_missing_are_named(app, tmp_path, monkeypatch):
    """``JIT_LOCAL_HOST=func`` needs ``func``."""
    monkeypatch.setenv("JIT_LOCAL_HOST", "func")
    monkeypatch.setenv("PATH", str(tmp_path))

    with (
        pytest.raises(NoCoreTools, match="Core Tools"),
        Stack(tmp_path / "run", Options(app=app, simulator=None)),
    ):
        pytest.fail("there is no func")


def test_core_tools_serve_where_they_are_wanted(app, project, tmp_path, monkeypatch):
    """``JIT_LOCAL_HOST=func`` starts ``func start --port``, in the app's folder."""
    func = tmp_path / "func"
    command = f'{sys.executable} -m local.host --app . --port "$3"'
    func.write_text(f'#!/bin/sh\necho "$1 $2"\nPYTHONPATH={project} exec {command}\n')
    func.chmod(0o755)
    monkeypatch.setenv("JIT_LOCAL_HOST", "func")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with Stack(tmp_path / "run", Options(app=app, simulator=None)) as running:
        log = running.hosts[0].log

    assert log.startswith("start --port")


def test_data_in_a_directory_is_there_the_next_time(app, tmp_path):
    """``--directory``: a stack that was stopped goes on where it was."""
    options = Options(app=app, simulator=None, hosts=(), in_memory=False)
    with Stack(tmp_path / "run", options) as first:
        make_queue(first.connection_string, "kept")
    with Stack(tmp_path / "run", options) as second:
        kept = queues(second.connection_string)

    assert kept == ["kept"]


def test_the_command_runs_until_a_signal_comes(app, project, tmp_path):
    """``python -m local run``: addresses on standard output, exit code 0 on SIGTERM."""
    command = [sys.executable, "-u", "-m", "local", "run", "--any-ports", "--app", str(app)]
    command += ["--directory", str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = list(iter(process.stdout.readline, "Ctrl-C stops everything.\n"))
        address = next(line for line in lines if line.startswith("broker")).split()[1]
        status = call(f"{address}/api/environment").status
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)

    assert (status, code) == (200, 0)


def test_free_ports_are_not_those_of_the_documented_stack():
    """A test never meets a stack that ``make run`` has started."""
    documented = {7071, 7072, 7073, 10000, 10001, 10002}

    assert not documented & set(stacks._FREE_PORTS)
    assert Ports() == Ports(0, 0, 0)


# ---- the folder of its logs ----------------------------------------------------------------------


@pytest.mark.parametrize("end", [None, KeyboardInterrupt()])
def test_the_folder_of_the_logs_goes_with_an_end_in_order(end):
    with suppress(KeyboardInterrupt), make_run_folder("jit-test-") as run:
        (run / "host.log").write_text("all went well")
        if end:
            raise end

    assert not run.exists()


def test_the_folder_of_the_logs_stays_after_a_failure(monkeypatch, tmp_path):
    """The logs have the reason."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with suppress(ChildFailed), make_run_folder("jit-test-") as run:
        (run / "host.log").write_text("the reason")
        raise ChildFailed("host1")

    assert (run / "host.log").read_text() == "the reason"
